/** Indices that are data are checked in every axis, one of length 1 too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';

const USES = [
  { op: 'Gather', shape: [1, 4], chosen: [2], attrs: {} },
  { op: 'Gather', shape: [3, 1], chosen: [], attrs: { axis: 1 } },
  { op: 'Gather', shape: [1], chosen: [], attrs: {} },
  { op: 'GatherElements', shape: [1, 4], chosen: [2, 4], attrs: {} },
  { op: 'GatherND', shape: [1, 4], chosen: [1, 1], attrs: {} },
] as const;

test('an index outside an axis of length 1 is an error, inside it is none', async () => {
  for (const { op, shape, chosen, attrs } of USES) {
    const b = opBuilder(op);
    const table = fromNumbers('f32', shape, new Float64Array(elementCount(shape)));
    const x = b.graph.input('x', { dtype: 'f32', shape });
    const at = b.graph.input('at', { dtype: 'i64', shape: chosen });
    const graph = b.graph.finish([b.op(op, [x, at], attrs)]);
    const library = await mergedLibrary([compileGraph(graph, {})]);
    try {
      const count = elementCount(chosen);
      const run = (value: number): unknown =>
        library.run([[table, fromNumbers('i64', chosen, new Float64Array(count).fill(value))]], {
          threads: 1,
        });
      run(0);
      run(-1);
      const isOutside = (error: unknown): boolean =>
        error instanceof HoneError && error.code === 'HONE-RUN-010';
      assert.throws(() => run(1), isOutside, `${op} [${shape.join()}]`);
      assert.throws(() => run(-2), isOutside, `${op} [${shape.join()}]`);
    } finally {
      library.close();
    }
  }
});
