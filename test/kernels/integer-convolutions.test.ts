/**
 * ConvInteger and MatMulInteger of data whose zero point is known at run time only, padded, in every
 * form their weights have: on the integer kernels, the same integers as the interpreter and
 * onnxruntime-node; alone and scaled to real numbers as dynamic quantisers write it.
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
  {
    name: 'one point, every other place',
    weights: integers('u8', [33, 24, 1, 1], [0, 255], 6),
    zero: u8(200),
    attrs: { strides: [2, 2] },
    data: [2, 24, 9, 10],
  },
  {
    name: 'dilated, a zero point for each channel',
    weights: integers('u8', [16, 20, 3, 2], [0, 255], 7),
    zero: integers('u8', [16], [0, 255], 8),
    attrs: { dilations: [2, 3], pads: [2, 0, 1, 3] },
    data: [1, 20, 11, 12],
  },
  {
    name: 'a matrix product of the whole range',
    weights: integers('u8', [96, 40], [0, 255], 9),
    zero: u8(117),
    attrs: {},
    data: [2, 7, 96],
  },
];

/** Sum, a bias for each channel, and the real number it stands for, as quantisers write it. */
function graphOf({ weights, zero, attrs, data }: Case): NodeGraph {
  const b = opBuilder('integers');
  const x = b.graph.input('x', { dtype: 'u8', shape: data });
  const z = b.graph.input('z', { dtype: 'u8', shape: [] });
  const operands = [x, b.constant(weights, 'w'), z, b.constant(zero, 'wz')];
  const isConv = weights.shape.length === 4;
  const op = isConv ? 'ConvInteger' : 'MatMulInteger';
  const sum = b.op(op, operands, attrs, { name: 'product' });
  const channels = weights.shape[isConv ? 0 : 1] ?? 0;
  const bias = fromNumbers(
    'i32',
    isConv ? [1, channels, 1, 1] : [channels],
    Array.from({ length: channels }, (_, c) => 1000 * c - 7000),
  );
  const biased = b.op('Add', [sum, b.constant(bias, 'bias')], {}, { name: 'add' });
  const real = b.op('Cast', [biased], { to: 1 }, { name: 'cast' });
  const graph = b.graph.finish([real]);
  return { graph, inputs: [integers('u8', data, [0, 255], 5), u8(113)] };
}

/** The product cast and multiplied by the scale of the data, a number of the run, times that of weights. */
function scaledGraphOf({ weights, zero, attrs, data }: Case): NodeGraph {
  const b = opBuilder('scaled');
  const x = b.graph.input('x', { dtype: 'u8', shape: data });
  const z = b.graph.input('z', { dtype: 'u8', shape: [] });
  const scale = b.graph.input('scale', { dtype: 'f32', shape: [] });
  const op = weights.shape.length === 4 ? 'ConvInteger' : 'MatMulInteger';
  const sum = b.op(op, [x, b.constant(weights, 'w'), z, b.constant(zero, 'wz')], attrs);
  const real = b.op('Cast', [sum], { to: 1 });
  const step = b.constant(fromNumbers('f32', [], [0.0078125]), 'step');
  const graph = b.graph.finish([b.op('Mul', [real, b.op('Mul', [scale, step])])]);
  const inputs = [integers('u8', data, [0, 255], 5), u8(113), fromNumbers('f32', [], [0.03])];
  return { graph, inputs };
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

/** Weights of more elements than are dequantised while constants fold. */
const LARGE: readonly Case[] = [
  {
    name: 'a large kernel',
    weights: integers('u8', [64, 64, 3, 3], [0, 255], 10),
    zero: u8(121),
    attrs: { pads: [1, 1, 1, 1] },
    data: [1, 64, 6, 7],
  },
  {
    name: 'a large matrix',
    weights: integers('u8', [256, 192], [0, 255], 11),
    zero: u8(121),
    attrs: {},
    data: [5, 256],
  },
];

for (const item of [...CASES, ...LARGE]) {
  test(`${item.name}, scaled`, async () => {
    const { graph, inputs } = scaledGraphOf(item);
    const { rows } = await checkGraph(graph, {}, 1e-6, inputs);
    assert.ok(!rows.some((row) => row.includes('contract')), rows.join());
  });
}

// Their ConvInteger has one zero point of the weights at most.
for (const item of CASES.filter(({ zero }) => elementCount(zero.shape) === 1)) {
  test(`${item.name} in onnxruntime`, async () => {
    const made = graphOf(item);
    const [theirs] = await peerAnswers(made);
    assert.ok(theirs !== undefined);
    await checkGraph(made.graph, {}, 0, made.inputs, [theirs]);
    assert.ok(new Set(toNumbers(theirs)).size > 100);
  });
}
