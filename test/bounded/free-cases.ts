/** Sizes that nothing in the model bounds: numbers from its inputs decide them. */
import type { BoundOptions } from 'hone/frontends/onnx/bounded/bounds';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { f32, i64, node, noise, scalar, type BoundedCase, value } from './cases.ts';

export interface FreeCase extends BoundedCase {
  readonly bounds?: BoundOptions;
  /** What is beyond a bound, and what the error of the run says. */
  readonly beyond: readonly (readonly [inputs: readonly Tensor[], says: RegExp])[];
}

const N: RawValue = { name: 'n', dtype: 'i64', shape: [] };
const ASSUMED = /at most 1024, assumed as nothing bounds it; compile with --bound r=1024/;

/** Range(0, n), and what is made of it. */
function counting(
  name: string,
  nodes: readonly RawNode[],
  outputs: readonly RawValue[],
  more: Partial<FreeCase> & { readonly inputs?: readonly RawValue[] } = {},
): FreeCase {
  const { inputs = [], ...rest } = more;
  return {
    name,
    model: {
      opset: 18,
      inputs: [N, ...inputs],
      initializers: { zero: scalar(0), one: scalar(1), axis: i64(0), most: scalar(2000) },
      nodes: [node('Range', ['zero', 'n', 'one'], ['r']), ...nodes],
      outputs,
    },
    runs: [0, 1, 7, 1024].map((n) => [scalar(n)]),
    beyond: [1025, 2 ** 40].map((n) => [[scalar(n)], ASSUMED]),
    ...rest,
  };
}

const branch = (nodes: readonly RawNode[], output: RawValue): RawGraph => ({
  inputs: [],
  nodes,
  outputs: [output],
});

/** Stacks its number while it is below the carried limit. */
const COUNT_UP: RawGraph = {
  inputs: [value('i', [], 'i64'), value('on', [], 'bool'), value('last', [], 'i64')],
  nodes: [
    node('Add', ['i', 'one'], ['next']),
    node('Less', ['next', 'n'], ['again']),
    node('Identity', ['next'], ['now']),
    node('Mul', ['i', 'i'], ['row']),
  ],
  outputs: [value('again', [], 'bool'), value('now', [], 'i64'), value('row', [], 'i64')],
};

/** A cache that grows by a row. */
const GROWING: RawGraph = {
  inputs: [value('i', [], 'i64'), value('on', [], 'bool'), value('cache', [null, 2])],
  nodes: [
    node('Identity', ['on'], ['again']),
    node('Cast', ['i'], ['number'], { to: { int: 1 } }),
    node('Expand', ['number', 'row'], ['wide']),
    node('Concat', ['cache', 'wide'], ['longer'], { axis: { int: 0 } }),
  ],
  outputs: [value('again', [], 'bool'), value('longer', [null, 2])],
};

export const FREE_CASES: readonly FreeCase[] = [
  counting('a range', [], [value('r', [null], 'i64')]),
  counting(
    'operators behind a range',
    [
      node('Mul', ['r', 'r'], ['squares']),
      node('ReduceSum', ['squares', 'axis'], ['sum'], { keepdims: { int: 0 } }),
      node('Shape', ['r'], ['shape']),
      node('Concat', ['r', 'squares'], ['both'], { axis: { int: 0 } }),
      node('ConstantOfShape', ['shape'], ['zeros']),
      node('Cast', ['r'], ['reals'], { to: { int: 1 } }),
      node('Add', ['zeros', 'reals'], ['sums']),
    ],
    [
      value('sum', [], 'i64'),
      value('shape', [1], 'i64'),
      value('both', [null], 'i64'),
      value('sums', [null]),
    ],
  ),
  counting(
    'a size that only a comparison sees, which the bound decides',
    [
      node('Size', ['r'], ['size']),
      node('Less', ['size', 'most'], ['isSmall']),
      node('If', ['isSmall'], ['y'], {
        then_branch: { graph: branch([node('Identity', ['x'], ['t'])], value('t', [3])) },
        else_branch: { graph: branch([node('Neg', ['x'], ['e'])], value('e', [3])) },
      }),
    ],
    [value('y', [3])],
    {
      inputs: [value('x', [3])],
      runs: [[scalar(1000), noise([3], 1)]],
      beyond: [[[scalar(3000), noise([3], 1)], ASSUMED]],
    },
  ),
  counting('a range that nothing reads', [node('Neg', ['n'], ['y'])], [value('y', [], 'i64')]),
  {
    name: 'a range whose ends and step are inputs',
    model: {
      opset: 18,
      inputs: [value('a', [], 'i64'), value('b', [], 'i64'), value('d', [], 'i64')],
      nodes: [node('Range', ['a', 'b', 'd'], ['r'])],
      outputs: [value('r', [null], 'i64')],
    },
    runs: [
      [scalar(3), scalar(11), scalar(3)],
      [scalar(11), scalar(3), scalar(-2)],
      [scalar(5), scalar(5), scalar(1)],
      [scalar(0), scalar(2048), scalar(2)],
      [scalar(1), scalar(9), scalar(-1)],
    ],
    beyond: [[[scalar(0), scalar(2049), scalar(2)], ASSUMED]],
  },
  {
    name: 'a range whose ends are inputs',
    model: {
      opset: 18,
      inputs: [value('a', [], 'i64'), value('b', [], 'i64')],
      initializers: { one: scalar(1) },
      nodes: [node('Range', ['a', 'b', 'one'], ['r'])],
      outputs: [value('r', [null], 'i64')],
    },
    runs: [
      [scalar(2 ** 45), scalar(2 ** 45 + 9)],
      [scalar(5), scalar(-5)],
      [scalar(-500), scalar(524)],
    ],
    beyond: [
      [[scalar(-500), scalar(525)], ASSUMED],
      [[scalar(-(2 ** 62) * 1.5), scalar(2 ** 62 * 1.5)], ASSUMED],
    ],
  },
  {
    name: 'a range of floats',
    model: {
      opset: 18,
      inputs: [value('a', []), value('b', []), value('d', [])],
      nodes: [node('Range', ['a', 'b', 'd'], ['r'])],
      outputs: [value('r', [null])],
    },
    runs: [
      [scalar(0, 'f32'), scalar(1, 'f32'), scalar(0.25, 'f32')],
      [scalar(3, 'f32'), scalar(-1, 'f32'), scalar(-0.5, 'f32')],
      [scalar(3, 'f32'), scalar(-1, 'f32'), scalar(0.5, 'f32')],
      [scalar(0, 'f32'), scalar(1024, 'f32'), scalar(1, 'f32')],
    ],
    beyond: [[[scalar(0, 'f32'), scalar(1024.5, 'f32'), scalar(1, 'f32')], ASSUMED]],
  },
  {
    name: 'a constant of a shape',
    model: {
      opset: 18,
      inputs: [value('s', [2], 'i64')],
      nodes: [node('ConstantOfShape', ['s'], ['r'])],
      outputs: [value('r', [null, null])],
    },
    runs: [[i64(2, 3)], [i64(0, 4)], [i64(5, 0)], [i64(1024, 1)], [i64(7, 1024)]],
    beyond: [[[i64(1025, 1)], /r along axis 0: at most 1024, assumed .* --bound r=1024x1024/]],
  },
  {
    name: 'an expand',
    model: {
      opset: 18,
      inputs: [value('x', [3, 1]), value('s', [3], 'i64')],
      nodes: [node('Expand', ['x', 's'], ['r']), node('Neg', ['r'], ['y'])],
      outputs: [value('y', [null, null, null])],
    },
    runs: [
      [noise([3, 1], 5), i64(2, 3, 4)],
      [noise([3, 1], 6), i64(1, 1, 1)],
      [noise([3, 1], 7), i64(0, 3, 2)],
      [noise([3, 1], 8), i64(5, 1, 6)],
    ],
    bounds: { 'r[0]': 5, 'r[2]': 60 },
    beyond: [
      [[noise([3, 1], 8), i64(6, 1, 1)], /r along axis 0: at most 5, as --bound/],
      [[noise([3, 1], 8), i64(1, 3, 61)], /r along axis 2: at most 60, as --bound/],
    ],
  },
  {
    name: 'a tile',
    model: {
      opset: 18,
      inputs: [value('x', [2, 3]), value('n', [1], 'i64')],
      initializers: { two: i64(2) },
      nodes: [
        node('Concat', ['n', 'two'], ['s'], { axis: { int: 0 } }),
        node('Tile', ['x', 's'], ['r']),
      ],
      outputs: [value('r', [null, 6])],
    },
    runs: [2, 1, 0, 1024].map((n) => [noise([2, 3], n), i64(n)]),
    beyond: [1025, 2 ** 53].map((n) => [
      [noise([2, 3], 8), i64(n)],
      /r along axis 0: at most 2048, assumed .*r=2048x6/,
    ]),
  },
  {
    name: 'a padding',
    model: {
      opset: 18,
      inputs: [value('x', [2, 3]), value('s', [4], 'i64')],
      nodes: [node('Pad', ['x', 's'], ['r'])],
      outputs: [value('r', [null, null])],
    },
    runs: [
      [noise([2, 3], 5), i64(1, 0, 0, 2)],
      [noise([2, 3], 6), i64(0, 0, 0, 0)],
      [noise([2, 3], 7), i64(0, -1, 3, 1)],
      [noise([2, 3], 8), i64(1000, 3, 24, 4)],
    ],
    beyond: [
      [[noise([2, 3], 8), i64(1000, 0, 25, 0)], /r along axis 0: at most 1026, assumed/],
      [[noise([2, 3], 8), i64(0, 2 ** 53, 0, 0)], /r along axis 1: at most 1027, assumed/],
    ],
  },
  {
    name: 'a reshape',
    model: {
      opset: 18,
      inputs: [value('x', [4, 6]), value('s', [3], 'i64')],
      nodes: [node('Reshape', ['x', 's'], ['r']), node('Abs', ['r'], ['y'])],
      outputs: [value('y', [null, null, null])],
    },
    runs: [
      [noise([4, 6], 5), i64(2, 3, 4)],
      [noise([4, 6], 6), i64(-1, 1, 3)],
      [noise([4, 6], 7), i64(0, -1, 2)],
      [noise([4, 6], 8), i64(1, 24, 1)],
    ],
    beyond: [
      [
        [noise([4, 6], 8), i64(25, 1, 1)],
        /r along axis 0: at most 24|elements before and after differ/,
      ],
    ],
  },
  ...(['i8', 'i16'] as const).map(
    (dtype): FreeCase => ({
      name: `a reshape by numbers that were ${dtype}`,
      model: {
        opset: 18,
        inputs: [value('x', [4, 6]), value('n', [3], 'i32')],
        nodes: [
          node('Cast', ['n'], ['s'], { to: { int: dtype === 'i8' ? 3 : 5 } }),
          node('Cast', ['s'], ['t'], { to: { int: 7 } }),
          node('Reshape', ['x', 't'], ['r']),
          node('Abs', ['r'], ['y']),
        ],
        outputs: [value('y', [null, null, null])],
      },
      runs: [
        [2, 3, 4],
        [-1, 1, 3],
        [0, -1, 2],
      ].map((shape, i) => [noise([4, 6], i), fromNumbers('i32', [3], shape)]),
      beyond: [
        [
          [noise([4, 6], 8), fromNumbers('i32', [3], [25, 1, 1])],
          /r along axis 0: at most 24|elements before and after differ/,
        ],
      ],
    }),
  ),
  {
    name: 'a reshape of no elements',
    model: {
      opset: 18,
      inputs: [value('x', [0, 6]), value('s', [2], 'i64')],
      nodes: [
        node('Reshape', ['x', 's'], ['r'], { allowzero: { int: 1 } }),
        node('Shape', ['r'], ['y']),
      ],
      outputs: [value('y', [2], 'i64')],
    },
    runs: [[3, 0] as const, [0, 1024] as const, [0, 0] as const].map(([a, b]) => [
      noise([0, 6], 5),
      i64(a, b),
    ]),
    beyond: [[[noise([0, 6], 8), i64(0, 1025)], /r along axis 1: at most 1024, assumed/]],
  },
  {
    name: 'a reshape to rows of a known length',
    model: {
      opset: 18,
      inputs: [value('x', [4, 6]), value('n', [1], 'i64')],
      initializers: { three: i64(3), last: i64(-1) },
      nodes: [
        node('Concat', ['n', 'last', 'three'], ['s'], { axis: { int: 0 } }),
        node('Reshape', ['x', 's'], ['r']),
        node('ReduceSum', ['r', 'last'], ['y']),
      ],
      outputs: [value('y', [null, null, null])],
    },
    runs: [2, 1, 8, 4].map((n) => [noise([4, 6], n), i64(n)]),
    beyond: [[[noise([4, 6], 8), i64(9)], /r along axis 0: at most 8/]],
  },
  {
    name: 'a depth',
    model: {
      opset: 18,
      inputs: [value('x', [2, 3], 'i64'), value('depth', [], 'i64')],
      initializers: { values: f32([2], [-1, 5]) },
      nodes: [
        node('OneHot', ['x', 'depth', 'values'], ['r'], { axis: { int: 1 } }),
        node('Neg', ['r'], ['y']),
      ],
      outputs: [value('y', [null, null, null])],
    },
    runs: [5, 1, 1024, 9].map((depth) => [
      fromNumbers('i64', [2, 3], [0, 4, -1, 2, 9, -5]),
      scalar(depth),
    ]),
    beyond: [
      [
        [fromNumbers('i64', [2, 3], [0, 0, 0, 0, 0, 0]), scalar(1025)],
        /r along axis 1: at most 1024, assumed .*r=2x1024x3/,
      ],
    ],
  },
  {
    name: 'k of TopK, ends of a slice, lengths of a split',
    model: {
      opset: 18,
      inputs: [value('x', [9]), value('k', [1], 'i64'), value('s', [2], 'i64')],
      nodes: [
        node('TopK', ['x', 'k'], ['top', 'places'], { axis: { int: 0 } }),
        node('Slice', ['x', 'k', 'end'], ['part']),
        node('Split', ['x', 's'], ['left', 'right'], { axis: { int: 0 } }),
      ],
      initializers: { end: i64(8) },
      outputs: ['top', 'part', 'left', 'right'].map((name) => value(name, [null])),
    },
    runs: [
      [noise([9], 1), i64(3), i64(4, 5)],
      [noise([9], 2), i64(9), i64(0, 9)],
      [noise([9], 3), i64(0), i64(9, 0)],
    ],
    beyond: [],
  },
  {
    name: 'a loop with a number of iterations from outside',
    model: {
      opset: 18,
      inputs: [value('trips', [], 'i64'), N],
      initializers: { one: scalar(1), zero: scalar(0) },
      nodes: [
        node('Loop', ['trips', '', 'zero'], ['last', 'r'], { body: { graph: COUNT_UP } }),
        node('Neg', ['r'], ['y']),
      ],
      outputs: [value('last', [], 'i64'), value('y', [null], 'i64')],
    },
    runs: [
      [scalar(5), scalar(99)],
      [scalar(0), scalar(9)],
      [scalar(5000), scalar(20)],
      [scalar(1024), scalar(5000)],
    ],
    beyond: [[[scalar(1025), scalar(5000)], ASSUMED]],
  },
  {
    name: 'a loop that only a condition ends',
    model: {
      opset: 18,
      inputs: [N],
      initializers: { one: scalar(1), zero: scalar(0), true: scalar(1, 'bool') },
      nodes: [node('Loop', ['', 'true', 'zero'], ['last', 'r'], { body: { graph: COUNT_UP } })],
      outputs: [value('last', [], 'i64'), value('r', [null], 'i64')],
    },
    runs: [5, 0, 20, 1024].map((n) => [scalar(n)]),
    beyond: [[[scalar(1025)], ASSUMED]],
  },
  {
    name: 'a cache that grows as often as an input says',
    model: {
      opset: 18,
      inputs: [N, value('cache0', [1, 2])],
      initializers: { row: i64(1, 2) },
      nodes: [node('Loop', ['n', '', 'cache0'], ['r'], { body: { graph: GROWING } })],
      outputs: [value('r', [null, 2])],
    },
    runs: [5, 0, 1].map((n) => [scalar(n), noise([1, 2], n)]),
    beyond: [
      [[scalar(1025), noise([1, 2], 1)], /r along axis 0: at most 1025, assumed .*r=1025x2/],
    ],
  },
  counting(
    'a size inside a branch',
    [
      node('Less', ['n', 'most'], ['isSmall']),
      node('If', ['isSmall'], ['y'], {
        then_branch: {
          graph: branch(
            [
              node('Add', ['n', 'one'], ['more']),
              node('Range', ['zero', 'more', 'one'], ['inner']),
              node('ReduceSum', ['inner', 'axis'], ['t'], { keepdims: { int: 0 } }),
            ],
            value('t', [], 'i64'),
          ),
        },
        else_branch: { graph: branch([node('Neg', ['n'], ['e'])], value('e', [], 'i64')) },
      }),
    ],
    [value('y', [], 'i64')],
    {
      bounds: { r: 4096 },
      runs: [0, 5, 1023, 2000, 4096].map((n) => [scalar(n)]),
      beyond: [
        [[scalar(1024)], /inner along axis 0: at most 1024, assumed/],
        [[scalar(4097)], /r along axis 0: at most 4096, as --bound says/],
      ],
    },
  ),
  counting(
    'a size inside a loop',
    [
      node('Loop', ['five', '', 'zero'], ['y'], {
        body: {
          graph: {
            inputs: [value('i', [], 'i64'), value('on', [], 'bool'), value('sum', [], 'i64')],
            nodes: [
              node('Identity', ['on'], ['again']),
              node('Mul', ['i', 'n'], ['many']),
              node('Range', ['zero', 'many', 'one'], ['inner']),
              node('ReduceSum', ['inner', 'axis'], ['added'], { keepdims: { int: 0 } }),
              node('Add', ['sum', 'added'], ['total']),
            ],
            outputs: [value('again', [], 'bool'), value('total', [], 'i64')],
          },
        },
      }),
    ],
    [value('y', [], 'i64')],
    {
      inputs: [value('five', [], 'i64')],
      runs: [
        [scalar(3), scalar(5)],
        [scalar(256), scalar(5)],
        [scalar(0), scalar(5)],
        [scalar(1024), scalar(2)],
      ],
      beyond: [[[scalar(257), scalar(5)], /inner along axis 0: at most 1024, assumed/]],
    },
  ),
  counting('a bound of a number', [], [value('r', [null], 'i64')], {
    bounds: { n: 9 },
    runs: [0, 9, 4].map((n) => [scalar(n)]),
    beyond: [[[scalar(10)], /values of n: at most 9, as --bound says/]],
  }),
  counting('a bound from and to', [], [value('r', [null], 'i64')], {
    bounds: { n: { min: 2, max: 5 } },
    runs: [2, 5, 4].map((n) => [scalar(n)]),
    beyond: [1, 6, -9].map((n) => [[scalar(n)], /values of n: at most 5, as --bound says/]),
  }),
  {
    name: 'bounds of each number of a shape',
    model: {
      opset: 18,
      inputs: [value('s', [3], 'i64')],
      nodes: [node('ConstantOfShape', ['s'], ['r'])],
      outputs: [value('r', [null, null, null])],
    },
    bounds: { s: [1, 80, 200] },
    runs: [[i64(1, 80, 200)], [i64(0, 4, 2)], [i64(1, 5, 7)]],
    beyond: [
      [[i64(2, 1, 1)], /values of s: at most 1x80x200/],
      [[i64(1, 1, 201)], /values of s: at most 1x80x200/],
    ],
  },
  {
    name: 'a bound of what a mask leaves',
    model: {
      opset: 18,
      inputs: [value('x', [4, 50])],
      nodes: [
        node('NonZero', ['x'], ['places']),
        node('Transpose', ['places'], ['rows'], { perm: { ints: [1, 0] } }),
        node('GatherND', ['x', 'rows'], ['values']),
      ],
      outputs: [value('rows', [null, 2], 'i64'), value('values', [null])],
    },
    bounds: { 'places[1]': 5 },
    runs: [0, 1, 5, 3].map((count) => [
      f32(
        [4, 50],
        Array.from({ length: 200 }, (_, i) => (i % 40 === 7 && i / 40 < count ? 2 : 0)),
      ),
    ]),
    beyond: [[[noise([4, 50], 1)], /places along axis 1: at most 5, as --bound says/]],
  },
  {
    name: 'a bound of the rows of a loop',
    model: {
      opset: 18,
      inputs: [N],
      initializers: { one: scalar(1), zero: scalar(0), true: scalar(1, 'bool') },
      nodes: [node('Loop', ['', 'true', 'zero'], ['last', 'r'], { body: { graph: COUNT_UP } })],
      outputs: [value('r', [null], 'i64')],
    },
    bounds: { r: 30 },
    runs: [5, 0, 30].map((n) => [scalar(n)]),
    beyond: [[[scalar(31)], /r along axis 0: at most 30, as --bound says/]],
  },
  {
    name: 'a bound of a cache',
    model: {
      opset: 18,
      inputs: [N, value('cache0', [1, 2])],
      initializers: { row: i64(1, 2) },
      nodes: [node('Loop', ['n', '', 'cache0'], ['r'], { body: { graph: GROWING } })],
      outputs: [value('r', [null, 2])],
    },
    bounds: { r: [20, 2] },
    runs: [5, 0, 19].map((n) => [scalar(n), noise([1, 2], n)]),
    beyond: [[[scalar(20), noise([1, 2], 1)], /r along axis 0: at most 20, as --bound says/]],
  },
];
