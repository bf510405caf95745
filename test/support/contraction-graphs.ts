/** Graphs that meet every row of the contraction table, with seeded weights. */
import type { Attrs, Graph, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';

const random = seededRandom(11);

function weights(b: OpBuilder, shape: readonly number[]): ValueId {
  const values = Float64Array.from({ length: elementCount(shape) }, () => random.next() - 0.5);
  return b.constant(fromNumbers('f32', shape, values));
}

interface ConvCase {
  readonly note: string;
  readonly input: readonly number[];
  readonly oc: number;
  readonly kernel: readonly [number, number];
  readonly group?: number;
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly pads?: readonly number[];
}

const CONVS: readonly ConvCase[] = [
  {
    note: 'image stem',
    input: [1, 3, 23, 19],
    oc: 20,
    kernel: [7, 7],
    strides: [2, 2],
    pads: [3, 3, 3, 3],
  },
  { note: 'one channel', input: [2, 1, 9, 9], oc: 5, kernel: [3, 3], pads: [1, 1, 1, 1] },
  { note: 'pointwise', input: [1, 32, 7, 7], oc: 48, kernel: [1, 1] },
  { note: 'pointwise, ragged channels', input: [2, 24, 5, 9], oc: 40, kernel: [1, 1] },
  { note: 'pointwise, strided', input: [1, 32, 15, 14], oc: 16, kernel: [1, 1], strides: [2, 2] },
  { note: '3x3', input: [1, 16, 12, 11], oc: 32, kernel: [3, 3], pads: [1, 1, 1, 1] },
  {
    note: '3x3, uneven padding',
    input: [1, 19, 10, 13],
    oc: 7,
    kernel: [3, 3],
    pads: [0, 1, 2, 0],
  },
  {
    note: '3x3 of stride 2',
    input: [1, 32, 17, 16],
    oc: 24,
    kernel: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  },
  {
    note: 'dilated',
    input: [1, 16, 14, 14],
    oc: 16,
    kernel: [3, 3],
    dilations: [2, 3],
    pads: [2, 3, 2, 3],
  },
  { note: 'wide kernel', input: [1, 8, 9, 30], oc: 17, kernel: [1, 7], pads: [0, 3, 0, 3] },
  { note: 'no padding', input: [1, 16, 8, 8], oc: 16, kernel: [5, 5] },
  {
    note: 'winograd 4, whole tiles',
    input: [1, 32, 28, 28],
    oc: 48,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
  },
  {
    note: 'winograd 4, cut tiles',
    input: [1, 48, 27, 45],
    oc: 40,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
  },
  { note: 'winograd 4, several blocks', input: [1, 32, 60, 50], oc: 32, kernel: [3, 3] },
  { note: 'winograd 2', input: [2, 64, 14, 7], oc: 32, kernel: [3, 3], pads: [1, 1, 1, 1] },
  {
    note: 'depthwise',
    input: [1, 24, 15, 17],
    oc: 24,
    kernel: [3, 3],
    group: 24,
    pads: [1, 1, 1, 1],
  },
  {
    note: 'depthwise, stride 2, 5x5',
    input: [1, 40, 16, 15],
    oc: 40,
    kernel: [5, 5],
    group: 40,
    strides: [2, 2],
    pads: [2, 2, 2, 2],
  },
  {
    note: 'groups of 4',
    input: [1, 64, 9, 9],
    oc: 64,
    kernel: [3, 3],
    group: 16,
    pads: [1, 1, 1, 1],
  },
  {
    note: 'groups of 4, the last block cut',
    input: [1, 20, 9, 9],
    oc: 20,
    kernel: [3, 3],
    group: 5,
    pads: [1, 1, 1, 1],
  },
  {
    note: 'groups of 32',
    input: [1, 96, 6, 8],
    oc: 96,
    kernel: [3, 3],
    group: 3,
    pads: [1, 1, 1, 1],
  },
  { note: 'groups of 16 to 32', input: [1, 32, 6, 8], oc: 64, kernel: [1, 1], group: 2 },
  {
    note: 'groups that fill no block',
    input: [1, 10, 6, 6],
    oc: 15,
    kernel: [3, 3],
    group: 5,
    pads: [1, 1, 1, 1],
  },
];

/** All cases as outputs of one graph; each with a residual, per-channel bias and an activation. */
/** Output vectors enough, in every ISA, for weights that are transformed late. */
const LATE_CONVS: readonly ConvCase[] = [
  { note: 'tiles of 4', input: [1, 80, 18, 18], oc: 128, kernel: [3, 3], pads: [1, 1, 1, 1] },
  { note: 'tiles of 4, several blocks', input: [1, 16, 33, 30], oc: 130, kernel: [3, 3] },
  { note: 'tiles of 2', input: [2, 96, 9, 7], oc: 128, kernel: [3, 3], pads: [1, 1, 1, 1] },
];

export function convGraph(): Graph {
  return convolutions(CONVS);
}

export function lateConvGraph(): Graph {
  return convolutions(LATE_CONVS);
}

function convolutions(cases: readonly ConvCase[]): Graph {
  const b = opBuilder('convolutions');
  const outputs = cases.map((c, i) => {
    const x = b.graph.input(`x${i}`, { dtype: 'f32', shape: c.input });
    const group = c.group ?? 1;
    const w = weights(b, [c.oc, (c.input[1] ?? 1) / group, ...c.kernel]);
    const attrs = {
      group,
      strides: c.strides ?? [1, 1],
      dilations: c.dilations ?? [1, 1],
      pads: c.pads ?? [0, 0, 0, 0],
    };
    const y = b.op('Conv', [x, w, weights(b, [c.oc])], attrs, { name: c.note });
    const residual = b.graph.input(`r${i}`, b.typeOf(y));
    const sum = b.op('Add', [y, residual]);
    return i % 2 === 0 ? b.op('Relu', [sum]) : b.op('Sigmoid', [sum]);
  });
  return b.graph.finish(outputs);
}

export function chainGraph(): Graph {
  const b = opBuilder('chain');
  const conv = (x: ValueId, oc: number, k: number, stride = 1, group = 1): ValueId => {
    const ic = (b.typeOf(x).shape[1] ?? 1) / group;
    const pad = (k - 1) / 2;
    const attrs = { strides: [stride, stride], pads: [pad, pad, pad, pad], group };
    return b.op('Conv', [x, weights(b, [oc, ic, k, k]), weights(b, [oc])], attrs);
  };
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 3, 33, 29] });
  const stem = b.op('Relu', [conv(x, 32, 3, 2)]);
  const pool = b.op('MaxPool', [stem], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });
  const left = b.op('HardSwish', [conv(pool, 48, 1)]);
  const right = b.op('Relu', [conv(conv(pool, 24, 1), 32, 3)]);
  const joined = b.op('Concat', [left, right, pool], { axis: 1 });
  const ragged = b.op('Concat', [conv(joined, 21, 1), conv(joined, 12, 3)], { axis: 1 });
  // A part of an image has no zeros beside it: the second convolution needs a copy.
  const part = conv(right, 32, 1);
  const beside = conv(b.op('Concat', [part, conv(part, 32, 3)], { axis: 3 }), 16, 3);
  const deep = conv(ragged, 33, 3, 1, 33);
  const squeeze = b.op('Sigmoid', [
    conv(b.op('Relu', [conv(b.op('GlobalAveragePool', [deep]), 8, 1)]), 33, 1),
  ]);
  const scaled = b.op('Add', [b.op('Mul', [deep, squeeze]), ragged]);
  const up = b.op('Resize', [scaled, null, b.constant(fromNumbers('f32', [4], [1, 1, 2, 2]))], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });
  const average = b.op('AveragePool', [up], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });
  const flat = b.op('Flatten', [b.op('GlobalAveragePool', [average])]);
  const out = b.op('Softmax', [
    b.op('Gemm', [flat, weights(b, [19, 33]), weights(b, [19])], { transB: 1 }),
  ]);
  return b.graph.finish([out, b.op('Transpose', [average], { perm: [0, 2, 3, 1] }), beside]);
}

interface TransposedCase {
  readonly note: string;
  readonly input: readonly number[];
  readonly oc: number;
  readonly kernel: number;
  readonly attrs: Attrs;
}

const TRANSPOSED: readonly TransposedCase[] = [
  { note: 'kernel = stride', input: [1, 24, 5, 7], oc: 24, kernel: 2, attrs: { strides: [2, 2] } },
  {
    note: 'one output channel',
    input: [1, 20, 6, 5],
    oc: 1,
    kernel: 2,
    attrs: { strides: [2, 2] },
  },
  {
    note: 'overlapping, padded',
    input: [2, 16, 5, 6],
    oc: 18,
    kernel: 4,
    attrs: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    note: 'odd kernel, output padding',
    input: [1, 8, 7, 4],
    oc: 12,
    kernel: 3,
    attrs: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
  },
  { note: 'stride 3, gaps', input: [1, 8, 4, 4], oc: 5, kernel: 2, attrs: { strides: [3, 3] } },
  { note: 'strides differ', input: [2, 8, 4, 5], oc: 20, kernel: 3, attrs: { strides: [3, 2] } },
  { note: 'a line', input: [1, 12, 9], oc: 20, kernel: 5, attrs: { strides: [5] } },
  {
    note: 'a padded line',
    input: [1, 12, 9],
    oc: 3,
    kernel: 7,
    attrs: { strides: [4], pads: [2, 3], output_padding: [1] },
  },
  { note: 'stride 1 stays', input: [1, 6, 5, 5], oc: 4, kernel: 3, attrs: {} },
];

export function transposedGraph(): Graph {
  const b = opBuilder('transposed');
  const outputs = TRANSPOSED.map((c, i) => {
    const x = b.graph.input(`x${i}`, { dtype: 'f32', shape: c.input });
    const w = weights(b, [c.input[1] ?? 1, c.oc, ...c.input.slice(2).map(() => c.kernel)]);
    const y = b.op('ConvTranspose', [x, w, weights(b, [c.oc])], c.attrs, { name: c.note });
    return b.op('Relu', [y]);
  });
  return b.graph.finish(outputs);
}

interface MatMulCase {
  readonly note: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly isConstant: boolean;
}

const MATMULS: readonly MatMulCase[] = [
  { note: 'vector', a: [1, 70], b: [70, 300], isConstant: true },
  { note: 'ragged columns', a: [37, 29], b: [29, 51], isConstant: true },
  { note: 'whole tiles', a: [2, 32, 64], b: [64, 96], isConstant: true },
  { note: 'two inputs', a: [3, 17, 33], b: [3, 33, 48], isConstant: false },
  { note: 'broadcast batch', a: [2, 3, 9, 16], b: [3, 16, 32], isConstant: false },
  { note: 'ragged input', a: [5, 8], b: [8, 13], isConstant: false },
  { note: 'rows 4 KiB apart', a: [40, 1024], b: [1024, 64], isConstant: true },
];

export function matMulGraph(): Graph {
  const b = opBuilder('products');
  const outputs = MATMULS.map((c, i) => {
    const x = b.graph.input(`a${i}`, { dtype: 'f32', shape: c.a });
    const y = c.isConstant ? weights(b, c.b) : b.graph.input(`b${i}`, { dtype: 'f32', shape: c.b });
    const product = b.op('MatMul', [x, y], {}, { name: c.note });
    const n = c.b.at(-1) ?? 1;
    return b.op('Gelu', [b.op('Add', [product, weights(b, [n])])]);
  });
  return b.graph.finish(outputs);
}

/**
 * The same products in f64, those of at most so many multiplications: as they are and with a bias,
 * or rounded to f32.
 */
export function doubleMatMulGraph(dtype: 'f64' | 'f32', most = Number.POSITIVE_INFINITY): Graph {
  const b = opBuilder('double-products');
  const constant = (shape: readonly number[]): ValueId => {
    const values = Float64Array.from({ length: elementCount(shape) }, () => random.next() - 0.5);
    return b.constant(fromNumbers('f64', shape, values));
  };
  const fitting = MATMULS.filter((c) => elementCount(c.a) * (c.b.at(-1) ?? 1) <= most);
  const outputs = fitting.flatMap((c, i) => {
    const x = b.graph.input(`a${i}`, { dtype: 'f64', shape: c.a });
    const y = c.isConstant ? constant(c.b) : b.graph.input(`b${i}`, { dtype: 'f64', shape: c.b });
    const product = b.op('MatMul', [x, y], {}, { name: c.note });
    if (dtype === 'f32') return [b.op('Cast', [product], { to: dtypeCode('f32') })];
    const again = b.op('MatMul', [b.op('Neg', [x]), y]);
    return [product, b.op('Add', [again, constant([c.b.at(-1) ?? 1])])];
  });
  return b.graph.finish(outputs);
}

export function attentionGraph(): Graph {
  const b = opBuilder('attention');
  const [s, heads, size] = [21, 3, 16];
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, s, heads * size] });
  const split = (perm: readonly number[]): ValueId => {
    const y = b.op('Add', [
      b.op('MatMul', [x, weights(b, [heads * size, heads * size])]),
      weights(b, [heads * size]),
    ]);
    return b.op('Transpose', [b.op('Reshape', [y, b.ints([1, s, heads, size])])], { perm });
  };
  const scores = b.op('Mul', [
    b.op('MatMul', [split([0, 2, 1, 3]), split([0, 2, 3, 1])]),
    b.scalar(0.25),
  ]);
  const mixed = b.op('MatMul', [b.op('Softmax', [scores], { axis: -1 }), split([0, 2, 1, 3])]);
  const joined = b.op('Reshape', [
    b.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
    b.ints([1, s, heads * size]),
  ]);
  const out = b.op(
    'LayerNormalization',
    [b.op('Add', [joined, x]), weights(b, [heads * size]), weights(b, [heads * size])],
    { axis: -1 },
  );
  return b.graph.finish([out]);
}
