/** Weights that come quantised, or in 16 bits, for data that does not: they are widened as the model is compiled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { checkGraph, runnableTargets } from '../support/compiled-graph.ts';

const OC = 20;
const QUANTISED = { axis: 0, block_size: 0, output_dtype: 0 } as const;

function stepped(dtype: Tensor['dtype'], shape: readonly number[], from: number): Tensor {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return fromNumbers(
    dtype,
    shape,
    Array.from({ length: count }, (_, i) => from + ((i * 37) % 101)),
  );
}

/** A convolution with a scale for each channel, a product with one scale and a zero point, one with f16 weights. */
function weightsOnly(): Graph {
  const b = opBuilder('weights-only');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 12, 9, 9] });
  const rows = b.graph.input('rows', { dtype: 'f32', shape: [3, 40] });
  const scales = fromNumbers(
    'f32',
    [OC],
    Array.from({ length: OC }, (_, i) => 0.001 * (i + 1)),
  );
  const narrow = b.constant(stepped('i8', [OC, 12, 3, 3], -50));
  const kernel = b.op('DequantizeLinear', [narrow, b.constant(scales)], QUANTISED);
  const shifted = b.op(
    'DequantizeLinear',
    [
      b.constant(stepped('u8', [40, 30], 20)),
      b.scalar(0.01),
      b.constant(fromNumbers('u8', [], [70])),
    ],
    { ...QUANTISED, axis: 1 },
  );
  const half = b.op('Cast', [b.constant(stepped('f16', [30, 18], -50))], { to: 1, saturate: 1 });
  const product = b.op('MatMul', [rows, shifted]);
  return b.graph.finish([
    b.op('Conv', [x, kernel], { pads: [1, 1, 1, 1] }),
    b.op('MatMul', [product, half]),
  ]);
}

for (const target of runnableTargets()) {
  test(`weights alone are narrow on ${target}`, async () => {
    const { rows } = await checkGraph(weightsOnly(), { target }, 3e-5);
    assert.ok(
      rows.some((row) => /conv|winograd/.test(row)),
      `rows: ${rows}`,
    );
    assert.ok(
      !rows.some((row) => row.includes('contract') || row.includes('inplace')),
      `rows: ${rows}`,
    );
  });
}
