/**
 * Seeded random expressions for fuzz tests, and the smallest failing sub-expression of one.
 *
 * Float arithmetic is kept to sums and powers of two of small dyadic numbers, so that every result
 * is exact in f32 and rewritten forms must agree bit for bit.
 */
import type { Random } from 'hone-runtime/base/random';
import type { DType } from 'hone-runtime/base/dtype';
import { axis, binary, bound, cast, constant, index, load, select, unary } from 'hone/expr/build';
import type { EvaluationEnv } from 'hone/expr/evaluate';
import type { Interval } from 'hone/expr/interval';
import { children, exprSize } from 'hone/expr/rewrite';
import type { BinaryOp, Expr, UnaryOp } from 'hone/expr/types';

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}

export const FUZZ_AXES = ['i0', 'i1', 'i2'] as const;

/** Inclusive ranges for the fuzz axes: from 0 mostly, sometimes shifted. */
export function randomRanges(random: Random): Map<string, Interval> {
  return new Map(
    FUZZ_AXES.map((name) => {
      const lo = random.integer(4) === 0 ? random.integer(20) - 10 : 0;
      return [name, [lo, lo + random.integer(pick(random, [2, 8, 16, 70]))] as const];
    }),
  );
}

const INDEX_OPS: readonly BinaryOp[] = ['add', 'sub', 'mul', 'min', 'max', 'add', 'add'];
const DIVISIONS: readonly BinaryOp[] = ['floordiv', 'mod', 'div', 'fmod', 'floordiv', 'mod'];
const DIVISORS = [1, 2, 3, 4, 6, 8, 16, 64, 0, -3];
const FACTORS = [0, 1, -1, 2, 3, 4, 8, 16, -16, 64];

/** An i64 expression. */
export function randomIndex(random: Random, depth: number): Expr {
  if (depth === 0 || random.integer(8) === 0) {
    if (random.integer(12) === 0) return load('1', 'i64', [axis(pick(random, FUZZ_AXES))]);
    return random.integer(3) === 0 ? index(random.integer(40) - 8) : axis(pick(random, FUZZ_AXES));
  }
  const child = (): Expr => randomIndex(random, depth - 1);
  switch (random.integer(9)) {
    case 0:
    case 1:
    case 2:
      return binary(pick(random, DIVISIONS), child(), index(pick(random, DIVISORS)));
    case 3:
    case 4:
      return binary('mul', child(), index(pick(random, FACTORS)));
    case 5:
      return random.integer(2) === 0
        ? bound(child(), 1 + random.integer(64))
        : select(randomCondition(random, depth - 1), child(), child());
    case 6:
      return random.integer(3) === 0
        ? cast('i64', randomValue(random, 'i32', depth - 1))
        : unary('neg', child());
    default:
      return binary(pick(random, INDEX_OPS), child(), child());
  }
}

const COMPARISONS: readonly BinaryOp[] = ['lt', 'le', 'gt', 'ge', 'eq', 'ne'];

function randomCondition(random: Random, depth: number): Expr {
  if (depth > 0 && random.integer(3) === 0) {
    const a = randomCondition(random, depth - 1);
    if (random.integer(3) === 0) return unary('not', a);
    return binary(
      pick(random, ['and', 'or', 'xor'] as const),
      a,
      randomCondition(random, depth - 1),
    );
  }
  if (random.integer(3) === 0) {
    const dtype = pick(random, ['f32', 'i32', 'u8'] as const);
    const a = randomValue(random, dtype, depth - 1);
    return binary(pick(random, COMPARISONS), a, randomValue(random, dtype, depth - 1));
  }
  const a = randomIndex(random, Math.max(0, depth - 1));
  return binary(pick(random, COMPARISONS), a, randomIndex(random, Math.max(0, depth - 1)));
}

const VALUE_DTYPES = ['f32', 'f64', 'i32', 'u8', 'i64', 'bool'] as const;
const OPERANDS: Partial<Record<DType, string>> = {
  f32: '0',
  i64: '1',
  i32: '2',
  u8: '3',
  f64: '4',
};

/** An expression of one of the value dtypes. */
export function randomValue(
  random: Random,
  dtype: (typeof VALUE_DTYPES)[number] = pick(random, VALUE_DTYPES),
  depth = 4,
): Expr {
  if (dtype === 'i64') return randomIndex(random, Math.max(0, depth));
  if (dtype === 'bool') return randomCondition(random, Math.max(0, depth));
  const isFloat = dtype === 'f32' || dtype === 'f64';
  if (depth <= 0 || random.integer(8) === 0) {
    if (random.integer(2) === 0) {
      const small = isFloat
        ? (random.integer(17) - 8) / 2
        : random.integer(dtype === 'u8' ? 9 : 17);
      return constant(dtype, random.integer(3) === 0 ? random.integer(2) : small);
    }
    return load(OPERANDS[dtype] ?? '0', dtype, [
      randomIndex(random, Math.min(1, Math.max(depth, 0))),
    ]);
  }
  const child = (): Expr => randomValue(random, dtype, depth - 1);
  switch (random.integer(7)) {
    case 0:
      return select(randomCondition(random, depth - 1), child(), child());
    case 1: {
      const from = pick(random, VALUE_DTYPES);
      const inner = randomValue(random, from, depth - 1);
      const through = pick(random, [
        inner.dtype,
        'f64',
        'i16',
        'u8',
        'i64',
        'f16',
        'bf16',
      ] as const);
      return cast(dtype, cast(through, inner));
    }
    case 2:
      return unary(pick(random, ['neg', 'abs', ...(isFloat ? [] : (['not'] as const))]), child());
    case 3:
      return binary('mul', child(), constant(dtype, isFloat ? pick(random, [0.5, 1, 2, -1]) : 1));
    default: {
      const ops: readonly BinaryOp[] = isFloat
        ? ['add', 'sub', 'min', 'max']
        : ['add', 'sub', 'min', 'max', 'mul', 'and', 'or', 'xor', 'div', 'mod'];
      return binary(pick(random, ops), child(), child());
    }
  }
}

const ANY_UNARY: readonly UnaryOp[] = ['exp', 'erf', 'sigmoid', 'isnan', 'round', 'sign'];
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-7, 3.5e38];

/** Any well-typed expression, with every kind of node and odd constants: for text round trips. */
export function randomAnyExpr(random: Random, depth: number): Expr {
  const inner = randomValue(random, undefined, depth);
  switch (random.integer(6)) {
    case 0:
      return binary('add', cast('f32', inner), constant('f32', pick(random, SPECIAL)));
    case 1:
      return unary(pick(random, ANY_UNARY), cast('f64', inner));
    case 2:
      return binary('xor', cast('u64', inner), constant('u64', 0xffff_ffff_ffff_fff0n));
    case 3:
      return binary('pow', { kind: 'acc', dtype: 'f16', step: 2 }, cast('f16', inner));
    case 4:
      return binary('add', load('a "b"', 'i64', [axis('acc0'), axis('inf')]), cast('i64', inner));
    default:
      return inner;
  }
}

/** Axis values and reproducible operand elements. */
export function fuzzEnv(axes: ReadonlyMap<string, number>): EvaluationEnv {
  return {
    axis: (name) => axes.get(name) ?? 0,
    load: (source, at, dtype) => {
      const hash = at.reduce((sum, i) => Math.imul(sum ^ i, 0x9e3779b1), Number(source) + 7) >>> 0;
      if (dtype === 'i64') {
        return hash % 5 === 0 ? 0x7fffffffffffffffn - BigInt(hash % 50) : BigInt(hash % 200) - 99n;
      }
      if (dtype === 'u8') return hash % 256;
      if (dtype === 'i32') return hash % 7 === 0 ? hash | 0 : (hash % 200) - 100;
      return ((hash % 33) - 16) / 2;
    },
    acc: () => 0,
  };
}

/** The smallest sub-expression that still fails. */
export function smallestFailing(expr: Expr, fails: (expr: Expr) => boolean): Expr {
  const parts: Expr[] = [];
  const collect = (node: Expr): void => {
    parts.push(node);
    children(node).forEach(collect);
  };
  collect(expr);
  return parts.filter(fails).reduce((a, b) => (exprSize(b) < exprSize(a) ? b : a), expr);
}
