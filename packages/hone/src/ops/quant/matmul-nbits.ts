/**
 * com.microsoft's MatMulNBits: a matrix product whose weights have 2, 4 or 8 bits, packed along k in
 * blocks with a scale and a zero point each. The weights stay packed; a product dequantises them as
 * it reads them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, constant, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given, outputOf } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { add, apply, computeType, mul, sub, widen } from '../math/scalar.ts';
import { sample } from '../nn/samples.ts';

const [DATA, WEIGHTS, SCALES, ZEROS, ORDER, BIAS] = [0, 1, 2, 3, 4, 5] as const;
const SCALE_DTYPES: readonly DType[] = ['f32', 'f16', 'bf16'];

export interface Packing {
  readonly k: number;
  readonly n: number;
  readonly bits: number;
  /** Elements of k that share a scale. */
  readonly block: number;
  readonly blocks: number;
  /** Bytes of one column's zero points, where they are packed. */
  readonly zeroBytes: number;
}

export function packingOf(attrs: Attrs): Packing {
  const [k, n, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) =>
    intAttr(attrs, name),
  ) as [number, number, number, number];
  const blocks = Math.ceil(k / block);
  return { k, n, bits, block, blocks, zeroBytes: Math.ceil((blocks * bits) / 8) };
}

function check(ctx: InferContext): Packing {
  const p = packingOf(ctx.attrs);
  if (![2, 4, 8].includes(p.bits)) shapeError(ctx, `bits is ${p.bits}; it takes 2, 4 or 8`);
  // Powers of two from 16 on where a model has it; blocks of whole bytes where a pass made it.
  if (p.block < 1 || (p.block * p.bits) % 8 !== 0) {
    shapeError(ctx, `block_size is ${p.block}; blocks take whole bytes`);
  }
  if (p.k < 1 || p.n < 1) shapeError(ctx, `K is ${p.k} and N is ${p.n}`);
  const a = inputType(ctx, DATA);
  requireDType(ctx, a, FLOATS);
  if (a.shape.at(-1) !== p.k) {
    shapeError(ctx, `the data [${a.shape.join(',')}] does not end with K = ${p.k}`);
  }
  const counts = [
    [WEIGHTS, ['u8'], [p.n * p.blocks * ((p.block * p.bits) / 8)]],
    [SCALES, SCALE_DTYPES, [p.n * p.blocks]],
    [ZEROS, ['u8', ...SCALE_DTYPES], [p.n * p.zeroBytes, p.n * p.blocks]],
    [BIAS, FLOATS, [p.n]],
  ] as const;
  for (const [k, dtypes, elements] of counts) {
    const type = k === ZEROS || k === BIAS ? optionalType(ctx, k) : inputType(ctx, k);
    if (type === undefined) continue;
    requireDType(ctx, type, dtypes, `input ${k}`);
    if (k === BIAS && type.shape.length !== 1) {
      shapeError(ctx, `the bias has shape [${type.shape.join(',')}]; it takes [${p.n}]`);
    }
    if (elements.some((count) => count === elementCount(type.shape))) continue;
    shapeError(
      ctx,
      `input ${k} has shape [${type.shape.join(',')}]; K, N and bits ask for ${elements[0]} elements`,
    );
  }
  return p;
}

/** Element (row, column) of an operand stored [n][width] in row-major order under any shape. */
function loadPacked(k: number, type: ValueType, width: number, row: Expr, column: Expr): Expr {
  const { dtype, shape } = type;
  const rest = elementCount(shape.slice(1));
  if (shape.length === 2 && rest === width) return load(`${k}`, dtype, [row, column]);
  if (shape.length === 3 && rest === width) {
    const inner = index(at(shape, 2));
    const [outer, last] = [apply('floordiv', column, inner), apply('mod', column, inner)];
    return load(`${k}`, dtype, [row, outer, last]);
  }
  const flat = iadd(imul(row, width), column);
  const strides = stridesOf(shape);
  const places = shape.map((extent, i) =>
    shape.length === 1
      ? flat
      : apply('mod', apply('floordiv', flat, index(at(strides, i))), index(extent)),
  );
  return load(`${k}`, dtype, places);
}

/** Number `position` of those packed into the bytes of a row. */
function unpacked(bits: number, position: Expr, byteAt: (byte: Expr) => Expr): Expr {
  if (bits === 8) return cast('i32', byteAt(position));
  const per = 8 / bits;
  const byte = cast('i32', byteAt(apply('floordiv', position, index(per))));
  const shift = cast('i32', imul(apply('mod', position, index(per)), bits));
  return binary('and', binary('shr', byte, shift), constant('i32', 2 ** bits - 1));
}

export const matMulNBits = defineOp({
  kind: 'core',
  name: 'MatMulNBits',
  domain: 'com.microsoft',
  doc: 'Matrix product with weights of 2, 4 or 8 bits in blocks, which stay packed.',
  since: 1,
  attrs: {
    K: requiredInt,
    N: requiredInt,
    bits: int(4),
    block_size: requiredInt,
    accuracy_level: int(0),
    weight_prepacked: int(0),
  },
  infer: (ctx) => {
    const { n } = check(ctx);
    const { dtype, shape } = inputType(ctx, DATA);
    return [{ dtype, shape: [...shape.slice(0, -1), n] }];
  },
  lower: (ctx) => {
    if (ctx.inputs[ORDER]) return 'a group index (g_idx) is not supported';
    if (intAttr(ctx.attrs, 'weight_prepacked') !== 0) return 'its weights are packed for a device';
    const p = packingOf(ctx.attrs);
    const { dtype, shape } = at(ctx.outputs, 0);
    const axes = outAxes(shape.length);
    const column = at(axes, shape.length - 1);
    const k = axis('r0');
    const block = apply('floordiv', k, index(p.block));
    const rowBytes = (p.blocks * p.block * p.bits) / 8;
    const weight = unpacked(p.bits, k, (byte) =>
      loadPacked(WEIGHTS, inputType(ctx, WEIGHTS), rowBytes, column, byte),
    );
    const zeros = optionalType(ctx, ZEROS);
    const zero =
      zeros === undefined
        ? constant('f32', 2 ** (p.bits - 1))
        : zeros.dtype === 'u8'
          ? unpacked(p.bits, block, (byte) => loadPacked(ZEROS, zeros, p.zeroBytes, column, byte))
          : loadPacked(ZEROS, zeros, p.blocks, column, block);
    const scale = loadPacked(SCALES, inputType(ctx, SCALES), p.blocks, column, block);
    const accDtype = computeType(dtype);
    const bias = optionalType(ctx, BIAS);
    const sum = acc(0, accDtype);
    const value =
      bias === undefined ? sum : add(sum, cast(accDtype, load(`${BIAS}`, bias.dtype, [column])));
    return [
      {
        kind: 'contract',
        axes: shape,
        reduceAxes: [p.k],
        a: widen(load(`${DATA}`, dtype, [...axes.slice(0, -1), k])),
        b: cast(accDtype, mul(sub(cast('f32', weight), cast('f32', zero)), cast('f32', scale))),
        accDtype,
        outIndex: axes,
        epilogue: cast(dtype, value),
        spec: { kind: 'blockwise', n: p.n, k: p.k, bits: p.bits, block: p.block },
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const p = packingOf(attrs);
    const weights = realWeights(inputs, p);
    const x = toNumbers(given(inputs, DATA));
    const bias = inputs[BIAS] ? toNumbers(inputs[BIAS] as Tensor) : undefined;
    const { dtype, shape } = outputOf(ctx);
    const rows = elementCount(shape) / p.n;
    const out = new Float64Array(rows * p.n);
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < p.n; n++) {
        let sum = bias?.[n] ?? 0;
        for (let k = 0; k < p.k; k++) {
          sum += (x[m * p.k + k] as number) * (weights[n * p.k + k] as number);
        }
        out[m * p.n + n] = sum;
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-4 } },
  cases: nbitsCases,
});

/** The weights in real numbers, [n][k]. */
function realWeights(inputs: readonly (Tensor | null)[], p: Packing): Float64Array {
  const bytes = toNumbers(given(inputs, WEIGHTS));
  const scales = toNumbers(given(inputs, SCALES));
  const zeros = inputs[ZEROS] ?? null;
  const zeroValues = zeros === null ? undefined : toNumbers(zeros);
  const groups = inputs[ORDER] ? toNumbers(inputs[ORDER] as Tensor) : undefined;
  const per = 8 / p.bits;
  const field = (list: Float64Array, from: number, position: number): number => {
    const byte = list[from + Math.floor(position / per)] as number;
    return Math.floor(byte / 2 ** (p.bits * (position % per))) % 2 ** p.bits;
  };
  const rowBytes = (p.blocks * p.block) / per;
  const out = new Float64Array(p.n * p.k);
  for (let n = 0; n < p.n; n++) {
    for (let k = 0; k < p.k; k++) {
      const block = groups === undefined ? Math.floor(k / p.block) : (groups[k] as number);
      let zero = 2 ** (p.bits - 1);
      if (zeroValues !== undefined) {
        zero =
          zeros?.dtype === 'u8'
            ? field(zeroValues, n * p.zeroBytes, block)
            : (zeroValues[n * p.blocks + block] as number);
      }
      const scale = scales[n * p.blocks + block] as number;
      out[n * p.k + k] = (field(bytes, n * rowBytes, k) - zero) * scale;
    }
  }
  return out;
}

function nbitsCases(): readonly TestCase[] {
  const scales = (n: number): Tensor =>
    f32(
      [n],
      Array.from({ length: n }, (_, i) => (i + 1) / 32),
    );
  return [
    {
      note: '4 bits',
      attrs: { K: 32, N: 3, bits: 4, block_size: 16 },
      inputs: [sample([2, 32], 1), sample([3, 2, 8], 2, 'u8'), scales(6)],
    },
    {
      note: '4 bits, packed zero points, bias',
      attrs: { K: 48, N: 2, bits: 4, block_size: 16 },
      inputs: [
        sample([1, 2, 48], 1),
        ...[sample([2, 3, 8], 2, 'u8'), scales(6), tensor('u8', [4], [0x87, 9, 0x65, 4])],
        ...[null, f32([2], [1, -2])],
      ],
    },
    {
      note: '4 bits, scales and zero points in one row',
      attrs: { K: 32, N: 3, bits: 4, block_size: 16 },
      inputs: [
        ...[sample([2, 32], 1), sample([3, 2, 8], 2, 'u8')],
        f32(
          [1, 6],
          [1, 2, 3, 4, 5, 6].map((n) => n / 32),
        ),
        tensor('u8', [1, 3], [0x87, 9, 0x65]),
      ],
    },
    {
      note: '8 bits, a ragged block',
      attrs: { K: 20, N: 2, bits: 8, block_size: 16 },
      inputs: [sample([2, 20], 1), sample([2, 2, 16], 2, 'u8'), scales(4)],
    },
    {
      note: '8 bits, real zero points',
      attrs: { K: 32, N: 2, bits: 8, block_size: 32 },
      inputs: [
        ...[sample([3, 32], 1), sample([2, 1, 32], 2, 'u8'), scales(2), f32([2], [100.5, 3])],
      ],
    },
    {
      note: '2 bits',
      attrs: { K: 32, N: 2, bits: 2, block_size: 32 },
      inputs: [
        sample([2, 32], 1),
        sample([2, 1, 8], 2, 'u8'),
        scales(2),
        tensor('u8', [2], [1, 2]),
      ],
    },
  ];
}
