/**
 * Bounds of integer and bool expressions. Always conservative: every value the expression can
 * take for axes inside their ranges lies in the interval; [-Infinity, Infinity] where nothing is
 * known (floats, i64 data, results that may wrap).
 *
 * Ranges are inclusive. An axis without a range is taken to lie within ±2^40, which no index of
 * a tensor that fits in memory can leave.
 */
import type { DType } from 'hone-runtime/base/dtype';
import type { BinaryOp, Expr } from './types.ts';

/** Inclusive bounds. */
export type Interval = readonly [lo: number, hi: number];
/** Inclusive bounds of axes, by name. */
export type Ranges = ReadonlyMap<string, Interval>;

export const UNBOUNDED: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
const AXIS_LIMIT = 2 ** 40;
const ANY_AXIS: Interval = [-AXIS_LIMIT, AXIS_LIMIT];
const BOOL: Interval = [0, 1];

const DTYPE_RANGE: Partial<Record<DType, Interval>> = {
  bool: BOOL,
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32768, 32767],
  u16: [0, 65535],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
};

/** The values of an expression, as inclusive bounds. */
export function interval(expr: Expr, ranges: Ranges): Interval {
  switch (expr.kind) {
    case 'const': {
      const value = Number(expr.value);
      return Number.isSafeInteger(value) ? [value, value] : UNBOUNDED;
    }
    case 'axis':
      return ranges.get(expr.name) ?? ANY_AXIS;
    case 'load':
    case 'acc':
      return rangeOf(expr.dtype);
    case 'bound': {
      const [, extent] = interval(expr.extent, ranges);
      const highest = Math.max(0, extent - 1);
      const [lo, hi] = interval(expr.x, ranges);
      return lo >= 0 && hi <= highest ? [lo, hi] : [0, highest];
    }
    case 'cast': {
      if (!isIntegral(expr.x.dtype)) return rangeOf(expr.dtype);
      const x = interval(expr.x, ranges);
      if (expr.dtype === 'bool' && (x[0] > 0 || x[1] < 0)) return [1, 1];
      return isIntegral(expr.dtype) ? wrap(x, expr.dtype) : UNBOUNDED;
    }
    case 'select': {
      const [lo, hi] = interval(expr.cond, ranges);
      if (lo === 1) return interval(expr.a, ranges);
      if (hi === 0) return interval(expr.b, ranges);
      return union(interval(expr.a, ranges), interval(expr.b, ranges));
    }
    case 'unary': {
      if (expr.dtype === 'bool' && expr.op === 'not') {
        const [lo, hi] = interval(expr.x, ranges);
        return [1 - hi, 1 - lo];
      }
      if (!isIntegral(expr.dtype) || !isIntegral(expr.x.dtype)) return rangeOf(expr.dtype);
      const [lo, hi] = interval(expr.x, ranges);
      if (expr.op === 'neg') return wrap([-hi, -lo], expr.dtype);
      if (expr.op === 'abs') {
        const least = lo > 0 ? lo : hi < 0 ? -hi : 0;
        return wrap([least, Math.max(-lo, hi)], expr.dtype);
      }
      return rangeOf(expr.dtype);
    }
    case 'binary':
      return isIntegral(expr.a.dtype)
        ? ofBinary(expr.op, expr.dtype, interval(expr.a, ranges), interval(expr.b, ranges))
        : rangeOf(expr.dtype);
    default:
      return expr satisfies never;
  }
}

/** Both ends are known. */
export function isBounded(range: Interval): boolean {
  return Number.isFinite(range[0]) && Number.isFinite(range[1]);
}

function ofBinary(op: BinaryOp, dtype: DType, a: Interval, b: Interval): Interval {
  switch (op) {
    case 'add':
      return wrap([a[0] + b[0], a[1] + b[1]], dtype);
    case 'sub':
      return wrap([a[0] - b[1], a[1] - b[0]], dtype);
    case 'mul':
      return wrap(
        hull(a, b, (x, y) => (x === 0 || y === 0 ? 0 : x * y)),
        dtype,
      );
    case 'min':
      return [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
    case 'max':
      return [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    case 'floordiv':
      if (b[0] <= 0 || !isBounded(a)) return rangeOf(dtype);
      return hull(a, b, (x, y) => Math.floor(x / y));
    case 'div':
      if (b[0] <= 0 || !isBounded(a)) return rangeOf(dtype);
      return hull(a, b, (x, y) => Math.trunc(x / y));
    case 'mod':
      if (b[0] <= 0) return rangeOf(dtype);
      if (a[0] >= 0 && a[1] < b[0]) return a;
      return [0, b[1] - 1];
    case 'fmod':
      if (b[0] <= 0) return rangeOf(dtype);
      return [a[0] >= 0 ? 0 : 1 - b[1], a[1] <= 0 ? 0 : Math.min(a[1], b[1] - 1)];
    case 'and':
      if (dtype === 'bool') return [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
      if (a[0] >= 0 && b[0] >= 0) return [0, Math.min(a[1], b[1])];
      return rangeOf(dtype);
    case 'or':
      return dtype === 'bool' ? [Math.max(a[0], b[0]), Math.max(a[1], b[1])] : rangeOf(dtype);
    case 'lt':
      return decide(a[1] < b[0], a[0] >= b[1]);
    case 'le':
      return decide(a[1] <= b[0], a[0] > b[1]);
    case 'gt':
      return decide(a[0] > b[1], a[1] <= b[0]);
    case 'ge':
      return decide(a[0] >= b[1], a[1] < b[0]);
    case 'eq':
      return decide(isPoint(a) && isPoint(b) && a[0] === b[0], a[1] < b[0] || b[1] < a[0]);
    case 'ne':
      return decide(a[1] < b[0] || b[1] < a[0], isPoint(a) && isPoint(b) && a[0] === b[0]);
    case 'xor':
    case 'pow':
    case 'shl':
    case 'shr':
      return rangeOf(dtype);
    default:
      return op satisfies never;
  }
}

function isPoint(range: Interval): boolean {
  return range[0] === range[1];
}

function decide(always: boolean, never: boolean): Interval {
  if (always) return [1, 1];
  return never ? [0, 0] : BOOL;
}

function hull(a: Interval, b: Interval, combine: (x: number, y: number) => number): Interval {
  const ends = [combine(a[0], b[0]), combine(a[0], b[1]), combine(a[1], b[0]), combine(a[1], b[1])];
  return [Math.min(...ends), Math.max(...ends)];
}

function union(a: Interval, b: Interval): Interval {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

function isIntegral(dtype: DType): boolean {
  return DTYPE_RANGE[dtype] !== undefined || dtype === 'i64' || dtype === 'u64';
}

function rangeOf(dtype: DType): Interval {
  return DTYPE_RANGE[dtype] ?? UNBOUNDED;
}

/** A result that may leave its dtype may be anything: it wraps. */
function wrap(range: Interval, dtype: DType): Interval {
  const allowed = DTYPE_RANGE[dtype];
  if (allowed === undefined) {
    const lowest = dtype === 'u64' ? 0 : Number.MIN_SAFE_INTEGER;
    const exact = range[0] >= lowest && range[1] <= Number.MAX_SAFE_INTEGER;
    return exact ? [zero(range[0]), zero(range[1])] : UNBOUNDED;
  }
  return range[0] >= allowed[0] && range[1] <= allowed[1]
    ? [zero(range[0]), zero(range[1])]
    : allowed;
}

/** -0 as 0. */
function zero(value: number): number {
  return value === 0 ? 0 : value;
}
