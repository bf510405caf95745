/**
 * Positions as sums: constant + Σ factor · atom, where an atom is an axis or any expression that is
 * not a sum itself. Two indices that differ only in how they are written have the same sum, so
 * strides can be read off.
 */
import { asAffine, type OpaqueTerms } from '../expr/affine.ts';
import { axis } from '../expr/build.ts';
import { children } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';

export interface Term {
  readonly atom: Expr;
  /** Never 0. */
  readonly factor: number;
}

export interface Sum {
  readonly constant: number;
  /** In order of first appearance. */
  readonly terms: readonly Term[];
}

/** The sum an i64 expression is; the expression itself is the only atom where nothing is known. */
export function sumOf(expr: Expr): Sum {
  const opaque: OpaqueTerms = new Map();
  const sum = asAffine(expr, opaque);
  if (sum === null) return { constant: 0, terms: [{ atom: expr, factor: 1 }] };
  const terms = [...sum.terms].map(([key, factor]) => ({
    atom: opaque.get(key) ?? axis(key),
    factor,
  }));
  return { constant: sum.constant, terms };
}

/** The value of an index without axes or loads, or undefined. */
export function constantOf(expr: Expr): number | undefined {
  const { constant, terms } = sumOf(expr);
  return terms.length === 0 ? constant : undefined;
}

/** How far the sum moves when the axis grows by one; undefined when an atom hides the axis. */
export function strideOf(sum: Sum, name: string): number | undefined {
  let stride = 0;
  for (const { atom, factor } of sum.terms) {
    if (atom.kind === 'axis' && atom.name === name) stride = factor;
    else if (dependsOn(atom, name)) return undefined;
  }
  return stride;
}

/** Is the axis mentioned anywhere inside? */
export function dependsOn(expr: Expr, name: string): boolean {
  if (expr.kind === 'axis') return expr.name === name;
  return children(expr).some((child) => dependsOn(child, name));
}
