/** Steps element by element: arithmetic with broadcasting, activations, comparisons, other dtypes. */
import type { ValueType } from 'hone/graph/types';
import { type DType, dtypeCode, isFloat, isInteger } from 'hone-runtime/base/dtype';
import type { Growth, Grown, Step } from './growth.ts';

const ACTIVATIONS = [
  'Relu',
  'Relu',
  'Relu',
  'LeakyRelu',
  'Sigmoid',
  'Tanh',
  'HardSigmoid',
  'HardSwish',
  'Elu',
  'Selu',
  'Celu',
  'Gelu',
  'Mish',
  'Softplus',
  'Softsign',
  'Swish',
  'ThresholdedRelu',
  'Shrink',
];
const FUNCTIONS = [
  'Neg',
  'Abs',
  'Exp',
  'Sin',
  'Cos',
  'Atan',
  'Erf',
  'Asinh',
  'Sinh',
  'Cosh',
  'Sign',
];
/** Of positive numbers only. */
const POSITIVE = ['Sqrt', 'Log', 'Reciprocal'];
const ROUNDING = ['Floor', 'Ceil', 'Round'];

const float = ({ dtype }: ValueType): boolean => isFloat(dtype);
const whole = ({ dtype }: ValueType): boolean => isInteger(dtype);
const number = (type: ValueType): boolean => float(type) || whole(type);

export const activation: Step = (g) => {
  const x = g.pick(float);
  if (x === undefined) return;
  if (g.chance(0.15)) {
    const limits = [g.scalar(-0.5, x.type.dtype), g.scalar(1, x.type.dtype)] as const;
    g.op('Clip', g.chance(0.7) ? [x.id, ...limits] : [x.id, null, limits[1]]);
  } else g.op(g.among(ACTIVATIONS), [x.id]);
};

export const elementFunction: Step = (g) => {
  const x = g.pick(float);
  if (x === undefined) return;
  if (g.chance(0.7)) {
    g.op(g.among(g.chance(0.85) ? FUNCTIONS : ROUNDING), [x.id]);
    return;
  }
  const size = g.op('Abs', [x.id]);
  const safe = size && g.op('Add', [size.id, g.scalar(0.5, x.type.dtype)]);
  if (safe !== undefined) g.op(g.among(POSITIVE), [safe.id]);
};

/** x · sigmoid(x), Gelu and such as exporters write them. */
export const writtenActivation: Step = (g) => {
  const x = g.pick(g.isFloat);
  if (x === undefined) return;
  switch (g.random.integer(3)) {
    case 0: {
      const gate = g.op(g.among(['Sigmoid', 'HardSigmoid']), [x.id]);
      if (gate !== undefined) g.op('Mul', [x.id, gate.id]);
      break;
    }
    case 1: {
      const scaled = g.op('Div', [x.id, g.scalar(Math.SQRT2)]);
      const erf = scaled && g.op('Erf', [scaled.id]);
      const sum = erf && g.op('Add', [erf.id, g.scalar(1)]);
      const product = sum && g.op('Mul', [x.id, sum.id]);
      if (product !== undefined) g.op('Mul', [product.id, g.scalar(0.5)]);
      break;
    }
    default: {
      const shifted = g.op('Add', [x.id, g.scalar(3)]);
      const clipped = shifted && g.op('Clip', [shifted.id, g.scalar(0), g.scalar(6)]);
      const scaled = clipped && g.op('Div', [clipped.id, g.scalar(6)]);
      if (scaled !== undefined) g.op('Mul', [x.id, scaled.id]);
    }
  }
};

/** Two values of one shape, or of shapes that broadcast. */
export const binary: Step = (g) => {
  const x = g.pick(number);
  if (x === undefined) return;
  const { dtype, shape } = x.type;
  const others = g.values.filter(
    ({ type }) => type.dtype === dtype && broadcasts(type.shape, shape),
  );
  const y = g.among(others);
  const op = g.among(['Add', 'Add', 'Add', 'Mul', 'Mul', 'Sub', 'Max', 'Min']);
  g.op(op, g.chance(0.5) ? [x.id, y.id] : [y.id, x.id]);
};

function broadcasts(a: readonly number[], b: readonly number[]): boolean {
  const rank = Math.min(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => [a.at(-1 - i), b.at(-1 - i)]).every(
    ([m, n]) => m === n || m === 1 || n === 1,
  );
}

/** With a constant of a shape that broadcasts; the constant may even widen the value. */
export const withConstant: Step = (g) => {
  const x = g.pick(number);
  if (x === undefined) return;
  const { dtype, shape } = x.type;
  const own = shape.map((extent) => (g.chance(0.5) ? extent : 1));
  const wide = own.map((extent, i) => (shape[i] === 1 && g.chance(0.2) ? g.between(1, 3) : extent));
  const constant = g.constant(wide.slice(g.chance(0.5) ? 0 : g.between(0, wide.length)), 1, dtype);
  const op = g.among(['Add', 'Sub', 'Mul', 'Max', 'Min']);
  g.op(op, g.chance(0.5) ? [x.id, constant] : [constant, x.id]);
};

export const divide: Step = (g) => {
  const x = g.pick(number);
  if (x === undefined) return;
  const { dtype } = x.type;
  const divisor = g.hold(g.integers(g.chance(0.5) ? [] : [x.type.shape.at(-1) ?? 1], 1, 4, dtype));
  if (isFloat(dtype) || g.chance(0.6)) g.op('Div', [x.id, divisor]);
  else g.op('Mod', [x.id, divisor], { fmod: g.random.integer(2) });
};

export const several: Step = (g) => {
  const x = g.pick(number);
  if (x === undefined) return;
  const { dtype, shape } = x.type;
  const others = g.values.filter(
    ({ type }) => type.dtype === dtype && broadcasts(type.shape, shape),
  );
  const parts = [x.id, g.among(others).id, g.among(others).id];
  g.op(g.among(isFloat(dtype) ? ['Sum', 'Mean', 'Max', 'Min'] : ['Max', 'Min']), parts);
};

export const power: Step = (g) => {
  const x = g.pick(float);
  if (x !== undefined) g.op('Pow', [x.id, g.scalar(g.among([2, 2, 3, 1]), x.type.dtype)]);
};

const COMPARISONS = ['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'Equal'];

function comparison(g: Growth, x: Grown): Grown | undefined {
  const { dtype, shape } = x.type;
  const others = g.values.filter(
    ({ type }) => type.dtype === dtype && broadcasts(type.shape, shape),
  );
  const y = g.chance(0.5) ? g.among(others).id : g.scalar(g.among([0, 0.25, 1]), dtype);
  return g.op(g.among(COMPARISONS), [x.id, y]);
}

export const choice: Step = (g) => {
  const x = g.pick(number);
  const condition = x && comparison(g, x);
  if (x === undefined || condition === undefined) return;
  const { dtype, shape } = x.type;
  const others = g.values.filter(
    ({ type }) => type.dtype === dtype && broadcasts(type.shape, shape),
  );
  const other = g.chance(0.5) ? g.among(others).id : g.scalar(-1, dtype);
  g.op('Where', g.chance(0.5) ? [condition.id, x.id, other] : [condition.id, other, x.id]);
};

export const logic: Step = (g) => {
  const x = g.pick(({ dtype }) => dtype === 'bool');
  if (x === undefined) {
    const source = g.pick(number);
    if (source !== undefined) comparison(g, source);
    return;
  }
  const others = g.values.filter(
    ({ type }) => type.dtype === 'bool' && broadcasts(type.shape, x.type.shape),
  );
  if (g.chance(0.3)) g.op('Not', [x.id]);
  else g.op(g.among(['And', 'Or', 'Xor', 'Equal']), [x.id, g.among(others).id]);
};

export const bits: Step = (g) => {
  const x = g.pick(whole);
  if (x === undefined) return;
  const { dtype } = x.type;
  if (g.chance(0.2)) g.op('BitwiseNot', [x.id]);
  else if (dtype.startsWith('u') && g.chance(0.3)) {
    g.op('BitShift', [x.id, g.scalar(g.between(0, 3), dtype)], {
      direction: g.among(['LEFT', 'RIGHT']),
    });
  } else {
    g.op(g.among(['BitwiseAnd', 'BitwiseOr', 'BitwiseXor']), [x.id, g.constant([], 1, dtype)]);
  }
};

const CAST_TARGETS: readonly DType[] = [
  'f32',
  'f32',
  'f32',
  'f16',
  'bf16',
  'f64',
  'i64',
  'i32',
  'u8',
  'i8',
  'i16',
  'u16',
  'u32',
  'u64',
  'bool',
];

export const cast: Step = (g) => {
  const x = g.pick();
  if (x !== undefined) g.op('Cast', [x.id], { to: dtypeCode(g.among(CAST_TARGETS)) });
};

/** Some elements in a narrower dtype and back. */
export const castBack: Step = (g) => {
  const x = g.pick(g.isFloat);
  if (x === undefined) return;
  const narrow = g.op('Cast', [x.id], {
    to: dtypeCode(g.among(['f16', 'bf16', 'f64', 'i32', 'i64'])),
  });
  const op = g.among(['Add', 'Mul', 'Max']);
  const made =
    narrow && g.op(op, [narrow.id, g.chance(0.5) ? narrow.id : g.scalar(1, narrow.type.dtype)]);
  if (made !== undefined) g.op('Cast', [made.id], { to: dtypeCode(g.float) });
};
