/**
 * Operators that work element by element: room is computed like the rest. Operands are brought to common
 * extents first; an integer divisor of 0 in the room is no fault.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { type Int, isKnown, isSame, leastOf, mostOf } from './ints.ts';
import { given, type Rule, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

const UNARY = [
  ...['Abs', 'Neg', 'Sign', 'Reciprocal', 'Not', 'BitwiseNot', 'IsNaN', 'IsInf', 'Identity'],
  ...['Floor', 'Ceil', 'Round', 'Sqrt', 'Exp', 'Log', 'Sigmoid', 'Tanh', 'Erf'],
  ...['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Acosh', 'Atanh'],
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish'],
  ...['Softplus', 'Softsign', 'Mish', 'Gelu', 'Swish', 'Shrink', 'Cast', 'Trilu'],
];

const BROADCAST = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Mod', 'Pow', 'Min', 'Max', 'Sum', 'Mean', 'Where', 'PRelu'],
  ...['And', 'Or', 'Xor', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'Equal'],
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitShift', 'Clip'],
];

/** The first operand has the extents; the others are parameters of fixed size. */
const unary: Rule = (use) => {
  const x = given(use, 0);
  const others = use.inputs.slice(1);
  if (others.some((other) => other !== null && isBounded(other)))
    use.s.cannot('a parameter is of unknown size');
  const inputs = use.inputs.map((input) => input?.id ?? null);
  return [use.s.made(use.s.op(use.op, inputs, use.attrs), x.sizes)];
};

const broadcast: Rule = (use) => {
  const { s, op } = use;
  const present = use.inputs.flatMap((input, k) => (input === null ? [] : [{ input, k }]));
  const aligned = align(
    use,
    present.map(({ input }) => input),
  );
  const inputs: (number | null)[] = use.inputs.map(() => null);
  present.forEach(({ k }, i) => {
    const operand = at(aligned.operands, i);
    const isDivisor = (op === 'Div' || op === 'Mod') && k === 1 && !isFloat(s.dtype(operand));
    inputs[k] = (isDivisor ? s.masked(operand, 1) : operand).id;
  });
  return [s.made(s.op(op, inputs, use.attrs), aligned.sizes)];
};

export const ELEMENTWISE: ReadonlyMap<string, Rule> = new Map([
  ...UNARY.map((op) => [op, unary] as const),
  ...BROADCAST.map((op) => [op, broadcast] as const),
]);

export interface Aligned {
  readonly operands: readonly Sized[];
  /** Extents of what they make together. */
  readonly sizes: readonly Int[];
}

/** Brings operands to common extents, as broadcasting pairs them; `skip`: axes from the end left alone. */
export function align(use: Use, operands: readonly Sized[], skip = 0): Aligned {
  const ranks = operands.map(({ sizes }) => sizes.length - skip);
  const rank = Math.max(0, ...ranks);
  const sizes: Int[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const met = operands.flatMap(({ sizes: own }, i) => {
      const size = own[axis - (rank - at(ranks, i))];
      return axis < rank - at(ranks, i) || size === undefined ? [] : [size];
    });
    sizes.push(met.reduce((a, b) => common(use, a, b), 1 as Int));
  }
  const fitted = operands.map((operand, i) => {
    let out = operand;
    for (let axis = 0; axis < at(ranks, i); axis++) {
      out = use.s.fit(out, axis, at(sizes, axis + rank - at(ranks, i)));
    }
    return out;
  });
  return { operands: fitted, sizes };
}

/** The extent that two make where they are broadcast against each other. */
export function common(use: Use, a: Int, b: Int): Int {
  const { ints } = use;
  if (a === 1 || isSame(a, b)) return b;
  if (b === 1) return a;
  if (isKnown(a) && isKnown(b)) {
    return fail(
      'HONE-SHAPE-001',
      `node ${use.s.node} (${use.op}): extents ${a} and ${b} do not broadcast`,
      use.s.node,
      'check the shapes the model was exported with, or the --shape you gave',
    );
  }
  // Where neither can be 1, they are the same number: the one with the lower bound has it.
  if (isKnown(a)) return a;
  if (isKnown(b)) return b;
  if (leastOf(a) > 1 && leastOf(b) > 1) return mostOf(a) <= mostOf(b) ? a : b;
  return ints.whereEqual(a, 1, b, a);
}
