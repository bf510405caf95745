/** ReduceSum and its kin. Sums are kept in f32 (f64 for f64, 64 bits for integers). */
import type { DType } from 'hone-runtime/base/dtype';
import { isFloat } from 'hone-runtime/base/dtype';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { OpDef } from '../define-op.ts';
import { FLOATS, NUMBERS } from './dtypes.ts';
import { largest, smallest } from './loops.ts';
import { defineReduction, type Fold, type Folds } from './reduce-family.ts';
import { bools, f32, i64, tensor, uniform } from './samples.ts';
import { integerLimits } from './saturate.ts';
import { add, call, choose, computeType, div, mul, sub, sumType } from './scalar.ts';

/** The dtypes of the sums: ONNX leaves the small integers out. */
const SUMMED: readonly DType[] = [...FLOATS, 'i32', 'i64', 'u32', 'u64'];
const COMPARED: readonly DType[] = [...NUMBERS, 'bool'];

const first = (results: readonly Expr[]): Expr => results[0] as Expr;

/** A sum of f(x), then a function of the sum, both in the dtype that `keptAs` says. */
function sumOf(
  f: (x: Expr) => Expr,
  finish: (sum: Expr, count: number) => Expr = (sum) => sum,
  keptAs: (dtype: DType) => DType = sumType,
): (dtype: DType) => Folds {
  return (dtype) => {
    const kept = keptAs(dtype);
    return {
      folds: [{ op: 'sum', dtype: kept, value: (x) => f(cast(kept, x)) }],
      finish: (results, count) => finish(first(results), count),
    };
  };
}

function fold(op: Fold['op'], dtype: DType): Folds {
  return { folds: [{ op, dtype, value: (x) => cast(dtype, x) }], finish: first };
}

/** Of sums that a root or a logarithm follows: sums of integers must not wrap before it. */
const floatType = (dtype: DType): DType => (isFloat(dtype) ? computeType(dtype) : 'f64');

/** log Σ e^x, with the largest x taken out; an infinite one is left in, and cancels nothing. */
function logSumExp(dtype: DType): Folds {
  const kept = floatType(dtype);
  const shift = (results: readonly Expr[]): Expr => {
    const peak = first(results);
    return choose(call('isinf', peak), 0, peak);
  };
  return {
    folds: [
      { op: 'max', dtype: kept, value: (x) => cast(kept, x) },
      {
        op: 'sum',
        dtype: kept,
        value: (x, before) => call('exp', sub(cast(kept, x), shift(before))),
      },
    ],
    finish: (results) => add(call('log', results[1] as Expr), shift(results)),
  };
}

const total = (x: Float64Array): number => x.reduce((a, b) => a + b, 0);
const totalBig = (x: readonly bigint[]): bigint => x.reduce((a, b) => a + b, 0n);

function logOfSumOfExp(x: Float64Array): number {
  const peak = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(peak)) return peak;
  return peak + Math.log(x.reduce((sum, value) => sum + Math.exp(value - peak), 0));
}

const boolCases = [
  { note: 'bool', inputs: [bools([3, 2], [1, 1, 0, 1, 0, 0]), i64([1], [1])] },
  { note: 'empty bool', inputs: [bools([2, 0], []), i64([1], [1])] },
  { note: 'NaN', inputs: [f32([2, 2], [1, Number.NaN, 3, 2]), i64([1], [1])] },
];

export const REDUCTIONS: readonly OpDef[] = [
  defineReduction({
    name: 'ReduceSum',
    doc: 'Sum over axes.',
    since: 13,
    dtypes: SUMMED,
    list: { number: total, big: totalBig },
    folds: sumOf((x) => x),
    cases: () => [
      { note: 'exact', inputs: [i64([3], [2n ** 60n, 1, 2]), i64([1], [0])] },
      { note: 'long', inputs: [uniform([3, 1000], 0, 1), i64([1], [-1])] },
    ],
  }),
  defineReduction({
    name: 'ReduceMean',
    doc: 'Mean over axes; integers truncate.',
    since: 18,
    dtypes: SUMMED,
    list: {
      number: (x) => total(x) / x.length,
      // The sum wraps at 64 bits.
      big: (x, dtype) => {
        const sum = (dtype === 'u64' ? BigInt.asUintN : BigInt.asIntN)(64, totalBig(x));
        return x.length === 0 ? 0n : sum / BigInt(x.length);
      },
    },
    folds: sumOf((x) => x, div),
  }),
  defineReduction({
    name: 'ReduceMax',
    doc: 'Largest element over axes; of none, the lowest number.',
    since: 20,
    dtypes: COMPARED,
    list: {
      number: (x) => x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
      big: (x, dtype) => x.reduce(largest, integerLimits(dtype)[0]),
    },
    folds: (dtype) => (dtype === 'bool' ? fold('any', dtype) : fold('max', computeType(dtype))),
    cases: () => boolCases,
  }),
  defineReduction({
    name: 'ReduceMin',
    doc: 'Smallest element over axes; of none, the highest number.',
    since: 20,
    dtypes: COMPARED,
    list: {
      number: (x) => x.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
      big: (x, dtype) => x.reduce(smallest, integerLimits(dtype)[1]),
    },
    folds: (dtype) => (dtype === 'bool' ? fold('all', dtype) : fold('min', computeType(dtype))),
    cases: () => boolCases,
  }),
  defineReduction({
    name: 'ReduceProd',
    doc: 'Product over axes.',
    since: 18,
    dtypes: SUMMED,
    list: {
      number: (x) => x.reduce((a, b) => a * b, 1),
      big: (x) => x.reduce((a, b) => a * b, 1n),
    },
    folds: (dtype) => fold('prod', sumType(dtype)),
  }),
  defineReduction({
    name: 'ReduceL1',
    doc: 'Sum of absolute values over axes.',
    since: 18,
    dtypes: SUMMED,
    list: {
      number: (x) => total(x.map(Math.abs)),
      big: (x) => totalBig(x.map((value) => (value < 0n ? -value : value))),
    },
    folds: sumOf((x) => call('abs', x)),
    cases: () => [{ note: 'signs', inputs: [uniform([2, 5]), i64([1], [1])] }],
  }),
  defineReduction({
    name: 'ReduceL2',
    doc: 'Square root of the sum of squares over axes.',
    since: 18,
    dtypes: SUMMED,
    list: { number: (x) => Math.sqrt(total(x.map((value) => value * value))) },
    folds: sumOf(
      (x) => mul(x, x),
      (sum) => call('sqrt', sum),
      floatType,
    ),
    cases: () => [
      { note: 'signs', inputs: [uniform([2, 5]), i64([1], [1])] },
      { note: 'large', inputs: [tensor('u32', [3], [2 ** 32 - 1, 2 ** 31, 3]), i64([1], [0])] },
    ],
  }),
  defineReduction({
    name: 'ReduceSumSquare',
    doc: 'Sum of squares over axes.',
    since: 18,
    dtypes: SUMMED,
    list: {
      number: (x) => total(x.map((value) => value * value)),
      big: (x) => totalBig(x.map((value) => value * value)),
    },
    folds: sumOf((x) => mul(x, x)),
  }),
  defineReduction({
    name: 'ReduceLogSum',
    doc: 'Logarithm of the sum over axes.',
    since: 18,
    dtypes: SUMMED,
    list: { number: (x) => Math.log(total(x)) },
    folds: sumOf(
      (x) => x,
      (sum) => call('log', sum),
      floatType,
    ),
    cases: () => [
      {
        note: 'integers that sum to 0',
        inputs: [tensor('u64', [2, 2], [0, 0, 1, 2]), i64([1], [1])],
      },
      { note: 'signed ones', inputs: [tensor('i32', [2, 2], [1, -1, 1, 2]), i64([1], [1])] },
    ],
  }),
  defineReduction({
    name: 'ReduceLogSumExp',
    doc: 'Logarithm of the sum of exponentials over axes, without overflow.',
    since: 18,
    dtypes: SUMMED,
    list: { number: logOfSumOfExp },
    folds: logSumExp,
    cases: () => [
      { note: 'large', inputs: [f32([2, 2], [1000, 1001, -1000, -1001]), i64([1], [1])] },
      {
        note: 'infinite',
        inputs: [
          f32([2, 2], [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 2]),
          i64([1], [1]),
        ],
      },
    ],
  }),
];
