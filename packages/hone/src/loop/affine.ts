/**
 * Integer expressions as sums: constant + Σ factor · atom, where an atom is an axis or any
 * expression that is not itself a sum or a product with a constant. Two indices that differ only
 * in how they are written have the same affine form, so strides can be read off.
 */
import { binary, index } from '../expr/build.ts';
import { children } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';

export interface AffineTerm {
  readonly atom: Expr;
  readonly factor: number;
}

export interface Affine {
  readonly constant: number;
  /** In order of first appearance; factors are never 0. */
  readonly terms: readonly AffineTerm[];
}

/** The affine form of an i64 expression. */
export function affineOf(expr: Expr): Affine {
  const terms = new Map<string, AffineTerm>();
  let constant = 0;
  const add = (node: Expr, scale: number): void => {
    if (node.kind === 'const') {
      constant += Number(node.value) * scale;
      return;
    }
    if (node.kind === 'unary' && node.op === 'neg') return add(node.x, -scale);
    if (node.kind === 'binary') {
      if (node.op === 'add' || node.op === 'sub') {
        add(node.a, scale);
        add(node.b, node.op === 'add' ? scale : -scale);
        return;
      }
      if (node.op === 'mul') {
        const [a, b] = [affineOf(node.a), affineOf(node.b)];
        const [sum, factor] = b.terms.length === 0 ? [a, b.constant] : [b, a.constant];
        if (a.terms.length === 0 || b.terms.length === 0) {
          constant += sum.constant * factor * scale;
          for (const term of sum.terms) addTerm(term.atom, term.factor * factor * scale);
          return;
        }
      }
    }
    addTerm(node, scale);
  };
  const addTerm = (atom: Expr, factor: number): void => {
    const key = exprKey(atom);
    const total = (terms.get(key)?.factor ?? 0) + factor;
    terms.set(key, { atom, factor: total });
  };
  add(expr, 1);
  return { constant, terms: [...terms.values()].filter((term) => term.factor !== 0) };
}

/** The value of an expression without any axis, or undefined. */
export function constantOf(expr: Expr): number | undefined {
  const { constant, terms } = affineOf(expr);
  return terms.length === 0 ? constant : undefined;
}

/** How far the form moves when the axis grows by one; undefined when an atom hides the axis. */
export function strideOf(form: Affine, axis: string): number | undefined {
  let stride = 0;
  for (const { atom, factor } of form.terms) {
    if (atom.kind === 'axis' && atom.name === axis) stride = factor;
    else if (dependsOn(atom, axis)) return undefined;
  }
  return stride;
}

/** Is the axis mentioned anywhere inside? */
export function dependsOn(expr: Expr, axis: string): boolean {
  if (expr.kind === 'axis') return expr.name === axis;
  return children(expr).some((child) => dependsOn(child, axis));
}

/** The expression of an affine form. */
export function affineExpr(form: Affine): Expr {
  let sum: Expr | undefined;
  for (const { atom, factor } of form.terms) {
    const term = factor === 1 ? atom : binary('mul', atom, index(factor));
    sum = sum === undefined ? term : binary('add', sum, term);
  }
  if (sum === undefined) return index(form.constant);
  return form.constant === 0 ? sum : binary('add', sum, index(form.constant));
}

/** A text that is equal for structurally equal expressions, and only for those. */
export function exprKey(expr: Expr): string {
  switch (expr.kind) {
    case 'const':
      return `${expr.dtype}:${Object.is(expr.value, -0) ? '-0' : expr.value}`;
    case 'axis':
      return expr.name;
    case 'acc':
      return `acc${expr.step}:${expr.dtype}`;
    case 'load':
      return `${expr.source}:${expr.dtype}[${expr.index.map(exprKey).join(',')}]`;
    case 'unary':
      return `${expr.op}(${exprKey(expr.x)})`;
    case 'binary':
      return `${expr.op}(${exprKey(expr.a)},${exprKey(expr.b)})`;
    case 'select':
      return `select(${exprKey(expr.cond)},${exprKey(expr.a)},${exprKey(expr.b)})`;
    case 'cast':
      return `${expr.dtype}(${exprKey(expr.x)})`;
    case 'bound':
      return `bound(${exprKey(expr.x)},${exprKey(expr.extent)})`;
    default:
      return expr satisfies never;
  }
}
