/**
 * Least and greatest elements of images in blocks of channels, as dynamic quantisers ask for them: read
 * a block at a time where the channels fill blocks, and right where they do not, or have a border.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { nativeTarget } from 'hone-runtime/target/parse';
import { checkGraph, runnableTargets } from '../support/compiled-graph.ts';

/** Numbers on one side of 0, so that a zero of padding would be the least or greatest. */
function side(sign: number, shape: readonly number[], seed: number): Tensor {
  const random = seededRandom(seed);
  const values = Array.from({ length: elementCount(shape) }, () => sign * (0.1 + random.next()));
  return fromNumbers('f32', shape, values);
}

/** A convolution whose result another one reads, and its extremes over some axes. */
function graphOf(channels: number, axes: readonly number[], sign: number) {
  const b = opBuilder('extremes');
  const x = b.graph.input('x', { dtype: 'f32', shape: [2, 16, 9, 10] });
  const first = b.constant(side(sign, [channels, 16, 3, 3], 1), 'w');
  const second = b.constant(side(1, [16, channels, 3, 3], 2), 'v');
  const image = b.op('Conv', [x, first], { pads: [1, 1, 1, 1] });
  const least = b.op('ReduceMin', [image, b.ints(axes)], { keepdims: 1 });
  const most = b.op('ReduceMax', [image, b.ints(axes)], { keepdims: 1 });
  const next = b.op('Conv', [image, second], { pads: [1, 1, 1, 1] });
  const graph = b.graph.finish([least, most, next]);
  return { graph, inputs: [side(1, [2, 16, 9, 10], 3)] };
}

for (const target of [nativeTarget().name, ...runnableTargets()]) {
  for (const axes of [[0, 1, 2, 3], [1, 2, 3], [1]]) {
    for (const channels of [32, 20]) {
      for (const sign of [1, -1]) {
        const name = `${channels} channels times ${sign}, axes ${axes.join(', ')}, on ${target}`;
        test(name, async () => {
          const { graph, inputs } = graphOf(channels, axes, sign);
          await checkGraph(graph, { target }, 1e-5, inputs);
        });
      }
    }
  }
}

test('a block of channels is read at once', async () => {
  const { graph, inputs } = graphOf(32, [0, 1, 2, 3], 1);
  const { rows } = await checkGraph(graph, { target: nativeTarget().name }, 1e-5, inputs);
  const isBlocked = rows.some((row) => row.includes('conv'));
  if (isBlocked)
    assert.ok(
      rows.some((row) => row.includes('reduce_blocks')),
      rows.join(),
    );
});
