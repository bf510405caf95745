/** Element-wise functions of one tensor: arithmetic, roots, logarithms, trigonometry, predicates. */
import type { UnaryOp } from '../../expr/types.ts';
import { constant } from '../../expr/build.ts';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { int, intAttr } from '../checks.ts';
import type { OpDef } from '../define-op.ts';
import { BOOL, INTS, NUMBERS, SIGNED_INTS, FLOATS } from './dtypes.ts';
import { specials, tensor } from './samples.ts';
import { apply, call, div, gt, lt } from './scalar.ts';
import { erf, roundHalfEven, sigmoid } from './special.ts';
import { defineUnary } from './unary-family.ts';
import { dropConsumedInputs } from './upgrades.ts';

/** A function of floats that the expression language has: name, opset, meaning, sample range. */
type FloatRow = readonly [
  name: string,
  since: number,
  op: UnaryOp,
  number: (x: number) => number,
  doc: string,
  range?: readonly [number, number],
];

const FLOAT_FUNCTIONS: readonly FloatRow[] = [
  ['Exp', 13, 'exp', Math.exp, 'e to the power of x.'],
  ['Log', 13, 'log', Math.log, 'Natural logarithm.', [0.01, 10]],
  ['Sqrt', 13, 'sqrt', Math.sqrt, 'Square root; NaN below zero.', [0, 10]],
  ['Sin', 22, 'sin', Math.sin, 'Sine of radians.', [-10, 10]],
  ['Cos', 22, 'cos', Math.cos, 'Cosine of radians.', [-10, 10]],
  ['Tan', 22, 'tan', Math.tan, 'Tangent of radians.', [-1.4, 1.4]],
  ['Asin', 22, 'asin', Math.asin, 'Arc sine; NaN outside [-1, 1].', [-1, 1]],
  ['Acos', 22, 'acos', Math.acos, 'Arc cosine; NaN outside [-1, 1].', [-1, 1]],
  ['Atan', 22, 'atan', Math.atan, 'Arc tangent.', [-10, 10]],
  ['Sinh', 22, 'sinh', Math.sinh, 'Hyperbolic sine.'],
  ['Cosh', 22, 'cosh', Math.cosh, 'Hyperbolic cosine.'],
  ['Tanh', 13, 'tanh', Math.tanh, 'Hyperbolic tangent.', [-4, 4]],
  ['Asinh', 22, 'asinh', Math.asinh, 'Inverse hyperbolic sine.', [-10, 10]],
  ['Acosh', 22, 'acosh', Math.acosh, 'Inverse hyperbolic cosine; NaN below 1.', [1, 10]],
  [
    'Atanh',
    22,
    'atanh',
    Math.atanh,
    'Inverse hyperbolic tangent; NaN outside [-1, 1].',
    [-0.99, 0.99],
  ],
  ['Erf', 13, 'erf', erf, 'Error function.', [-3, 3]],
  ['Sigmoid', 13, 'sigmoid', sigmoid, 'Logistic function 1 / (1 + e^-x).', [-8, 8]],
  ['Floor', 13, 'floor', Math.floor, 'The largest integer not above x.', [-5, 5]],
  ['Ceil', 13, 'ceil', Math.ceil, 'The smallest integer not below x.', [-5, 5]],
  ['Round', 22, 'round', roundHalfEven, 'The nearest integer; ties go to the even one.', [-5, 5]],
];

const halves = (): readonly { note: string; inputs: readonly ReturnType<typeof tensor>[] }[] => [
  { note: 'ties', inputs: [tensor('f32', [8], [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -4.51])] },
];

const floatFunctions = FLOAT_FUNCTIONS.map(([name, since, op, number, doc, range]) =>
  defineUnary({
    name,
    doc,
    since,
    upgrade: dropConsumedInputs,
    number,
    expr: (x) => call(op, x),
    ...(range === undefined ? {} : { range }),
    ...(name === 'Round' ? { cases: halves } : {}),
  }),
);

export const UNARY_OPERATORS: readonly OpDef[] = [
  ...floatFunctions,
  defineUnary({
    name: 'Abs',
    doc: 'Absolute value.',
    since: 13,
    dtypes: NUMBERS,
    upgrade: dropConsumedInputs,
    number: Math.abs,
    big: (x) => (x < 0n ? -x : x),
    expr: (x) => call('abs', x),
  }),
  defineUnary({
    name: 'Neg',
    doc: 'Negation.',
    since: 13,
    dtypes: [...FLOATS, ...SIGNED_INTS],
    upgrade: dropConsumedInputs,
    number: (x) => -x,
    big: (x) => -x,
    expr: (x) => call('neg', x),
  }),
  defineUnary({
    name: 'Sign',
    doc: '-1, 0 or 1; NaN stays NaN.',
    since: 13,
    dtypes: NUMBERS,
    number: Math.sign,
    big: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
    expr: (x) => call('sign', x),
  }),
  defineUnary({
    name: 'Reciprocal',
    doc: '1 / x.',
    since: 13,
    upgrade: dropConsumedInputs,
    number: (x) => 1 / x,
    expr: (x) => div(1, x),
    range: [0.5, 4],
  }),
  defineUnary({
    name: 'Not',
    doc: 'Logical negation.',
    since: 1,
    dtypes: BOOL,
    number: (x) => (x === 0 ? 1 : 0),
    expr: (x) => call('not', x),
  }),
  defineUnary({
    name: 'BitwiseNot',
    doc: 'Every bit inverted.',
    since: 18,
    dtypes: INTS,
    number: (x) => ~x,
    big: (x) => ~x,
    expr: (x) => apply('xor', x, constant(x.dtype, allOnes(x.dtype))),
  }),
  defineUnary({
    name: 'IsNaN',
    doc: 'Is it NaN?',
    since: 20,
    result: 'bool',
    number: (x) => (Number.isNaN(x) ? 1 : 0),
    expr: (x) => call('isnan', x),
  }),
  defineUnary({
    name: 'IsInf',
    doc: 'Is it infinite (of the signs asked for)?',
    since: 20,
    result: 'bool',
    attrs: { detect_negative: int(1), detect_positive: int(1) },
    number: (x, attrs) =>
      (x === Number.POSITIVE_INFINITY && intAttr(attrs, 'detect_positive') !== 0) ||
      (x === Number.NEGATIVE_INFINITY && intAttr(attrs, 'detect_negative') !== 0)
        ? 1
        : 0,
    expr(x, attrs) {
      const negative = intAttr(attrs, 'detect_negative') !== 0;
      const positive = intAttr(attrs, 'detect_positive') !== 0;
      const infinite = call('isinf', x);
      if (negative && positive) return infinite;
      if (!negative && !positive) return constant('bool', 0);
      return apply('and', infinite, positive ? gt(x, 0) : lt(x, 0));
    },
    cases: () => [
      { note: 'positive only', inputs: [specials()], attrs: { detect_negative: 0 } },
      { note: 'negative only', inputs: [specials()], attrs: { detect_positive: 0 } },
      { note: 'f16', inputs: [specials('f16')] },
    ],
  }),
];

function allOnes(dtype: (typeof INTS)[number]): number | bigint {
  if (!dtype.startsWith('u')) return -1;
  return dtype === 'u64' ? 0xffffffffffffffffn : 2 ** (8 * dtypeBytes(dtype)) - 1;
}
