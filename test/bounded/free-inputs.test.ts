/**
 * Every operator with all of its inputs as inputs of the model, those too that decide sizes: at bounds that
 * follow from the case, interpreted and compiled, as the reference with constants. What decides is changed as
 * well, within the bounds. What is refused is listed here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { importFreely } from '../conformance/bounds.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { differs, exact, titleOf, write } from './survey.ts';

/** Operators that are refused with their parameters as data, and why. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  Upsample: /scales depends on/,
  'com.microsoft:CropAndResize': /crop_size depends on/,
};

/** Cases without a compiled form, whatever their sizes. */
const NOT_COMPILED: Readonly<Record<string, string>> = {
  'RoiAlign (as many samples as pixels)': 'how many samples there are depends on data',
};

/** Random: elements are numbered in the room. */
const APART = /^(Bernoulli|Dropout|Multinomial|Random.*)$/;

interface Free {
  readonly what: string;
  readonly graph: Graph;
  readonly runs: readonly {
    readonly inputs: readonly Tensor[];
    readonly wanted: readonly Tensor[];
  }[];
}

/** Variations of what decides that are tried. */
const TRIED = 12;
const MOST_RUNS = 4;
const MAX_LIST = 64;

const decides = (tensor: Tensor | null): tensor is Tensor =>
  tensor !== null &&
  (tensor.dtype === 'i64' || tensor.dtype === 'i32') &&
  tensor.shape.length <= 1 &&
  elementCount(tensor.shape) <= MAX_LIST;

/** The case with other numbers in the lists that may decide, no larger than twice what is there. */
function varied(item: TestCase, seed: number): TestCase {
  const random = (): number => draw.next();
  const draw = seededRandom(seed);
  const inputs = item.inputs.map((tensor) => {
    if (!decides(tensor)) return tensor;
    const values = [...toNumbers(tensor)].map((n) =>
      random() < 0.5 ? n : Math.floor(random() * (2 * Math.abs(n) + 3)) - (random() < 0.3 ? 2 : 0),
    );
    return fromNumbers(tensor.dtype, tensor.shape, values);
  });
  return { ...item, inputs };
}

/** An axis that is named twice is no ONNX. */
function namesTwice(op: OpDef, { inputs: [x, axes] }: TestCase): boolean {
  if (!/^(Reduce|Squeeze|Unsqueeze)/.test(op.name) || axes == null || x == null) return false;
  const count = axes.data.length;
  const rank = x.shape.length + (op.name === 'Unsqueeze' ? count : 0);
  return new Set([...toNumbers(axes)].map((axis) => (axis + rank) % rank)).size < count;
}

function freeCase(op: OpDef, item: TestCase): Free | HoneError | undefined {
  const wanted = exact(op, item, 'integers') ?? exact(op, item, 'all');
  if (wanted === undefined) return undefined;
  const written = write(op, item, 'none', []);
  const given = new Map(written.inputs.map((k) => [`x${k}`, item.inputs[k] as Tensor]));
  const shapes = Object.fromEntries([...given].map(([name, { shape }]) => [name, shape]));
  const outputs = new Map(wanted.map(({ shape }, i) => [`y${i}`, shape]));
  try {
    const model = readOnnx(memorySource(written.bytes, 'free.onnx'));
    const { result, bounds } = importFreely(model, { given, shapes, outputs });
    const others = Array.from({ length: TRIED }, (_, seed) => varied(item, seed + 1));
    const runs = (item.inputs.some(decides) ? others : []).flatMap((own) => {
      const answer = namesTwice(op, own) ? undefined : exact(op, own, 'integers');
      if (answer === undefined) return [];
      return [{ inputs: written.inputs.map((k) => own.inputs[k] as Tensor), wanted: answer }];
    });
    const first = { inputs: [...given.values()], wanted };
    // Sizes of results may be beyond theirs where those are bounded.
    const isOpen = bounds.some((bound) => /^y\d/.test(bound));
    return {
      what: `${titleOf(op)} (${item.note ?? ''})`,
      graph: result.graph,
      runs: [first, ...runs.filter(({ inputs }) => !isOpen || isWithin(result.graph, inputs))],
    };
  } catch (error) {
    if (error instanceof HoneError) return error;
    throw error;
  }
}

/** What is wrong with what is interpreted, told one by one. */
function wrongIn(
  what: string,
  graph: Graph,
  inputs: readonly Tensor[],
  wanted: readonly Tensor[],
): readonly string[] {
  try {
    const got = interpret(graph, inputs);
    return wanted.flatMap((tensor, k) => {
      const how = differs(got[k] as Tensor, tensor);
      return how === undefined ? [] : [`${what}, output ${k}: ${how}`];
    });
  } catch (error) {
    return [`${what}: ${(error as Error).message}`];
  }
}

function isWithin(graph: Graph, inputs: readonly Tensor[]): boolean {
  try {
    interpret(graph, inputs);
    return true;
  } catch (error) {
    if (error instanceof HoneError && error.code === 'HONE-RUN-010') return false;
    throw error;
  }
}

const found: Free[] = [];

test('interpreted, they are what they are with constants', () => {
  const refused = new Map<string, string>();
  const wrong: string[] = [];
  for (const op of standardRegistry.all()) {
    if (op.domain === 'hone' || APART.test(op.name)) continue;
    for (const item of op.cases?.() ?? []) {
      const made = freeCase(op, item);
      if (made === undefined) continue;
      if (made instanceof HoneError) {
        if (made.code !== 'HONE-SHAPE-002') wrong.push(`${titleOf(op)}: ${made.message}`);
        refused.set(titleOf(op), made.message);
      } else found.push(made);
    }
  }
  for (const { what, graph, runs } of found) {
    for (const { inputs, wanted } of runs) {
      const told = `${what} of ${inputs.filter(decides).map(({ data }) => `[${data.join()}]`)}`;
      wrong.push(...wrongIn(told, graph, inputs, wanted));
    }
  }
  assert.equal(wrong.join('\n'), '');
  for (const [op, why] of refused) assert.match(why, REFUSED[op] ?? /^no reason$/, op);
  assert.deepEqual([...refused.keys()].sort(), Object.keys(REFUSED).sort());
});

test('compiled, on poisoned memory, too', async () => {
  const chosen = found.filter(
    ({ what, graph, runs }) =>
      runs.length > 1 &&
      !Object.hasOwn(NOT_COMPILED, what) &&
      graph.inputs.every((id) => graph.values[id]?.type.dtype !== 'string'),
  );
  const library = await mergedLibrary(
    chosen.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (let r = 0; r < MOST_RUNS; r++) {
      const runs = chosen.map((item) => item.runs[r % item.runs.length]);
      const results = library.run(
        runs.map((run) => run?.inputs ?? []),
        { threads: 2, poison: true },
      );
      results.forEach(({ outputs, damage }, g) => {
        const what = `${chosen[g]?.what}, run ${r}`;
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
