/** com.microsoft's GatherBlockQuantized and MatMulBnb4: tables and weights of few bits, in blocks. */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, i64, tensor } from '../math/samples.ts';
import { matMulGeometry, multiply } from '../nn/matmul-geometry.ts';
import { sample } from '../nn/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { MICROSOFT } from './alias.ts';
import { castTo } from './attend.ts';

const DATA: readonly DType[] = ['u4', 'i4', 'u8'];

interface Table {
  readonly gather: number;
  readonly quantize: number;
  readonly block: number;
  readonly bits: number;
  /** Elements of the table in a byte of it: 2 where 4-bit elements come in bytes. */
  readonly per: number;
  /** The table's shape in elements. */
  readonly shape: readonly number[];
}

type NodeRef = { readonly node: string; readonly op: string };

function tableOf(ctx: NodeRef, attrs: Attrs, dtype: DType, stored: readonly number[]): Table {
  const bits = intAttr(attrs, 'bits');
  const per = dtype === 'u8' && bits === 4 ? 2 : 1;
  if (bits !== 4 && bits !== 8) typeError(ctx, `bits is ${bits}; it takes 4 or 8`);
  const rank = stored.length;
  return {
    gather: normalizeAxis(ctx, intAttr(attrs, 'gather_axis'), rank),
    quantize: normalizeAxis(ctx, intAttr(attrs, 'quantize_axis'), rank),
    block: intAttr(attrs, 'block_size'),
    ...{ bits, per },
    shape: stored.map((extent, i) => (i === rank - 1 ? extent * per : extent)),
  };
}

/** Where there is no zero point: the middle for bytes, 0 for 4-bit types. */
function usualZero(dtype: DType, bits: number): number {
  return dtype === 'u8' ? 2 ** (bits - 1) : 0;
}

const gatherBlockQuantized: CompositeOp = defineOp({
  kind: 'composite',
  name: 'GatherBlockQuantized',
  domain: MICROSOFT,
  doc: 'Slices of a table that is quantised in blocks, in real numbers.',
  since: 1,
  attrs: { bits: int(4), block_size: int(128), gather_axis: int(0), quantize_axis: int(1) },
  infer: (ctx: InferContext) => {
    const [data, indices, scales] = [inputType(ctx, 0), inputType(ctx, 1), inputType(ctx, 2)];
    requireDType(ctx, data, DATA, 'the table');
    requireDType(ctx, indices, ['i32', 'i64'], 'the indices');
    requireDType(ctx, scales, ['f32', 'f16', 'bf16'], 'the scales');
    const table = tableOf(ctx, ctx.attrs, data.dtype, data.shape);
    const { shape, quantize, gather, block, per } = table;
    if (block < 1 || gather === quantize) shapeError(ctx, 'its axes or blocks do not fit');
    if (per === 2 && quantize !== shape.length - 1) {
      shapeError(ctx, 'elements in bytes are quantised along the last axis');
    }
    const blocks = shape.with(quantize, Math.ceil(at(shape, quantize) / block));
    if (scales.shape.join() !== blocks.join()) {
      shapeError(ctx, `scales [${scales.shape.join(',')}] for [${shape.join(',')}] by ${block}`);
    }
    const zeros = optionalType(ctx, 3);
    if (zeros !== undefined) {
      requireDType(ctx, zeros, [data.dtype], 'the zero points');
      const last = at(blocks, blocks.length - 1);
      const wanted = blocks.with(blocks.length - 1, Math.ceil(last / per));
      if (zeros.shape.join() !== wanted.join()) {
        shapeError(ctx, `zero points [${zeros.shape.join(',')}]; they take [${wanted.join(',')}]`);
      }
    }
    const out = [...shape.slice(0, gather), ...indices.shape, ...shape.slice(gather + 1)];
    return [{ dtype: scales.dtype, shape: out }];
  },
  decompose: (b, inputs, ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const table = tableOf(ctx, ctx.attrs, dtype, shape);
    const indices = inputs[1] ?? null;
    const pick = (x: ValueId): ValueId => b.op('Gather', [x, indices], { axis: table.gather });
    const data = unpackNodes(b, pick(inputs[0] as ValueId), table.per);
    const scales = pick(inputs[2] as ValueId);
    const extra = (inputType(ctx, 1).shape.length ?? 0) - 1;
    const axis = table.quantize > table.gather ? table.quantize + extra : table.quantize;
    const extent = at(table.shape, table.quantize);
    const spread = (x: ValueId): ValueId => {
      return b.op('Gather', [x, blockNodes(b, extent, table.block)], { axis });
    };
    const zeros = inputs[3] ?? null;
    const scale = castTo(b, scales, 'f32');
    const zero =
      zeros === null
        ? b.scalar(usualZero(dtype, table.bits))
        : spread(castTo(b, unpackNodes(b, pick(zeros), table.per), 'f32'));
    const steps = b.op('Sub', [castTo(b, data, 'f32'), zero]);
    const real = b.op('Mul', [steps, spread(scale)]);
    return [castTo(b, real, at(ctx.outputs, 0).dtype)];
  },
  reference: (inputs, attrs, ctx) => {
    const [data, indices, scales] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
    const node = { node: ctx.node, op: 'GatherBlockQuantized' };
    const table = tableOf(node, attrs, data.dtype, data.shape);
    const { shape, gather, quantize, block, per, bits } = table;
    const { dtype, shape: out } = at(ctx.outputTypes, 0);
    const bytes = toNumbers(data);
    const zeros = inputs[3] ? toNumbers(inputs[3] as Tensor) : undefined;
    const blocks = shape.with(quantize, Math.ceil(at(shape, quantize) / block));
    const last = at(blocks, blocks.length - 1);
    const rowBytes = Math.ceil(last / per);
    const field = (list: Float64Array, byte: number, which: number): number => {
      const value = list[byte] as number;
      return per === 1 ? value : Math.floor(value / 16 ** which) % 16;
    };
    const [strides, blockStrides, outStrides] = [shape, blocks, out].map(stridesOf) as [
      ...[number[], number[], number[]],
    ];
    const rank = indices.shape.length;
    const wanted = toNumbers(indices);
    const values = Array.from({ length: elementCount(out) }, (_, flat) => {
      const place = out.map((extent, k) => Math.floor(flat / at(outStrides, k)) % extent);
      const which = indices.shape.reduce(
        (sum, extent, k) => sum * extent + at(place, gather + k),
        0,
      );
      const row = checkedIndex(ctx.node, wanted[which], at(shape, gather));
      const own = [...place.slice(0, gather), row, ...place.slice(gather + rank)];
      const offset = own.reduce((sum, p, k) => sum + p * at(strides, k), 0);
      const inBlocks = own.with(quantize, Math.floor(at(own, quantize) / block));
      const scaleAt = inBlocks.reduce((sum, p, k) => sum + p * at(blockStrides, k), 0);
      const zeroAt = Math.floor(scaleAt / last) * rowBytes;
      const column = scaleAt % last;
      const zero =
        zeros === undefined
          ? usualZero(data.dtype, bits)
          : field(zeros, zeroAt + Math.floor(column / per), column % per);
      const step = field(bytes, Math.floor(offset / per), offset % per);
      return (step - zero) * (toNumbers(scales)[scaleAt] as number);
    });
    return [fromNumbers(dtype, out, values)];
  },
  cases: () => {
    const indices = i64([2], [2, 0]);
    return [
      {
        note: '4 bits in bytes, packed zero points',
        inputs: [
          ...[sample([3, 16], 1, 'u8'), indices, sample([3, 2], 2)],
          tensor('u8', [3, 1], [0x87, 0x96, 0x7a]),
        ],
        attrs: { block_size: 16 },
      },
      {
        note: '8 bits',
        inputs: [sample([3, 32], 1, 'u8'), i64([1, 2], [1, 2]), sample([3, 2], 2)],
        attrs: { block_size: 16, bits: 8 },
      },
      {
        note: 'i4',
        inputs: [
          tensor(
            'i4',
            [3, 16],
            Array.from({ length: 48 }, (_, i) => (i % 16) - 8),
          ),
          indices,
          sample([3, 1], 2),
        ],
        attrs: { block_size: 16 },
      },
    ];
  },
});

/** Elements of a list of block numbers that is stored: with stored weights all of it is computed at once. */
const MAX_STORED = 2 ** 26;

/** The number of each element's block. */
function blockNodes(b: OpBuilder, count: number, block: number): ValueId {
  if (count > MAX_STORED) return b.op('Div', [b.positions(count), b.scalar(block, 'i64')]);
  const places = Float64Array.from({ length: count }, (_, i) => Math.floor(i / block));
  return b.constant(fromNumbers('i64', [count], places));
}

/** Bytes of two 4-bit elements each, the lower one first, as bytes of one. */
function unpackNodes(b: OpBuilder, x: ValueId, per: number): ValueId {
  if (per === 1) return x;
  const { shape } = b.typeOf(x);
  const low = b.op('BitwiseAnd', [x, b.scalar(15, 'u8')]);
  const high = b.op('BitShift', [x, b.scalar(4, 'u8')], { direction: 'RIGHT' });
  const pairs = [low, high].map((part) => b.op('Unsqueeze', [part, b.ints([-1])]));
  const both = b.op('Concat', pairs, { axis: shape.length });
  const width = at(shape, shape.length - 1) * 2;
  return b.reshape(both, [...shape.slice(0, -1), width]);
}

/** The values of 4-bit floats (FP4) and normal floats (NF4), as bitsandbytes has them. */
const FP4 = [
  ...[0, 5.208333333e-3, 2 / 3, 1, 1 / 3, 0.5, 1 / 6, 0.25],
  ...[-0, -5.208333333e-3, -2 / 3, -1, -1 / 3, -0.5, -1 / 6, -0.25],
];
const NF4 = [
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453],
  ...[-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0],
  ...[0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
  ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
];

const matMulBnb4: CompositeOp = defineOp({
  kind: 'composite',
  name: 'MatMulBnb4',
  domain: MICROSOFT,
  doc: 'Matrix product with weights of 4-bit floats in blocks (bitsandbytes), widened when compiled.',
  since: 1,
  attrs: {
    K: requiredInt,
    N: requiredInt,
    block_size: requiredInt,
    quant_type: requiredInt,
    training_mode: int(0),
    transB: int(1),
  },
  infer: (ctx: InferContext) => {
    const [k, n, block] = ['K', 'N', 'block_size'].map((name) => intAttr(ctx.attrs, name)) as [
      ...[number, number, number],
    ];
    const a = inputType(ctx, 0);
    requireDType(ctx, a, ['f32', 'f16', 'bf16']);
    requireDType(ctx, inputType(ctx, 1), ['u8'], 'the weights');
    const [bytes, scales] = [inputType(ctx, 1), inputType(ctx, 2)].map(({ shape }) =>
      elementCount(shape),
    );
    if (intAttr(ctx.attrs, 'transB') === 0) typeError(ctx, 'transB 0 is not supported');
    if (
      a.shape.at(-1) !== k ||
      bytes !== Math.ceil((n * k) / 2) ||
      scales !== Math.ceil((n * k) / block)
    ) {
      shapeError(ctx, `K ${k}, N ${n} and blocks of ${block} do not fit its inputs`);
    }
    return [{ dtype: a.dtype, shape: [...a.shape.slice(0, -1), n] }];
  },
  decompose: (b, inputs, ctx) => {
    const [k, n, block] = ['K', 'N', 'block_size'].map((name) => intAttr(ctx.attrs, name)) as [
      ...[number, number, number],
    ];
    const packed = b.op('Reshape', [inputs[1] ?? null, b.ints([-1])]);
    const high = b.op('BitShift', [packed, b.scalar(4, 'u8')], { direction: 'RIGHT' });
    const low = b.op('BitwiseAnd', [packed, b.scalar(15, 'u8')]);
    const pairs = [high, low].map((part) => b.op('Unsqueeze', [part, b.ints([-1])]));
    const all = b.op('Reshape', [b.op('Concat', pairs, { axis: 1 }), b.ints([-1])]);
    const codes = b.op('Cast', [all], { to: dtypeCode('i64') });
    const table = b.constant(f32([16], intAttr(ctx.attrs, 'quant_type') === 0 ? FP4 : NF4));
    const scales = castTo(b, b.op('Reshape', [inputs[2] ?? null, b.ints([-1])]), 'f32');
    const kept = b.op('Slice', [codes, b.ints([0]), b.ints([n * k]), b.ints([0])]);
    const weights = b.op('Mul', [
      b.op('Gather', [table, kept]),
      b.op('Gather', [scales, blockNodes(b, n * k, block)]),
    ]);
    const { dtype } = inputType(ctx, 0);
    const matrix = b.reshape(castTo(b, weights, dtype), [n, k]);
    return [b.op('MatMul', [inputs[0] ?? null, b.op('Transpose', [matrix], { perm: [1, 0] })])];
  },
  reference: (inputs, attrs, ctx) => {
    const [k, n, block] = ['K', 'N', 'block_size'].map((name) => intAttr(attrs, name)) as [
      ...[number, number, number],
    ];
    const [a, bytes, scales] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)].map((x) =>
      toNumbers(x),
    ) as [Float64Array, Float64Array, Float64Array];
    const table = intAttr(attrs, 'quant_type') === 0 ? FP4 : NF4;
    const weights = new Float64Array(k * n);
    for (let i = 0; i < n * k; i++) {
      const byte = bytes[Math.floor(i / 2)] as number;
      const code = i % 2 === 0 ? Math.floor(byte / 16) : byte % 16;
      const value = at(table, code) * (scales[Math.floor(i / block)] as number);
      weights[(i % k) * n + Math.floor(i / k)] = value;
    }
    const { shape } = given(inputs, 0);
    const geo = matMulGeometry({ node: ctx.node, op: 'MatMulBnb4' }, shape, [k, n]);
    const { dtype, shape: out } = at(ctx.outputTypes, 0);
    return [fromNumbers(dtype, out, multiply(geo, a, weights))];
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-4 } },
  cases: () => {
    const bytes = tensor(
      'u8',
      [48],
      Array.from({ length: 48 }, (_, i) => (i * 37) % 256),
    );
    return [0, 1].map((quant_type) => ({
      note: quant_type === 0 ? 'FP4' : 'NF4',
      inputs: [sample([2, 32], 1), bytes, sample([6], 2)],
      attrs: { K: 32, N: 3, block_size: 16, quant_type },
    }));
  },
});

export const PACKED_WEIGHTS: readonly OpDef[] = [gatherBlockQuantized, matMulBnb4];
