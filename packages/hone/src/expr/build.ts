/** Constructors of expressions; integer index arithmetic folds trivially as it is built. */
import { invariant } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { BinaryOp, Expr, UnaryOp } from './types.ts';

const COMPARISONS: ReadonlySet<BinaryOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

export function constant(dtype: DType, value: number | bigint): Expr {
  return Object.freeze({ kind: 'const', dtype, value });
}

/** An i64 index constant. */
export function index(value: number): Expr {
  return constant('i64', value);
}

export function axis(name: string): Expr {
  return Object.freeze({ kind: 'axis', dtype: 'i64', name });
}

export function load(source: string, dtype: DType, at: readonly Expr[]): Expr {
  return Object.freeze({ kind: 'load', dtype, source, index: Object.freeze([...at]) });
}

/** `isnan` and `isinf` give bool; every other operator keeps its operand's dtype. */
export function unary(op: UnaryOp, x: Expr): Expr {
  const dtype = op === 'isnan' || op === 'isinf' ? 'bool' : x.dtype;
  return Object.freeze({ kind: 'unary', dtype, op, x });
}

export function binary(op: BinaryOp, a: Expr, b: Expr): Expr {
  invariant(a.dtype === b.dtype, `${op} of ${a.dtype} and ${b.dtype}: operands must agree`);
  const dtype = COMPARISONS.has(op) ? 'bool' : a.dtype;
  return Object.freeze({ kind: 'binary', dtype, op, a, b });
}

export function select(cond: Expr, a: Expr, b: Expr): Expr {
  invariant(a.dtype === b.dtype, `select between ${a.dtype} and ${b.dtype}`);
  return Object.freeze({ kind: 'select', dtype: a.dtype, cond, a, b });
}

/** Conversion; returns the operand itself when it has the dtype already. */
export function cast(dtype: DType, x: Expr): Expr {
  return x.dtype === dtype ? x : Object.freeze({ kind: 'cast', dtype, x });
}

export function bound(x: Expr, extent: number): Expr {
  return Object.freeze({ kind: 'bound', dtype: 'i64', x: cast('i64', x), extent: index(extent) });
}

export function acc(step: number, dtype: DType): Expr {
  return Object.freeze({ kind: 'acc', dtype, step });
}

/** Index addition with constant folding. */
export function iadd(a: Expr, b: Expr | number): Expr {
  const right = typeof b === 'number' ? index(b) : b;
  if (isIndex(a) && isIndex(right)) return index(Number(a.value) + Number(right.value));
  if (isIndex(right, 0)) return a;
  if (isIndex(a, 0)) return right;
  return binary('add', a, right);
}

/** Index multiplication by a number, with constant folding. */
export function imul(a: Expr, factor: number): Expr {
  if (isIndex(a)) return index(Number(a.value) * factor);
  if (factor === 1) return a;
  return factor === 0 ? index(0) : binary('mul', a, index(factor));
}

/** Is it an index constant (with this value)? Larger ones than doubles hold are data, not indices. */
export function isIndex(x: Expr, value?: number): x is Extract<Expr, { kind: 'const' }> {
  return (
    x.kind === 'const' &&
    x.dtype === 'i64' &&
    (value === undefined ? Number.isSafeInteger(Number(x.value)) : Number(x.value) === value)
  );
}
