/**
 * Loop nests: axes with extents, merged where addresses allow, one of them parallel.
 * Shared by the map and reduce lowerings.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { asAffine } from '../expr/affine.ts';
import { axis, binary, iadd, imul, index } from '../expr/build.ts';
import { substituteAxes, visitExpr } from '../expr/rewrite.ts';
import { simplifyExpr } from '../expr/simplify.ts';
import type { Expr } from '../expr/types.ts';
import type { LoopMode, Stmt } from '../loop/types.ts';

export interface LoopAxis {
  readonly name: string;
  readonly extent: number;
  /** Upper bound where it is below `extent` for some outer index (tails of blocked channels). */
  readonly limit?: Expr;
}

export type Ranges = ReadonlyMap<string, readonly [number, number]>;

export function rangesOf(axes: readonly LoopAxis[]): Ranges {
  return new Map(axes.map(({ name, extent }) => [name, [0, Math.max(0, extent - 1)] as const]));
}

/** Replaces axes of extent 1 by 0 and simplifies; gives the axes that remain. */
export function dropUnitAxes(
  axes: readonly LoopAxis[],
  exprs: readonly Expr[],
): { axes: LoopAxis[]; exprs: Expr[] } {
  const unit = new Map(axes.filter((a) => a.extent === 1).map((a) => [a.name, index(0)]));
  const kept = axes.filter((a) => a.extent !== 1);
  const ranges = rangesOf(kept);
  return { axes: kept, exprs: exprs.map((e) => simplifyExpr(substituteAxes(e, unit), ranges)) };
}

/**
 * Merges neighbouring axes that every address walks as one: stride of the outer = stride of the
 * inner × its extent. Axes used other than in affine addresses stay apart.
 */
export function mergeAxes(
  axes: readonly LoopAxis[],
  exprs: readonly Expr[],
): { axes: LoopAxis[]; exprs: Expr[] } {
  let current = { axes: [...axes], exprs: [...exprs] };
  for (let i = current.axes.length - 2; i >= 0; i--) {
    const outer = at(current.axes, i);
    const inner = at(current.axes, i + 1);
    if (outer.limit !== undefined || inner.limit !== undefined) continue;
    if (!current.exprs.every((expr) => canMerge(expr, outer, inner))) continue;
    const name = inner.name;
    const merged: LoopAxis = { name, extent: outer.extent * inner.extent };
    // The inner stride carries the whole walk, so the outer axis simply vanishes.
    const gone = new Map([[outer.name, index(0)]]);
    const next = [...current.axes.slice(0, i), merged, ...current.axes.slice(i + 2)];
    const ranges = rangesOf(next);
    current = {
      axes: next,
      exprs: current.exprs.map((e) => simplifyExpr(substituteAxes(e, gone), ranges)),
    };
  }
  return current;
}

function canMerge(expr: Expr, outer: LoopAxis, inner: LoopAxis): boolean {
  if (expr.kind === 'axis') return !usesAny(expr, outer, inner);
  if (expr.kind === 'load') {
    const address = at(expr.index, 0);
    if (!usesAny(address, outer, inner)) return true;
    const affine = asAffine(address);
    if (affine === null) return false;
    const outerStride = affine.terms.get(outer.name) ?? 0;
    const innerStride = affine.terms.get(inner.name) ?? 0;
    return outerStride === innerStride * inner.extent;
  }
  if (expr.kind === 'const' || expr.kind === 'acc') return true;
  const parts: readonly Expr[] =
    expr.kind === 'binary'
      ? [expr.a, expr.b]
      : expr.kind === 'select'
        ? [expr.cond, expr.a, expr.b]
        : expr.kind === 'bound'
          ? [expr.x, expr.extent]
          : [expr.x];
  return parts.every((part) => canMerge(part, outer, inner));
}

function usesAny(expr: Expr, ...axes: readonly LoopAxis[]): boolean {
  let found = false;
  visitExpr(expr, (node) => {
    if (node.kind === 'axis' && axes.some((a) => a.name === node.name)) found = true;
  });
  return found;
}

export function forLoop(
  name: string,
  lo: Expr | number,
  hi: Expr | number,
  mode: LoopMode,
  body: readonly Stmt[],
  step = 1,
): Stmt {
  const bound = (x: Expr | number): Expr => (typeof x === 'number' ? index(x) : x);
  return { kind: 'for', axis: name, lo: bound(lo), hi: bound(hi), step, mode, body };
}

/** Elements one worker takes at a time when a flat loop is split. */
const CHUNK = 1024;

/** Enough iterations to share among many workers evenly. */
const MANY = 16;

/**
 * Nests loops around a body, outermost first, with one parallel: the outermost of many iterations,
 * else the longest; a flat loop of little work an iteration goes in chunks. `work` is about how many
 * elements one run of the body touches. Too little work in all stays with one worker.
 */
export function nestLoops(axes: readonly LoopAxis[], body: readonly Stmt[], work = 1): Stmt[] {
  const chosen = parallelAxis(axes, work);
  const last = axes.length - 1;
  let stmts: readonly Stmt[] = body;
  for (let i = last; i >= 0; i--) {
    const { name, extent, limit } = at(axes, i);
    if (i === chosen && i === last && work <= 4) {
      stmts = [chunked(name, extent, stmts)];
    } else {
      stmts = [forLoop(name, 0, limit ?? extent, i === chosen ? 'parallel' : 'serial', stmts)];
    }
  }
  return chosen < 0 ? [forLoop('once', 0, 1, 'parallel', stmts)] : [...stmts];
}

function parallelAxis(axes: readonly LoopAxis[], work: number): number {
  const whole = axes.reduce((product, a) => product * a.extent, work);
  if (whole <= CHUNK) return -1;
  const many = axes.slice(0, -1).findIndex((a) => a.extent >= MANY && a.limit === undefined);
  if (many >= 0) return many;
  let longest = -1;
  axes.forEach((a, i) => {
    if (a.limit !== undefined || a.extent < 2) return;
    // The innermost loop is split only where its iterations are many or heavy.
    if (i === axes.length - 1 && a.extent * work <= CHUNK) return;
    if (longest < 0 || a.extent > at(axes, longest).extent * (i === axes.length - 1 ? 64 : 1)) {
      longest = i;
    }
  });
  return longest;
}

function chunked(name: string, extent: number, body: readonly Stmt[]): Stmt {
  const part = `${name}_part`;
  const lo = imul(axis(part), CHUNK);
  const hi = extent % CHUNK === 0 ? iadd(lo, CHUNK) : binary('min', iadd(lo, CHUNK), index(extent));
  return forLoop(part, 0, Math.ceil(extent / CHUNK), 'parallel', [
    forLoop(name, lo, hi, 'serial', body),
  ]);
}
