/** Scalar terms that the lowerings of this folder share. */
import { constant, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { add, div } from '../math/scalar.ts';

/** `x` where the test holds (or always, without one), else the number. */
export function guarded(test: Expr | undefined, x: Expr, otherwise: number): Expr {
  return test === undefined ? x : select(test, x, constant(x.dtype, otherwise));
}

/** 1 / sqrt(x + epsilon) */
export function inverseRoot(x: Expr, epsilon: number): Expr {
  return div(1, unary('sqrt', add(x, epsilon)));
}
