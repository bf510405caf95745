/**
 * ConvInteger of data whose zero point is known at run time only, padded, in every form its weights
 * have: on the integer kernels, the same integers as the interpreter and onnxruntime-node.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { nativeTarget } from 'hone-runtime/target/parse';
import { checkGraph, runnableTargets } from '../support/compiled-graph.ts';
import { type NodeGraph, peerAnswers } from '../support/peer-node.ts';

function integers(
  dtype: 'u8' | 'i8',
  shape: readonly number[],
  [low, high]: readonly [number, number],
  seed: number,
): Tensor {
  const random = seededRandom(seed);
  const values = Array.from({ length: elementCount(shape) }, () =>
    Math.floor(low + random.next() * (high + 1 - low)),
  );
  return fromNumbers(dtype, shape, values);
}

interface Case {
  readonly name: string;
  readonly weights: Tensor;
  readonly zero: Tensor;
  readonly attrs: Attrs;
  readonly data: readonly number[];
}

const u8 = (value: number): Tensor => fromNumbers('u8', [], [value]);

const CASES: readonly Case[] = [
  {
    name: 'i8 weights',
    weights: integers('i8', [20, 5, 3, 3], [-63, 63], 1),
    zero: fromNumbers('i8', [], [0]),
    attrs: { pads: [1, 1, 1, 1] },
    data: [2, 5, 9, 11],
  },
  {
    name: 'u8 weights of the whole range, which are two of i8',
    weights: integers('u8', [18, 16, 3, 3], [0, 255], 2),
    zero: u8(77),
    attrs: { pads: [0, 2, 1, 0], strides: [2, 1] },
    data: [1, 16, 8, 10],
  },
  {
    name: 'three channels of a picture',
    weights: integers('u8', [16, 3, 3, 3], [0, 255], 3),
    zero: u8(128),
    attrs: { auto_pad: 'SAME_LOWER', strides: [2, 2] },
    data: [1, 3, 13, 12],
  },
  {
    name: 'depthwise',
    weights: integers('u8', [32, 1, 3, 3], [0, 255], 4),
    zero: u8(140),
    attrs: { pads: [1, 1, 1, 1], group: 32 },
    data: [1, 32, 7, 9],
  },
];

/** Sum, a bias for each channel, and the real number it stands for, as quantisers write it. */
function graphOf({ weights, zero, attrs, data }: Case): NodeGraph {
  const b = opBuilder('integers');
  const x = b.graph.input('x', { dtype: 'u8', shape: data });
  const z = b.graph.input('z', { dtype: 'u8', shape: [] });
  const operands = [x, b.constant(weights, 'w'), z, b.constant(zero, 'wz')];
  const sum = b.op('ConvInteger', operands, attrs, { name: 'conv' });
  const channels = weights.shape[0] ?? 0;
  const bias = fromNumbers(
    'i32',
    [1, channels, 1, 1],
    Array.from({ length: channels }, (_, c) => 1000 * c - 7000),
  );
  const biased = b.op('Add', [sum, b.constant(bias, 'bias')], {}, { name: 'add' });
  const real = b.op('Cast', [biased], { to: 1 }, { name: 'cast' });
  const graph = b.graph.finish([real]);
  return { graph, inputs: [integers('u8', data, [0, 255], 5), u8(113)] };
}

for (const target of [nativeTarget().name, ...runnableTargets()]) {
  for (const item of CASES) {
    test(`${item.name} on ${target}`, async () => {
      const { graph, inputs } = graphOf(item);
      const { rows } = await checkGraph(graph, { target }, 0, inputs);
      assert.ok(!rows.some((row) => row.includes('contract')), rows.join());
    });
  }
}

for (const item of CASES) {
  test(`${item.name} in onnxruntime`, async () => {
    const made = graphOf(item);
    const [theirs] = await peerAnswers(made);
    assert.ok(theirs !== undefined);
    await checkGraph(made.graph, {}, 0, made.inputs, [theirs]);
    assert.ok(new Set(toNumbers(theirs)).size > 100);
  });
}
