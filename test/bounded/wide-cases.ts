/**
 * Operators along axes that are as long as flags are set: a Slice cuts them there, and what it leaves of the
 * inputs is no number, so that room that counts shows.
 */
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { RawNode, RawValue } from '../onnx/raw-model.ts';
import { type BoundedCase, i64, node, noise } from './cases.ts';

/** An input of the operator that is an input of the model, cut along some axes. */
export interface Cut {
  readonly shape: readonly number[];
  readonly open: readonly number[];
  /** Of these axes so many elements for each of the length. */
  readonly times?: Readonly<Record<number, number>>;
  readonly dtype?: Tensor['dtype'];
  /** Whole numbers from `least`, or 0, up to, but not including, this. */
  readonly below?: number;
  readonly least?: number;
}

export interface Spec {
  readonly inputs: readonly (Cut | Tensor | null)[];
  readonly attrs?: RawNode['attrs'];
  readonly domain?: string;
  /** Dtypes of the outputs; default: one of f32. */
  readonly outputs?: readonly Tensor['dtype'][];
  readonly opset?: number;
  /** Lengths that are tried; default: all, one less, two, one. */
  readonly lengths?: readonly number[];
}

const isCut = (input: Cut | Tensor): input is Cut => 'open' in input;

/** The operator on inputs cut to as much as flags are set, at several lengths. */
export function wide(op: string, note: string, n: number, spec: Spec): BoundedCase {
  const nodes: RawNode[] = [
    node('Cast', ['flags'], ['ones'], { to: { int: 7 } }),
    node('ReduceSum', ['ones', 'first'], ['length'], { keepdims: { int: 1 } }),
  ];
  const initializers: Record<string, Tensor> = { first: i64(0) };
  const inputs: RawValue[] = [{ name: 'flags', dtype: 'bool', shape: [n] }];
  const cuts: Cut[] = [];
  const lengthTimes = (times: number): string => {
    const [factor, made] = [`times${times}`, `length${times}`];
    if (times === 1) return 'length';
    if (initializers[factor] === undefined) nodes.push(node('Mul', ['length', factor], [made]));
    initializers[factor] = i64(times);
    return made;
  };
  const names = spec.inputs.map((input, k) => {
    if (input === null) return '';
    let name = `x${k}`;
    if (!isCut(input)) {
      initializers[name] = input;
      return name;
    }
    cuts.push(input);
    inputs.push({ name, dtype: input.dtype ?? 'f32', shape: input.shape });
    for (const axis of input.open) {
      initializers[`axis${axis}`] = i64(axis);
      const cut = `${name}_${axis}`;
      const end = lengthTimes(input.times?.[axis] ?? 1);
      nodes.push(node('Slice', [name, 'first', end, `axis${axis}`], [cut]));
      name = cut;
    }
    return name;
  });
  const types = spec.outputs ?? ['f32'];
  const outputs = types.map((_, i) => `y${i}`);
  const domain = spec.domain === undefined ? {} : { domain: spec.domain };
  nodes.push({ op, inputs: names, outputs, attrs: spec.attrs ?? {}, ...domain });
  const lengths = spec.lengths ?? [n, n - 1, 2, 1];
  return {
    name: `${op}, ${note}`,
    model: {
      opset: spec.opset ?? 18,
      ...(spec.domain === undefined ? {} : { domains: { [spec.domain]: 1 } }),
      inputs,
      outputs: outputs.map((name, i) => ({ name, dtype: types[i] ?? 'f32' })),
      initializers,
      nodes,
    },
    runs: lengths.map((length, run) => [
      fromNumbers(
        'bool',
        [n],
        Array.from({ length: n }, (_, i) => ((i * 7 + run) % n < length ? 1 : 0)),
      ),
      ...cuts.map((cut, k) => spoiled(cut, length, 7 * run + k)),
    ]),
  };
}

/** Numbers, and none where the cut takes them off. */
function spoiled(
  { shape, open, times = {}, dtype = 'f32', below, least = 0 }: Cut,
  length: number,
  seed: number,
): Tensor {
  const strides = stridesOf(shape);
  const values = toNumbers(noise(shape, seed + 1));
  const most = dtype === 'f32' ? Number.NaN : dtype === 'u8' ? 255 : 2 ** 30;
  const out = Array.from({ length: elementCount(shape) }, (_, p) => {
    const isRoom = open.some(
      (axis) =>
        Math.floor(p / (strides[axis] ?? 1)) % (shape[axis] ?? 1) >= length * (times[axis] ?? 1),
    );
    if (isRoom) return most;
    const value = values[p] ?? 0;
    return below === undefined ? value : least + Math.floor(((value + 1) / 2) * (below - least));
  });
  return fromNumbers(dtype, shape, out);
}

export const int = (value: number) => ({ int: value });
export const float = (value: number) => ({ float: value });
export const ints = (...values: number[]) => ({ ints: values });
export const text = (value: string) => ({ text: value });
const MS = 'com.microsoft';
const scalar = (value: number, dtype: Tensor['dtype'] = 'f32'): Tensor =>
  fromNumbers(dtype, [], [value]);
const bytes = (shape: readonly number[], seed: number, dtype: Tensor['dtype'] = 'u8'): Tensor =>
  fromNumbers(
    dtype,
    shape,
    toNumbers(noise(shape, seed)).map((value) => Math.floor((value + 1) * 60)),
  );
export const cut = (shape: readonly number[], ...open: number[]): Cut => ({ shape, open });
const byteCut = (shape: readonly number[], ...open: number[]): Cut => ({
  ...{ shape, open, dtype: 'u8', below: 200 },
});

const PICTURE = [2, 3, 9, 9] as const;
const open = (): Cut => cut(PICTURE, 2, 3);
const kernel = noise([4, 3, 3, 3], 50);

const WINDOWS: readonly BoundedCase[] = [
  wide('Conv', 'rows and columns', 9, {
    inputs: [open(), kernel, noise([4], 51)],
    attrs: { pads: ints(1, 0, 1, 2), strides: ints(2, 1) },
    lengths: [9, 8, 5, 3],
  }),
  ...['SAME_UPPER', 'SAME_LOWER'].map((mode) =>
    wide('Conv', mode, 9, {
      inputs: [open(), kernel],
      attrs: { auto_pad: text(mode), strides: ints(2, 3) },
    }),
  ),
  wide('Conv', 'pictures and channels', 3, {
    inputs: [cut([3, 3, 5, 5], 0, 1), cut([4, 3, 3, 3], 1)],
    attrs: { pads: ints(1, 1, 1, 1) },
  }),
  wide('ConvTranspose', 'rows and columns', 9, {
    inputs: [open(), noise([3, 2, 3, 3], 52)],
    attrs: { pads: ints(1, 0, 1, 1), strides: ints(2, 2), output_padding: ints(1, 0) },
  }),
  wide('MaxPool', 'ceil mode', 9, {
    inputs: [open()],
    attrs: { kernel_shape: ints(3, 3), strides: ints(2, 2), ceil_mode: int(1) },
    lengths: [9, 8, 5, 3],
  }),
  wide('MaxPool', 'positions', 9, {
    inputs: [open()],
    attrs: { kernel_shape: ints(2, 2), strides: ints(2, 2) },
    outputs: ['f32', 'i64'],
    lengths: [9, 8, 5, 3],
  }),
  ...[0, 1].map((counts) =>
    wide('AveragePool', `padding counted: ${counts}`, 9, {
      inputs: [open()],
      attrs: {
        ...{ kernel_shape: ints(3, 3), strides: ints(2, 2), pads: ints(1, 1, 1, 1) },
        count_include_pad: int(counts),
      },
    }),
  ),
  wide('LpPool', 'rows and columns', 9, {
    inputs: [open()],
    attrs: { kernel_shape: ints(2, 2), strides: ints(2, 1) },
    lengths: [9, 8, 5, 3],
  }),
  ...['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((op) =>
    wide(op, 'rows and columns', 9, { inputs: [open()] }),
  ),
];

const resize = (note: string, attrs: RawNode['attrs'], scale: number): BoundedCase =>
  wide('Resize', note, 9, {
    inputs: [open(), null, fromNumbers('f32', [4], [1, 1, scale, scale])],
    attrs,
  });

const PICTURES: readonly BoundedCase[] = [
  resize('nearest', { mode: text('nearest'), nearest_mode: text('floor') }, 2),
  resize('linear', { mode: text('linear') }, 2),
  resize(
    'linear, aligned',
    {
      ...{ mode: text('linear'), coordinate_transformation_mode: text('align_corners') },
    },
    3,
  ),
  resize('cubic', { mode: text('cubic'), cubic_coeff_a: float(-0.5) }, 2),
  resize(
    'smaller',
    {
      ...{ mode: text('linear'), coordinate_transformation_mode: text('asymmetric') },
    },
    0.5,
  ),
  wide('Resize', 'to a size', 9, {
    inputs: [open(), null, null, i64(2, 3, 6, 12)],
    attrs: { mode: text('linear') },
  }),
  wide('GridSample', 'grids of all sizes', 9, {
    inputs: [noise([2, 3, 4, 4], 61), cut([2, 9, 9, 2], 1, 2)],
    opset: 16,
  }),
  ...['reflect', 'edge', 'wrap'].map((mode) =>
    wide('Pad', mode, 9, {
      inputs: [open(), i64(0, 0, 1, 0, 0, 0, 1, 2)],
      attrs: { mode: text(mode) },
      opset: 19,
      lengths: [9, 8, 5, 3],
    }),
  ),
  wide('DepthToSpace', 'rows and columns', 9, {
    inputs: [cut([1, 8, 9, 9], 2, 3)],
    attrs: { blocksize: int(2), mode: text('CRD') },
  }),
];

const NORMALISATIONS: readonly BoundedCase[] = [
  wide('LayerNormalization', 'along what is unknown', 6, {
    inputs: [cut([2, 3, 6], 2), cut([6], 0), cut([6], 0)],
  }),
  wide('LayerNormalization', 'two axes', 6, {
    inputs: [cut([2, 6, 4], 1), cut([6, 4], 0)],
    attrs: { axis: int(1) },
  }),
  wide('InstanceNormalization', 'rows and columns', 9, {
    inputs: [open(), noise([3], 70), noise([3], 71)],
  }),
  wide('LRN', 'channels, rows', 6, { inputs: [cut([2, 6, 6, 3], 1, 2)], attrs: { size: int(3) } }),
  wide('MeanVarianceNormalization', 'rows and columns', 9, { inputs: [open()] }),
  wide('LpNormalization', 'along what is unknown', 6, { inputs: [cut([2, 6], 1)] }),
  wide('BatchNormalization', 'channels', 6, {
    inputs: [cut([2, 6, 3], 1), ...[0, 1, 2, 3].map(() => cut([6], 0))],
    attrs: { epsilon: float(4) },
  }),
  ...['Softmax', 'LogSoftmax', 'Hardmax'].map((op) =>
    wide(op, 'along what is unknown', 6, { inputs: [cut([2, 6, 3], 1)], attrs: { axis: int(1) } }),
  ),
];

const recurrent = (
  op: string,
  gates: number,
  made: readonly Tensor['dtype'][],
): readonly BoundedCase[] =>
  ['forward', 'reverse', 'bidirectional'].flatMap((direction) => {
    const lines = direction === 'bidirectional' ? 2 : 1;
    const weights = [noise([lines, gates * 3, 2], 80), noise([lines, gates * 3, 3], 81)];
    const attrs = { hidden_size: int(3), direction: text(direction) };
    return [
      wide(op, `steps, ${direction}`, 5, {
        inputs: [cut([5, 2, 2], 0), ...weights],
        ...{ attrs, outputs: made },
      }),
      wide(op, `sequences, ${direction}`, 5, {
        inputs: [
          ...[cut([4, 5, 2], 1), ...weights, null],
          { shape: [5], open: [0], dtype: 'i32', below: 5, least: 1 },
          cut([lines, 5, 3], 1),
        ],
        ...{ attrs, outputs: made },
      }),
    ];
  });

const RECURRENT: readonly BoundedCase[] = [
  ...recurrent('RNN', 1, ['f32', 'f32']),
  ...recurrent('GRU', 3, ['f32', 'f32']),
  ...recurrent('LSTM', 4, ['f32', 'f32', 'f32']),
];

const PRODUCTS: readonly BoundedCase[] = [
  wide('Einsum', 'attention scores', 5, {
    inputs: [cut([2, 5, 3, 4], 1), cut([2, 5, 3, 4], 1)],
    attrs: { equation: text('bihd,bjhd->bhij') },
  }),
  wide('Einsum', 'summed over what is unknown', 5, {
    inputs: [cut([2, 5], 1), cut([5, 3], 0)],
    attrs: { equation: text('ij,jk->ik') },
  }),
  wide('FusedMatMul', 'transposed', 5, {
    inputs: [cut([2, 5, 3], 1), cut([2, 4, 5], 2)],
    attrs: { transA: int(1), transB: int(1), alpha: float(0.5) },
    domain: MS,
  }),
  wide('MatMulInteger', 'summed over what is unknown', 5, {
    outputs: ['i32'],
    inputs: [byteCut([3, 5], 1), byteCut([5, 2], 0), scalar(7, 'u8'), scalar(100, 'u8')],
  }),
  wide('ConvInteger', 'rows and columns', 9, {
    outputs: ['i32'],
    inputs: [byteCut([1, 3, 9, 9], 2, 3), bytes([2, 3, 3, 3], 90), scalar(9, 'u8')],
    attrs: { pads: ints(1, 1, 1, 1) },
  }),
  wide('QLinearMatMul', 'summed over what is unknown', 5, {
    outputs: ['u8'],
    inputs: [
      ...[byteCut([3, 5], 1), scalar(0.02), scalar(8, 'u8')],
      ...[byteCut([5, 2], 0), scalar(0.03), scalar(90, 'u8')],
      ...[scalar(0.5), scalar(100, 'u8')],
    ],
  }),
  wide('QLinearConv', 'rows and columns', 9, {
    outputs: ['u8'],
    inputs: [
      ...[byteCut([1, 3, 9, 9], 2, 3), scalar(0.02), scalar(9, 'u8')],
      ...[bytes([2, 3, 3, 3], 91), scalar(0.03), scalar(60, 'u8')],
      ...[scalar(0.5), scalar(100, 'u8')],
    ],
    attrs: { pads: ints(1, 1, 1, 1) },
  }),
  wide('QLinearAdd', 'rows', 5, {
    outputs: ['u8'],
    inputs: [
      ...[byteCut([5, 4], 0), scalar(0.02), scalar(9, 'u8')],
      ...[byteCut([1, 4]), scalar(0.03), scalar(60, 'u8')],
      ...[scalar(0.05), scalar(100, 'u8')],
    ],
    domain: MS,
  }),
  wide('DynamicQuantizeLinear', 'rows', 5, {
    inputs: [cut([5, 4], 0)],
    outputs: ['u8', 'f32', 'u8'],
  }),
  wide('QuantizeLinear', 'per channel', 5, {
    outputs: ['u8'],
    inputs: [cut([2, 5], 1), fromNumbers('f32', [2], [0.01, 0.02]), bytes([2], 92)],
    attrs: { axis: int(0) },
  }),
];

const ATTENTION: readonly BoundedCase[] = [
  ...[0, 1].map((causal) =>
    wide('Attention', `queries and keys, causal: ${causal}`, 5, {
      inputs: [cut([2, 5, 8], 1), cut([2, 5, 8], 1), cut([2, 5, 8], 1)],
      attrs: { q_num_heads: int(2), kv_num_heads: int(2), is_causal: int(causal) },
      opset: 23,
    }),
  ),
  wide('MultiHeadAttention', 'batch', 3, {
    inputs: [0, 1, 2].map(() => cut([3, 4, 8], 0)),
    ...{ attrs: { num_heads: int(2) }, domain: MS },
  }),
  wide('MultiHeadAttention', 'keys', 5, {
    inputs: [noise([2, 3, 8], 95), cut([2, 5, 8], 1), cut([2, 5, 8], 1)],
    ...{ attrs: { num_heads: int(2) }, domain: MS },
  }),
  wide('MultiHeadAttention', 'queries and keys, causal', 5, {
    inputs: [0, 1, 2].map(() => cut([2, 5, 8], 1)),
    ...{ attrs: { num_heads: int(2), unidirectional: int(1) }, domain: MS },
  }),
  wide('Attention', "com.microsoft's, length", 5, {
    inputs: [cut([2, 5, 4], 1), noise([4, 24], 96), noise([24], 97)],
    ...{ attrs: { num_heads: int(2) }, domain: MS },
  }),
  wide('SkipLayerNormalization', 'length', 5, {
    inputs: [cut([2, 5, 4], 1), cut([2, 5, 4], 1), noise([4], 98), noise([4], 99)],
    domain: MS,
  }),
  wide('EmbedLayerNormalization', 'length', 5, {
    inputs: [
      ...[{ shape: [2, 5], open: [1], dtype: 'i32', below: 6 } as const, null],
      ...[noise([6, 4], 101), noise([8, 4], 102), null, noise([4], 103), noise([4], 104)],
    ],
    ...{ domain: MS, outputs: ['f32', 'i32'] },
  }),
  wide('RotaryEmbedding', 'length', 5, {
    inputs: [
      ...[cut([2, 5, 8], 1), { shape: [2, 5], open: [1], dtype: 'i64', below: 8 } as const],
      ...[noise([8, 2], 105), noise([8, 2], 106)],
    ],
    ...{ attrs: { num_heads: int(2) }, domain: MS },
  }),
  wide('BiasGelu', 'length', 5, { inputs: [cut([2, 5, 4], 1), noise([4], 107)], domain: MS }),
  wide('FastGelu', 'length', 5, { inputs: [cut([2, 5, 4], 1), noise([4], 108)], domain: MS }),
];

const OTHERS: readonly BoundedCase[] = [
  wide('ReverseSequence', 'sequences', 4, {
    inputs: [cut([5, 4, 2], 1), { shape: [4], open: [0], dtype: 'i64', below: 6 }],
  }),
  wide('Det', 'matrices of all sizes', 4, { inputs: [cut([3, 4, 4], 1, 2)] }),
  wide('Unique', 'long slices', 5, {
    inputs: [{ shape: [5, 70], open: [0], dtype: 'i64', below: 2 }],
    attrs: { axis: int(0) },
    outputs: ['i64', 'i64', 'i64', 'i64'],
  }),
  wide('Unique', 'slices of unknown length', 4, {
    inputs: [{ shape: [6, 4], open: [1], dtype: 'i64', below: 2 }],
    attrs: { axis: int(0) },
    outputs: ['i64', 'i64', 'i64', 'i64'],
  }),
  wide('DFT', 'as many points as there are', 6, {
    inputs: [cut([2, 6, 1], 1)],
    attrs: { axis: int(1) },
    opset: 17,
  }),
  wide('STFT', 'signals of all lengths', 12, {
    inputs: [cut([1, 12, 1], 1), scalar(2, 'i64'), noise([4], 110), scalar(4, 'i64')],
    ...{ opset: 17, lengths: [12, 11, 7, 4] },
  }),
  wide('CenterCropPad', 'rows', 6, { inputs: [cut([6, 4], 0), i64(4, 6)] }),
  wide('NegativeLogLikelihoodLoss', 'weighted mean', 6, {
    inputs: [
      cut([6, 3], 0),
      { shape: [6], open: [0], dtype: 'i64', below: 3 },
      fromNumbers('f32', [3], [0.2, 0.5, 1]),
    ],
  }),
];

export const WIDE_CASES: readonly BoundedCase[] = [
  ...WINDOWS,
  ...PICTURES,
  ...NORMALISATIONS,
  ...RECURRENT,
  ...PRODUCTS,
  ...ATTENTION,
  ...OTHERS,
];
