/** Add, Sub, Mul, Div, Pow, Mod, PRelu. */
import { type DType, dtypeBits, isFloat, isInteger } from 'hone-runtime/base/dtype';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { int, intAttr, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { defineBinary } from './binary-family.ts';
import { FLOATS, NUMBERS } from './dtypes.ts';
import { floatToInteger } from './saturate.ts';
import { f32, i64, specials, tensor, uniform } from './samples.ts';
import { add, apply, call, choose, div, eq, isLiteral, le, lt, mul, sub } from './scalar.ts';
import { alignBroadcast, slopePerChannel } from './upgrades.ts';

const POW_BASES: readonly DType[] = [...FLOATS, 'i32', 'i64'];
const ZERO = 0n;

/** Integer division truncates; by zero it gives 0, as compiled code does. */
function divideBig(a: bigint, b: bigint): bigint {
  return b === ZERO ? ZERO : a / b;
}

/** Remainder with the sign of the divisor (`floored`) or of the dividend. */
function remainder(a: number, b: number, floored: boolean): number {
  const rest = a % b;
  return floored && rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

function remainderBig(a: bigint, b: bigint, floored: boolean): bigint {
  if (b === ZERO) return ZERO;
  const rest = a % b;
  return floored && rest !== ZERO && rest < ZERO !== b < ZERO ? rest + b : rest;
}

/** IEEE power, as C and numpy have it: 1 to any power is 1, where JavaScript says NaN. */
function power(a: number, b: number): number {
  return a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b;
}

/** Negative exponents: 1 and -1 keep their powers, anything else truncates to 0. */
function powerBig(a: bigint, b: bigint): bigint {
  if (b >= ZERO) return BigInt.asIntN(64, modularPower(a, b));
  if (a === 1n) return 1n;
  if (a === -1n) return b % 2n === ZERO ? 1n : -1n;
  return ZERO;
}

function modularPower(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = BigInt.asUintN(64, base);
  for (let rest = exponent; rest > ZERO; rest >>= 1n) {
    if (rest & 1n) result = BigInt.asUintN(64, result * square);
    square = BigInt.asUintN(64, square * square);
  }
  return result;
}

/** a / b; by a literal power of two it is a product, which is faster and the same number. */
function divExpr(a: Expr, b: Expr): Expr {
  if (b.kind === 'const' && isFloat(b.dtype)) {
    const exponent = Math.log2(Math.abs(Number(b.value)));
    if (Number.isInteger(exponent) && Math.abs(exponent) <= 100) return mul(a, 1 / Number(b.value));
  }
  return apply('div', a, b);
}

/** An integer to a power given as a float: products wrap, what is no product saturates. */
function mixedPower(base: number, exponent: number, dtype: DType): number {
  if (!Number.isInteger(exponent)) return Math.trunc(power(base, exponent));
  const product = powerBig(BigInt(base), floatToInteger(exponent, 'i64'));
  const bits = dtypeBits(dtype);
  const isUnsigned = dtype.startsWith('u');
  return Number(isUnsigned ? BigInt.asUintN(bits, product) : BigInt.asIntN(bits, product));
}

/**
 * An integer to any power, truncated. Elementary functions are off by some of their last bits, which
 * must not take 3 ** 6 below 729: whole exponents are multiplied out, other powers snap to integers.
 */
function integerPow(x: Expr, y: Expr): Expr {
  const product = cast(x.dtype, apply('pow', cast('i64', x), cast('i64', y)));
  if (!isFloat(y.dtype)) return product;
  const exponent = cast('f64', y);
  const power = apply('pow', cast('f64', x), exponent);
  const nearest = call('round', power);
  const isNear = le(call('abs', sub(power, nearest)), mul(call('abs', power), 1e-12));
  const isWhole = eq(call('floor', exponent), exponent);
  return choose(isWhole, product, cast(x.dtype, choose(isNear, nearest, power)));
}

/** x ** y; common literal exponents become products and roots. */
function powExpr(x: Expr, y: Expr): Expr {
  if (isInteger(x.dtype)) return integerPow(x, y);
  if (isLiteral(y, 1)) return x;
  if (isLiteral(y, 2)) return mul(x, x);
  if (isLiteral(y, 3)) return mul(mul(x, x), x);
  if (isLiteral(y, -1)) return div(1, x);
  // Unlike sqrt, pow(-0, ½) is +0 and pow(-inf, ½) is inf.
  if (isLiteral(y, 0.5)) {
    const infinite = eq(x, Number.NEGATIVE_INFINITY);
    return choose(infinite, Number.POSITIVE_INFINITY, call('sqrt', add(x, 0)));
  }
  return apply('pow', x, cast(x.dtype, y));
}

function checkSlope(ctx: InferContext): void {
  const x = ctx.inputs[0]?.type.shape ?? [];
  const slope = ctx.inputs[1]?.type.shape ?? [];
  const skip = x.length - slope.length;
  const fits = skip >= 0 && slope.every((extent, i) => extent === 1 || extent === x[i + skip]);
  if (!fits) shapeError(ctx, `slope [${slope.join(',')}] does not broadcast to [${x.join(',')}]`);
}

const prelu = defineBinary({
  name: 'PRelu',
  doc: 'x, or slope · x where x is negative; the slope broadcasts to x.',
  since: 16,
  dtypes: [...FLOATS, 'i32', 'i64', 'u32', 'u64'],
  upgrade: slopePerChannel,
  check: checkSlope,
  scalar: () => ({
    number: (x, slope) => (x < 0 ? x * slope : x),
    big: (x, slope) => (x < ZERO ? x * slope : x),
  }),
  expr: (x, slope) => choose(lt(x, 0), mul(x, slope), x),
});

export const ARITHMETIC: readonly OpDef[] = [
  defineBinary({
    name: 'Add',
    doc: 'a + b.',
    since: 14,
    dtypes: NUMBERS,
    upgrade: alignBroadcast,
    scalar: () => ({ number: (a, b) => a + b, big: (a, b) => a + b }),
    expr: (a, b) => apply('add', a, b),
    cases: () => [
      { note: 'beyond 2^53', inputs: [i64([2], [2n ** 60n + 1n, -1]), i64([], [2n ** 53n + 1n])] },
      { note: 'wraps', inputs: [tensor('u8', [2], [200, 255]), tensor('u8', [1], [100])] },
    ],
  }),
  defineBinary({
    name: 'Sub',
    doc: 'a - b.',
    since: 14,
    dtypes: NUMBERS,
    upgrade: alignBroadcast,
    scalar: () => ({ number: (a, b) => a - b, big: (a, b) => a - b }),
    expr: (a, b) => apply('sub', a, b),
  }),
  defineBinary({
    name: 'Mul',
    doc: 'a · b.',
    since: 14,
    dtypes: NUMBERS,
    upgrade: alignBroadcast,
    scalar: () => ({ number: (a, b) => a * b, big: (a, b) => a * b }),
    expr: (a, b) => apply('mul', a, b),
    cases: () => [
      {
        note: 'wraps',
        inputs: [tensor('i32', [2], [123456789, -5]), tensor('i32', [], [987654321])],
      },
    ],
  }),
  defineBinary({
    name: 'Div',
    doc: 'a / b; integers truncate, and give 0 where b is 0.',
    since: 14,
    dtypes: NUMBERS,
    upgrade: alignBroadcast,
    scalar: () => ({ number: (a, b) => a / b, big: divideBig }),
    expr: divExpr,
    cases: () => [
      { note: 'by zero', inputs: [f32([3], [1, -1, 0]), f32([1], [0])] },
      { note: 'by a power of two', inputs: [uniform([4]), f32([], [-8])] },
    ],
  }),
  defineBinary({
    name: 'Pow',
    doc: 'a to the power of b; the result has the dtype of a.',
    since: 15,
    dtypes: POW_BASES,
    secondDtypes: NUMBERS,
    upgrade: alignBroadcast,
    scalar: (_, dtype) =>
      isInteger(dtype)
        ? { number: (a, b) => mixedPower(a, b, dtype), big: powerBig }
        : { number: power },
    expr: powExpr,
    cases: () => [
      { note: 'integer base', inputs: [i64([3], [-3, 2, 10]), i64([3], [3, 40, 0])] },
      { note: 'mixed', inputs: [tensor('i32', [3], [1, 2, 3]), f32([3], [4, 5, 0.5])] },
      { note: 'mixed, too large', inputs: [tensor('i32', [2], [28, -28]), f32([2], [8.75, 9])] },
      { note: 'exact', inputs: [tensor('i32', [4], [3, 4, 9, 27]), f32([4], [6, 0.5, 1.5, -1])] },
      { note: 'integer exponent', inputs: [f32([3], [1.5, -2, 3]), i64([], [3])] },
      { note: 'f16', inputs: [tensor('f16', [3], [1.5, 2, 3]), f32([], [0.5])] },
      { note: 'square', inputs: [f32([3], [1.5, -2, 3]), f32([1], [2])] },
      { note: 'special values', inputs: [specials(), f32([2, 1], [0, -0.5])] },
      { note: 'root of special values', inputs: [specials(), f32([], [0.5])] },
      { note: 'root', inputs: [f32([3], [1.5, 0, 3]), f32([1], [0.5])] },
    ],
    secondRange: [-2, 2],
  }),
  defineBinary({
    name: 'Mod',
    doc: 'Remainder with the sign of the divisor, or of the dividend with fmod=1.',
    since: 13,
    dtypes: NUMBERS,
    attrs: { fmod: int(0) },
    scalar(attrs) {
      const floored = intAttr(attrs, 'fmod') === 0;
      return {
        number: (a, b) => remainder(a, b, floored),
        big: (a, b) => remainderBig(a, b, floored),
      };
    },
    expr: (a, b, attrs) => apply(intAttr(attrs, 'fmod') === 0 ? 'mod' : 'fmod', a, b),
    cases: () => [
      {
        note: 'fmod',
        inputs: [f32([4], [-4.3, 7.2, 5, 4.3]), f32([4], [2.1, -3.4, 8, -2.1])],
        attrs: { fmod: 1 },
      },
      {
        note: 'fmod of integers',
        inputs: [i64([3], [-7, 7, 5]), i64([3], [3, -3, 8])],
        attrs: { fmod: 1 },
      },
    ],
  }),
  defineOp({
    ...prelu,
    // A slope may only broadcast to x, so the usual pairs do not all fit.
    cases: () => [
      { note: 'same shapes', inputs: [uniform([2, 3]), uniform([2, 3], 0, 1, 'f32', 2)] },
      { note: 'last axis', inputs: [uniform([2, 3]), uniform([3], 0, 1)] },
      { note: 'per channel', inputs: [uniform([2, 3, 2]), uniform([3, 1], 0, 1)] },
      { note: 'one slope', inputs: [uniform([2, 3]), f32([1], [0.25])] },
      { note: 'i32', inputs: [tensor('i32', [3], [-2, 0, 5]), tensor('i32', [], [3])] },
      { note: 'f16', inputs: [uniform([5], -2, 2, 'f16'), uniform([1], 0, 1, 'f16')] },
      { note: 'NaN', inputs: [specials(), f32([], [0.5])] },
      { note: 'empty', inputs: [f32([0, 3], []), f32([3], [1, 2, 3])] },
    ],
  }),
];
