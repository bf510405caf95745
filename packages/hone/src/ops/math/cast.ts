/**
 * Cast, CastLike and BitCast between bool, integers, floats of every width and strings.
 *
 * A conversion to a float of 8 bits is to nearest and gives infinity or NaN beyond the largest value;
 * `saturate` puts a clamp before it. A power of two (f8e8m0) has no sign, so the magnitude is converted;
 * `round_mode` corrects the nearest one.
 */
import { largestOf } from 'hone-runtime/base/bit-patterns';
import { at } from 'hone-runtime/base/diagnostics';
import {
  type DType,
  dtypeBytes,
  dtypeCode,
  dtypeFromCode,
  isInteger,
} from 'hone-runtime/base/dtype';
import {
  bytesOf,
  elementCount,
  fromNumbers,
  type Tensor,
  toBigInts,
  toNumbers,
  viewBytes,
} from 'hone-runtime/base/tensor';
import { fromTexts, textsFrom } from 'hone-runtime/host/routines';
import { binary, cast, constant, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import { inputType, int, intAttr, requiredInt, text, textAttr, typeError } from '../checks.ts';
import { defineOp, type InferContext, type OpDef, type TestCase } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { fromBigInts, given, outputOf } from './loops.ts';
import { bools, f32, i64, tensor, uniform } from './samples.ts';
import { floatToInteger } from './saturate.ts';
import { loadInput } from './scalar.ts';

/** Names of opset 1 to 5, where `to` was a string. */
const OLD_NAMES: Readonly<Record<string, DType>> = {
  FLOAT: 'f32',
  DOUBLE: 'f64',
  FLOAT16: 'f16',
  INT8: 'i8',
  INT16: 'i16',
  INT32: 'i32',
  INT64: 'i64',
  UINT8: 'u8',
  UINT16: 'u16',
  UINT32: 'u32',
  UINT64: 'u64',
  BOOL: 'bool',
  STRING: 'string',
};

function targetType(ctx: InferContext): DType {
  const code = intAttr(ctx.attrs, 'to');
  const dtype = dtypeFromCode(code);
  if (dtype === undefined) {
    typeError(ctx, `it casts to ONNX data type ${code}, which Hone does not have yet`);
  }
  return dtype;
}

export interface CastMode {
  /** Are floats beyond the range of a float of 8 bits its largest value? Else infinity or NaN. */
  readonly saturate: boolean;
  /** Of conversions to f8e8m0: up, down or nearest. */
  readonly round: string;
}

function modeOf(attrs: Attrs): CastMode {
  return { saturate: intAttr(attrs, 'saturate') !== 0, round: textAttr(attrs, 'round_mode') };
}

/** A value as a conversion to a narrow float takes it: limited, or a power of two; others unchanged. */
export function toSmallFloat(value: number, to: DType, mode: CastMode): number {
  const most = largestOf(to);
  if (most === undefined) return value;
  if (to !== 'f8e8m0') return mode.saturate ? Math.min(Math.max(value, -most), most) : value;
  const size = Math.abs(value);
  if (!Number.isFinite(size)) return Number.NaN;
  const limited = mode.saturate ? Math.min(size, most) : size;
  if (mode.round === 'nearest') return limited;
  // Halves and doubles of powers of two are exact, so the loop ends at the neighbour asked for.
  let power = 2 ** Math.round(Math.log2(Math.max(limited, 2 ** -127)));
  while (power < limited) power *= 2;
  while (power / 2 >= limited && power > 2 ** -127) power /= 2;
  return mode.round === 'down' && power > limited && power > 2 ** -127 ? power / 2 : power;
}

/** A tensor under another dtype: the meaning of Cast. */
export function convert(
  from: Tensor,
  to: DType,
  mode: CastMode = { saturate: true, round: 'up' },
): Tensor {
  const { dtype, shape, data } = from;
  if (dtype === to) return from;
  if (to === 'string') return { dtype: to, shape, data: textsFrom(from) };
  if (dtype === 'string') return fromTexts(data as readonly string[], to, shape, 'Cast');
  if ((isInteger(dtype) || dtype === 'bool') && largestOf(to) === undefined) {
    return fromBigInts(to, shape, [...toBigInts(from)]);
  }
  if (!isInteger(to)) {
    return fromNumbers(
      to,
      shape,
      toNumbers(from).map((value) => toSmallFloat(value, to, mode)),
    );
  }
  return fromBigInts(
    to,
    shape,
    Array.from(toNumbers(from), (x) => floatToInteger(x, to)),
  );
}

/** The value of x under another dtype. */
export function castExpr(x: Expr, to: DType, mode: CastMode): Expr {
  const most = largestOf(to);
  if (most === undefined || to === 'f4e2m1') return cast(to, x);
  const limit = constant('f32', most);
  const wide = cast('f32', x);
  if (to !== 'f8e8m0') {
    if (!mode.saturate) return cast(to, wide);
    return cast(to, binary('min', binary('max', wide, constant('f32', -most)), limit));
  }
  const size = unary('abs', wide);
  const limited = mode.saturate
    ? select(unary('isinf', size), size, binary('min', size, limit))
    : size;
  if (mode.round === 'nearest') return cast(to, limited);
  const near = cast('f32', cast(to, limited));
  const corrected =
    mode.round === 'down'
      ? select(binary('gt', near, limited), binary('mul', near, constant('f32', 0.5)), near)
      : select(binary('lt', near, limited), binary('add', near, near), near);
  return cast(to, corrected);
}

const castOp = defineOp({
  kind: 'core',
  name: 'Cast',
  doc: 'Conversion to another dtype; floats truncate and saturate to integers, integers wrap.',
  since: 25,
  attrs: { to: requiredInt, saturate: int(1), round_mode: text('up') },
  hostCall: (ctx) => ({
    routine: targetType(ctx) === 'string' ? 'to_text' : 'from_text',
    attrs: {},
  }),
  upgrade(_, node) {
    const to = node.attrs['to'];
    if (typeof to !== 'string') return { inputs: node.inputs, attrs: node.attrs };
    const dtype = OLD_NAMES[to.toUpperCase()];
    return {
      inputs: node.inputs,
      attrs: { ...node.attrs, to: dtype === undefined ? 0 : dtypeCode(dtype) },
    };
  },
  infer: (ctx) => [{ dtype: targetType(ctx), shape: inputType(ctx, 0).shape }],
  lower(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    const to = targetType(ctx);
    if (dtype === 'string' || to === 'string') return 'strings have no compiled form';
    if (dtype === to) return [{ kind: 'alias' }];
    const x = loadInput(ctx, 0, outAxes(shape.length));
    return [mapBody(shape, castExpr(x, to, modeOf(ctx.attrs)))];
  },
  reference: (inputs, attrs, ctx) => [
    convert(given(inputs, 0), outputOf(ctx).dtype, modeOf(attrs)),
  ],
  cases: () => [
    { inputs: [uniform([2, 3], -100, 100)], attrs: { to: dtypeCode('i32') } },
    { note: 'saturates', inputs: [f32([4], [-5, 300, 2.9, 1e9])], attrs: { to: dtypeCode('u8') } },
    {
      note: 'wraps',
      inputs: [i64([3], [300, -1, 2n ** 40n + 5n])],
      attrs: { to: dtypeCode('u8') },
    },
    {
      note: 'widens',
      inputs: [tensor('i8', [3], [-128, 0, 127])],
      attrs: { to: dtypeCode('u64') },
    },
    { note: 'exact', inputs: [i64([1], [2n ** 62n + 1n])], attrs: { to: dtypeCode('u64') } },
    { note: 'to f16', inputs: [uniform([5], -9, 9)], attrs: { to: dtypeCode('f16') } },
    { note: 'f16 to f32', inputs: [uniform([5], -9, 9, 'f16')], attrs: { to: dtypeCode('f32') } },
    { note: 'to bf16', inputs: [uniform([5], -9, 9)], attrs: { to: dtypeCode('bf16') } },
    { note: 'bf16 to f64', inputs: [uniform([5], -9, 9, 'bf16')], attrs: { to: dtypeCode('f64') } },
    {
      note: 'to bool',
      inputs: [f32([4], [0, -0, 0.5, Number.NaN])],
      attrs: { to: dtypeCode('bool') },
    },
    { note: 'i64 to bool', inputs: [i64([3], [0, 256, -1])], attrs: { to: dtypeCode('bool') } },
    { note: 'bool to f32', inputs: [bools([2], [1, 0])], attrs: { to: dtypeCode('f32') } },
    { note: 'the same', inputs: [uniform([2])], attrs: { to: dtypeCode('f32') } },
    { note: 'to i64', inputs: [f32([3], [1e10, -1e30, 1e30])], attrs: { to: dtypeCode('i64') } },
    { note: 'empty', inputs: [f32([0], [])], attrs: { to: dtypeCode('i64') } },
    ...smallCases(),
  ],
});

/** Floats of 4 and 8 bits, both ways and in every mode; integers of 2 and 4 bits. */
function smallCases(): readonly TestCase[] {
  const values = (): Tensor =>
    f32(
      [20],
      [
        0,
        -0,
        1,
        -1,
        0.48,
        1.05,
        -3.5,
        464,
        465,
        480,
        -57344,
        61440,
        1e6,
        -1e6,
        0.0019,
        1e-7,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        0.0078125,
      ],
    );
  const signed = ['f8e4m3fn', 'f8e4m3fnuz', 'f8e5m2', 'f8e5m2fnuz', 'f4e2m1'] as const;
  const patterns = (dtype: DType, count: number): Tensor => ({
    dtype,
    shape: [count],
    data: Uint8Array.from({ length: count }, (_, i) => i),
  });
  return [
    ...signed.flatMap((dtype): readonly TestCase[] => [
      { note: `to ${dtype}`, inputs: [values()], attrs: { to: dtypeCode(dtype) } },
      {
        note: `to ${dtype}, not saturated`,
        inputs: [values()],
        attrs: { to: dtypeCode(dtype), saturate: 0 },
      },
      {
        note: `every ${dtype}`,
        inputs: [patterns(dtype, dtype === 'f4e2m1' ? 16 : 256)],
        attrs: { to: dtypeCode('f32') },
      },
    ]),
    ...['up', 'down', 'nearest'].map((round_mode) => ({
      note: `to f8e8m0, ${round_mode}`,
      inputs: [f32([8], [0, 0.124, 0.25, 1.4, -1.5, 3e38, 1e-30, Number.NaN])],
      attrs: { to: dtypeCode('f8e8m0'), round_mode },
    })),
    {
      note: 'every f8e8m0',
      inputs: [{ ...patterns('f8e8m0', 256), shape: [16, 16] }],
      attrs: { to: dtypeCode('f32') },
    },
    ...(['i4', 'u4', 'i2', 'u2'] as const).flatMap((dtype): readonly TestCase[] => [
      { note: `to ${dtype}`, inputs: [values()], attrs: { to: dtypeCode(dtype) } },
      {
        note: `integers to ${dtype}`,
        inputs: [tensor('i32', [6], [-9, -1, 0, 7, 18, 100])],
        attrs: { to: dtypeCode(dtype) },
      },
      {
        note: `${dtype} to f16`,
        inputs: [tensor(dtype, [4], [0, 1, 2, 3])],
        attrs: { to: dtypeCode('f16') },
      },
      {
        note: `${dtype} to i8`,
        inputs: [tensor(dtype, [4], [0, 1, 2, 3])],
        attrs: { to: dtypeCode('i8') },
      },
    ]),
    { note: 'f8 to i32', inputs: [patterns('f8e5m2', 8)], attrs: { to: dtypeCode('i32') } },
    {
      note: 'i32 to f8',
      inputs: [tensor('i32', [3], [1, -500, 17])],
      attrs: { to: dtypeCode('f8e4m3fn') },
    },
  ];
}

const castLike = defineOp({
  kind: 'composite',
  name: 'CastLike',
  doc: 'Conversion to the dtype of input 1.',
  since: 25,
  attrs: { saturate: int(1), round_mode: text('up') },
  infer: (ctx) => [{ dtype: inputType(ctx, 1).dtype, shape: inputType(ctx, 0).shape }],
  decompose: (b, inputs, ctx) => [
    b.op('Cast', [at(inputs, 0)], { ...ctx.attrs, to: dtypeCode(inputType(ctx, 1).dtype) }),
  ],
  reference: (inputs, attrs, ctx) => [
    convert(given(inputs, 0), outputOf(ctx).dtype, modeOf(attrs)),
  ],
  cases: () => [
    { inputs: [uniform([2, 3], -9, 9), i64([1], [0])] },
    { note: 'to f16', inputs: [uniform([3]), tensor('f16', [], [0])] },
    { note: 'to bool', inputs: [f32([2], [0, 2]), bools([1], [0])] },
  ],
});

const bitCast = defineOp({
  kind: 'core',
  name: 'BitCast',
  doc: 'The same bits under another dtype of the same size.',
  since: 26,
  attrs: { to: requiredInt },
  infer(ctx): readonly ValueType[] {
    const { dtype, shape } = inputType(ctx, 0);
    const to = targetType(ctx);
    if (dtypeBytes(to) !== dtypeBytes(dtype) || dtype === 'string') {
      typeError(ctx, `${dtype} and ${to} differ in size`);
    }
    return [{ dtype: to, shape }];
  },
  // No expression reads the bits of a number.
  lower(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    const bytes = elementCount(shape) * dtypeBytes(dtype);
    return [{ kind: 'routine', routine: 'copy_bytes', dims: [bytes], scalars: [] }];
  },
  reference(inputs, _, ctx) {
    const { dtype, shape } = outputOf(ctx);
    return [{ dtype, shape, data: viewBytes(dtype, bytesOf(given(inputs, 0)).slice()) }];
  },
  cases: () => [{ inputs: [uniform([2, 3])], attrs: { to: dtypeCode('i32') } }],
});

export const CONVERSIONS: readonly OpDef[] = [castOp, castLike, bitCast];
