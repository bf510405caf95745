/**
 * Index expressions as sums of coefficient × axis plus a constant.
 *
 * The sum means the same as the expression for all axis values (i64 arithmetic is exact here:
 * coefficients outside the safe integers are refused).
 */
import { constant, iadd, imul, index, binary, axis } from './build.ts';
import { printExpr } from './print.ts';
import type { Expr } from './types.ts';

export interface Affine {
  /** Coefficient of each axis (or opaque term), none zero, in the order of first appearance. */
  readonly terms: ReadonlyMap<string, number>;
  readonly constant: number;
}

/** Terms that are not axes, by the key under which they stand in `Affine.terms`. */
export type OpaqueTerms = Map<string, Expr>;

/**
 * The sum an i64 expression stands for; null where it is not one. With `opaque`, terms that are
 * not affine (loads, floordiv, …) are kept whole: each gets a key, and `opaque` receives it.
 */
export function asAffine(expr: Expr, opaque?: OpaqueTerms): Affine | null {
  if (expr.dtype !== 'i64') return null;
  if (expr.kind === 'const') {
    const value = Number(expr.value);
    return Number.isSafeInteger(value) ? affine(new Map(), value) : whole(expr, opaque);
  }
  if (expr.kind === 'axis') return affine(new Map([[expr.name, 1]]), 0);
  if (expr.kind === 'unary' && expr.op === 'neg') {
    const x = asAffine(expr.x, opaque);
    return (x && scaleAffine(x, -1)) ?? whole(expr, opaque);
  }
  if (expr.kind === 'binary' && (expr.op === 'add' || expr.op === 'sub')) {
    const a = asAffine(expr.a, opaque);
    const b = a && asAffine(expr.b, opaque);
    return (a && b && addAffine(a, b, expr.op === 'add' ? 1 : -1)) ?? whole(expr, opaque);
  }
  if (expr.kind === 'binary' && expr.op === 'mul') {
    const a = asAffine(expr.a, opaque);
    const b = a && asAffine(expr.b, opaque);
    if (a && b?.terms.size === 0) return scaleAffine(a, b.constant) ?? whole(expr, opaque);
    if (b && a?.terms.size === 0) return scaleAffine(b, a.constant) ?? whole(expr, opaque);
  }
  return whole(expr, opaque);
}

/** a + factor·b; null when a coefficient gets too large. */
export function addAffine(a: Affine, b: Affine, factor = 1): Affine | null {
  const terms = new Map(a.terms);
  for (const [name, coefficient] of b.terms) {
    const sum = (terms.get(name) ?? 0) + factor * coefficient;
    if (sum === 0) terms.delete(name);
    else terms.set(name, sum);
  }
  return checked(affine(terms, a.constant + factor * b.constant));
}

/** a · factor; null when a coefficient gets too large. */
export function scaleAffine(a: Affine, factor: number): Affine | null {
  if (factor === 0) return affine(new Map(), 0);
  const terms = new Map([...a.terms].map(([name, value]) => [name, value * factor]));
  return checked(affine(terms, a.constant * factor));
}

/**
 * The expression of a sum, always the same for equal sums: terms by falling size of the
 * coefficient, then by name; subtractions for negative coefficients; the constant last.
 */
export function fromAffine(sum: Affine, opaque?: ReadonlyMap<string, Expr>): Expr {
  const sorted = [...sum.terms].sort(
    ([nameA, a], [nameB, b]) =>
      Math.sign(b) - Math.sign(a) || Math.abs(b) - Math.abs(a) || byName(nameA, nameB),
  );
  const base = (name: string): Expr => opaque?.get(name) ?? axis(name);
  let out: Expr | undefined;
  let rest = sum.constant;
  for (const [name, coefficient] of sorted) {
    if (out === undefined) {
      if (coefficient > 0 || rest === 0) {
        out = imul(base(name), coefficient);
        continue;
      }
      out = index(rest);
      rest = 0;
    }
    out =
      coefficient > 0
        ? binary('add', out, imul(base(name), coefficient))
        : binary('sub', out, imul(base(name), -coefficient));
  }
  return out === undefined ? constant('i64', rest) : iadd(out, rest);
}

function whole(expr: Expr, opaque: OpaqueTerms | undefined): Affine | null {
  if (opaque === undefined) return null;
  const key = `(${printExpr(expr)})`;
  opaque.set(key, expr);
  return affine(new Map([[key, 1]]), 0);
}

function affine(terms: ReadonlyMap<string, number>, value: number): Affine {
  return { terms, constant: value === 0 ? 0 : value };
}

function checked(sum: Affine): Affine | null {
  const safe =
    Number.isSafeInteger(sum.constant) && [...sum.terms.values()].every(Number.isSafeInteger);
  return safe ? sum : null;
}

/** i2 before i10. */
function byName(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
