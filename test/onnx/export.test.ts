/** Exported models load and run in onnxruntime-node, and say what the graph says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { GraphBuilder } from 'hone/graph/build';
import type { Graph } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';

/** relu(x · w + b), clipped from above by a constant read through an optional input. */
function smallGraph(): Graph {
  const b = new GraphBuilder('small');
  const type = { dtype: 'f32', shape: [2, 3] } as const;
  const x = b.input('x', { dtype: 'f32', shape: [2, 4] });
  const w = b.constant(
    fromNumbers(
      'f32',
      [4, 3],
      Array.from({ length: 12 }, (_, i) => i - 5),
    ),
    'w',
  );
  const bias = b.constant(fromNumbers('f32', [3], [1, 2, 3]), 'bias');
  const max = b.constant(fromNumbers('f32', [], [20]), 'max');
  const [product] = b.node({
    op: 'Gemm',
    inputs: [x, w, bias],
    attrs: { alpha: 0.5 },
    types: [type],
  });
  const [positive] = b.node({ op: 'Relu', inputs: [product ?? 0], attrs: {}, types: [type] });
  const [y] = b.node({
    op: 'Clip',
    inputs: [positive ?? 0, null, max],
    attrs: {},
    types: [type],
    outputNames: ['y'],
  });
  return b.finish([y ?? 0]);
}

test('onnxruntime-node loads and runs an exported graph', async () => {
  const bytes = exportOnnx(smallGraph());
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  assert.deepEqual(session.inputNames, ['x']);
  assert.deepEqual(session.outputNames, ['y']);
  const x = Float32Array.from([1, 2, 3, 4, -1, -2, -3, -4]);
  const result = await session.run({ x: new ort.Tensor('float32', x, [2, 4]) });
  const y = result['y'];
  assert.ok(y !== undefined);
  assert.deepEqual(y.dims, [2, 3]);
  assert.deepEqual([...(y.data as Float32Array)], [6, 12, 18, 0, 0, 0]);
});

test('the same graph gives the same bytes', () => {
  assert.deepEqual(exportOnnx(smallGraph()), exportOnnx(smallGraph()));
});

test('what ONNX cannot say of a bounded loop is refused', () => {
  const body = opBuilder('body');
  const state = [
    body.graph.input('i', { dtype: 'i64', shape: [] }),
    body.graph.input('go_on', { dtype: 'bool', shape: [] }),
    body.graph.input('x', { dtype: 'f32', shape: [2] }),
  ] as const;
  const twice = body.op('Add', [state[2], state[2]]);
  const b = opBuilder('bounded');
  const trips = b.graph.input('trips', { dtype: 'i64', shape: [] });
  const x = b.graph.input('x', { dtype: 'f32', shape: [2] });
  const attrs = { body: body.graph.finish([state[1], twice, twice]), bound: 4 };
  const [carried = 0, stacked = 0, count = 0] = b.ops('Loop', [trips, null, x], attrs, {
    outputs: 3,
  });
  assert.ok(exportOnnx(b.graph.finish([carried, stacked])).length > 0);
  const isRefused = (error: unknown): boolean =>
    error instanceof HoneError && error.code === 'HONE-ONNX-031';
  assert.throws(() => exportOnnx(b.graph.finish([count])), isRefused);
  const sum = b.op('ReduceSum', [stacked]);
  assert.throws(() => exportOnnx(b.graph.finish([sum])), isRefused);
});
