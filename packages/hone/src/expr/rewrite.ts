/** Walks and rewrites of expressions. */
import type { Expr } from './types.ts';

/** Direct sub-expressions, in order. */
export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'const':
    case 'axis':
    case 'acc':
      return [];
    case 'load':
      return expr.index;
    case 'unary':
    case 'cast':
      return [expr.x];
    case 'bound':
      return [expr.x, expr.extent];
    case 'binary':
      return [expr.a, expr.b];
    case 'select':
      return [expr.cond, expr.a, expr.b];
    default:
      return expr satisfies never;
  }
}

/** Rebuilds an expression from rewritten children; the same object when nothing changed. */
export function mapChildren(expr: Expr, rewrite: (child: Expr) => Expr): Expr {
  switch (expr.kind) {
    case 'const':
    case 'axis':
    case 'acc':
      return expr;
    case 'load': {
      const index = expr.index.map(rewrite);
      const same = index.every((item, i) => item === expr.index[i]);
      return same ? expr : Object.freeze({ ...expr, index: Object.freeze(index) });
    }
    case 'unary':
    case 'cast': {
      const x = rewrite(expr.x);
      return x === expr.x ? expr : Object.freeze({ ...expr, x });
    }
    case 'bound': {
      const x = rewrite(expr.x);
      const extent = rewrite(expr.extent);
      return x === expr.x && extent === expr.extent ? expr : Object.freeze({ ...expr, x, extent });
    }
    case 'binary': {
      const a = rewrite(expr.a);
      const b = rewrite(expr.b);
      return a === expr.a && b === expr.b ? expr : Object.freeze({ ...expr, a, b });
    }
    case 'select': {
      const cond = rewrite(expr.cond);
      const a = rewrite(expr.a);
      const b = rewrite(expr.b);
      const same = cond === expr.cond && a === expr.a && b === expr.b;
      return same ? expr : Object.freeze({ ...expr, cond, a, b });
    }
    default:
      return expr satisfies never;
  }
}

/** Bottom-up rewrite. */
export function rewriteExpr(expr: Expr, rewrite: (expr: Expr) => Expr): Expr {
  return rewrite(mapChildren(expr, (child) => rewriteExpr(child, rewrite)));
}

/** Replaces axes by name. */
export function substituteAxes(expr: Expr, by: ReadonlyMap<string, Expr>): Expr {
  return rewriteExpr(expr, (node) => (node.kind === 'axis' ? (by.get(node.name) ?? node) : node));
}

export function visitExpr(expr: Expr, visit: (expr: Expr) => void): void {
  visit(expr);
  for (const child of children(expr)) visitExpr(child, visit);
}

/** Number of nodes. */
export function exprSize(expr: Expr): number {
  return children(expr).reduce((sum, child) => sum + exprSize(child), 1);
}
