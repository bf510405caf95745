/** Activation functions, each as one expression so that it fuses into whatever produces its input. */
import { type DType, isInteger } from 'hone-runtime/base/dtype';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { float, intAttr, text, textAttr, typeError } from '../checks.ts';
import type { OpDef } from '../define-op.ts';
import { FLOATS, SIGNED_INTS } from './dtypes.ts';
import { tensor, uniform } from './samples.ts';
import { add, call, choose, div, eq, gt, lt, max, min, mul, sub } from './scalar.ts';
import { erf, sigmoid, softplus } from './special.ts';
import { defineUnary } from './unary-family.ts';
import { dropConsumedInputs } from './upgrades.ts';

const RELU_TYPES: readonly DType[] = [...FLOATS, ...SIGNED_INTS];
const SELU_ALPHA = 1.6732631921768188;
const SELU_GAMMA = 1.0507010221481323;

/** A float attribute. */
const alphaOf = intAttr;

/** log(1 + e) for e in [0, 1], accurate for small e: the rounding of 1 + e is divided out. */
export function log1pExpr(e: Expr): Expr {
  const u = add(1, e);
  return choose(eq(u, 1), e, div(mul(call('log', u), e), sub(u, 1)));
}

export function softplusExpr(x: Expr): Expr {
  return add(max(x, 0), log1pExpr(call('exp', call('neg', call('abs', x)))));
}

/** x · ½ · (1 + erf(x / √2)) */
export function geluExpr(x: Expr): Expr {
  return mul(mul(x, 0.5), add(1, call('erf', mul(x, Math.SQRT1_2))));
}

/** x · ½ · (1 + tanh(√(2/π) · (x + 0.044715 x³))) */
export function geluTanhExpr(x: Expr): Expr {
  const inner = mul(
    x,
    add(Math.sqrt(2 / Math.PI), mul(mul(x, x), Math.sqrt(2 / Math.PI) * 0.044715)),
  );
  return mul(mul(x, 0.5), add(1, call('tanh', inner)));
}

export function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function expm1(x: Expr): Expr {
  return sub(call('exp', x), 1);
}

export const ACTIVATIONS: readonly OpDef[] = [
  defineUnary({
    name: 'Relu',
    doc: 'max(x, 0).',
    since: 14,
    dtypes: RELU_TYPES,
    upgrade: dropConsumedInputs,
    number: (x) => Math.max(x, 0),
    big: (x) => (x < 0n ? 0n : x),
    expr: (x) => max(x, 0),
  }),
  defineUnary({
    name: 'LeakyRelu',
    doc: 'x, or alpha · x where x is negative.',
    since: 16,
    attrs: { alpha: float(0.01) },
    upgrade: dropConsumedInputs,
    number: (x, attrs) => (x < 0 ? alphaOf(attrs, 'alpha') * x : x),
    expr: (x, attrs) => choose(lt(x, 0), mul(x, alphaOf(attrs, 'alpha')), x),
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 0.3 } }],
  }),
  defineUnary({
    name: 'Elu',
    doc: 'x, or alpha · (e^x - 1) where x is negative.',
    since: 22,
    attrs: { alpha: float(1) },
    upgrade: dropConsumedInputs,
    number: (x, attrs) => (x < 0 ? alphaOf(attrs, 'alpha') * Math.expm1(x) : x),
    expr: (x, attrs) => choose(lt(x, 0), mul(expm1(x), alphaOf(attrs, 'alpha')), x),
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 2 } }],
  }),
  defineUnary({
    name: 'Selu',
    doc: 'gamma · x, or gamma · alpha · (e^x - 1) where x is not positive.',
    since: 22,
    attrs: { alpha: float(SELU_ALPHA), gamma: float(SELU_GAMMA) },
    upgrade: dropConsumedInputs,
    number: (x, attrs) =>
      alphaOf(attrs, 'gamma') * (x > 0 ? x : alphaOf(attrs, 'alpha') * Math.expm1(x)),
    expr(x, attrs) {
      const gamma = alphaOf(attrs, 'gamma');
      const negative = mul(expm1(x), alphaOf(attrs, 'alpha') * gamma);
      return choose(gt(x, 0), mul(x, gamma), negative);
    },
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 2, gamma: 3 } }],
  }),
  defineUnary({
    name: 'Celu',
    doc: 'max(0, x) + min(0, alpha · (e^(x/alpha) - 1)).',
    since: 12,
    attrs: { alpha: float(1) },
    number(x, attrs) {
      const alpha = alphaOf(attrs, 'alpha');
      return Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha));
    },
    expr(x, attrs) {
      const alpha = alphaOf(attrs, 'alpha');
      return add(max(x, 0), min(mul(expm1(div(x, alpha)), alpha), 0));
    },
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 2 } }],
  }),
  defineUnary({
    name: 'ThresholdedRelu',
    doc: 'x where x > alpha, else 0.',
    since: 22,
    attrs: { alpha: float(1) },
    number: (x, attrs) => (x > alphaOf(attrs, 'alpha') ? x : 0),
    expr: (x, attrs) => choose(gt(x, alphaOf(attrs, 'alpha')), x, 0),
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 0.5 } }],
  }),
  defineUnary({
    name: 'HardSigmoid',
    doc: 'max(0, min(1, alpha · x + beta)).',
    since: 22,
    attrs: { alpha: float(0.2), beta: float(0.5) },
    upgrade: dropConsumedInputs,
    number: (x, attrs) =>
      Math.max(0, Math.min(1, alphaOf(attrs, 'alpha') * x + alphaOf(attrs, 'beta'))),
    expr: (x, attrs) =>
      max(min(add(mul(x, alphaOf(attrs, 'alpha')), alphaOf(attrs, 'beta')), 1), 0),
    range: [-4, 4],
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 0.5, beta: 0.6 } }],
  }),
  defineUnary({
    name: 'HardSwish',
    doc: 'x · max(0, min(1, x / 6 + 0.5)).',
    since: 22,
    number: (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)),
    expr: (x) => mul(x, max(min(add(mul(x, 1 / 6), 0.5), 1), 0)),
    range: [-4, 4],
  }),
  defineUnary({
    name: 'Softplus',
    doc: 'log(1 + e^x).',
    since: 22,
    number: softplus,
    expr: softplusExpr,
    range: [-10, 10],
  }),
  defineUnary({
    name: 'Softsign',
    doc: 'x / (1 + |x|).',
    since: 22,
    number: (x) => x / (1 + Math.abs(x)),
    expr: (x) => div(x, add(1, call('abs', x))),
  }),
  defineUnary({
    name: 'Mish',
    doc: 'x · tanh(log(1 + e^x)).',
    since: 22,
    number: (x) => x * Math.tanh(softplus(x)),
    // tanh(log(1+e)) = n / (n + 2) with n = e² + 2e; above 20 it is 1 in any dtype.
    expr(x) {
      const e = call('exp', min(x, 20));
      const n = mul(e, add(e, 2));
      return mul(x, div(n, add(n, 2)));
    },
    range: [-6, 6],
    cases: () => [{ note: 'large', inputs: [tensor('f32', [4], [-50, -20, 30, 100])] }],
  }),
  defineUnary({
    name: 'Gelu',
    doc: 'x · Φ(x), with Φ by erf or by its tanh approximation.',
    since: 20,
    attrs: { approximate: text('none') },
    check(attrs, node) {
      const kind = textAttr(attrs, 'approximate');
      if (kind !== 'none' && kind !== 'tanh') typeError(node, `approximate=${kind} is not known`);
    },
    number: (x, attrs) => (textAttr(attrs, 'approximate') === 'tanh' ? geluTanh(x) : gelu(x)),
    expr: (x, attrs) => (textAttr(attrs, 'approximate') === 'tanh' ? geluTanhExpr(x) : geluExpr(x)),
    range: [-4, 4],
    cases: () => [{ inputs: [uniform([3, 4], -4, 4)], attrs: { approximate: 'tanh' } }],
  }),
  defineUnary({
    name: 'Swish',
    doc: 'x · sigmoid(alpha · x).',
    since: 24,
    attrs: { alpha: float(1) },
    number: (x, attrs) => x * sigmoid(alphaOf(attrs, 'alpha') * x),
    expr: (x, attrs) => mul(x, call('sigmoid', scaled(x, alphaOf(attrs, 'alpha')))),
    range: [-6, 6],
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { alpha: 0.5 } }],
  }),
  defineUnary({
    name: 'Shrink',
    doc: 'x + bias below -lambd, x - bias above lambd, 0 between.',
    since: 9,
    dtypes: RELU_TYPES,
    attrs: { bias: float(0), lambd: float(0.5) },
    number(x, attrs) {
      const lambd = alphaOf(attrs, 'lambd');
      const bias = alphaOf(attrs, 'bias');
      return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
    },
    saturates: true,
    // bias and lambd are fractions, so integers are compared and shifted as f64.
    expr: (x, attrs) =>
      isInteger(x.dtype) ? cast(x.dtype, shrinkExpr(cast('f64', x), attrs)) : shrinkExpr(x, attrs),
    cases: () => [{ inputs: [uniform([3, 4])], attrs: { bias: 1.5, lambd: 1 } }],
  }),
  defineUnary({
    name: 'QuickGelu',
    domain: 'com.microsoft',
    doc: 'x · sigmoid(alpha · x).',
    since: 1,
    attrs: { alpha: float(1.702) },
    number: (x, attrs) => x * sigmoid(alphaOf(attrs, 'alpha') * x),
    expr: (x, attrs) => mul(x, call('sigmoid', scaled(x, alphaOf(attrs, 'alpha')))),
    range: [-4, 4],
  }),
  defineUnary({
    name: 'Gelu',
    domain: 'com.microsoft',
    doc: 'x · Φ(x), with Φ by erf.',
    since: 1,
    number: gelu,
    expr: geluExpr,
    range: [-4, 4],
  }),
];

function shrinkExpr(x: Expr, attrs: Attrs): Expr {
  const lambd = alphaOf(attrs, 'lambd');
  const bias = alphaOf(attrs, 'bias');
  const above = choose(gt(x, lambd), sub(x, bias), 0);
  return choose(lt(x, -lambd), add(x, bias), above);
}

function scaled(x: Expr, factor: number): Expr {
  return factor === 1 ? x : mul(x, factor);
}
