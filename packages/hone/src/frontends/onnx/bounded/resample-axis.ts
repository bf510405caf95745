/**
 * One axis of Resize whose geometry a run computes: a sum of elements at positions around the place that an
 * index of the result stands for.
 */
import type { ValueId } from '../../../graph/types.ts';
import { type Int, mostOf, unknown } from './ints.ts';
import { Parts } from './parts.ts';
import type { Use } from './rule.ts';
import { numberOf, realOf, type Target, textOf } from './resample-targets.ts';
import type { Sized } from './sized.ts';

/** Positions this close to a whole number, or to a half, are it: divisions are rounded. */
const SLACK = 1e-9;
/** Positions this close to the border are on it. */
const BORDER = 1e-6;
/** Where no ratio of extents gives them, positions are in steps of this, as where extents are known. */
const STEPS = 2 ** 32;
/** So many elements are added one by one; more of them along an axis of their own. */
const MOST_TERMS = 4;
/** An axis of all taps there can be is summed, unless a list of those there are has so many times less. */
const MANY = 4;

/** A line that gives the position of an output index: slope · index + offset, as f64 scalars. */
interface Line {
  readonly slope: Sized;
  readonly offset: Sized;
}

/** Arithmetic on f64 of the run. */
class Reals {
  readonly parts: Parts;
  readonly #use: Use;

  constructor(use: Use) {
    this.#use = use;
    this.parts = new Parts(use);
  }

  op(name: string, ...inputs: readonly (Sized | number)[]): Sized {
    return this.parts.op(
      name,
      inputs.map((x) => realOf(this.#use, x)),
    );
  }

  of(x: Int): Sized {
    return this.parts.int(x, 'f64');
  }
}

interface Geometry {
  /** Of each index of the result, [room]. */
  readonly place: Sized;
  readonly slack: Sized;
  /** Elements of the result per element, at most 1. */
  readonly shrink: Sized;
}

function geometryOf(use: Use, target: Target): Geometry {
  const { s, ints } = use;
  const r = new Reals(use);
  const { from, to, scale, window } = target;
  const [n, m] = [r.of(from), r.of(ints.max(to, 1))];
  const ratio = r.op('Div', n, m);
  // Where the scale is the ratio of the extents but for its rounding, the ratio is meant.
  const product = scale === undefined ? undefined : r.op('Mul', n, scale);
  const isExact =
    product && r.parts.op('Equal', [r.parts.cast(product, 'f32'), r.parts.int(to, 'f32')]);
  const exactly = (yes: Sized, no: () => Sized): Sized =>
    isExact === undefined ? yes : r.parts.op('Where', [isExact, yes, no()]);
  const step = exactly(ratio, () => r.op('Div', 1, scale ?? 1));
  const index: Sized = { id: s.cast(s.iota(mostOf(to)), 'f64'), sizes: [mostOf(to)] };
  const stepped = (x: Sized): Sized => r.op('Div', r.op('Round', r.op('Mul', x, STEPS)), STEPS);
  const line = window === undefined ? lineOf(use, target, step) : shownLine(use, target, window);
  const [slope, offset] = [line.slope, line.offset].map((x) =>
    window === undefined ? exactly(x, () => stepped(x)) : stepped(x),
  ) as [Sized, Sized];
  return {
    place: r.op('Add', r.op('Mul', index, slope), offset),
    slack:
      window === undefined ? exactly(realOf(use, SLACK), () => realOf(use, 0)) : realOf(use, 0),
    shrink: r.op('Min', r.op('Div', 1, step), 1),
  };
}

function lineOf(use: Use, target: Target, step: Sized): Line {
  const r = new Reals(use);
  const { from, to } = target;
  const [n, m] = [r.of(from), r.of(use.ints.max(to, 1))];
  const half = r.op('Sub', r.op('Mul', step, 0.5), 0.5);
  const whole: Line = { slope: step, offset: realOf(use, 0) };
  switch (textOf(use, 'coordinate_transformation_mode')) {
    case 'half_pixel':
      return { slope: step, offset: half };
    case 'pytorch_half_pixel':
      return ofMany(use, to, { slope: step, offset: half });
    case 'tf_half_pixel_for_nn':
      return { slope: step, offset: r.op('Mul', step, 0.5) };
    case 'half_pixel_symmetric': {
      const off = r.op('Sub', 1, r.op('Div', r.op('Mul', m, step), n));
      return { slope: step, offset: r.op('Add', half, r.op('Mul', r.op('Mul', n, 0.5), off)) };
    }
    case 'align_corners': {
      // The last position of the result before it was rounded down.
      const last = r.op('Sub', r.op('Div', n, step), 1);
      const slope = r.op('Div', r.op('Sub', n, 1), last);
      return ofMany(use, to, { slope, offset: whole.offset });
    }
    default:
      return whole;
  }
}

/** The line of a part of the axis; one element is its middle. */
function shownLine(use: Use, { from, to }: Target, window: NonNullable<Target['window']>): Line {
  const r = new Reals(use);
  const [start, end] = window.map((x) => realOf(use, x)) as [Sized, Sized];
  const last = r.op('Sub', r.of(from), 1);
  const span = r.op('Mul', r.op('Sub', end, start), last);
  const steps = r.of(use.ints.max(use.ints.sub(to, 1), 1));
  const middle = r.op('Mul', r.op('Mul', r.op('Add', start, end), 0.5), last);
  return ofMany(
    use,
    to,
    { slope: r.op('Div', span, steps), offset: r.op('Mul', start, last) },
    middle,
  );
}

/** The line where there is more than one element; for one, its place. */
function ofMany(use: Use, to: Int, many: Line, one = realOf(use, 0)): Line {
  const { parts } = new Reals(use);
  const isMany = parts.op('Greater', [parts.int(to, 'i64'), parts.number(1, 'i64')]);
  return {
    slope: parts.op('Where', [isMany, many.slope, realOf(use, 0)]),
    offset: parts.op('Where', [isMany, many.offset, one]),
  };
}

/** The axis resized: of floats where it is not `nearest`. */
export function resized(use: Use, x: Sized, target: Target): Sized {
  const { s, ints } = use;
  const { axis, from, to } = target;
  s.room(x.sizes.map((size, i) => (i === axis ? to : size)));
  if (mostOf(from) === 0) return s.first(x, axis, to);
  const r = new Reals(use);
  const { place, slack, shrink } = geometryOf(use, target);
  const last = ints.max(ints.sub(from, 1), 0);
  const within = (id: ValueId): ValueId =>
    s.b.op('Max', [s.b.op('Min', [id, ints.id(last)]), ints.id(0)]);
  const shifted = (by: number, sign: 'Add' | 'Sub'): Sized =>
    r.op(sign, r.op('Add', place, by), slack);
  if (textOf(use, 'mode') === 'nearest') {
    const rounded =
      {
        floor: () => r.op('Floor', shifted(0, 'Add')),
        ceil: () => r.op('Ceil', shifted(0, 'Sub')),
        round_prefer_ceil: () => r.op('Floor', shifted(0.5, 'Add')),
      }[textOf(use, 'nearest_mode')] ?? (() => r.op('Ceil', shifted(-0.5, 'Sub')));
    return s.take(x, axis, within(s.cast(rounded().id, 'i64')), to);
  }
  const floor = r.op('Floor', shifted(0, 'Add'));
  const share = r.op('Max', r.op('Sub', place, floor), 0);
  const isCubic = textOf(use, 'mode') === 'cubic';
  const isSmoothed = numberOf(use, 'antialias') !== 0 && target.leastScale < 1;
  const isExclusive = numberOf(use, 'exclude_outside') !== 0;
  // Elements further away than this weigh nothing.
  const reach = Math.ceil((isCubic ? 2 : 1) / (isSmoothed ? target.leastScale : 1));
  const base: Sized = { id: s.cast(floor.id, 'i64'), sizes: floor.sizes };
  /** Elements so far from the one at, or before, a place. */
  const tap = (from: Sized, near: Sized, by: Sized): Tap => {
    const position = r.parts.op('Add', [from, by]);
    const safe = within(position.id);
    const apart = r.op('Abs', r.op('Sub', near, r.parts.cast(by, 'f64')));
    const distance = isSmoothed ? r.op('Mul', apart, shrink) : apart;
    const weight = isCubic
      ? cubicWeight(use, r, distance)
      : r.op('Max', r.op('Sub', 1, distance), 0);
    if (!isExclusive) return { safe, weight };
    const isInside: Sized = { id: s.b.op('Equal', [position.id, safe]), sizes: position.sizes };
    return { safe, weight: r.parts.op('Where', [isInside, weight, realOf(use, 0)]) };
  };
  const radius = isCubic ? 2 : 1;
  // As many in all as where the scale is that of the extents, or twice that where it was rounded from one.
  const pairs = (target.scale === undefined ? 2 : 4) * radius * mostOf(from) + 2 * mostOf(to);
  const isInProportion = target.window === undefined || target.scale === undefined;
  if (isSmoothed && isInProportion && 2 * reach * mostOf(to) > MANY * pairs) {
    const far = s.cast(r.op('Ceil', r.op('Div', radius, shrink)).id, 'i64');
    const own = ints.within(unknown(far, 0, Number.POSITIVE_INFINITY), 1, reach);
    return scattered(use, x, target, { pairs, reach: own, base, share, tap });
  }
  if (2 * reach > MOST_TERMS || isSmoothed) {
    const column = (id: Sized): Sized => r.parts.reshape(id, [mostOf(to), 1]);
    const by = s.b.op('Sub', [s.iota(2 * reach, 2, 1), ints.id(reach - 1)]);
    const row: Sized = { id: by, sizes: [1, 2 * reach] };
    return summed(use, x, target, tap(column(base), column(share), row));
  }
  const taps = Array.from({ length: 2 * reach }, (_, i) =>
    tap(base, share, r.parts.number(i - reach + 1, 'i64')),
  );
  return added(use, x, target, taps);
}

interface Spread {
  /** Elements that count for an index, for all of them: no more than that. */
  readonly pairs: number;
  /** How far elements count in this run. */
  readonly reach: Int;
  readonly base: Sized;
  readonly share: Sized;
  readonly tap: (from: Sized, near: Sized, by: Sized) => Tap;
}

/**
 * Where few indices of many, or many of few, is what a run decides: a list of all pairs of an index and an
 * element that counts for it, each added where it belongs.
 */
function scattered(use: Use, data: Sized, { axis, to }: Target, spread: Spread): Sized {
  const { s, ints } = use;
  const { pairs, reach, base, share, tap } = spread;
  const r = new Reals(use);
  const rank = data.sizes.length;
  const others = data.sizes.map((_, i) => i).filter((i) => i !== axis);
  const x = r.parts.op('Transpose', [data], { perm: [axis, ...others] });
  const k = s.iota(pairs);
  const count = ints.id(ints.mul(reach, 2));
  const index = s.b.op('Div', [k, count]);
  const isMeant = s.b.op('Less', [index, ints.id(to)]);
  const safe = s.b.op('Min', [index, ints.id(mostOf(to) - 1)]);
  const by = s.b.op('Sub', [s.b.op('Mod', [k, count]), ints.id(ints.sub(reach, 1))]);
  const list = (id: ValueId): Sized => ({ id, sizes: [pairs] });
  const read = tap(s.take(base, 0, safe, pairs), s.take(share, 0, safe, pairs), list(by));
  const zero = s.number(0, 'f64');
  const weight = s.b.op('Where', [isMeant, read.weight.id, zero]);
  const place = s.reshape(safe, [pairs, 1]);
  const add = { reduction: 'add' };
  const total = s.op('ScatterND', [s.zeros('f64', [mostOf(to)]), place, weight], add);
  const part = s.b.op('Div', [weight, s.b.op('Gather', [total, safe], { axis: 0 })]);
  const dtype = s.dtype(x);
  const column = (id: ValueId): ValueId => s.spread(id, rank, 0);
  const elements = s.op('Gather', [x.id, read.safe], { axis: 0 });
  const product = s.op('Mul', [elements, column(s.cast(part, dtype))]);
  // What no index is for goes nowhere, whatever it is.
  const updates = s.op('Where', [column(isMeant), product, s.number(0, dtype)]);
  const sizes = x.sizes.with(0, to);
  const sums = s.op('ScatterND', [s.zeros(dtype, sizes.map(mostOf)), place, updates], add);
  const back = data.sizes.map((_, i) => (i === axis ? 0 : others.indexOf(i) + 1));
  return r.parts.op('Transpose', [s.made(sums, sizes)], { perm: back });
}

/** Elements that count for each index of the result, and how much. */
interface Tap {
  readonly safe: ValueId;
  readonly weight: Sized;
}

/** A tap each: products are added up. */
function added(use: Use, x: Sized, { axis, to }: Target, taps: readonly Tap[]): Sized {
  const { s } = use;
  const r = new Reals(use);
  const total = taps.map(({ weight }) => weight).reduce((a, b) => r.op('Add', a, b));
  return taps
    .map(({ safe, weight }) => {
      const share = r.op('Div', weight, total);
      const spread: Sized = {
        id: s.spread(s.cast(share.id, s.dtype(x)), x.sizes.length, axis),
        sizes: x.sizes.map((_, i): Int => (i === axis ? mostOf(to) : 1)),
      };
      const read = s.take(x, axis, safe, to);
      return s.made(s.op('Mul', [read.id, spread.id]), read.sizes);
    })
    .reduce((a, b) => s.made(s.op('Add', [a.id, b.id]), a.sizes));
}

/** All taps in one, [to, taps]: an axis of their own is summed. */
function summed(use: Use, x: Sized, { axis, to }: Target, { safe, weight }: Tap): Sized {
  const { s } = use;
  const r = new Reals(use);
  const share = r.op('Div', weight, r.parts.reduce('ReduceSum', weight, [1]));
  const [room = 0, count = 0] = s.b.typeOf(safe).shape;
  const sizes = x.sizes.flatMap((size, i): Int[] => (i === axis ? [to, count] : [size]));
  s.room(sizes);
  const read = s.made(s.op('Gather', [x.id, safe], { axis }), sizes);
  const shape = sizes.map((_, i) => (i === axis ? room : i === axis + 1 ? count : 1));
  const spread = s.reshape(s.cast(share.id, s.dtype(x)), shape);
  const parts = s.made(s.op('Mul', [read.id, spread]), sizes);
  const { id } = r.parts.reduce('ReduceSum', parts, [axis + 1], 0);
  return s.made(id, x.sizes.with(axis, to));
}

/** Keys' kernel. */
function cubicWeight(use: Use, r: Reals, distance: Sized): Sized {
  const a = numberOf(use, 'cubic_coeff_a');
  const polynomial = (factors: readonly number[]): Sized =>
    factors.reduce(
      (sum: Sized, factor) => r.op('Add', r.op('Mul', sum, distance), factor),
      realOf(use, 0),
    );
  const below = (limit: number, yes: Sized, no: Sized): Sized =>
    r.parts.op('Where', [r.op('LessOrEqual', distance, limit), yes, no]);
  const far = below(2, polynomial([a, -5 * a, 8 * a, -4 * a]), realOf(use, 0));
  return below(1, polynomial([a + 2, -(a + 3), 0, 1]), far);
}

/** Where indices of the result stand for places in the axis, along that axis of a tensor. */
export function shown(use: Use, target: Target, rank: number): ValueId {
  const { s, ints } = use;
  const r = new Reals(use);
  const { place } = geometryOf(use, target);
  const last = r.of(ints.sub(target.from, 1));
  const isIn = r.parts.op('And', [
    r.op('GreaterOrEqual', place, -BORDER),
    r.op('LessOrEqual', place, r.op('Add', last, BORDER)),
  ]);
  return s.spread(isIn.id, rank, target.axis);
}
