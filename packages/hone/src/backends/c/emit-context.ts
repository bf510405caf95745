/**
 * What the emitter knows while it writes one kernel: buffers in scope, names, and which temporary
 * stands for which repeated sub-expression.
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { Expr } from '../../expr/types.ts';
import { type Sum, sumOf } from '../../loop/affine.ts';
import type { Instr, LoopFn } from '../../loop/types.ts';
import { identifier } from './c-text.ts';
import type { TempOptions } from './emit-temps.ts';

export interface BufferInfo {
  readonly dtype: DType;
  readonly space: 'param' | 'stack' | 'register';
}

export interface Context {
  readonly fn: LoopFn;
  readonly instrs: ReadonlyMap<string, Instr>;
  readonly buffers: Map<string, BufferInfo>;
  /** Axes and lets known never to be negative. */
  readonly nonNegative: Set<string>;
  /** Vector widths whose helpers the function uses. */
  readonly widths: Set<number>;
  /** Header files beyond the two that every unit includes. */
  readonly headers: Set<string>;
  /** Temporaries of the statement being written, by node identity. */
  temps: ReadonlyMap<Expr, string>;
  /** Lets of a vector loop that depend on the lane, replaced by their value. */
  substitutions: ReadonlyMap<string, Expr>;
  counter: number;
}

export function createContext(fn: LoopFn, instrs: ReadonlyMap<string, Instr>): Context {
  return {
    fn,
    instrs,
    buffers: new Map(
      fn.buffers.map((param) => [param.name, { dtype: param.dtype, space: 'param' }]),
    ),
    nonNegative: new Set(fn.dims),
    widths: new Set(),
    headers: new Set(),
    temps: new Map(),
    substitutions: new Map(),
    counter: 0,
  };
}

export function bufferInfo(context: Context, name: string): BufferInfo {
  const info = context.buffers.get(name);
  invariant(info !== undefined, `${context.fn.name}: buffer "${name}" is not defined`);
  return info;
}

/** A name nothing else in the function has. */
export function freshName(context: Context): string {
  return `t${context.counter++}`;
}

/** Can the value of this i64 expression be negative, as far as loops tell? */
export function isNonNegative(context: Context, expr: Expr): boolean {
  switch (expr.kind) {
    case 'const':
      return Number(expr.value) >= 0;
    case 'axis':
      return context.nonNegative.has(expr.name);
    case 'bound':
      return true;
    case 'binary': {
      const [a, b] = [isNonNegative(context, expr.a), isNonNegative(context, expr.b)];
      if (expr.op === 'mod') return b;
      if (expr.op === 'max') return a || b;
      return ['add', 'mul', 'floordiv', 'div', 'min'].includes(expr.op) && a && b;
    }
    case 'select':
      return isNonNegative(context, expr.a) && isNonNegative(context, expr.b);
    default:
      return false;
  }
}

/**
 * A position in a register buffer: which register, and which lane of it. The register is given as
 * an affine form, exact because every factor is a multiple of the width.
 */
export function registerPosition(
  context: Context,
  index: Expr,
  lane: { readonly axis: string; readonly width: number } | undefined,
): { readonly register: Sum; readonly lane: number } | undefined {
  const { lanes } = context.fn;
  const form = sumOf(index);
  const terms = form.terms.filter(({ atom, factor }) => {
    const isLane = lane !== undefined && atom.kind === 'axis' && atom.name === lane.axis;
    return !(isLane && factor === 1);
  });
  if (terms.some((term) => term.factor % lanes !== 0)) return undefined;
  const register = Math.floor(form.constant / lanes);
  return {
    register: {
      constant: register,
      terms: terms.map((term) => ({ atom: term.atom, factor: term.factor / lanes })),
    },
    lane: form.constant - register * lanes,
  };
}

/** How repeated sub-expressions are told here: a register needs no second name. */
export function tempOptions(context: Context, lanes: boolean): TempOptions {
  return {
    lanes,
    isFree: (node) =>
      context.temps.has(node) ||
      (node.kind === 'load' && context.buffers.get(node.source)?.space === 'register'),
  };
}

export function bufferName(name: string): string {
  return identifier(name);
}
