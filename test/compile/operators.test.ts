/**
 * Every case of every operator compiled, against its reference: with one worker, with poisoned
 * memory, and with two workers, to the same bytes.
 *
 * As few inputs as possible are constants: first none, then the integers, then all.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledGraph, compileGraph } from 'hone/compile/index';
import type { Graph, ValueId } from 'hone/graph/types';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { isFloat } from 'hone-runtime/base/dtype';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import { assertClose } from '../support/compare.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { opTitle, runCase } from '../support/op-cases.ts';

interface Case {
  readonly title: string;
  readonly op: OpDef;
  readonly compiled: CompiledGraph;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

const KNOWLEDGE: readonly ((tensor: Tensor) => boolean)[] = [
  () => false,
  (tensor) => !isFloat(tensor.dtype),
  () => true,
];
/** Refusals that knowing more about the inputs may cure. */
const CURABLE: ReadonlySet<string> = new Set(['HONE-SHAPE-002', 'HONE-COMPILE-001']);

function graphOf(
  op: OpDef,
  item: TestCase,
  isKnown: (tensor: Tensor) => boolean,
): { graph: Graph; inputs: readonly Tensor[] } {
  const b = opBuilder(op.name);
  const inputs: Tensor[] = [];
  const ids = item.inputs.map((tensor, k): ValueId | null => {
    if (tensor === null) return null;
    if (isKnown(tensor)) return b.constant(tensor, `c${k}`);
    inputs.push(tensor);
    return b.graph.input(`x${k}`, { dtype: tensor.dtype, shape: tensor.shape });
  });
  const outputs = b.ops(op.name, ids, item.attrs ?? {}, {
    domain: op.domain ?? '',
    outputs: item.outputs ?? 1,
  });
  return { graph: b.graph.finish(outputs), inputs };
}

/** The compiled case, or why there is none. */
function compileCase(op: OpDef, item: TestCase): Omit<Case, 'title' | 'op' | 'outputs'> | string {
  let reason = '';
  for (const isKnown of KNOWLEDGE) {
    try {
      const { graph, inputs } = graphOf(op, item, isKnown);
      return { compiled: compileGraph(graph), inputs };
    } catch (error) {
      if (!(error instanceof HoneError && CURABLE.has(error.code))) throw error;
      reason = error.message;
    }
  }
  return reason;
}

test('operators: every case compiled agrees with the reference', async (t) => {
  const cases: Case[] = [];
  const refused = new Set<string>();
  for (const op of standardRegistry.all()) {
    for (const item of op.cases?.() ?? []) {
      const { title, outputs } = runCase(op, item);
      const made = compileCase(op, item);
      if (typeof made === 'string') refused.add(`${opTitle(op)}: ${made}`);
      else cases.push({ title, op, outputs, ...made });
    }
  }
  for (const reason of refused) t.diagnostic(`not compiled: ${reason}`);
  t.diagnostic(`${cases.length} cases compiled`);
  const library = await mergedLibrary(cases.map(({ compiled }) => compiled));
  try {
    const inputs = cases.map((item) => item.inputs);
    const runs = [
      library.run(inputs, { threads: 1 }),
      library.run(inputs, { threads: 1, poison: true }),
      library.run(inputs, { threads: 2, poison: true }),
    ];
    for (const [g, { title, op, outputs }] of cases.entries()) {
      const results = runs.map((run) => run[g]);
      for (const result of results) assert.equal(result?.damage, undefined, title);
      results[0]?.outputs.forEach((tensor, i) => {
        const wanted = outputs[i] as Tensor;
        assertClose(tensor, wanted, `${title}, output ${i}`, op.tolerance?.[tensor.dtype]);
        for (const other of results) {
          if (tensor.dtype === 'string') {
            assert.deepEqual(other?.outputs[i], tensor, `${title}, output ${i}: texts`);
            continue;
          }
          const bytes = bytesOf(other?.outputs[i] as Tensor);
          assert.deepEqual(bytes, bytesOf(tensor), `${title}, output ${i}: bytes`);
        }
      });
    }
  } finally {
    library.close();
  }
});
