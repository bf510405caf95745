/**
 * Sugar for scalar expressions in lowerings: arithmetic with number literals, the dtype a value is
 * computed in, and loads of a node's inputs (one-element constants become literals).
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { type DType, isBig, isInteger } from 'hone-runtime/base/dtype';
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import { binary, cast, constant, select, unary } from '../../expr/build.ts';
import type { BinaryOp, Expr, UnaryOp } from '../../expr/types.ts';
import type { LowerContext } from '../define-op.ts';
import { broadcastLoad } from '../lower.ts';

export type Term = Expr | number;

/** The dtype arithmetic happens in: f16 and bf16 are computed in f32, all others in themselves. */
export function computeType(dtype: DType): DType {
  return dtype === 'f16' || dtype === 'bf16' ? 'f32' : dtype;
}

/** The dtype sums are kept in: f32 for f16, bf16 and f32; 64 bits for integers. */
export function sumType(dtype: DType): DType {
  if (dtype === 'u64') return 'u64';
  return isInteger(dtype) || dtype === 'bool' ? 'i64' : computeType(dtype);
}

/** A value as the dtype it is computed in. */
export function widen(x: Expr): Expr {
  return cast(computeType(x.dtype), x);
}

function terms(a: Term, b: Term): [Expr, Expr] {
  if (typeof a === 'number') {
    invariant(typeof b !== 'number', 'an operation on two literals has no dtype');
    return [constant(b.dtype, a), b];
  }
  return [a, typeof b === 'number' ? constant(a.dtype, b) : b];
}

export function apply(op: BinaryOp, a: Term, b: Term): Expr {
  return binary(op, ...terms(a, b));
}

export const add = (a: Term, b: Term): Expr => apply('add', a, b);
export const sub = (a: Term, b: Term): Expr => apply('sub', a, b);
export const mul = (a: Term, b: Term): Expr => apply('mul', a, b);
export const div = (a: Term, b: Term): Expr => apply('div', a, b);
export const min = (a: Term, b: Term): Expr => apply('min', a, b);
export const max = (a: Term, b: Term): Expr => apply('max', a, b);
export const lt = (a: Term, b: Term): Expr => apply('lt', a, b);
export const le = (a: Term, b: Term): Expr => apply('le', a, b);
export const gt = (a: Term, b: Term): Expr => apply('gt', a, b);
export const eq = (a: Term, b: Term): Expr => apply('eq', a, b);

export function choose(cond: Expr, a: Term, b: Term): Expr {
  return select(cond, ...terms(a, b));
}

export function call(op: UnaryOp, x: Expr): Expr {
  return unary(op, x);
}

/** Input k at an output index, broadcast; a constant of one element becomes a literal. */
export function loadInput(ctx: LowerContext, k: number, axes: readonly Expr[]): Expr {
  const input = at(ctx.inputs, k);
  invariant(input !== null, `node ${ctx.node}: input ${k} is absent`);
  const { type, constant: elements } = input;
  if (elements === null || elementCount(type.shape) !== 1 || type.dtype === 'string') {
    return broadcastLoad(k, type, axes);
  }
  const tensor = elements();
  if (isBig(type.dtype)) {
    const value = tensor.data[0] as bigint;
    const small = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= Number.MAX_SAFE_INTEGER;
    return constant(type.dtype, small ? Number(value) : value);
  }
  return constant(type.dtype, at([...toNumbers(tensor)], 0));
}

/** Is it a literal of this value? */
export function isLiteral(x: Expr, value: number): boolean {
  return x.kind === 'const' && Number(x.value) === value;
}
