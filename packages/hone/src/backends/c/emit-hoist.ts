/**
 * Checked indices that are the same in every iteration of a loop, found so that they are checked
 * once before it: a check stores a fault, which keeps the compiler from moving it by itself.
 *
 * Only what every iteration computes anyway is taken, from memory that the kernel never writes.
 */
import { children } from '../../expr/rewrite.ts';
import { printExpr } from '../../expr/print.ts';
import type { Expr } from '../../expr/types.ts';
import { constantOf } from '../../loop/affine.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** Invariant checks of a loop that surely runs; each with all the nodes that are equal to it. */
export function invariantChecks(fn: LoopFn, loop: For): readonly (readonly Expr[])[] {
  if (!surelyRuns(loop)) return [];
  const readOnly = new Set(
    fn.buffers.filter((param) => param.access === 'read').map((param) => param.name),
  );
  const found = new Map<string, Expr[]>();
  const visit = (expr: Expr, inside: ReadonlySet<string>): void => {
    if (expr.kind === 'bound' && isInvariant(expr, inside, readOnly)) {
      const key = printExpr(expr);
      found.set(key, [...(found.get(key) ?? []), expr]);
      return;
    }
    const always = expr.kind === 'select' ? [expr.cond] : children(expr);
    for (const part of always) visit(part, inside);
  };
  const visitBody = (body: readonly Stmt[], outer: ReadonlySet<string>): void => {
    const inside = new Set(outer);
    for (const stmt of body) {
      for (const expr of ownExprs(stmt)) visit(expr, inside);
      if (stmt.kind === 'let') inside.add(stmt.name);
      if (stmt.kind === 'block') visitBody(stmt.body, inside);
      if (stmt.kind === 'for' && surelyRuns(stmt)) {
        visitBody(stmt.body, new Set([...inside, stmt.axis]));
      }
    }
  };
  visitBody(loop.body, new Set([loop.axis]));
  return [...found.values()];
}

function surelyRuns(loop: For): boolean {
  const [lo, hi] = [constantOf(loop.lo), constantOf(loop.hi)];
  return lo !== undefined && hi !== undefined && hi > lo;
}

/** Expressions a statement computes whenever it is reached. */
function ownExprs(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case 'assign':
    case 'accumulate':
      return [stmt.index, stmt.value];
    case 'let':
      return [stmt.value];
    case 'if':
      return [stmt.cond];
    default:
      return [];
  }
}

function isInvariant(
  expr: Expr,
  inside: ReadonlySet<string>,
  readOnly: ReadonlySet<string>,
): boolean {
  if (expr.kind === 'axis') return !inside.has(expr.name);
  if (expr.kind === 'load' && !readOnly.has(expr.source)) return false;
  return children(expr).every((child) => isInvariant(child, inside, readOnly));
}
