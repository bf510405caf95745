/**
 * Lists of unknown length, or of axes that are data: where the rank of a result follows from the length, the
 * model states it, or a bound does.
 */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawNode, RawValue } from '../onnx/raw-model.ts';
import { branch, f32, i64, node, noise, scalar, value } from './cases.ts';
import type { FreeCase } from './free-cases.ts';

const SHAPE = [2, 3, 4] as const;

const X = value('x', SHAPE);
const open = (rank: number): null[] => new Array<null>(rank).fill(null);

/** An input list, and as much of it as the input n says. */
const list = (name: string, most: number): readonly RawValue[] => [
  value(`${name}In`, [most], 'i64'),
];
const cut = (name: string): RawNode => node('Slice', [`${name}In`, 'zero', 'n'], [name]);

interface Spec {
  readonly inputs: readonly RawValue[];
  readonly nodes: readonly RawNode[];
  readonly outputs: readonly RawValue[];
  readonly runs: readonly (readonly Tensor[])[];
  readonly beyond?: FreeCase['beyond'];
  readonly bounds?: FreeCase['bounds'];
  readonly initializers?: Readonly<Record<string, Tensor>>;
}

function listCase(name: string, { inputs, nodes, outputs, runs, ...rest }: Spec): FreeCase {
  const { beyond = [], bounds, initializers = {} } = rest;
  return {
    name,
    model: {
      opset: 18,
      inputs,
      initializers: { zero: i64(0), ...initializers },
      nodes,
      outputs,
    },
    runs,
    beyond,
    ...(bounds === undefined ? {} : { bounds }),
  };
}

const N = value('n', [1], 'i64');

/** Positive, so that a logarithm of a sum is a number. */
const x = (seed: number, shape: readonly number[] = SHAPE): Tensor => {
  const { data } = noise(shape, seed);
  return f32(
    shape,
    Float64Array.from(data as Float32Array, (v) => 1.5 + v),
  );
};

const REDUCTIONS = [
  ...['Sum', 'Mean', 'L1', 'L2', 'SumSquare', 'Prod', 'Max', 'Min', 'LogSum', 'LogSumExp'],
].map((name) => `Reduce${name}`);

const reductions = (keepdims: number, noop = 0): RawNode[] =>
  REDUCTIONS.map((op) =>
    node(op, ['x', 'axes'], [op], {
      keepdims: { int: keepdims },
      ...(noop === 0 ? {} : { noop_with_empty_axes: { int: 1 } }),
    }),
  );

const REDUCE_CASES: readonly FreeCase[] = [
  listCase('reductions over as many axes as data says', {
    inputs: [X, ...list('axes', 3), N],
    nodes: [cut('axes'), ...reductions(1)],
    outputs: REDUCTIONS.map((op) => value(op, open(3))),
    runs: [
      [x(1), i64(1, -1, 0), i64(2)],
      [x(2), i64(2, 99, 99), i64(1)],
      [x(3), i64(99, -99, 99), i64(0)],
      [x(4), i64(-3, 2, 1), i64(3)],
    ],
    beyond: [
      [[x(1), i64(0, 3, 0), i64(2)], /axes/],
      [[x(1), i64(-4, 0, 0), i64(1)], /axes/],
    ],
  }),
  listCase('reductions over axes that are data', {
    inputs: [X, value('axes', [2], 'i64')],
    nodes: [...reductions(1)],
    outputs: REDUCTIONS.map((op) => value(op, open(3))),
    runs: [
      [x(1), i64(1, -1)],
      [x(2), i64(0, 1)],
      [x(3), i64(-1, -3)],
    ],
  }),
  listCase('reductions that drop axes that are data', {
    inputs: [X, value('axes', [1], 'i64')],
    nodes: [...reductions(0)],
    outputs: REDUCTIONS.map((op) => value(op, open(2))),
    runs: [0, 1, 2, -1, -2, -3].map((axis) => [x(axis + 5), i64(axis)]),
    beyond: [[[x(1), i64(3)], /axes/]],
  }),
  listCase('reductions that drop as many axes as the model says', {
    inputs: [X, ...list('axes', 3), N],
    nodes: [cut('axes'), ...reductions(0)],
    outputs: REDUCTIONS.map((op) => value(op, open(1))),
    runs: [
      [x(1), i64(1, -1, 0), i64(2)],
      [x(2), i64(2, 0, 7), i64(2)],
      [x(3), i64(0, 1, 7), i64(2)],
    ],
    beyond: [
      [[x(1), i64(1, 2, 0), i64(1)], /axes/],
      [[x(1), i64(1, -2, 0), i64(2)], /axes/],
      [[x(1), i64(1, 2, 0), i64(3)], /axes/],
    ],
  }),
  listCase('reductions that do nothing without axes', {
    inputs: [X, ...list('axes', 2), N],
    nodes: [
      cut('axes'),
      ...['ReduceSum', 'ReduceMax', 'ReduceProd', 'ReduceMean'].map((op) =>
        node(op, ['x', 'axes'], [op], { noop_with_empty_axes: { int: 1 } }),
      ),
    ],
    outputs: ['ReduceSum', 'ReduceMax', 'ReduceProd', 'ReduceMean'].map((op) => value(op, open(3))),
    runs: [
      [x(1), i64(1, -1), i64(0)],
      [x(2), i64(0, 1), i64(1)],
      [x(3), i64(-1, 1), i64(2)],
    ],
  }),
  listCase('reductions of integers', {
    inputs: [value('x', SHAPE, 'i32'), ...list('axes', 3), N],
    nodes: [
      cut('axes'),
      ...['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd'].map((op) =>
        node(op, ['x', 'axes'], [op]),
      ),
    ],
    outputs: ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd'].map((op) =>
      value(op, open(3), 'i32'),
    ),
    runs: [
      [whole(1), i64(1, -1, 0), i64(2)],
      [whole(2), i64(2, 0, 0), i64(0)],
      [whole(3), i64(0, 0, 0), i64(1)],
    ],
  }),
  listCase('reductions of a tensor that varies, too', {
    inputs: [X, ...list('axes', 3), N, value('rows', [1], 'i64')],
    initializers: { one: i64(1) },
    nodes: [
      cut('axes'),
      node('Slice', ['x', 'zero', 'rows', 'one'], ['some']),
      ...REDUCTIONS.map((op) => node(op, ['some', 'axes'], [op])),
      node('Shape', ['ReduceSum'], ['shape']),
    ],
    outputs: [...REDUCTIONS.map((op) => value(op, open(3))), value('shape', [3], 'i64')],
    runs: [
      [x(1), i64(1, -1, 0), i64(2), i64(2)],
      [x(2), i64(0, 1, 0), i64(1), i64(1)],
      [x(3), i64(1, 1, 0), i64(1), i64(3)],
      [x(3), i64(1, 1, 0), i64(0), i64(2)],
    ],
  }),
];

function whole(seed: number): Tensor {
  const { data } = noise(SHAPE, seed);
  return fromNumbers(
    'i32',
    SHAPE,
    Float64Array.from(data as Float32Array, (v) => Math.trunc(v * 3) || 1),
  );
}

const SLICE_CASES: readonly FreeCase[] = [
  listCase('a slice of as many axes as data says', {
    inputs: [X, ...list('starts', 3), ...list('ends', 3), N],
    nodes: [cut('starts'), cut('ends'), node('Slice', ['x', 'starts', 'ends'], ['y'])],
    outputs: [value('y', open(3))],
    runs: [
      [x(1), i64(1, 0, -3), i64(2, -1, 99), i64(3)],
      [x(2), i64(1, 0, -3), i64(2, -1, 99), i64(2)],
      [x(3), i64(0, 9, 9), i64(1, 9, 9), i64(1)],
      [x(4), i64(9, 9, 9), i64(9, 9, 9), i64(0)],
    ],
  }),
  listCase('a slice whose axes and steps are data, and how many they are', {
    inputs: [X, ...['starts', 'ends', 'axes', 'steps'].flatMap((name) => list(name, 3)), N],
    nodes: [
      ...['starts', 'ends', 'axes', 'steps'].map(cut),
      node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['y']),
      node('ReduceSum', ['y', 'zero'], ['sum'], { keepdims: { int: 0 } }),
    ],
    outputs: [value('y', open(3)), value('sum', open(2))],
    runs: [
      [x(1), i64(1, 0, -3), i64(2, -1, 99), i64(1, 0, 2), i64(1, 1, 2), i64(3)],
      [x(2), i64(-1, 0, -3), i64(-99, -1, 99), i64(2, 1, 9), i64(-1, 1, 0), i64(2)],
      [x(3), i64(3, 0, -3), i64(0, -1, 99), i64(-1, 9, 9), i64(-2, 0, 0), i64(1)],
      [x(4), i64(9, 9, 9), i64(9, 9, 9), i64(9, 9, 9), i64(0, 0, 0), i64(0)],
    ],
    beyond: [
      [[x(1), i64(1, 0, 0), i64(2, 2, 2), i64(5, 0, 2), i64(1, 1, 2), i64(1)], /axes/],
      [[x(1), i64(1, 0, 0), i64(2, 2, 2), i64(1, 0, 2), i64(0, 1, 2), i64(1)], /steps|step is 0/],
    ],
  }),
  listCase('a slice whose step is data', {
    inputs: [X, value('starts', [1], 'i64'), value('ends', [1], 'i64'), value('steps', [1], 'i64')],
    initializers: { last: i64(2) },
    nodes: [node('Slice', ['x', 'starts', 'ends', 'last', 'steps'], ['y'])],
    outputs: [value('y', open(3))],
    runs: [
      [x(1), i64(0), i64(9), i64(3)],
      [x(2), i64(-1), i64(-9), i64(-1)],
      [x(3), i64(3), i64(0), i64(-2)],
      [x(4), i64(0), i64(4), i64(2 ** 50)],
      [x(5), i64(0), i64(4), i64(-1)],
    ],
  }),
];

const AXIS_CASES: readonly FreeCase[] = [
  listCase('sums along an axis that is data', {
    inputs: [X, value('axis', [], 'i64'), value('rows', [1], 'i64')],
    initializers: { middle: i64(1) },
    nodes: [
      node('Slice', ['x', 'zero', 'rows', 'middle'], ['some']),
      node('CumSum', ['x', 'axis'], ['y']),
      node('CumSum', ['some', 'axis'], ['z'], { reverse: { int: 1 } }),
    ],
    outputs: [value('y', open(3)), value('z', open(3))],
    runs: [0, 1, 2, -1, -2, -3].map((axis) => [x(axis + 9), scalar(axis), i64((axis + 3) % 3)]),
    beyond: [[[x(1), scalar(3), i64(2)], /none of its axes/]],
  }),
];

const RANK_CASES: readonly FreeCase[] = [
  listCase('squeezed along as many axes as the model says', {
    inputs: [value('x', [1, 3, 1, 4, 1]), ...list('axes', 3), N],
    nodes: [cut('axes'), node('Squeeze', ['x', 'axes'], ['y'])],
    outputs: [value('y', open(3))],
    runs: [
      [x(1, [1, 3, 1, 4, 1]), i64(0, 2, 0), i64(2)],
      [x(2, [1, 3, 1, 4, 1]), i64(-1, 0, 0), i64(2)],
      [x(3, [1, 3, 1, 4, 1]), i64(2, 4, 0), i64(2)],
    ],
    beyond: [
      [[x(1, [1, 3, 1, 4, 1]), i64(0, 2, 4), i64(3)], /axes/],
      [[x(1, [1, 3, 1, 4, 1]), i64(0, 1, 0), i64(2)], /not 1|along axis 1: exactly 1/],
    ],
  }),
  listCase('squeezed along an axis that is data', {
    inputs: [value('x', [1, 3, 1]), value('axes', [1], 'i64')],
    nodes: [node('Squeeze', ['x', 'axes'], ['y'])],
    outputs: [value('y', open(2))],
    runs: [0, 2, -1].map((axis) => [x(3, [1, 3, 1]), i64(axis)]),
  }),
  listCase('new axes, as many as the model says', {
    inputs: [X, ...list('axes', 4), N],
    nodes: [cut('axes'), node('Unsqueeze', ['x', 'axes'], ['y'])],
    outputs: [value('y', open(5))],
    runs: [
      [x(1), i64(0, 2, 0, 0), i64(2)],
      [x(2), i64(-1, 1, 0, 0), i64(2)],
      [x(3), i64(4, 3, 0, 0), i64(2)],
      [x(3), i64(1, 0, 9, 9), i64(2)],
    ],
    beyond: [
      [[x(1), i64(0, 1, 2, 3), i64(1)], /axes/],
      [[x(1), i64(1, 1, 2, 3), i64(2)], /axes/],
    ],
  }),
  listCase('new axes that are data', {
    inputs: [X, value('axes', [2], 'i64')],
    nodes: [node('Unsqueeze', ['x', 'axes'], ['y'])],
    outputs: [value('y', open(5))],
    runs: [
      [x(1), i64(0, 1)],
      [x(2), i64(-1, 0)],
      [x(3), i64(2, -2)],
    ],
  }),
  listCase('expanded, as far as the tensor has axes', {
    inputs: [X, ...list('shape', 3), N],
    nodes: [cut('shape'), node('Expand', ['x', 'shape'], ['y'])],
    outputs: [value('y', undefined)],
    runs: [
      [x(1), i64(2, 3, 4), i64(3)],
      [x(2), i64(1, 4, 9), i64(2)],
      [x(3), i64(1, 9, 9), i64(1)],
      [x(4), i64(9, 9, 9), i64(0)],
    ],
  }),
  listCase('a shape of unknown length, with the rank that the model says', {
    inputs: [value('x', [3, 1]), ...list('shape', 4), N],
    nodes: [
      cut('shape'),
      node('Expand', ['x', 'shape'], ['expanded']),
      node('ConstantOfShape', ['shape'], ['constant']),
    ],
    outputs: [value('expanded', open(3)), value('constant', open(3))],
    runs: [
      [x(1, [3, 1]), i64(2, 3, 4, 9), i64(3)],
      [x(2, [3, 1]), i64(1, 3, 1, 9), i64(3)],
      [x(2, [3, 1]), i64(0, 3, 5, 9), i64(3)],
    ],
    beyond: [[[x(1, [3, 1]), i64(2, 3, 4, 9), i64(4)], /shape along axis 0: exactly 3/]],
  }),
  listCase('reshaped to a shape of unknown length', {
    inputs: [X, ...list('shape', 4), N],
    nodes: [cut('shape'), node('Reshape', ['x', 'shape'], ['y'])],
    outputs: [value('y', open(2))],
    runs: [
      [x(1), i64(6, 4, 9, 9), i64(2)],
      [x(2), i64(-1, 3, 9, 9), i64(2)],
      [x(3), i64(0, 12, 9, 9), i64(2)],
    ],
    beyond: [[[x(1), i64(2, 3, 4, 9), i64(3)], /shape along axis 0: exactly 2/]],
  }),
  listCase('tuples of positions of unknown length', {
    inputs: [X, value('places', [2, 3], 'i64'), N, value('updates', [2, 4])],
    initializers: { one: i64(1) },
    nodes: [
      node('Slice', ['places', 'zero', 'n', 'one'], ['tuples']),
      node('GatherND', ['x', 'tuples'], ['y']),
      node('ScatterND', ['x', 'tuples', 'updates'], ['z']),
    ],
    outputs: [value('y', open(2)), value('z', SHAPE)],
    runs: [
      [x(1), i64Of([2, 3], 0, 1, 9, 1, 2, 9), i64(2), x(7, [2, 4])],
      [x(2), i64Of([2, 3], 1, 0, 9, 0, -1, 9), i64(2), x(8, [2, 4])],
    ],
    beyond: [
      [
        [x(1), i64Of([2, 3], 0, 1, 2, 1, 2, 3), i64(3), x(7, [2, 4])],
        /tuples along axis 1: exactly 2/,
      ],
    ],
  }),
  listCase('a length that a bound says', {
    inputs: [X, ...list('axes', 3), N],
    nodes: [
      cut('axes'),
      node('ReduceSum', ['x', 'axes'], ['sum'], { keepdims: { int: 0 } }),
      node('Relu', ['sum'], ['y']),
    ],
    outputs: [value('y', undefined)],
    bounds: { 'axes[0]': { min: 2, max: 2 } },
    runs: [
      [x(1), i64(1, -1, 0), i64(2)],
      [x(2), i64(2, 0, 7), i64(2)],
    ],
    beyond: [
      [[x(1), i64(1, 2, 0), i64(1)], /axes along axis 0: exactly 2, as --bound says/],
      [[x(1), i64(1, 2, 0), i64(3)], /axes along axis 0: exactly 2, as --bound says/],
    ],
  }),
  listCase('pads of unknown length', {
    inputs: [X, value('padsIn', [6], 'i64'), ...list('axes', 3), N],
    initializers: { two: i64(2) },
    nodes: [
      cut('axes'),
      node('Mul', ['n', 'two'], ['double']),
      node('Slice', ['padsIn', 'zero', 'double'], ['pads']),
      node('Pad', ['x', 'pads', '', 'axes'], ['y']),
    ],
    outputs: [value('y', open(3))],
    bounds: { y: 8 },
    runs: [
      [x(1), i64(1, 2, 0, 3, 0, 0), i64(2, 0, 0), i64(2)],
      [x(2), i64(1, 2, 0, 1, 0, 1), i64(1, -1, 0), i64(3)],
      [x(3), i64(0, 3, 9, 9, 9, 9), i64(1, 9, 9), i64(1)],
      [x(4), i64(9, 9, 9, 9, 9, 9), i64(9, 9, 9), i64(0)],
    ],
    beyond: [[[x(1), i64(1, 2, 0, 3, 0, 0), i64(3, 0, 0), i64(2)], /axes/]],
  }),
  listCase('repeats and lengths of unknown length', {
    inputs: [X, ...list('repeats', 4), N],
    nodes: [
      cut('repeats'),
      node('Tile', ['x', 'repeats'], ['y']),
      node('Split', ['x', 'repeats'], ['a', 'b', 'c'], { axis: { int: 2 } }),
    ],
    outputs: [value('y', open(3)), ...['a', 'b', 'c'].map((name) => value(name, open(3)))],
    bounds: { repeatsIn: 3 },
    runs: [
      [x(1), i64(1, 2, 1, 3), i64(3)],
      [x(2), i64(2, 0, 2, 3), i64(3)],
    ],
    beyond: [[[x(1), i64(1, 1, 1, 1), i64(4)], /repeats along axis 0: exactly 3/]],
  }),
  listCase('cropped to a shape of unknown length', {
    inputs: [X, ...list('shape', 3), N],
    nodes: [cut('shape'), node('CenterCropPad', ['x', 'shape'], ['y'], { axes: { ints: [2, 0] } })],
    outputs: [value('y', open(3))],
    bounds: { shapeIn: 6 },
    runs: [
      [x(1), i64(3, 2, 6), i64(2)],
      [x(2), i64(6, 1, 6), i64(2)],
    ],
    beyond: [[[x(1), i64(3, 2, 1), i64(3)], /shape along axis 0: exactly 2/]],
  }),
  listCase('a rank that a branch states', {
    inputs: [X, ...list('axes', 3), N, value('yes', [], 'bool')],
    nodes: [
      cut('axes'),
      branch(
        'yes',
        ['y'],
        {
          nodes: [node('ReduceSum', ['x', 'axes'], ['sum'], { keepdims: { int: 0 } })],
          outputs: [value('sum', open(1))],
        },
        {
          nodes: [node('Reshape', ['x', 'flat'], ['all'])],
          outputs: [value('all', open(1))],
        },
      ),
    ],
    initializers: { flat: i64(-1) },
    outputs: [value('y', undefined)],
    runs: [
      [x(1), i64(1, -1, 0), i64(2), scalar(1, 'bool')],
      [x(2), i64(2, 0, 7), i64(2), scalar(1, 'bool')],
      [x(3), i64(2, 0, 7), i64(1), scalar(0, 'bool')],
    ],
    beyond: [[[x(1), i64(1, 2, 0), i64(1), scalar(1, 'bool')], /axes/]],
  }),
];

function i64Of(shape: readonly number[], ...values: number[]): Tensor {
  return fromNumbers('i64', shape, values);
}

export const LIST_CASES: readonly FreeCase[] = [
  ...REDUCE_CASES,
  ...SLICE_CASES,
  ...AXIS_CASES,
  ...RANK_CASES,
];
