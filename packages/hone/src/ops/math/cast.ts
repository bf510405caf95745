/** Cast, CastLike and BitCast between bool, integers, floats (f16 and bf16 among them) and strings. */
import { at } from 'hone-runtime/base/diagnostics';
import {
  type DType,
  dtypeBytes,
  dtypeCode,
  dtypeFromCode,
  isBig,
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
import { cast } from '../../expr/build.ts';
import type { ValueType } from '../../graph/types.ts';
import { inputType, int, intAttr, requiredInt, text, typeError } from '../checks.ts';
import { defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { fromBigInts, given, outputOf } from './loops.ts';
import { bools, f32, i64, tensor, uniform } from './samples.ts';
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

/** [lowest, highest] of an integer dtype or bool. */
export function integerLimits(dtype: DType): readonly [bigint, bigint] {
  if (dtype === 'bool') return [0n, 1n];
  const bits = BigInt(8 * dtypeBytes(dtype));
  return dtype.startsWith('u')
    ? [0n, (1n << bits) - 1n]
    : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
}

/** Truncates and saturates; NaN becomes 0. */
function floatToInteger(value: number, dtype: DType): bigint {
  const [low, high] = integerLimits(dtype);
  if (Number.isNaN(value)) return 0n;
  if (value >= Number(high)) return high;
  return value <= Number(low) ? low : BigInt(Math.trunc(value));
}

/** The shortest decimal that reads back as the same value of the dtype. */
function floatToText(value: number, dtype: DType): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'INF' : '-INF';
  if (dtype === 'f64') return String(value);
  const same = (candidate: number): boolean =>
    at([...toNumbers(fromNumbers(dtype, [1], [candidate]))], 0) === value;
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (same(candidate)) return String(candidate);
  }
  return String(value);
}

function textToNumber(value: string): number {
  const word = value.trim().toLowerCase();
  if (/^[+-]?(nan)$/.test(word)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/.test(word)) {
    return word.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  return Number(word);
}

function textsOf(from: Tensor): string[] {
  const { dtype } = from;
  if (isInteger(dtype)) return Array.from(toBigInts(from), String);
  if (dtype === 'bool') return Array.from(toNumbers(from), (x) => (x === 0 ? 'False' : 'True'));
  return Array.from(toNumbers(from), (x) => floatToText(x, dtype));
}

/** A tensor under another dtype: the meaning of Cast. */
export function convert(from: Tensor, to: DType): Tensor {
  const { dtype, shape, data } = from;
  if (dtype === to) return from;
  if (to === 'string') return { dtype: to, shape, data: textsOf(from) };
  if (dtype === 'string') {
    const texts = data as readonly string[];
    if (isBig(to))
      return fromBigInts(
        to,
        shape,
        texts.map((x) => BigInt(x.trim())),
      );
    return fromNumbers(to, shape, texts.map(textToNumber));
  }
  if (isInteger(dtype) || dtype === 'bool') return fromBigInts(to, shape, [...toBigInts(from)]);
  if (!isInteger(to)) return fromNumbers(to, shape, toNumbers(from));
  return fromBigInts(
    to,
    shape,
    Array.from(toNumbers(from), (x) => floatToInteger(x, to)),
  );
}

const castOp = defineOp({
  kind: 'core',
  name: 'Cast',
  doc: 'Conversion to another dtype; floats truncate and saturate to integers, integers wrap.',
  since: 25,
  attrs: { to: requiredInt, saturate: int(1), round_mode: text('up') },
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
    return [mapBody(shape, cast(to, loadInput(ctx, 0, outAxes(shape.length))))];
  },
  reference: (inputs, _, ctx) => [convert(given(inputs, 0), outputOf(ctx).dtype)],
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
  ],
});

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
  reference: (inputs, _, ctx) => [convert(given(inputs, 0), outputOf(ctx).dtype)],
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
