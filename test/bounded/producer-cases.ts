/** Operators whose own results have as many elements as their data says. */

import {
  type BoundedCase,
  f32,
  flags,
  i64,
  node,
  noise,
  numbers,
  scalar,
  SHARES,
} from './cases.ts';

const mask = (shape: readonly number[]) => SHARES.map((share, i) => [flags(shape, share, i + 1)]);

/** Boxes of [0, 1), of `n` for each of `batches`, with scores of `classes`. */
const boxes = (batches: number, n: number, classes: number, seed: number) => {
  const corner = noise([batches, n, 2], seed).data as Float32Array;
  const values = new Float64Array(batches * n * 4);
  for (let i = 0; i < batches * n; i++) {
    values[4 * i] = corner[2 * i] ?? 0;
    values[4 * i + 1] = corner[2 * i + 1] ?? 0;
    values[4 * i + 2] = (corner[2 * i] ?? 0) + 0.5;
    values[4 * i + 3] = (corner[2 * i + 1] ?? 0) + 0.6;
  }
  return [f32([batches, n, 4], values), noise([batches, classes, n], seed + 1)] as const;
};

const suppression = (attrs: Record<string, { int: number }>): BoundedCase['model'] => ({
  inputs: [
    { name: 'boxes', shape: [2, 30, 4] },
    { name: 'scores', shape: [2, 3, 30] },
    { name: 'least', shape: [] },
  ],
  outputs: [{ name: 'y', dtype: 'i64', shape: [null, 3] }],
  initializers: { most: i64(7), limit: f32([], [0.4]) },
  nodes: [node('NonMaxSuppression', ['boxes', 'scores', 'most', 'limit', 'least'], ['y'], attrs)],
});

export const PRODUCER_CASES: readonly BoundedCase[] = [
  {
    name: 'NonZero of a matrix',
    model: {
      inputs: [{ name: 'x', dtype: 'bool', shape: [5, 7] }],
      outputs: [{ name: 'y', dtype: 'i64', shape: [2, null] }],
      nodes: [node('NonZero', ['x'], ['y'])],
    },
    runs: mask([5, 7]),
  },
  {
    name: 'NonZero of floats and of a list',
    model: {
      inputs: [{ name: 'x', shape: [11] }],
      outputs: [{ name: 'y', dtype: 'i64', shape: [1, null] }],
      nodes: [node('Relu', ['x'], ['r']), node('NonZero', ['r'], ['y'])],
    },
    runs: [[noise([11], 3)], [f32([11], new Float64Array(11).fill(-1))], [noise([11], 4)]],
  },
  {
    name: 'Compress along an axis, and of all elements',
    model: {
      inputs: [
        { name: 'x', shape: [3, 4, 2] },
        { name: 'c', dtype: 'bool', shape: [4] },
      ],
      outputs: [
        { name: 'y', shape: [3, null, 2] },
        { name: 'z', shape: [null] },
      ],
      nodes: [
        node('Compress', ['x', 'c'], ['y'], { axis: { int: 1 } }),
        node('Compress', ['x', 'c'], ['z']),
      ],
    },
    runs: SHARES.map((share, i) => [noise([3, 4, 2], i), flags([4], share, i)]),
  },
  ...(['sorted', 'unsorted'] as const).map(
    (order): BoundedCase => ({
      name: `Unique, ${order}`,
      model: {
        inputs: [{ name: 'x', dtype: 'i64', shape: [3, 9] }],
        outputs: [
          { name: 'y', dtype: 'i64', shape: [null] },
          { name: 'first', dtype: 'i64', shape: [null] },
          { name: 'which', dtype: 'i64', shape: [27] },
          { name: 'count', dtype: 'i64', shape: [null] },
        ],
        nodes: [
          node('Unique', ['x'], ['y', 'first', 'which', 'count'], {
            sorted: { int: order === 'sorted' ? 1 : 0 },
          }),
        ],
      },
      runs: [1, 2, 5, 12, 1000].map((below, i) => [numbers([3, 9], below, i)]),
    }),
  ),
  {
    name: 'Unique rows',
    model: {
      inputs: [{ name: 'x', shape: [10, 3] }],
      outputs: [
        { name: 'y', shape: [null, 3] },
        { name: 'first', dtype: 'i64', shape: [null] },
        { name: 'which', dtype: 'i64', shape: [10] },
        { name: 'count', dtype: 'i64', shape: [null] },
      ],
      nodes: [node('Unique', ['x'], ['y', 'first', 'which', 'count'], { axis: { int: 0 } })],
    },
    runs: [1, 2, 3, 100].map((below, i) => [
      f32([10, 3], Float64Array.from(numbers([10, 3], below, i).data as BigInt64Array, Number)),
    ]),
  },
  {
    name: 'Unique of what is left of a list',
    model: {
      inputs: [
        { name: 'x', shape: [12] },
        { name: 'c', dtype: 'bool', shape: [12] },
      ],
      outputs: [
        { name: 'y', shape: [null] },
        { name: 'first', dtype: 'i64', shape: [null] },
        { name: 'which', dtype: 'i64', shape: [null] },
        { name: 'count', dtype: 'i64', shape: [null] },
      ],
      nodes: [
        node('Compress', ['x', 'c'], ['r'], { axis: { int: 0 } }),
        node('Unique', ['r'], ['y', 'first', 'which', 'count']),
      ],
    },
    runs: SHARES.slice(1).map((share, i) => [
      f32([12], Float64Array.from(numbers([12], 4, i).data as BigInt64Array, Number)),
      flags([12], share, i),
    ]),
  },
  {
    name: 'NonMaxSuppression',
    model: suppression({}),
    runs: [-2, 0, 0.5, 2].map((least, i) => [...boxes(2, 30, 3, i), scalar(least, 'f32')]),
  },
  {
    name: 'NonMaxSuppression of centers',
    model: suppression({ center_point_box: { int: 1 } }),
    runs: [-2, 0.5].map((least, i) => [...boxes(2, 30, 3, i + 5), scalar(least, 'f32')]),
  },
  {
    name: 'Range up to how many there are',
    model: {
      inputs: [{ name: 'x', dtype: 'bool', shape: [9] }],
      outputs: [
        { name: 'y', dtype: 'i64', shape: [null] },
        { name: 'z', shape: [null] },
      ],
      initializers: {
        zero: scalar(0),
        one: scalar(1),
        two: i64(2),
        start: f32([], [0.5]),
        step: f32([], [0.75]),
      },
      nodes: [
        node('NonZero', ['x'], ['p']),
        node('Shape', ['p'], ['s']),
        node('Gather', ['s', 'one'], ['n']),
        node('Range', ['zero', 'n', 'one'], ['y']),
        node('Cast', ['n'], ['f'], { to: { int: 1 } }),
        node('Range', ['start', 'f', 'step'], ['z']),
      ],
    },
    runs: mask([9]),
  },
  {
    name: 'TopK and Slice by inputs',
    model: {
      inputs: [
        { name: 'x', shape: [4, 6] },
        { name: 'k', dtype: 'i64', shape: [1] },
        { name: 'from', dtype: 'i64', shape: [2] },
        { name: 'to', dtype: 'i64', shape: [2] },
      ],
      outputs: [
        { name: 'y', shape: [4, null] },
        { name: 'p', dtype: 'i64', shape: [4, null] },
        { name: 's', shape: [null, null] },
        { name: 't', shape: [null, null] },
      ],
      initializers: { axes: i64(0, 1), steps: i64(-1, 2) },
      nodes: [
        node('TopK', ['x', 'k'], ['y', 'p']),
        node('Slice', ['x', 'from', 'to'], ['s']),
        node('Slice', ['x', 'to', 'from', 'axes', 'steps'], ['t']),
      ],
    },
    runs: [
      [noise([4, 6], 1), i64(3), i64(1, 2), i64(4, 5)],
      [noise([4, 6], 2), i64(6), i64(0, 0), i64(100, 100)],
      [noise([4, 6], 3), i64(1), i64(-3, -2), i64(-1, 6)],
      [noise([4, 6], 4), i64(0), i64(3, 3), i64(1, 3)],
    ],
  },
  {
    name: 'Split by lengths that are data',
    model: {
      opset: 18,
      inputs: [
        { name: 'x', shape: [9, 2] },
        { name: 'lengths', dtype: 'i64', shape: [3] },
      ],
      outputs: ['a', 'b', 'd'].map((name) => ({ name, shape: [null, 2] })),
      nodes: [node('Split', ['x', 'lengths'], ['a', 'b', 'd'])],
    },
    runs: [
      [noise([9, 2], 1), i64(3, 3, 3)],
      [noise([9, 2], 2), i64(9, 0, 0)],
      [noise([9, 2], 3), i64(0, 2, 7)],
    ],
  },
  {
    name: 'ConstantOfShape, Expand, Tile and Pad by a count',
    model: {
      inputs: [
        { name: 'x', dtype: 'bool', shape: [6] },
        { name: 'v', shape: [1, 2] },
      ],
      outputs: [
        { name: 'a', dtype: 'i64', shape: [null, 3] },
        { name: 'b', shape: [null, 2] },
        { name: 'c', shape: [null, 2] },
        { name: 'd', shape: [null, 4] },
      ],
      initializers: { one: i64(1), two: i64(2), three: i64(3), zero: i64(0), fill: f32([], [9]) },
      nodes: [
        node('NonZero', ['x'], ['p']),
        node('Shape', ['p'], ['s']),
        node('Gather', ['s', 'one'], ['n']),
        node('Concat', ['n', 'three'], ['s1'], { axis: { int: 0 } }),
        node('ConstantOfShape', ['s1'], ['a'], { value: { tensor: i64(5) } }),
        node('Concat', ['n', 'two'], ['s2'], { axis: { int: 0 } }),
        node('Expand', ['v', 's2'], ['b']),
        node('Concat', ['n', 'one'], ['s3'], { axis: { int: 0 } }),
        node('Tile', ['v', 's3'], ['c']),
        node('Concat', ['one', 'one', 'n', 'one'], ['s4'], { axis: { int: 0 } }),
        node('Pad', ['v', 's4', 'fill'], ['d'], { mode: { text: 'constant' } }),
      ],
    },
    runs: SHARES.map((share, i) => [flags([6], share, i), noise([1, 2], i)]),
  },
  {
    name: 'bounds of arithmetic on data',
    model: {
      inputs: [
        { name: 'x', shape: [8, 2] },
        { name: 'k', dtype: 'i64', shape: [] },
      ],
      outputs: [{ name: 'y', shape: [null, 2] }],
      initializers: { low: scalar(0), high: scalar(5), one: scalar(1), axes: i64(0), zero: i64(0) },
      nodes: [
        node('Clip', ['k', 'low', 'high'], ['clipped']),
        node('Add', ['clipped', 'one'], ['more']),
        node('Unsqueeze', ['more', 'axes'], ['end']),
        node('Slice', ['x', 'zero', 'end'], ['y']),
      ],
    },
    runs: [-3, 0, 2, 5, 50].map((k, i) => [noise([8, 2], i), scalar(k)]),
  },
];
