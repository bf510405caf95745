/**
 * Scalar expressions: the one language for element values and for indices, in stages and in loops.
 *
 * Expressions are frozen plain trees; every node carries its dtype. Indices are i64. Semantics:
 * - integer arithmetic wraps as in C; integer `div` truncates, by zero gives 0; `floordiv` and
 *   `mod` round toward minus infinity (mod has the divisor's sign); `fmod` truncates;
 * - comparisons give bool; `min`/`max` return NaN when either side is NaN;
 * - `round` is to nearest even; `cast` float→integer truncates and saturates, to bool is `!= 0`; integers of 2
 *   and 4 bits take the low bits of the i32; floats of 8 bits become infinity or NaN where they overflow;
 * - `bound` is a checked index taken from data: negative values count from the end; a value
 *   outside [-extent, extent) raises a run-time fault (HONE-RUN-010) and yields 0;
 * - loads never read outside their operand (`select` evaluates one branch only, so a guarded
 *   load is safe).
 */
import type { DType } from 'hone-runtime/base/dtype';

export const UNARY_OPS = [
  'neg',
  'abs',
  'sqrt',
  'exp',
  'log',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'sigmoid',
  'floor',
  'ceil',
  'round',
  'trunc',
  'sign',
  'not',
  'isnan',
  'isinf',
] as const;
export type UnaryOp = (typeof UNARY_OPS)[number];

export const BINARY_OPS = [
  'add',
  'sub',
  'mul',
  'div',
  'floordiv',
  'mod',
  'fmod',
  'pow',
  'min',
  'max',
  'and',
  'or',
  'xor',
  'shl',
  'shr',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
] as const;
export type BinaryOp = (typeof BINARY_OPS)[number];

export type Expr =
  | { readonly kind: 'const'; readonly dtype: DType; readonly value: number | bigint }
  /** An iteration variable or an integer parameter, by name. */
  | { readonly kind: 'axis'; readonly dtype: 'i64'; readonly name: string }
  /** In stages: `source` is an operand name, one index per dimension. In loops: a buffer, one flat index. */
  | {
      readonly kind: 'load';
      readonly dtype: DType;
      readonly source: string;
      readonly index: readonly Expr[];
    }
  | { readonly kind: 'unary'; readonly dtype: DType; readonly op: UnaryOp; readonly x: Expr }
  | {
      readonly kind: 'binary';
      readonly dtype: DType;
      readonly op: BinaryOp;
      readonly a: Expr;
      readonly b: Expr;
    }
  | {
      readonly kind: 'select';
      readonly dtype: DType;
      readonly cond: Expr;
      readonly a: Expr;
      readonly b: Expr;
    }
  | { readonly kind: 'cast'; readonly dtype: DType; readonly x: Expr }
  | { readonly kind: 'bound'; readonly dtype: 'i64'; readonly x: Expr; readonly extent: Expr }
  /** Result of a stage's reduction step (0-based). */
  | { readonly kind: 'acc'; readonly dtype: DType; readonly step: number };

export type ExprKind = Expr['kind'];
