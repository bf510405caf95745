/**
 * Slices and splits, whatever of them is data, and how many numbers there are: axes that are data make a slice of every axis, which is all of
 * it where the axis is not meant.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { checkNot } from './checks.ts';
import { mostApart } from './distance.ts';
import { type Int, isKnown, isSame, leastOf, mostOf } from './ints.ts';
import {
  exactList,
  isSettled,
  itemFor,
  lengthOf,
  openAxes,
  openList,
  sameLength,
} from './lists.ts';
import { axisIn, given, intOf, optionalKnown, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Elements from `start` in steps, as many as `count` says. */
export function slice(use: Use, x: Sized, axis: number, start: Int, step: Int, count: Int): Sized {
  const { s, ints } = use;
  const have = sizeAt(x, axis);
  if (start === 0 && step === 1) return s.first(x, axis, count);
  const bound = mostOf(count);
  const steps = s.b.op('Mul', [s.iota(bound), ints.id(step)]);
  const list = s.b.op('Add', [steps, ints.id(start)]);
  const last = Math.max(0, mostOf(have) - 1);
  const safe = s.b.op('Max', [s.b.op('Min', [list, ints.id(last)]), ints.id(0)]);
  if (mostOf(have) > 0) return s.take(x, axis, safe, count);
  return s.first(x, axis, count);
}

/** What is cut from an axis. */
interface Part {
  readonly axis: number;
  readonly start: Int;
  readonly end: Int;
  readonly step: Int;
}

const sliceRule: Rule = (use) => {
  const { ints } = use;
  let x = given(use, 0);
  for (const { axis, start, end, step } of partsOf(use, x)) {
    if (!isKnown(step)) checkNot(use, step, 0, 'its step is 0');
    const n = sizeAt(x, axis);
    if (start === 0 && step === 1 && isSame(end, n)) continue;
    const cut = sliceOf(use, n, start, end, step);
    const near = isKnown(step) ? step : ints.near(step, FAR);
    x = slice(use, x, axis, cut.start, near, cut.count);
  }
  return [x];
};

/** Inputs that are lists with a number for each axis. */
const LISTS = [
  [1, 'where the slice begins'],
  [2, 'where the slice ends'],
  [4, 'the steps'],
] as const;

function partsOf(use: Use, x: Sized): readonly Part[] {
  const rank = x.sizes.length;
  const lists = LISTS.map(([k, what]) =>
    use.inputs[k] == null ? undefined : openList(use, k, what, rank).items,
  );
  const [starts = [], ends = [], steps = starts.map(() => 1)] = lists;
  const isWhole = LISTS.every(([k]) => use.inputs[k] == null || isKnown(lengthOf(use, k)));
  if (isWhole && isSettled(use, 3)) {
    const axes = optionalKnown(use, 3, 'the axes') ?? starts.map((_, i) => i);
    return axes.map((axis, i) => ({
      axis: axisIn(use, axis, rank),
      start: at(starts, i),
      end: at(ends, i),
      step: at(steps, i),
    }));
  }
  const names = use.inputs[3] == null ? 1 : 3;
  for (const [k] of LISTS) if (use.inputs[k] != null) sameLength(use, k, names);
  const axes = names === 1 ? leading(use, rank) : openAxes(use, 3, 'the axes', rank);
  return x.sizes.map((size, axis) => ({
    axis,
    start: itemFor(use, axes, axis, starts, 0),
    end: itemFor(use, axes, axis, ends, size),
    step: itemFor(use, axes, axis, steps, 1),
  }));
}

/** 0, 1, …, as many as there are begins of slices; -1 behind them. */
function leading(use: Use, rank: number): readonly Int[] {
  const { items, count } = openList(use, 1, 'where the slice begins', rank);
  return items.map((_, i) => use.ints.whereLess(i, count, i, -1));
}

/** Ends and steps further than this are all the same; as they stand they would not fit arithmetic. */
export const FAR = 2 ** 40;

interface Cut {
  readonly start: Int;
  readonly count: Int;
}

function sliceOf(use: Use, n: Int, start: Int, end: Int, step: Int): Cut {
  const { ints, s } = use;
  if (step === 0) return s.cannot('a step is 0');
  if (leastOf(step) > 0) return sliceUp(use, n, start, end, step);
  if (mostOf(step) < 0) return sliceDown(use, n, start, end, step);
  const [up, down] = [sliceUp(use, n, start, end, step), sliceDown(use, n, start, end, step)];
  const count = ints.whereLess(step, 0, down.count, up.count);
  return { start: ints.whereLess(step, 0, down.start, up.start), count };
}

function fromEnd({ ints }: Use, x: Int, n: Int): Int {
  const near = isKnown(x) ? Math.min(Math.max(x, -FAR), FAR) : x;
  return ints.whereLess(near, 0, ints.add(near, n), near);
}

/** How many steps a length takes, the last of which may reach beyond it. */
function stepsIn({ ints }: Use, length: Int, step: Int): Int {
  if (isKnown(step)) return ints.ceilDiv(length, step);
  const near = ints.clamp(step, 1, FAR);
  return ints.within(ints.div(ints.add(length, ints.sub(near, 1)), near), 0, mostOf(length));
}

function sliceUp(use: Use, n: Int, start: Int, end: Int, step: Int): Cut {
  const { ints } = use;
  const from = ints.clamp(fromEnd(use, start, n), 0, n);
  const to = ints.clamp(fromEnd(use, end, n), 0, n);
  let length = ints.max(ints.sub(to, from), 0);
  if (isKnown(start) && start < 0) length = ints.within(length, 0, -start);
  length = ints.within(length, 0, Math.max(0, mostOf(to) - leastOf(from)));
  // Numbers that f32 does not have exactly are beyond all extents, and cut off above.
  const apart = isKnown(start) ? Infinity : mostApart(use.s.b, start.id, ints.id(end));
  length = ints.within(length, 0, Math.max(0, apart));
  return { start: from, count: stepsIn(use, ints.within(length, 0, mostOf(n)), step) };
}

function sliceDown(use: Use, n: Int, start: Int, end: Int, step: Int): Cut {
  const { ints } = use;
  const top = ints.sub(n, 1);
  const from = ints.clamp(fromEnd(use, start, n), 0, ints.max(top, 0));
  const to = ints.clamp(fromEnd(use, end, n), -1, top);
  // An empty axis has no last element to begin at.
  const length = ints.min(ints.max(ints.sub(from, to), 0), n);
  return { start: from, count: stepsIn(use, length, ints.sub(0, ints.near(step, FAR))) };
}

const split: Rule = (use) => {
  const { ints } = use;
  const x = given(use, 0);
  const axis = axisIn(use, intOf(use, 'axis'), x.sizes.length);
  const n = sizeAt(x, axis);
  const asked = use.inputs[1] == null ? undefined : exactList(use, 1, 'the lengths', use.outputs);
  const count = asked?.length ?? intOf(use, 'num_outputs', use.outputs);
  const even = (): Int => (isKnown(n) ? Math.ceil(n / count) : ints.ceilDiv(n, count));
  let start: Int = 0;
  return Array.from({ length: count }, (_, i) => {
    // A length beyond the axis is no ONNX; what there is of it is given.
    const wanted = asked === undefined ? even() : ints.clamp(at(asked, i), 0, n);
    const rest = ints.max(ints.sub(n, start), 0);
    const length = ints.min(wanted, rest);
    const part = slice(use, x, axis, start, 1, ints.within(length, 0, mostOf(wanted)));
    start = ints.add(start, wanted);
    return part;
  });
};

export const SLICING: ReadonlyMap<string, Rule> = new Map([
  ['Slice', sliceRule],
  ['DynamicSlice', sliceRule],
  ['Split', split],
]);
