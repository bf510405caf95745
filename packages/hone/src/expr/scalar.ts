/**
 * The meaning of each scalar operator on single values, by dtype: what `types.ts` states.
 *
 * Values are bigints for i64 and u64, numbers otherwise (bool: 0 or 1). Floats are computed as
 * doubles; only `castScalar` rounds them to their dtype.
 */
import { type DType, dtypeBits, dtypeKind, isBig, isSmallInt } from 'hone-runtime/base/dtype';
import { decoderOf, encoderOf, wrapSmallInt } from 'hone-runtime/base/bit-patterns';
import { erf } from './erf.ts';
import type { BinaryOp, UnaryOp } from './types.ts';

export type Scalar = number | bigint;
export type UnaryFn = (x: Scalar) => Scalar;
export type BinaryFn = (a: Scalar, b: Scalar) => Scalar;

/** An exact integer brought into the dtype's range as C does. */
export function wrapNumber(dtype: DType, value: number): number {
  switch (dtype) {
    case 'i8':
      return (value << 24) >> 24;
    case 'u8':
      return value & 0xff;
    case 'i16':
      return (value << 16) >> 16;
    case 'u16':
      return value & 0xffff;
    case 'i32':
      return value | 0;
    case 'u32':
      return value >>> 0;
    case 'bool':
      return value === 0 ? 0 : 1;
    default:
      return isSmallInt(dtype) ? wrapSmallInt(dtype, value) : value;
  }
}

export function wrapBig(dtype: DType, value: bigint): bigint {
  return dtype === 'u64' ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value);
}

/** A float rounded to its dtype. */
export function roundFloat(dtype: DType, value: number): number {
  if (dtype === 'f32') return Math.fround(value);
  const encode = encoderOf(dtype);
  return encode === undefined ? value : (decoderOf(dtype)?.(encode(value)) ?? value);
}

/** Conversion between dtypes. */
export function castScalar(from: DType, to: DType): UnaryFn {
  const target = dtypeKind(to);
  if (target === 'bool') return (x) => (Number(x) === 0 ? 0 : 1);
  if (target === 'float') return (x) => roundFloat(to, Number(x));
  if (dtypeKind(from) === 'float') {
    if (isBig(to)) return (x) => saturateBig(to, x as number);
    if (isSmallInt(to)) return (x) => wrapSmallInt(to, saturate('i32', x as number));
    return (x) => saturate(to, x as number);
  }
  if (isBig(to)) return (x) => wrapBig(to, BigInt(x));
  if (isBig(from)) return (x) => wrapNumber(to, Number(BigInt.asIntN(32, BigInt(x))));
  return (x) => wrapNumber(to, x as number);
}

function limits(dtype: DType): readonly [bigint, bigint] {
  const bits = BigInt(dtypeBits(dtype));
  return dtypeKind(dtype) === 'uint'
    ? [0n, (1n << bits) - 1n]
    : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
}

function saturate(dtype: DType, value: number): number {
  if (Number.isNaN(value)) return 0;
  const [lo, hi] = limits(dtype);
  return Math.min(Math.max(Math.trunc(value), Number(lo)), Number(hi)) + 0;
}

function saturateBig(dtype: DType, value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  const [lo, hi] = limits(dtype);
  if (value <= Number(lo)) return lo;
  return value >= Number(hi) ? hi : BigInt(Math.trunc(value));
}

/** Rounds to nearest, ties to even; keeps the sign of zero. */
export function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const rounded = up ? floor + 1 : floor;
  return rounded === 0 && x < 0 ? -0 : rounded;
}

function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

type FloatFn = (x: number) => number;

const FLOAT_UNARY: Readonly<Record<UnaryOp, FloatFn>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
  sigmoid,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundEven,
  trunc: Math.trunc,
  sign: Math.sign,
  not: (x) => (x === 0 ? 1 : 0),
  isnan: (x) => (Number.isNaN(x) ? 1 : 0),
  isinf: (x) => (x === Number.POSITIVE_INFINITY || x === Number.NEGATIVE_INFINITY ? 1 : 0),
};

export function unaryScalar(op: UnaryOp, dtype: DType): UnaryFn {
  const fn = FLOAT_UNARY[op];
  const kind = dtypeKind(dtype);
  if (kind === 'float' || kind === 'bool') return (x) => fn(x as number);
  if (op === 'floor' || op === 'ceil' || op === 'round' || op === 'trunc') return (x) => x;
  if (op === 'isnan' || op === 'isinf') return () => 0;
  if (isBig(dtype)) {
    if (op === 'neg') return (x) => wrapBig(dtype, -(x as bigint));
    if (op === 'abs')
      return (x) => wrapBig(dtype, (x as bigint) < 0n ? -(x as bigint) : (x as bigint));
    if (op === 'not') return (x) => wrapBig(dtype, ~(x as bigint));
    return (x) => saturateBig(dtype, fn(Number(x)));
  }
  if (op === 'not') return (x) => wrapNumber(dtype, ~(x as number));
  if (op === 'neg') return (x) => wrapNumber(dtype, 0 - (x as number));
  if (op === 'abs') return (x) => wrapNumber(dtype, Math.abs(x as number));
  return (x) => saturate(dtype, fn(x as number));
}

/** Remainder with the divisor's sign. */
export function floorModulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

const FLOAT_BINARY: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floordiv: (a, b) => Math.floor(a / b),
  mod: floorModulo,
  fmod: (a, b) => a % b,
  pow: power,
  min: Math.min,
  max: Math.max,
  and: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  xor: (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
  shl: (a, b) => a * 2 ** b,
  shr: (a, b) => Math.floor(a / 2 ** b),
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  ge: (a, b) => (a >= b ? 1 : 0),
};

/** C's pow: 1 for pow(1, NaN) and pow(-1, ±inf), where JavaScript gives NaN. */
function power(a: number, b: number): number {
  if (a === 1 || (a === -1 && !Number.isNaN(b) && !Number.isFinite(b))) return 1;
  return a ** b;
}

export function binaryScalar(op: BinaryOp, dtype: DType): BinaryFn {
  const kind = dtypeKind(dtype);
  if (isBig(dtype)) return bigBinary(op, dtype) as BinaryFn;
  if (kind === 'float' || kind === 'bool') return FLOAT_BINARY[op] as BinaryFn;
  return narrowBinary(op, dtype) as BinaryFn;
}

function narrowBinary(op: BinaryOp, dtype: DType): (a: number, b: number) => number {
  const wrap = (value: number): number => wrapNumber(dtype, value);
  const bits = dtypeBits(dtype);
  switch (op) {
    case 'add':
    case 'sub':
      return (a, b) => wrap(FLOAT_BINARY[op](a, b));
    case 'mul':
      return (a, b) => wrap(Math.imul(a, b));
    case 'div':
      return (a, b) => (b === 0 ? 0 : wrap(Math.trunc(a / b)));
    case 'floordiv':
      return (a, b) => (b === 0 ? 0 : wrap(Math.floor(a / b)));
    case 'mod':
    case 'fmod':
      return (a, b) => (b === 0 ? 0 : FLOAT_BINARY[op](a, b) + 0);
    case 'pow': {
      const big = bigPower(dtype);
      return (a, b) => wrap(Number(BigInt.asIntN(32, big(BigInt(a), BigInt(b)))));
    }
    case 'and':
      return (a, b) => wrap(a & b);
    case 'or':
      return (a, b) => wrap(a | b);
    case 'xor':
      return (a, b) => wrap(a ^ b);
    case 'shl':
      return (a, b) => (b < 0 || b >= bits ? 0 : wrap(a << b));
    case 'shr':
      return (a, b) => wrap(b < 0 || b >= bits ? (a < 0 ? -1 : 0) : Math.floor(a / 2 ** b));
    case 'min':
    case 'max':
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return FLOAT_BINARY[op];
    default:
      return op satisfies never;
  }
}

function bigBinary(op: BinaryOp, dtype: DType): (a: bigint, b: bigint) => Scalar {
  const wrap = (value: bigint): bigint => wrapBig(dtype, value);
  switch (op) {
    case 'add':
      return (a, b) => wrap(a + b);
    case 'sub':
      return (a, b) => wrap(a - b);
    case 'mul':
      return (a, b) => wrap(a * b);
    case 'div':
      return (a, b) => (b === 0n ? 0n : wrap(a / b));
    case 'fmod':
      return (a, b) => (b === 0n ? 0n : a % b);
    case 'floordiv':
      return (a, b) => (b === 0n ? 0n : wrap((a - bigModulo(a, b)) / b));
    case 'mod':
      return (a, b) => (b === 0n ? 0n : bigModulo(a, b));
    case 'pow': {
      const big = bigPower(dtype);
      return (a, b) => wrap(big(a, b));
    }
    case 'min':
    case 'max':
      return (a, b) => (a < b === (op === 'min') ? a : b);
    case 'and':
      return (a, b) => wrap(a & b);
    case 'or':
      return (a, b) => wrap(a | b);
    case 'xor':
      return (a, b) => wrap(a ^ b);
    case 'shl':
      return (a, b) => (b < 0n || b >= 64n ? 0n : wrap(a << b));
    case 'shr':
      return (a, b) => (b < 0n || b >= 64n ? (a < 0n ? -1n : 0n) : a >> b);
    case 'eq':
      return (a, b) => (a === b ? 1 : 0);
    case 'ne':
      return (a, b) => (a !== b ? 1 : 0);
    case 'lt':
      return (a, b) => (a < b ? 1 : 0);
    case 'le':
      return (a, b) => (a <= b ? 1 : 0);
    case 'gt':
      return (a, b) => (a > b ? 1 : 0);
    case 'ge':
      return (a, b) => (a >= b ? 1 : 0);
    default:
      return op satisfies never;
  }
}

function bigModulo(a: bigint, b: bigint): bigint {
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

/** Integer power, wrapping; a negative exponent gives the truncated reciprocal. */
function bigPower(dtype: DType): (base: bigint, exponent: bigint) => bigint {
  return (base, exponent) => {
    if (exponent < 0n) {
      if (base === 1n) return 1n;
      return base === -1n ? (exponent % 2n === 0n ? 1n : -1n) : 0n;
    }
    let result = 1n;
    let square = base;
    for (let rest = exponent; rest > 0n; rest >>= 1n) {
      if (rest & 1n) result = wrapBig(isBig(dtype) ? dtype : 'i64', result * square);
      square = wrapBig(isBig(dtype) ? dtype : 'i64', square * square);
    }
    return result;
  };
}
