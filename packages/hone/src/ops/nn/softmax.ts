/** Softmax, LogSoftmax and Hardmax along one axis. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, constant, load, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ReduceBody, ReduceStep } from '../../stages/types.ts';
import { inputType, int, intAttr, normalizeAxis, requireDType, shapeError } from '../checks.ts';
import { exactShape } from '../builder.ts';
import { type CoreOp, defineOp, type LowerContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { computeType, div, sub, widen } from '../math/scalar.ts';
import { sample } from './samples.ts';

interface AlongAxis {
  readonly name: string;
  readonly doc: string;
  /** The steps and the value written, for the element x (in its computing dtype). */
  readonly body: (x: Expr) => { readonly steps: readonly ReduceStep[]; readonly value: Expr };
  /** The same for one row of doubles. */
  readonly plain: (row: readonly number[]) => readonly number[];
}

/** A reduce body over one axis of input 0 that writes every position. */
function bodyAlong(ctx: LowerContext, def: AlongAxis): ReduceBody {
  const x = inputType(ctx, 0);
  const rank = x.shape.length;
  const along = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), rank);
  const position = x.shape.map((_, i) => {
    if (i === along) return axis('r0');
    return axis(`i${i < along ? i : i - 1}`);
  });
  const { steps, value } = def.body(widen(load('0', x.dtype, position)));
  return {
    kind: 'reduce',
    axes: x.shape.filter((_, i) => i !== along),
    reduceAxes: [at(x.shape, along)],
    steps,
    spans: 'all',
    outIndex: position,
    value: cast(x.dtype, value),
  };
}

function alongAxis(def: AlongAxis): CoreOp {
  return defineOp({
    kind: 'core',
    name: def.name,
    doc: def.doc,
    since: 13,
    attrs: { axis: int(-1) },
    /**
     * Up to opset 12 the input is read as a matrix [axes before, axis and all after]. Where that
     * differs from one axis, the matrix is made, and this node shapes the result back.
     */
    upgrade: (b, { name, op, inputs, attrs }) => {
      const x = inputs[0];
      const old = typeof attrs['axis'] === 'number' ? attrs['axis'] : 1;
      if (x === null || x === undefined) return { inputs, attrs: { axis: old } };
      const { shape } = b.typeOf(x);
      const from = old < 0 ? old + shape.length : old;
      const rest = elementCount(shape.slice(from));
      if (rest === shape[from]) return { inputs, attrs: { axis: old } };
      const rows = elementCount(shape.slice(0, from));
      const flat = b.reshape(x, [rows, rest], { name: `${name}/flatten` });
      const result = b.op(op, [flat], { axis: 1 }, { name: `${name}/${op}` });
      return { op: 'Reshape', inputs: [result, b.ints(shape)], attrs: exactShape(shape) };
    },
    infer: (ctx) => {
      const x = inputType(ctx, 0);
      requireDType(ctx, x, FLOATS);
      if (x.shape.length === 0) shapeError(ctx, 'a scalar has no axis');
      normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), x.shape.length);
      return [x];
    },
    lower: (ctx) => [bodyAlong(ctx, def)],
    reference: (inputs, attrs, ctx) => {
      const x = given(inputs, 0);
      const along = normalizeAxis(
        { node: ctx.node, op: def.name },
        intAttr(attrs, 'axis'),
        x.shape.length,
      );
      return [eachRow(x, along, def.plain)];
    },
    cases,
  });
}

/** Replaces every row along an axis. */
function eachRow(
  x: Tensor,
  along: number,
  plain: (row: readonly number[]) => readonly number[],
): Tensor {
  const values = toNumbers(x);
  const length = x.shape[along] ?? 1;
  const inner = elementCount(x.shape.slice(along + 1));
  const outer = elementCount(x.shape.slice(0, along));
  const out = new Float64Array(values.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const base = o * length * inner + i;
      const row = Array.from({ length }, (_, k) => values[base + k * inner] as number);
      plain(row).forEach((value, k) => {
        out[base + k * inner] = value;
      });
    }
  }
  return fromNumbers(x.dtype, x.shape, out);
}

const cases = (): readonly TestCase[] => [
  { note: 'last axis', inputs: [sample([3, 5])] },
  { note: 'first axis', inputs: [sample([4, 2, 3])], attrs: { axis: 0 } },
  { note: 'middle axis', inputs: [sample([2, 4, 3])], attrs: { axis: -2 } },
  { note: 'large numbers', inputs: [fromNumbers('f32', [2, 3], [1e4, 1e4 + 1, 1e4, -1e4, 0, 5])] },
  { note: 'f16', inputs: [sample([2, 4], 1, 'f16')] },
  { note: 'equal elements', inputs: [fromNumbers('f32', [1, 4], [1, 3, 3, 2])] },
  { note: 'one axis only', inputs: [sample([6])], attrs: { axis: 0 } },
];

/** Steps of a softmax: the maximum, then the sum of exponentials less it. */
function softmaxSteps(x: Expr): readonly ReduceStep[] {
  const dtype = x.dtype;
  return [
    { op: 'max', value: x, dtype },
    { op: 'sum', value: unary('exp', sub(x, acc(0, dtype))), dtype },
  ];
}

function rowMaximum(row: readonly number[]): number {
  return row.reduce((top, x) => Math.max(top, x), Number.NEGATIVE_INFINITY);
}

export const softmax = alongAxis({
  name: 'Softmax',
  doc: 'exp(x) / Σ exp(x) along an axis.',
  body: (x) => ({
    steps: softmaxSteps(x),
    value: div(unary('exp', sub(x, acc(0, x.dtype))), acc(1, x.dtype)),
  }),
  plain: (row) => {
    const top = rowMaximum(row);
    const powers = row.map((x) => Math.exp(x - top));
    const sum = powers.reduce((total, x) => total + x, 0);
    return powers.map((x) => x / sum);
  },
});

export const logSoftmax = alongAxis({
  name: 'LogSoftmax',
  doc: 'log of softmax along an axis.',
  body: (x) => ({
    steps: softmaxSteps(x),
    value: sub(sub(x, acc(0, x.dtype)), unary('log', acc(1, x.dtype))),
  }),
  plain: (row) => {
    const top = rowMaximum(row);
    const sum = Math.log(row.reduce((total, x) => total + Math.exp(x - top), 0));
    return row.map((x) => x - top - sum);
  },
});

export const hardmax = alongAxis({
  name: 'Hardmax',
  doc: '1 at the first largest element along an axis, 0 elsewhere.',
  body: (x) => ({
    steps: [{ op: 'argmax', value: x, dtype: 'i64' }],
    value: select(
      binary('eq', axis('r0'), acc(0, 'i64')),
      constant(computeType(x.dtype), 1),
      constant(computeType(x.dtype), 0),
    ),
  }),
  plain: (row) => {
    // What is no number is never larger.
    const first = row.reduce((best, x, k) => (x > (row[best] as number) ? k : best), 0);
    return row.map((_, k) => (k === first ? 1 : 0));
  },
});
