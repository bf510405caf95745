/** Routine stages compiled: every case of their operators, and between other stages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledGraph, compileGraph } from 'hone/compile/index';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { assertClose } from '../support/compare.ts';
import { mergedLibrary } from '../support/merged-library.ts';

interface Case {
  readonly title: string;
  readonly graph: Graph;
  readonly inputs: readonly Tensor[];
}

/** The operators' own cases, the integer parameters of TopK as constants. */
function operatorCases(): Case[] {
  return ['TopK', 'ScatterElements', 'ScatterND'].flatMap((name) => {
    const cases = standardRegistry.find(name, '')?.cases?.() ?? [];
    assert.ok(cases.length > 0, `${name} has cases`);
    return cases.map((item, i) => {
      const b = opBuilder(`${name}_${i}`);
      const inputs: Tensor[] = [];
      const ids = item.inputs.map((tensor, k) => {
        if (tensor === null) return null;
        if (name === 'TopK' && k === 1) return b.constant(tensor);
        inputs.push(tensor);
        return b.graph.input(`x${k}`, { dtype: tensor.dtype, shape: tensor.shape });
      });
      const outputs = b.ops(name, ids, item.attrs ?? {}, { outputs: item.outputs ?? 1 });
      return { title: `${name} (${item.note ?? i})`, graph: b.graph.finish(outputs), inputs };
    });
  });
}

/** Operands made by maps, results read by maps and by a concatenation. */
function surroundedCase(): Case {
  const b = opBuilder('surrounded');
  const type = { dtype: 'f32', shape: [2, 5] } as const;
  const x = b.graph.input('x', type);
  const y = b.graph.input('y', { dtype: 'f32', shape: [5, 2] });
  const sum = b.op('Add', [b.op('Neg', [x]), b.op('Transpose', [y], { perm: [1, 0] })]);
  const [values, positions] = b.ops('TopK', [sum, b.ints([3])], {}, { outputs: 2 });
  assert.ok(values !== undefined && positions !== undefined);
  const halves = b.op('Mul', [values, b.scalar(0.5)]);
  const spread = b.op('ScatterElements', [sum, positions, halves], { axis: 1 });
  const all = b.op('Concat', [sum, spread, values], { axis: 1 });
  return {
    title: 'between other stages',
    graph: b.graph.finish([all, positions]),
    inputs: [
      fromNumbers('f32', [2, 5], [1, -2, 3, -4, 5, 0, 9, -9, 2, 2]),
      fromNumbers('f32', [5, 2], [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
    ],
  };
}

test('routines: compiled results agree with the references', async (t) => {
  const cases = [...operatorCases(), surroundedCase()];
  const compiled = cases.map(({ graph }): CompiledGraph => compileGraph(graph));
  const calls = new Set(compiled.flatMap(({ routines }) => routines.map((c) => c.routine)));
  t.diagnostic(`${cases.length} graphs, routines ${[...calls].join(' ')}`);
  assert.ok(calls.size >= 8);
  const library = await mergedLibrary(compiled);
  try {
    for (const threads of [1, 3]) {
      const results = library.run(
        cases.map(({ inputs }) => inputs),
        { threads, poison: true },
      );
      for (const [i, { title, graph, inputs }] of cases.entries()) {
        const wanted = interpret(graph, inputs);
        assert.equal(results[i]?.damage, undefined, title);
        wanted.forEach((tensor, k) => {
          assertClose(results[i]?.outputs[k] as Tensor, tensor, `${title}: output ${k}`);
        });
      }
    }
  } finally {
    library.close();
  }
});
