/** Models whose inputs vary in size from run to run, with sizes to run them at. */
import type { CompileOptions } from 'hone/compile/index';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawModel } from '../onnx/raw-model.ts';
import { i64, node, noise, numbers } from './cases.ts';

export interface RangeCase {
  readonly name: string;
  readonly model: RawModel;
  readonly options: CompileOptions;
  /** Inputs by name; one list per run. */
  readonly runs: readonly Readonly<Record<string, Tensor>>[];
}

/** A convolutional network of any picture, down to a vector. */
const POOLED: RangeCase = {
  name: 'convolutions and a global pool, height and width vary',
  model: {
    opset: 18,
    inputs: [{ name: 'x', dtype: 'f32', shape: [1, 3, null, null] }],
    outputs: [{ name: 'y', dtype: 'f32' }],
    initializers: {
      w1: noise([4, 3, 3, 3], 1),
      b1: noise([4], 2),
      w2: noise([6, 4, 3, 3], 3),
      b2: noise([6], 4),
      w3: noise([6, 5], 5),
      b3: noise([5], 6),
    },
    nodes: [
      node('Conv', ['x', 'w1', 'b1'], ['c1'], { pads: { ints: [1, 1, 1, 1] } }),
      node('Relu', ['c1'], ['r1']),
      node('MaxPool', ['r1'], ['p1'], {
        kernel_shape: { ints: [2, 2] },
        strides: { ints: [2, 2] },
      }),
      node('Conv', ['p1', 'w2', 'b2'], ['c2'], {
        pads: { ints: [1, 1, 1, 1] },
        strides: { ints: [2, 2] },
      }),
      node('HardSwish', ['c2'], ['r2']),
      node('GlobalAveragePool', ['r2'], ['g']),
      node('Flatten', ['g'], ['f']),
      node('Gemm', ['f', 'w3', 'b3'], ['y']),
    ],
  },
  options: { shapes: { x: [1, 3, 20, 24] }, least: { 'x[2]': 8, 'x[3]': 6 } },
  runs: [
    [20, 24],
    [8, 6],
    [13, 24],
    [20, 7],
    [9, 11],
  ].map(([h = 0, w = 0]) => ({ x: noise([1, 3, h, w], h * 31 + w) })),
};

/** A batch of vectors, by the name of its dimension. */
const BATCHES: RangeCase = {
  name: 'dense layers, batch varies',
  model: {
    opset: 18,
    inputs: [
      { name: 'x', dtype: 'f32', shape: ['N', 7] },
      { name: 'scale', dtype: 'f32', shape: ['N', 1] },
    ],
    outputs: [
      { name: 'y', dtype: 'f32' },
      { name: 'best', dtype: 'i64' },
    ],
    initializers: {
      w1: noise([7, 9], 1),
      b1: noise([9], 2),
      w2: noise([9, 4], 3),
    },
    nodes: [
      node('Gemm', ['x', 'w1', 'b1'], ['h']),
      node('Mul', ['h', 'scale'], ['s']),
      node('Tanh', ['s'], ['t']),
      node('MatMul', ['t', 'w2'], ['z']),
      node('Softmax', ['z'], ['y'], { axis: { int: -1 } }),
      node('ArgMax', ['y'], ['best'], { axis: { int: 1 }, keepdims: { int: 0 } }),
    ],
  },
  options: { dims: { N: 8 }, least: { N: 1 } },
  runs: [8, 1, 3, 5].map((n) => ({ x: noise([n, 7], n), scale: noise([n, 1], n + 50) })),
};

/** Attention over a sequence with a mask: both inputs have the dimension. */
export const ATTENTION: RangeCase = {
  name: 'a transformer block with a mask, sequence varies',
  model: {
    opset: 18,
    inputs: [
      { name: 'x', dtype: 'f32', shape: [2, 'S', 8] },
      { name: 'mask', dtype: 'i64', shape: [2, 'S'] },
    ],
    outputs: [
      { name: 'y', dtype: 'f32' },
      { name: 'mean', dtype: 'f32' },
    ],
    initializers: {
      wq: noise([8, 8], 1),
      wk: noise([8, 8], 2),
      wv: noise([8, 8], 3),
      w1: noise([8, 16], 4),
      w2: noise([16, 8], 5),
      heads: i64(0, 0, 2, 4),
      flat: i64(0, 0, 8),
      ones: i64(1, 2),
      one: fromNumbers('f32', [], [1]),
      low: fromNumbers('f32', [], [-1e9]),
      root: fromNumbers('f32', [], [2]),
      scale: noise([8], 6),
      middle: i64(1),
    },
    nodes: [
      ...['q', 'k', 'v'].flatMap((name) => [
        node('MatMul', ['x', `w${name}`], [`${name}0`]),
        node('Reshape', [`${name}0`, 'heads'], [`${name}1`]),
      ]),
      node('Transpose', ['q1'], ['q2'], { perm: { ints: [0, 2, 1, 3] } }),
      node('Transpose', ['k1'], ['k2'], { perm: { ints: [0, 2, 3, 1] } }),
      node('Transpose', ['v1'], ['v2'], { perm: { ints: [0, 2, 1, 3] } }),
      node('MatMul', ['q2', 'k2'], ['s0']),
      node('Div', ['s0', 'root'], ['s1']),
      node('Cast', ['mask'], ['m0'], { to: { int: 1 } }),
      node('Sub', ['one', 'm0'], ['m1']),
      node('Mul', ['m1', 'low'], ['m2']),
      node('Unsqueeze', ['m2', 'ones'], ['m3']),
      node('Add', ['s1', 'm3'], ['s2']),
      node('Softmax', ['s2'], ['p'], { axis: { int: -1 } }),
      node('MatMul', ['p', 'v2'], ['o0']),
      node('Transpose', ['o0'], ['o1'], { perm: { ints: [0, 2, 1, 3] } }),
      node('Reshape', ['o1', 'flat'], ['o2']),
      node('Add', ['o2', 'x'], ['a0']),
      node('LayerNormalization', ['a0', 'scale'], ['a1'], { axis: { int: -1 } }),
      node('MatMul', ['a1', 'w1'], ['f0']),
      node('Relu', ['f0'], ['f1']),
      node('MatMul', ['f1', 'w2'], ['f2']),
      node('Add', ['f2', 'a1'], ['y']),
      node('ReduceMean', ['y', 'middle'], ['mean'], { keepdims: { int: 0 } }),
    ],
  },
  options: { shapes: { x: [2, 16, 8] }, least: { 'x[1]': 1 } },
  runs: [16, 1, 2, 9, 15].map((s) => ({
    x: noise([2, s, 8], s),
    mask: fromNumbers(
      'i64',
      [2, s],
      Array.from({ length: 2 * s }, (_, i) => (i % s === 0 || i % 3 !== 1 ? 1 : 0)),
    ),
  })),
};

/** A line of text of any width: a class for every few columns. */
export const LINES: RangeCase = {
  name: 'a recogniser, width varies',
  model: {
    opset: 18,
    inputs: [{ name: 'x', dtype: 'f32', shape: [1, 1, 8, 'W'] }],
    outputs: [{ name: 'y', dtype: 'f32' }],
    initializers: {
      w1: noise([4, 1, 3, 3], 1),
      w2: noise([4, 1, 5, 5], 2),
      w3: noise([4, 6], 3),
      height: i64(2),
    },
    nodes: [
      node('Conv', ['x', 'w1'], ['c1'], {
        pads: { ints: [1, 1, 1, 1] },
        strides: { ints: [1, 2] },
      }),
      node('HardSwish', ['c1'], ['r1']),
      node('Conv', ['r1', 'w2'], ['c2'], {
        group: { int: 4 },
        pads: { ints: [2, 2, 2, 2] },
        strides: { ints: [2, 1] },
      }),
      node('GlobalAveragePool', ['c2'], ['g']),
      node('Sigmoid', ['g'], ['gate']),
      node('Mul', ['c2', 'gate'], ['e']),
      node('AveragePool', ['e'], ['p'], {
        kernel_shape: { ints: [4, 2] },
        strides: { ints: [4, 2] },
      }),
      node('Squeeze', ['p', 'height'], ['q']),
      node('Transpose', ['q'], ['t'], { perm: { ints: [0, 2, 1] } }),
      node('MatMul', ['t', 'w3'], ['z']),
      node('Softmax', ['z'], ['y'], { axis: { int: 2 } }),
    ],
  },
  options: { shapes: { x: [1, 1, 8, 40] }, least: { 'x[3]': 9 } },
  runs: [40, 9, 10, 23, 39].map((w) => ({ x: noise([1, 1, 8, w], w) })),
};

/** Token ids by batch and sequence: what is given comes back too, and a recurrent layer reads it. */
const TOKENS: RangeCase = {
  name: 'an embedding and a recurrent layer, batch and sequence vary',
  model: {
    opset: 18,
    inputs: [
      { name: 'ids', dtype: 'i64', shape: ['B', 'S'] },
      { name: 'extra', dtype: 'f32', shape: ['B', 4] },
    ],
    outputs: [
      { name: 'same', dtype: 'i64' },
      { name: 'y', dtype: 'f32' },
      { name: 'last', dtype: 'f32' },
      { name: 'flat', dtype: 'f32' },
      { name: 'total', dtype: 'f32' },
      { name: 'shape', dtype: 'i64' },
    ],
    initializers: {
      table: noise([10, 4], 1),
      w: noise([1, 12, 4], 2),
      r: noise([1, 12, 3], 3),
      row: i64(-1, 4),
      middle: i64(1),
    },
    nodes: [
      node('Identity', ['ids'], ['same']),
      node('Shape', ['ids'], ['shape']),
      node('Gather', ['table', 'ids'], ['e0']),
      node('Unsqueeze', ['extra', 'middle'], ['e1']),
      node('Add', ['e0', 'e1'], ['e']),
      node('Reshape', ['e', 'row'], ['flat']),
      node('ReduceSum', ['e'], ['total'], { keepdims: { int: 0 } }),
      node('Transpose', ['e'], ['t'], { perm: { ints: [1, 0, 2] } }),
      node('LSTM', ['t', 'w', 'r'], ['y', 'last'], { hidden_size: { int: 3 } }),
    ],
  },
  options: { dims: { B: 3, S: 6 }, least: { B: 1, S: 1 } },
  runs: [
    [3, 6],
    [1, 1],
    [2, 5],
    [3, 1],
    [1, 6],
  ].map(([b = 0, s = 0]) => ({ ids: numbers([b, s], 10, b * 9 + s), extra: noise([b, 4], b + s) })),
};

/** Nothing at all may be given; a branch of the model reads the input from outside. */
const EMPTY: RangeCase = {
  name: 'a branch reads the input, which may be empty',
  model: {
    opset: 18,
    inputs: [
      { name: 'x', dtype: 'f32', shape: ['N', 3] },
      { name: 'flag', dtype: 'bool', shape: [] },
    ],
    outputs: [
      { name: 'y', dtype: 'f32' },
      { name: 'sum', dtype: 'f32' },
    ],
    initializers: { first: i64(0) },
    nodes: [
      node('ReduceSum', ['x', 'first'], ['sum'], { keepdims: { int: 0 } }),
      node('If', ['flag'], ['y'], {
        then_branch: {
          graph: {
            nodes: [node('Neg', ['x'], ['a'])],
            outputs: [{ name: 'a', dtype: 'f32' }],
          },
        },
        else_branch: {
          graph: {
            nodes: [node('Concat', ['x', 'x'], ['b'], { axis: { int: 0 } })],
            outputs: [{ name: 'b', dtype: 'f32' }],
          },
        },
      }),
    ],
  },
  options: { shapes: { x: [4, 3] }, least: { N: 0 } },
  runs: [4, 0, 1, 3].flatMap((n) =>
    [0, 1].map((flag) => ({ x: noise([n, 3], n), flag: fromNumbers('bool', [], [flag]) })),
  ),
};

export const RANGE_CASES: readonly RangeCase[] = [POOLED, BATCHES, ATTENTION, LINES, TOKENS, EMPTY];
