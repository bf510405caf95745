/** Windows whose padding, or whose positions, follow from the sizes of the run. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import { type BoundedCase, i64, node, noise } from './cases.ts';
import { cut, int, ints, text, wide } from './wide-cases.ts';

const picture = (): ReturnType<typeof cut> => cut([2, 3, 9, 9], 2, 3);
const kernel = noise([3, 2, 3, 3], 70);

const TRANSPOSED: readonly BoundedCase[] = [
  ...['NOTSET', 'SAME_UPPER', 'SAME_LOWER'].flatMap((mode) => [
    wide('ConvTranspose', `output_shape, ${mode}`, 9, {
      inputs: [picture(), kernel, noise([2], 71)],
      attrs: { strides: ints(2, 1), output_shape: ints(10, 7), auto_pad: text(mode) },
      lengths: [9, 8, 7, 6],
    }),
    wide('ConvTranspose', `a kernel of unknown extents, ${mode}`, 3, {
      inputs: [noise([2, 3, 5, 4], 72), cut([3, 2, 3, 3], 2, 3), noise([2], 71)],
      attrs: { strides: ints(2, 1), auto_pad: text(mode), dilations: ints(1, 2) },
      // A kernel of 1 in steps of 2 reaches less than auto_pad asks for: onnxruntime gives that.
      lengths: [3, 2],
    }),
  ]),
  wide('ConvTranspose', 'SAME_LOWER of rows and columns', 9, {
    inputs: [picture(), kernel],
    attrs: { strides: ints(2, 3), auto_pad: text('SAME_LOWER') },
  }),
];

const POOLED: readonly BoundedCase[] = [
  ...['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].map((mode) =>
    wide('MaxPool', `positions, ${mode}`, 9, {
      inputs: [picture()],
      attrs: {
        ...{ kernel_shape: ints(2, 3), strides: ints(2, 1), auto_pad: text(mode) },
        ...(mode === 'NOTSET' ? { pads: ints(1, 1, 0, 1) } : {}),
      },
      outputs: ['f32', 'i64'],
      lengths: [9, 8, 5, 3],
    }),
  ),
  wide('MaxPool', 'positions column by column, of channels too', 5, {
    inputs: [cut([3, 5, 6, 5], 1, 3)],
    attrs: {
      ...{ kernel_shape: ints(2, 2), strides: ints(2, 2), ceil_mode: int(1) },
      storage_order: int(1),
    },
    outputs: ['f32', 'i64'],
    lengths: [5, 4, 3, 2],
  }),
];

/** Pooled and put back: positions are of the sizes of the run. */
function unpooled(note: string, more: readonly string[]): BoundedCase {
  const attrs = { kernel_shape: ints(2, 2), strides: ints(2, 2) };
  return {
    name: `MaxUnpool, ${note}`,
    model: {
      opset: 18,
      inputs: [
        { name: 'x', dtype: 'f32', shape: [2, 3, 8, 8] },
        { name: 'n', dtype: 'i64', shape: [1] },
      ],
      initializers: { zero: i64(0), rows: i64(2), most: i64(8) },
      nodes: [
        node('Min', ['n', 'most'], ['end']),
        node('Slice', ['x', 'zero', 'end', 'rows'], ['cut']),
        node('MaxPool', ['cut'], ['small', 'places'], attrs),
        node('Shape', ['cut'], ['shape']),
        node('MaxUnpool', ['small', 'places', ...more], ['y'], attrs),
      ],
      outputs: [{ name: 'y', dtype: 'f32' }],
    },
    runs: [8, 6, 4, 2].map((n) => [noise([2, 3, 8, 8], n), i64(n)]),
  };
}

/** Twice as many channels as a run says, in two groups. */
function grouped(op: 'Conv' | 'ConvTranspose'): BoundedCase {
  const isConv = op === 'Conv';
  return {
    name: `${op}, groups of unknown size`,
    model: {
      opset: 18,
      inputs: [
        { name: 'x', dtype: 'f32', shape: [2, 4, 5, 5] },
        { name: 'v', dtype: 'f32', shape: [4, 4, 3, 3] },
        { name: 'n', dtype: 'i64', shape: [1] },
      ],
      initializers: {
        zero: i64(0),
        along: i64(1),
        most: i64(4),
        bias: noise([isConv ? 4 : 8], 73),
      },
      nodes: [
        node('Min', ['n', 'most'], ['end']),
        node('Slice', ['x', 'zero', 'end', 'along'], ['half']),
        node('Neg', ['half'], ['other']),
        node('Concat', ['half', 'other'], ['data'], { axis: int(1) }),
        // The weights have the channels of one group, or of all.
        node('Slice', ['v', 'zero', 'end', isConv ? 'along' : 'zero'], ['part']),
        node('Neg', ['part'], ['minus']),
        isConv
          ? node('Identity', ['part'], ['weights'])
          : node('Concat', ['part', 'minus'], ['weights'], { axis: int(0) }),
        node(op, ['data', 'weights', 'bias'], ['y'], {
          ...{ group: int(2), pads: ints(1, 1, 0, 0), strides: ints(1, 2) },
        }),
      ],
      outputs: [{ name: 'y', dtype: 'f32' }],
    },
    runs: [4, 3, 2, 1].map((n) => [noise([2, 4, 5, 5], n), noise([4, 4, 3, 3], n + 9), i64(n)]),
  };
}

/** Overlapping blocks of an image whose extents are numbers of the run. */
function putBack(note: string, extents: readonly string[]): BoundedCase {
  return {
    name: `Col2Im, ${note}`,
    model: {
      opset: 18,
      inputs: [
        { name: 'x', dtype: 'f32', shape: [2, 18, 25] },
        { name: 'n', dtype: 'i64', shape: [1] },
      ],
      initializers: { zero: i64(0), along: i64(2), most: i64(5), block: i64(3, 3) },
      nodes: [
        node('Min', ['n', 'most'], ['end']),
        node('Concat', [...extents], ['image'], { axis: int(0) }),
        node('ReduceProd', ['image'], ['all'], { keepdims: int(1) }),
        node('Slice', ['x', 'zero', 'all', 'along'], ['columns']),
        node('Col2Im', ['columns', 'image', 'block'], ['y'], { pads: ints(1, 1, 1, 1) }),
      ],
      outputs: [{ name: 'y', dtype: 'f32' }],
    },
    runs: [5, 4, 3, 1].map((n) => [noise([2, 18, 25], n), i64(n)]),
  };
}

export const SPATIAL_CASES: readonly BoundedCase[] = [
  ...TRANSPOSED,
  ...POOLED,
  unpooled('as large as it was', []),
  putBack('rows and columns', ['end', 'end']),
  putBack('columns', ['most', 'end']),
  putBack('rows', ['end', 'most']),
  grouped('Conv'),
  grouped('ConvTranspose'),
  wide('BatchNormalization', 'training', 5, {
    inputs: [
      ...[cut([5, 3, 5, 4], 0, 2), noise([3], 74), noise([3], 75), noise([3], 76)],
      fromNumbers('f32', [3], [1, 2, 0.5]),
    ],
    attrs: { training_mode: int(1), momentum: { float: 0.7 } },
    outputs: ['f32', 'f32', 'f32'],
  }),
];
