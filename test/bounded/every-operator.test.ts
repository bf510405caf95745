/**
 * Every operator on tensors of unknown extents (survey.ts): the interpreter, and compiled code on poisoned
 * memory, give what the operator's reference gives at the exact size. What is refused is the list in
 * docs/data-dependent-refused.md; `UPDATE_GOLDEN=1` writes it.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileGraph } from 'hone/compile/index';
import type { OpDef } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';
import { differs, placesOf, type Refusal, surveyCase, titleOf, type Trial } from './survey.ts';

const DOCUMENT = fileURLToPath(new URL('../../../docs/data-dependent-refused.md', import.meta.url));

/** Cases of an operator's record that run; of the others it is seen what is refused. */
const MOST_CASES = 3;

/** Operators with rules or sizes that differ from case to case: all of them run. */
const WHOLE: ReadonlySet<string> = new Set([
  ...['Attention', 'DFT', 'DequantizeLinear', 'Einsum', 'LinearAttention', 'STFT'],
  ...['com.microsoft:GroupQueryAttention', 'com.microsoft:MultiHeadAttention'],
]);

/** Operators that nobody can compare, and why. */
const APART: Readonly<Record<string, string>> = {
  Bernoulli: 'random: elements are numbered in the room',
  Dropout: 'random: elements are numbered in the room',
  Multinomial: 'random: elements are numbered in the room',
  RandomNormalLike: 'random: elements are numbered in the room',
  RandomUniformLike: 'random: elements are numbered in the room',
};

/** The operators of models; those of the importer have room by themselves. */
const OPERATORS: readonly OpDef[] = standardRegistry
  .all()
  .filter(({ domain }) => domain !== 'hone');

const isBeyond = (error: unknown): boolean =>
  error instanceof HoneError && error.code === 'HONE-RUN-010';

const trials: Trial[] = [];
const refusals: Refusal[] = [];

test('interpreted, everything that is imported is what it is at the exact size', () => {
  for (const op of OPERATORS) {
    for (const [k, item] of (op.cases?.() ?? []).entries()) {
      for (const found of surveyCase(op, item, k < MOST_CASES || WHOLE.has(titleOf(op)))) {
        if ('error' in found) refusals.push(found);
        else trials.push(found);
      }
    }
  }
  for (const trial of trials) {
    if (Object.hasOwn(APART, trial.op)) continue;
    for (const { inputs, wanted } of trial.runs) {
      const what = `${trial.op} (${trial.note}), axes ${placesOf(trial)}, ${inputs.at(-1)?.data[0]} long`;
      const got = interpret(trial.graph, inputs);
      wanted.forEach((tensor, k) => {
        assert.equal(differs(got[k] as Tensor, tensor), undefined, `${what}, output ${k}`);
      });
    }
    for (const inputs of trial.beyond) {
      const what = `${trial.op} (${trial.note}), axes ${placesOf(trial)}, ${inputs.at(-1)?.data[0]} long`;
      assert.throws(() => interpret(trial.graph, inputs), isBeyond, `${what}: another rank`);
    }
  }
});

test('what is refused is what the document lists', () => {
  for (const { op, error } of refusals) assert.equal(error.code, 'HONE-SHAPE-002', op);
  const text = documentOf(refusals);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(DOCUMENT, text);
  assert.equal(readFileSync(DOCUMENT, 'utf8'), text);
});

function documentOf(all: readonly Refusal[]): string {
  const lines = new Map<string, Set<string>>();
  for (const found of all) {
    const why = reasonOf(found);
    const key = `| ${found.op} | ${why} |`;
    const places = lines.get(key) ?? new Set();
    lines.set(key, places.add(placesOf(found)));
  }
  const rows = [...lines]
    .map(([key, places]) => `${key} ${[...places].sort().join(', ')} |`)
    .sort((a, b) => (a < b ? -1 : 1));
  return [
    '# Operators on sizes that depend on data: what is refused',
    '',
    'Made by `npm test -- every-operator`: each axis of each input of the test cases of every operator, made unknown;',
    'axes that have to be equal together. `0.2+1.1` is axis 2 of input 0 and axis 1 of input 1, counted from 0. All others',
    'are imported, and those of the first three cases compared with exact sizes ([how](data-dependent-sizes.md)). The models',
    'state the ranks of their outputs, without which lists of unknown length that decide one are refused, too.',
    '',
    '| operator | why | axes |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function reasonOf({ error }: Refusal): string {
  const text = error.message.replace(/^node [^:]*?\)(: )?/, '');
  if (text.includes('extents do not fit')) return 'has to be equal to an extent that is known';
  return text
    .replace(/, and a size there depends on the model's input data$/, '')
    .replace(/^ ?reads a tensor.*$/, 'no rule');
}

test('compiled, on poisoned memory, too', async () => {
  const chosen = trials.filter(
    ({ op, graph, runs }, i) =>
      !Object.hasOwn(APART, op) &&
      runs.length > 0 &&
      trials.findIndex((other) => other.op === op && other.runs.length > 0) + 1 >= i &&
      graph.inputs.every((id) => graph.values[id]?.type.dtype !== 'string'),
  );
  const library = await mergedLibrary(
    chosen.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (const r of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const runs = chosen.map((trial) => trial.runs[r % trial.runs.length]);
      const results = library.run(
        runs.map((run) => run?.inputs ?? []),
        { threads: 2, poison: true },
      );
      results.forEach(({ outputs, damage }, g) => {
        const trial = chosen[g] as Trial;
        const what = `${trial.op} (${trial.note}), axes ${placesOf(trial)}, run ${r}`;
        assert.equal(damage, undefined, what);
        runs[g]?.wanted.forEach((tensor, k) => {
          assert.equal(differs(outputs[k] as Tensor, tensor), undefined, `${what}, output ${k}`);
        });
      });
    }
  } finally {
    library.close();
  }
});
