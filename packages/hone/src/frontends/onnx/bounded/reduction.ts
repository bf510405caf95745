/**
 * Operators that fold, order or number elements along axes. Where such an axis is of unknown extent, its
 * room is filled with what changes nothing: 0 of a sum, the lowest of a maximum.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { type Int, isKnown, mostOf } from './ints.ts';
import { exactList, isSettled } from './lists.ts';
import { reduceNamed } from './reduction-lists.ts';
import { axisIn, given, intOf, optionalKnown, type Rule, sizeAt, type Use } from './rule.ts';
import { highest, lowest, type Sized } from './sized.ts';

/** What changes nothing in each reduction. */
const NEUTRAL: ReadonlyMap<string, (dtype: DType) => number> = new Map([
  ['ReduceSum', () => 0],
  ['ReduceMean', () => 0],
  ['ReduceL1', () => 0],
  ['ReduceL2', () => 0],
  ['ReduceSumSquare', () => 0],
  ['ReduceLogSum', () => 0],
  ['ReduceProd', () => 1],
  ['ReduceMax', lowest],
  ['ReduceMin', highest],
  ['ReduceLogSumExp', lowest],
]);

function axesOf(use: Use, x: Sized): readonly number[] {
  const rank = x.sizes.length;
  const axes = optionalKnown(use, 1, 'the axes') ?? [];
  if (axes.length > 0) return [...new Set(axes.map((axis) => axisIn(use, axis, rank)))];
  return intOf(use, 'noop_with_empty_axes') !== 0 ? [] : x.sizes.map((_, axis) => axis);
}

function reducedSizes(x: Sized, axes: readonly number[], keeps: boolean): Int[] {
  const sizes = x.sizes.map((size, axis): Int => (axes.includes(axis) ? 1 : size));
  return keeps ? sizes : sizes.filter((_, axis) => !axes.includes(axis));
}

const reduce: Rule = (use) => {
  const { s, ints } = use;
  if (!isSettled(use, 1)) return [reduceNamed(use)];
  const x = given(use, 0);
  const axes = axesOf(use, x);
  const sizes = reducedSizes(x, axes, intOf(use, 'keepdims', 1) !== 0);
  const open = axes.filter((axis) => !isKnown(sizeAt(x, axis)));
  if (use.op === 'ReduceLogSumExp' && open.length > 0 && !isFloat(s.dtype(x))) {
    // No whole number is without a share in a sum of powers.
    const real = s.masked({ ...x, id: s.cast(x.id, 'f64') }, -Infinity, open);
    const made = s.op(use.op, [real.id, s.b.ints(axes)], use.attrs);
    return [s.made(s.cast(made, s.dtype(x)), sizes)];
  }
  const list = axes.length === 0 ? (use.inputs[1]?.id ?? null) : s.b.ints(axes);
  const fill = NEUTRAL.get(use.op)?.(s.dtype(x)) ?? 0;
  const masked = s.masked(x, fill, open);
  if (use.op !== 'ReduceMean' || open.length === 0) {
    return [s.made(s.op(use.op, [masked.id, list], use.attrs), sizes)];
  }
  const dtype = s.dtype(x);
  const sum = s.op('ReduceSum', [masked.id, list], use.attrs);
  const count = ints.id(ints.product(axes.map((axis) => sizeAt(x, axis))));
  if (!isFloat(dtype))
    return [s.made(s.op('Div', [sum, s.cast(s.b.op('Max', [count, ints.id(1)]), dtype)]), sizes)];
  return [s.made(s.op('Div', [sum, s.cast(count, dtype)]), sizes)];
};

const argReduce: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const axis = axisIn(use, intOf(use, 'axis'), x.sizes.length);
  const dtype = s.dtype(x);
  const fill = use.op === 'ArgMax' ? lowest(dtype) : highest(dtype);
  const masked = s.masked(x, fill, [axis]);
  const sizes = reducedSizes(x, [axis], intOf(use, 'keepdims', 1) !== 0);
  return [s.made(s.op(use.op, [masked.id], use.attrs), sizes)];
};

const softmax: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const axis = axisIn(use, intOf(use, 'axis', -1), x.sizes.length);
  const masked = s.masked(x, -Infinity, [axis]);
  return [s.made(s.op(use.op, [masked.id], use.attrs), x.sizes)];
};

/** Room is behind all that is meant: only sums from the end meet it. */
const cumulative: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const asked = at(exactList(use, 1, 'the axis', 1), 0);
  if (!isKnown(asked)) return s.cannot('an axis that depends on data');
  const axis = axisIn(use, asked, x.sizes.length);
  const fill = use.op === 'CumProd' ? 1 : 0;
  const masked = intOf(use, 'reverse') === 0 ? x : s.masked(x, fill, [axis]);
  const inputs = use.inputs.map((input, k) => (k === 0 ? masked.id : (input?.id ?? null)));
  return [s.made(s.op(use.op, inputs, use.attrs), x.sizes)];
};

/** What is ordered behind everything else; of equals, room is behind because it comes later. */
export function lastInOrder(dtype: DType, largest: boolean): number {
  if (largest) return lowest(dtype);
  return isFloat(dtype) ? Number.NaN : highest(dtype);
}

const topK: Rule = (use) => {
  const { s, ints } = use;
  const x = given(use, 0);
  const axis = axisIn(use, intOf(use, 'axis', -1), x.sizes.length);
  const n = sizeAt(x, axis);
  const k = ints.within(ints.min(at(exactList(use, 1, 'k', 1), 0), n), 0, mostOf(n));
  const masked = s.masked(x, lastInOrder(s.dtype(x), intOf(use, 'largest', 1) !== 0), [axis]);
  const sizes = x.sizes.map((size, i) => (i === axis ? k : size));
  const [values = -1, places = -1] = s.ops('TopK', [masked.id, s.b.ints([mostOf(k)])], use.attrs, {
    outputs: 2,
  });
  return [s.made(values, sizes), s.made(places, sizes)];
};

export const REDUCTION: ReadonlyMap<string, Rule> = new Map([
  ...[...NEUTRAL.keys()].map((op) => [op, reduce] as const),
  ['ArgMax', argReduce],
  ['ArgMin', argReduce],
  ['Softmax', softmax],
  ['LogSoftmax', softmax],
  ['Hardmax', softmax],
  ['CumSum', cumulative],
  ['CumProd', cumulative],
  ['TopK', topK],
]);
