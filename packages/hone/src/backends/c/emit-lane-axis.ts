/**
 * What a vector loop's lanes are, and where they lie: which values differ between lanes, in which
 * form lanes are held, and the memory or register that a position per lane amounts to.
 */
import type { DType } from 'hone-runtime/base/dtype';
import { rewriteExpr } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import { strideOf, sumOf } from '../../loop/affine.ts';
import { type CExpr, primary } from './c-text.ts';
import { bufferName, type Context, registerPosition } from './emit-context.ts';
import { affineText, indexExpr } from './emit-scalar.ts';

/** The lanes being written: axis = lo + 0 … lo + width - 1. */
export interface LaneAxis {
  readonly axis: string;
  readonly width: number;
  readonly lo: Expr;
}

/** Thrown by `notVector`, caught by `tryVector`: the expression has no vector form. */
class NotVectorError extends Error {}

/** Gives up: the statement becomes a scalar loop over the lanes. */
export function notVector(why: string): never {
  throw new NotVectorError(why);
}

/** Runs a translation; undefined when something has no vector form. */
export function tryVector<T>(translate: () => T): T | undefined {
  try {
    return translate();
  } catch (error) {
    if (error instanceof NotVectorError) return undefined;
    throw error;
  }
}

export type Rep = 'f32' | 'f64' | 'i32' | 'u32';

/** Form of lanes for a dtype. */
export function repOf(dtype: DType): Rep {
  switch (dtype) {
    case 'f32':
    case 'f16':
    case 'bf16':
      return 'f32';
    case 'f64':
      return 'f64';
    case 'i8':
    case 'u8':
    case 'i16':
    case 'u16':
    case 'i32':
    case 'bool':
      return 'i32';
    case 'u32':
      return 'u32';
    default:
      return notVector(`${dtype} lanes`);
  }
}

export function vectorType(dtype: DType, width: number): string {
  return `hone_${repOf(dtype)}x${width}`;
}

/** Does the value differ between lanes? */
export function varies(context: Context, lane: LaneAxis, expr: Expr): boolean {
  if (expr.kind === 'axis') {
    const value = context.substitutions.get(expr.name);
    return value === undefined ? expr.name === lane.axis : varies(context, lane, value);
  }
  if (expr.kind === 'const' || expr.kind === 'acc') return false;
  switch (expr.kind) {
    case 'load':
      return expr.index.some((part) => varies(context, lane, part));
    case 'unary':
    case 'cast':
      return varies(context, lane, expr.x);
    case 'bound':
      return varies(context, lane, expr.x) || varies(context, lane, expr.extent);
    case 'binary':
      return varies(context, lane, expr.a) || varies(context, lane, expr.b);
    case 'select':
      return [expr.cond, expr.a, expr.b].some((part) => varies(context, lane, part));
    default:
      return expr satisfies never;
  }
}

/** Replaces lane-dependent lets and puts the lane axis at its first position. */
export function atFirstLane(context: Context, lane: LaneAxis, expr: Expr): Expr {
  return rewriteExpr(inlineLets(context, expr), (node) =>
    node.kind === 'axis' && node.name === lane.axis ? lane.lo : node,
  );
}

/** Replaces lets of the vector loop by their values. */
export function inlineLets(context: Context, expr: Expr): Expr {
  if (context.substitutions.size === 0) return expr;
  return rewriteExpr(expr, (node) =>
    node.kind === 'axis' ? (context.substitutions.get(node.name) ?? node) : node,
  );
}

/** The position of lane 0 in memory, when the lanes are neighbours. */
export function memoryPosition(context: Context, lane: LaneAxis, index: Expr): CExpr {
  const inlined = inlineLets(context, index);
  if (strideOf(sumOf(inlined), lane.axis) !== 1) return notVector('gather');
  return indexExpr(context, atFirstLane(context, lane, inlined));
}

/** The register a position lies in, when the lanes fill it exactly. */
export function registerText(context: Context, lane: LaneAxis, buffer: string, index: Expr): CExpr {
  if (lane.width !== context.fn.lanes) return notVector('part of a register');
  const inlined = inlineLets(context, index);
  if (strideOf(sumOf(inlined), lane.axis) !== 1) return notVector('lanes of a register');
  const position = registerPosition(context, atFirstLane(context, lane, inlined), undefined);
  if (position === undefined || position.lane !== 0) return notVector('position in a register');
  return primary(`${bufferName(buffer)}[${affineText(context, position.register).text}]`);
}
