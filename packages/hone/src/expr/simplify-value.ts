/**
 * Rules for values of any dtype that keep their exact meaning: neutral elements, constants whose
 * result is exact, casts that lose nothing. `x + 0` is dropped for integers only: with floats it
 * turns -0 into 0.
 */
import { type DType, dtypeKind, isFloat, isInteger } from 'hone-runtime/base/dtype';
import { constant } from './build.ts';
import type { BinaryOp, Expr, UnaryOp } from './types.ts';

type ConstNode = Extract<Expr, { kind: 'const' }>;
type CastNode = Extract<Expr, { kind: 'cast' }>;

export function isConst(expr: Expr): expr is ConstNode {
  return expr.kind === 'const';
}

/** Simplifies a unary or binary node whose children are simplified. */
export function simplifyValue(node: Expr): Expr {
  if (node.kind === 'unary') return simplifyUnary(node.op, node);
  if (node.kind !== 'binary') return node;
  const { op, a, b, dtype } = node;
  if (a.dtype === 'bool') return simplifyLogic(node);
  if (isConst(a) && isConst(b)) return foldBinary(op, a, b) ?? node;
  if (isInteger(dtype)) {
    if ((op === 'add' || op === 'or' || op === 'xor') && is(a, 0)) return b;
    if (['add', 'sub', 'or', 'xor', 'shl', 'shr'].includes(op) && is(b, 0)) return a;
    if (op === 'mul' && (is(a, 0) || is(b, 0))) return constant(dtype, zeroLike(dtype));
    if (op === 'floordiv' && is(b, 1)) return a;
  }
  if ((op === 'mul' || op === 'div') && is(b, 1)) return a;
  if (op === 'mul' && is(a, 1)) return b;
  return node;
}

function simplifyUnary(op: UnaryOp, node: Extract<Expr, { kind: 'unary' }>): Expr {
  const { x } = node;
  if (x.kind === 'unary' && op === 'neg' && x.op === 'neg') return x.x;
  if (x.kind === 'unary' && op === 'not' && x.op === 'not') return x.x;
  const signed = dtypeKind(x.dtype) !== 'uint';
  if (x.kind === 'unary' && op === 'abs' && signed && (x.op === 'abs' || x.op === 'neg')) {
    return x.op === 'abs' ? x : Object.freeze({ ...node, x: x.x });
  }
  if (!isConst(x) || typeof x.value === 'bigint') return node;
  if (op === 'not' && x.dtype === 'bool') return constant('bool', x.value === 0 ? 1 : 0);
  if (!isFloat(x.dtype)) return node;
  if (op === 'neg') return constant(x.dtype, -x.value);
  if (op === 'abs') return constant(x.dtype, Math.abs(x.value));
  return node;
}

function simplifyLogic(node: Extract<Expr, { kind: 'binary' }>): Expr {
  const { op, a, b } = node;
  if (op !== 'and' && op !== 'or') return node;
  const neutral = op === 'and' ? 1 : 0;
  if (isConst(a)) return is(a, neutral) ? b : a;
  if (isConst(b)) return is(b, neutral) ? a : b;
  return node;
}

/** Constants of f32, f64 and narrow integers, where the result is exact. */
function foldBinary(op: BinaryOp, a: ConstNode, b: ConstNode): Expr | undefined {
  const { value: x, dtype } = a;
  const y = b.value;
  if (typeof x === 'bigint' || typeof y === 'bigint') return undefined;
  const compared = foldComparison(op, x, y);
  if (compared !== undefined) return constant('bool', compared ? 1 : 0);
  if (op === 'min') return constant(dtype, Math.min(x, y));
  if (op === 'max') return constant(dtype, Math.max(x, y));
  const result = op === 'add' ? x + y : op === 'sub' ? x - y : op === 'mul' ? x * y : undefined;
  if (result === undefined || !isExact(op, x, y, result)) return undefined;
  return representable(dtype, result) ? constant(dtype, result) : undefined;
}

/** A double sum or product is exact when it can be taken apart again without a rest. */
function isExact(op: BinaryOp, x: number, y: number, result: number): boolean {
  if (!Number.isFinite(result)) return false;
  if (Number.isInteger(x) && Number.isInteger(y)) return Number.isSafeInteger(result);
  if (op === 'mul') return Math.fround(x) === x && Math.fround(y) === y && result !== 0;
  const other = op === 'add' ? y : -y;
  return result - x === other && result - other === x;
}

function representable(dtype: DType, value: number): boolean {
  if (dtype === 'f64') return true;
  if (dtype === 'f32') return Math.fround(value) === value;
  const limits = INTEGER_LIMITS[dtype];
  return limits !== undefined && value >= limits[0] && value <= limits[1];
}

const INTEGER_LIMITS: Partial<Record<DType, readonly [number, number]>> = {
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32768, 32767],
  u16: [0, 65535],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
};

function foldComparison(op: BinaryOp, x: number, y: number): boolean | undefined {
  switch (op) {
    case 'eq':
      return x === y;
    case 'ne':
      return x !== y;
    case 'lt':
      return x < y;
    case 'le':
      return x <= y;
    case 'gt':
      return x > y;
    case 'ge':
      return x >= y;
    default:
      return undefined;
  }
}

/** Casts that change nothing, casts of casts where the inner one loses nothing, cast constants. */
export function simplifyCast(node: CastNode): Expr {
  const { x, dtype } = node;
  if (x.dtype === dtype) return x;
  if (x.kind === 'cast' && keepsValues(x.x.dtype, x.dtype)) {
    const source = x.x.dtype;
    if (source === dtype) return x.x;
    // Narrowing integers wraps from an integer but saturates from a float: keep such pairs.
    const sameRule = isFloat(x.dtype) === isFloat(source) || dtypeKind(dtype) === 'float';
    if (sameRule) return simplifyCast(Object.freeze({ kind: 'cast', dtype, x: x.x }));
  }
  if (isConst(x) && typeof x.value === 'number') {
    if (dtype === 'bool') return constant('bool', x.value === 0 ? 0 : 1);
    const whole = Number.isInteger(x.value) && !Object.is(x.value, -0);
    if (dtype === 'i64' && whole && Number.isSafeInteger(x.value)) return constant('i64', x.value);
    if (representable(dtype, x.value) && (whole || isFloat(dtype))) {
      return constant(dtype, x.value);
    }
  }
  return node;
}

const RANK: Readonly<Record<DType, number>> = {
  bool: 0,
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f16: 1.5,
  bf16: 1,
  f32: 3,
  f64: 7,
  f8e4m3fn: 0.5,
  f8e4m3fnuz: 0.5,
  f8e5m2: 0.25,
  f8e5m2fnuz: 0.25,
  f8e8m0: 0,
  f4e2m1: 0.25,
  i4: 0.5,
  u4: 0.5,
  i2: 0.25,
  u2: 0.25,
  string: 99,
};

/** Does every value of `from` survive the cast to `to`? Ranks are bytes of exact integers. */
function keepsValues(from: DType, to: DType): boolean {
  const source = dtypeKind(from);
  const target = dtypeKind(to);
  if (source === 'string' || target === 'string' || target === 'bool') return from === to;
  if (source === 'bool') return true;
  if (source === 'float') {
    if (from === 'f64') return to === 'f64';
    return to === 'f32' || to === 'f64';
  }
  if (target === 'float') return RANK[from] <= RANK[to];
  if (source === target) return RANK[from] <= RANK[to];
  return source === 'uint' && RANK[from] < RANK[to];
}

function is(expr: Expr, value: number): boolean {
  return expr.kind === 'const' && Number(expr.value) === value && !Object.is(expr.value, -0);
}

function zeroLike(dtype: DType): number | bigint {
  return dtype === 'u64' ? 0n : 0;
}
