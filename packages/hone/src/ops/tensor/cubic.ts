/** The cubic convolution kernel (Keys 1981), as expressions and as numbers. */
import { binary, constant } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';

/** At distances up to 1. */
export function cubicNear(x: Expr, a: number): Expr {
  const c = (value: number): Expr => constant(x.dtype, value);
  const inner = binary('sub', binary('mul', c(a + 2), x), c(a + 3));
  return binary('add', binary('mul', binary('mul', inner, x), x), c(1));
}

/** At distances from 1 to 2. */
export function cubicFar(x: Expr, a: number): Expr {
  const c = (value: number): Expr => constant(x.dtype, value);
  const inner = binary('sub', binary('mul', c(a), x), c(5 * a));
  const middle = binary('add', binary('mul', inner, x), c(8 * a));
  return binary('sub', binary('mul', middle, x), c(4 * a));
}

/** At any distance, for references. */
export function cubicWeight(x: number, a: number): number {
  if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
}
