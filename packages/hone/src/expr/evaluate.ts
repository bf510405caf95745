/**
 * Runs expressions: the executable form of the semantics in `types.ts`.
 *
 * `compileExpr` turns a tree into closures once, for many evaluations. i64 and u64 values are
 * bigints; index arithmetic (axes, constants, checked indices) runs on numbers. Floats are
 * doubles; casts round.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { type DType, isBig } from 'hone-runtime/base/dtype';
import { binaryScalar, castScalar, floorModulo, type Scalar, unaryScalar } from './scalar.ts';
import type { BinaryOp, Expr } from './types.ts';

export type { Scalar } from './scalar.ts';

/** What an expression needs from outside. */
export interface EvaluationEnv {
  readonly axis: (name: string) => number;
  /** An element of an operand (or, in loops, of a buffer at one flat index). */
  readonly load: (source: string, index: readonly number[], dtype: DType) => Scalar;
  readonly acc: (step: number, dtype: DType) => Scalar;
  /** A checked index was outside its extent (HONE-RUN-010). */
  readonly fault?: () => void;
}

export type CompiledExpr = (env: EvaluationEnv) => Scalar;
type CompiledIndex = (env: EvaluationEnv) => number;

/** The value of an expression: a bigint for i64 and u64, else a number. */
export function evaluateExpr(expr: Expr, env: EvaluationEnv): Scalar {
  return compileExpr(expr)(env);
}

/** The expression as a function. */
export function compileExpr(expr: Expr): CompiledExpr {
  if (expr.dtype === 'i64' && isIndexArithmetic(expr)) {
    const run = compileIndex(expr);
    return (env) => BigInt(run(env));
  }
  switch (expr.kind) {
    case 'const': {
      const value = isBig(expr.dtype) ? BigInt(expr.value) : Number(expr.value);
      return () => value;
    }
    case 'axis': {
      const { name } = expr;
      return (env) => BigInt(env.axis(name));
    }
    case 'acc': {
      const { step, dtype } = expr;
      return normalized(dtype, (env) => env.acc(step, dtype));
    }
    case 'load': {
      const { source, dtype } = expr;
      const index = expr.index.map(compileIndex);
      return normalized(dtype, (env) => {
        const position = index.map((run) => run(env));
        return env.load(source, position, dtype);
      });
    }
    case 'unary': {
      const fn = unaryScalar(expr.op, expr.x.dtype);
      const x = compileExpr(expr.x);
      return (env) => fn(x(env));
    }
    case 'cast': {
      const fn = castScalar(expr.x.dtype, expr.dtype);
      const x = compileExpr(expr.x);
      return (env) => fn(x(env));
    }
    case 'bound': {
      const run = compileIndex(expr);
      return (env) => BigInt(run(env));
    }
    case 'binary': {
      const fn = binaryScalar(expr.op, expr.a.dtype);
      const indices =
        expr.a.dtype === 'i64' && isIndexArithmetic(expr.a) && isIndexArithmetic(expr.b);
      if (indices && expr.dtype === 'bool') {
        const compare = binaryScalar(expr.op, 'f64');
        const a = compileIndex(expr.a);
        const b = compileIndex(expr.b);
        return (env) => compare(a(env), b(env));
      }
      const a = compileExpr(expr.a);
      const b = compileExpr(expr.b);
      return (env) => fn(a(env), b(env));
    }
    case 'select': {
      const cond = compileExpr(expr.cond);
      const a = compileExpr(expr.a);
      const b = compileExpr(expr.b);
      return (env) => (cond(env) !== 0 ? a(env) : b(env));
    }
    default:
      return expr satisfies never;
  }
}

/** An i64 expression as a function to a number: for indices, which are exact as doubles. */
export function compileIndex(expr: Expr): CompiledIndex {
  switch (expr.kind) {
    case 'const': {
      const value = Number(expr.value);
      return () => value;
    }
    case 'axis': {
      const { name } = expr;
      return (env) => env.axis(name);
    }
    case 'bound': {
      const x = compileIndex(expr.x);
      const extent = compileIndex(expr.extent);
      return (env) => checkIndex(x(env), extent(env), env);
    }
    case 'binary': {
      const fn = INDEX_OPS[expr.op];
      if (fn === undefined || !isIndexArithmetic(expr)) break;
      const a = compileIndex(expr.a);
      const b = compileIndex(expr.b);
      return (env) => fn(a(env), b(env));
    }
    case 'select': {
      const cond = compileExpr(expr.cond);
      const a = compileIndex(expr.a);
      const b = compileIndex(expr.b);
      return (env) => (cond(env) !== 0 ? a(env) : b(env));
    }
    case 'load':
    case 'unary':
    case 'cast':
    case 'acc':
      break;
    default:
      return expr satisfies never;
  }
  const run = compileExpr(expr);
  return (env) => Number(run(env));
}

const INDEX_OPS: Partial<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b + 0,
  div: (a, b) => (b === 0 ? 0 : Math.trunc(a / b) + 0),
  fmod: (a, b) => (b === 0 ? 0 : (a % b) + 0),
  floordiv: (a, b) => (b === 0 ? 0 : Math.floor(a / b)),
  mod: (a, b) => (b === 0 ? 0 : floorModulo(a, b) + 0),
  min: Math.min,
  max: Math.max,
};

/** Only axes, constants, checked indices and exact operations on them: doubles suffice. */
function isIndexArithmetic(expr: Expr): boolean {
  switch (expr.kind) {
    case 'const':
      return expr.dtype === 'i64' && Number.isSafeInteger(Number(expr.value));
    case 'axis':
    case 'bound':
      return true;
    case 'binary':
      return (
        expr.dtype === 'i64' &&
        INDEX_OPS[expr.op] !== undefined &&
        isIndexArithmetic(expr.a) &&
        isIndexArithmetic(expr.b)
      );
    case 'select':
      return expr.dtype === 'i64' && isIndexArithmetic(expr.a) && isIndexArithmetic(expr.b);
    case 'load':
    case 'unary':
    case 'cast':
    case 'acc':
      return false;
    default:
      return expr satisfies never;
  }
}

function checkIndex(value: number, extent: number, env: EvaluationEnv): number {
  if (value >= 0 && value < extent) return value;
  if (value < 0 && value >= -extent) return value + extent;
  env.fault?.();
  return 0;
}

/** Loads and accumulators may give i64 as numbers; from here on they are bigints. */
function normalized(dtype: DType, read: CompiledExpr): CompiledExpr {
  if (!isBig(dtype)) return read;
  return (env) => {
    const value = read(env);
    if (typeof value === 'bigint') return value;
    if (!Number.isSafeInteger(value)) {
      fail('HONE-INTERNAL-001', `${value} is not an integer: it was read as ${dtype}`);
    }
    return BigInt(value);
  };
}
