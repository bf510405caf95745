/** Loops whose number of iterations is data, and sub-graphs that read tensors of unknown size. */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode } from '../onnx/raw-model.ts';
import { type BoundedCase, f32, flags, i64, node, noise, scalar, SHARES } from './cases.ts';

const loop = (inputs: string[], outputs: string[], body: RawGraph): RawNode =>
  node('Loop', inputs, outputs, { body: { graph: body } });

const STOP: Readonly<Record<string, Tensor>> = { one: f32([], [1]), i1: i64(1) };

/** Halves x until it is below 1, at most 8 times; keeps what came by. */
const halving: BoundedCase = {
  name: 'a loop that data ends stacks its rows',
  model: {
    opset: 17,
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [
      { name: 'last', shape: [2] },
      { name: 'rows', shape: [null, 2] },
      { name: 'sum', shape: [2] },
    ],
    initializers: {
      ...STOP,
      half: f32([], [0.5]),
      most: scalar(8),
      yes: fromNumbers('bool', [], [1]),
      zero: i64(0),
    },
    nodes: [
      loop(['most', 'yes', 'x'], ['last', 'rows'], {
        inputs: [
          { name: 'i', dtype: 'i64', shape: [] },
          { name: 'go', dtype: 'bool', shape: [] },
          { name: 'v', shape: [2] },
        ],
        outputs: [
          { name: 'again', dtype: 'bool', shape: [] },
          { name: 'next', shape: [2] },
          { name: 'row', shape: [2] },
        ],
        nodes: [
          node('Mul', ['v', 'half'], ['next']),
          node('ReduceMax', ['next'], ['top'], { keepdims: { int: 0 } }),
          node('Greater', ['top', 'one'], ['again']),
          node('Identity', ['v'], ['row']),
        ],
      }),
      node('ReduceSum', ['rows', 'zero'], ['sum'], { keepdims: { int: 0 } }),
    ],
  },
  runs: [[f32([2], [0.5, 0.25])], [f32([2], [10, 3])], [f32([2], [1e9, 1])], [f32([2], [3, 3])]],
};

/** As many iterations as elements are set; each reads the tensor of what is set. */
const counted: BoundedCase = {
  name: 'as many iterations as there are elements, which the body reads',
  model: {
    opset: 17,
    inputs: [
      { name: 'x', shape: [6, 3] },
      { name: 'c', dtype: 'bool', shape: [6] },
    ],
    outputs: [
      { name: 'total', shape: [3] },
      { name: 'rows', shape: [null, 3] },
    ],
    initializers: { zero: scalar(0), start: f32([3], [0, 0, 0]), axis: i64(0) },
    nodes: [
      node('Compress', ['x', 'c'], ['r'], { axis: { int: 0 } }),
      node('Shape', ['r'], ['s']),
      node('Gather', ['s', 'zero'], ['n']),
      loop(['n', '', 'start'], ['total', 'rows'], {
        inputs: [
          { name: 'i', dtype: 'i64', shape: [] },
          { name: 'go', dtype: 'bool', shape: [] },
          { name: 'v', shape: [3] },
        ],
        outputs: [
          { name: 'go2', dtype: 'bool', shape: [] },
          { name: 'next', shape: [3] },
          { name: 'row', shape: [3] },
        ],
        nodes: [
          node('Identity', ['go'], ['go2']),
          node('Gather', ['r', 'i'], ['own']),
          node('ReduceSum', ['r', 'axis'], ['all'], { keepdims: { int: 0 } }),
          node('Mul', ['own', 'all'], ['row']),
          node('Add', ['v', 'row'], ['next']),
        ],
      }),
    ],
  },
  runs: SHARES.map((share, i) => [noise([6, 3], i), flags([6], share, i)]),
};

/** One branch keeps what is set, the other the first two rows, and both say how many. */
const branches: BoundedCase = {
  name: 'branches of different sizes',
  model: {
    opset: 17,
    inputs: [
      { name: 'x', shape: [6, 3] },
      { name: 'c', dtype: 'bool', shape: [6] },
      { name: 'which', dtype: 'bool', shape: [] },
    ],
    outputs: [
      { name: 'y', shape: [null, 3] },
      { name: 'z', shape: [null] },
      { name: 'sum', shape: [] },
    ],
    initializers: { zero: i64(0), two: i64(2), three: i64(3), minus: i64(-1) },
    nodes: [
      node('Compress', ['x', 'c'], ['r'], { axis: { int: 0 } }),
      node('If', ['which'], ['y', 'flat'], {
        then_branch: {
          graph: {
            nodes: [node('Neg', ['r'], ['a']), node('Reshape', ['x', 'minus'], ['b'])],
            outputs: [
              { name: 'a', shape: [null, 3] },
              { name: 'b', shape: [18] },
            ],
          },
        },
        else_branch: {
          graph: {
            nodes: [
              node('Slice', ['x', 'zero', 'two'], ['d']),
              node('Slice', ['x', 'two', 'three'], ['row']),
              node('Reshape', ['row', 'minus'], ['e']),
            ],
            outputs: [
              { name: 'd', shape: [2, 3] },
              { name: 'e', shape: [3] },
            ],
          },
        },
      }),
      node('Relu', ['flat'], ['z']),
      node('ReduceSum', ['y'], ['sum'], { keepdims: { int: 0 } }),
    ],
  },
  runs: [0, 1].flatMap((which) =>
    SHARES.map((share, i) => [
      noise([6, 3], i),
      flags([6], share, i),
      fromNumbers('bool', [], [which]),
    ]),
  ),
};

/** A cache that begins empty and grows by a row per iteration, until data ends the loop. */
const cache: BoundedCase = {
  name: 'a cache grows until data ends the loop',
  model: {
    opset: 17,
    inputs: [{ name: 'x', shape: [3] }],
    outputs: [
      { name: 'past', shape: [1, null, 3] },
      { name: 'last', shape: [3] },
      { name: 'norms', shape: [null] },
    ],
    initializers: {
      most: scalar(6),
      yes: fromNumbers('bool', [], [1]),
      empty: f32([1, 0, 3], []),
      column: i64(-1),
      row: i64(1, 1, 3),
      line: i64(3),
      limit: f32([], [20]),
      axis: i64(1),
      one: scalar(1),
      ones: f32([], [1]),
    },
    nodes: [
      loop(['most', 'yes', 'empty', 'x'], ['past', 'last', 'norms'], {
        inputs: [
          { name: 'i', dtype: 'i64', shape: [] },
          { name: 'go', dtype: 'bool', shape: [] },
          { name: 'before', shape: [1, null, 3] },
          { name: 'v', shape: [3] },
        ],
        outputs: [
          { name: 'again', dtype: 'bool', shape: [] },
          { name: 'after', shape: [1, null, 3] },
          { name: 'next', shape: [3] },
          { name: 'norm', shape: [] },
        ],
        nodes: [
          node('Reshape', ['v', 'row'], ['r']),
          node('Concat', ['before', 'r'], ['after'], { axis: { int: 1 } }),
          // Attention of v over all rows so far.
          node('Reshape', ['v', 'line'], ['q']),
          node('MatMul', ['after', 'q'], ['scores']),
          node('Softmax', ['scores'], ['weights'], { axis: { int: 1 } }),
          node('Unsqueeze', ['weights', 'axis'], ['w']),
          node('MatMul', ['w', 'after'], ['mixed']),
          node('Reshape', ['mixed', 'line'], ['m']),
          node('Add', ['m', 'v'], ['next']),
          node('ReduceSum', ['next'], ['norm'], { keepdims: { int: 0 } }),
          node('Less', ['norm', 'limit'], ['again']),
        ],
      }),
    ],
  },
  runs: [
    [f32([3], [0.1, 0.2, 0.3])],
    [f32([3], [1, 1, 1])],
    [f32([3], [5, 6, 7])],
    [f32([3], [-1, 0.5, 0.25])],
  ],
};

/** What is left of a list shrinks: each iteration drops what is below the mean. */
const shrinking: BoundedCase = {
  name: 'what a loop carries shrinks',
  model: {
    opset: 17,
    inputs: [
      { name: 'x', shape: [9] },
      { name: 'n', dtype: 'i64', shape: [] },
    ],
    outputs: [{ name: 'y', shape: [null] }],
    initializers: { zero: scalar(0), four: scalar(4), yes: fromNumbers('bool', [], [1]) },
    nodes: [
      node('Clip', ['n', 'zero', 'four'], ['trips']),
      loop(['trips', '', 'x'], ['y'], {
        inputs: [
          { name: 'i', dtype: 'i64', shape: [] },
          { name: 'go', dtype: 'bool', shape: [] },
          { name: 'v', shape: [null] },
        ],
        outputs: [
          { name: 'go2', dtype: 'bool', shape: [] },
          { name: 'next', shape: [null] },
        ],
        nodes: [
          node('Identity', ['go'], ['go2']),
          node('ReduceMean', ['v'], ['mean'], { keepdims: { int: 0 } }),
          node('GreaterOrEqual', ['v', 'mean'], ['kept']),
          node('Compress', ['v', 'kept'], ['next'], { axis: { int: 0 } }),
        ],
      }),
    ],
  },
  runs: [0, 1, 2, 9].map((n, i) => [noise([9], i + 30), scalar(n)]),
};

export const CONTROL_CASES: readonly BoundedCase[] = [halving, counted, branches, cache, shrinking];
