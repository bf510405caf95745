/**
 * Reductions over axes that data names: one axis after the other is folded, and where it is not named, what
 * was there before is taken instead. So its extent is 1 or what it was.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { type Int, isKnown, mostOf } from './ints.ts';
import { flagsOf, lengthOf, openAxes, rankBy, withoutAxes } from './lists.ts';
import { Parts, wideOf } from './parts.ts';
import { given, intOf, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** What a reduction is made of: of each element, along each axis, and of the result. */
interface Steps {
  readonly fold: 'ReduceSum' | 'ReduceProd' | 'ReduceMax' | 'ReduceMin' | 'ReduceLogSumExp';
  readonly first?: 'Abs' | 'square';
  readonly last?: 'Sqrt' | 'Log' | 'mean';
}

const STEPS: ReadonlyMap<string, Steps> = new Map<string, Steps>([
  ['ReduceSum', { fold: 'ReduceSum' }],
  ['ReduceMean', { fold: 'ReduceSum', last: 'mean' }],
  ['ReduceL1', { fold: 'ReduceSum', first: 'Abs' }],
  ['ReduceL2', { fold: 'ReduceSum', first: 'square', last: 'Sqrt' }],
  ['ReduceSumSquare', { fold: 'ReduceSum', first: 'square' }],
  ['ReduceLogSum', { fold: 'ReduceSum', last: 'Log' }],
  ['ReduceProd', { fold: 'ReduceProd' }],
  ['ReduceMax', { fold: 'ReduceMax' }],
  ['ReduceMin', { fold: 'ReduceMin' }],
  ['ReduceLogSumExp', { fold: 'ReduceLogSumExp' }],
]);

/** The dtype of what is between the axes: what the reduction itself keeps its sums in. */
function keptIn(dtype: DType, { fold, last }: Steps): DType {
  if (fold === 'ReduceMax' || fold === 'ReduceMin') return dtype;
  if (isFloat(dtype)) return wideOf(dtype);
  if (fold === 'ReduceLogSumExp' || last === 'Sqrt' || last === 'Log') return 'f64';
  return dtype.startsWith('u') ? 'u64' : 'i64';
}

/** The node's result. */
export function reduceNamed(use: Use): Sized {
  const { s } = use;
  const parts = new Parts(use);
  const steps = STEPS.get(use.op) ?? s.cannot('its axes depend on data');
  const x = given(use, 0);
  const dtype = s.dtype(x);
  const flags = reducedFlags(use, x.sizes.length);
  let y = parts.cast(x, keptIn(dtype, steps));
  if (steps.first === 'Abs') y = parts.op('Abs', [y]);
  if (steps.first === 'square') y = parts.op('Mul', [y, y]);
  flags.forEach((flag, axis) => {
    y = foldedWhere(use, steps.fold, y, axis, flag);
  });
  if (steps.last === 'mean') y = parts.op('Div', [y, countOf(use, x, flags, s.dtype(y))]);
  else if (steps.last !== undefined) y = parts.op(steps.last, [y]);
  const made = parts.cast(y, dtype);
  return intOf(use, 'keepdims', 1) === 0 ? dropped(use, made, flags) : made;
}

/** 1 for every axis that is reduced. */
function reducedFlags(use: Use, rank: number): readonly Int[] {
  const { ints } = use;
  // Axis 0 of a scalar is allowed, and there is none to fold.
  if (rank === 0) return [];
  const flags = flagsOf(use, openAxes(use, 1, 'the axes', rank), rank);
  if (intOf(use, 'noop_with_empty_axes') !== 0) return flags;
  const count = lengthOf(use, 1);
  return flags.map((flag) => ints.whereEqual(count, 0, 1, flag));
}

/** Folded along an axis where a flag is set, else as it is. */
function foldedWhere(use: Use, fold: Steps['fold'], x: Sized, axis: number, flag: Int): Sized {
  const { s, ints } = use;
  const size = at(x.sizes, axis);
  if (flag === 0 || size === 1) return x;
  const folded = new Parts(use).reduce(fold, x, [axis]);
  if (isKnown(flag)) return folded;
  // A fold of nothing is one element, too.
  const room = mostOf(size) === 0 ? s.longer(x.id, axis, 1) : x.id;
  const isFolded = s.b.op('Equal', [flag.id, ints.id(1)]);
  const sizes = x.sizes.with(axis, ints.whereEqual(flag, 1, 1, size));
  return s.made(s.op('Where', [isFolded, folded.id, room]), sizes);
}

/** How many elements there are to each of a result, as a scalar of the dtype. */
function countOf(use: Use, x: Sized, flags: readonly Int[], dtype: DType): Sized {
  const { ints } = use;
  const count = ints.product(
    x.sizes.map((size, axis) => ints.whereEqual(at(flags, axis), 1, size, 1)),
  );
  return new Parts(use).int(isFloat(dtype) ? count : ints.max(count, 1), dtype);
}

function dropped(use: Use, x: Sized, flags: readonly Int[]): Sized {
  const rank = x.sizes.length;
  const isIdle = intOf(use, 'noop_with_empty_axes') !== 0;
  const left = rankBy(use, 1, 'the axes', (length) => {
    if (length === 0) return isIdle ? rank : 0;
    return Math.max(0, rank - length);
  });
  if (rank === 0) return x;
  return withoutAxes(use, 1, x, flags, left);
}
