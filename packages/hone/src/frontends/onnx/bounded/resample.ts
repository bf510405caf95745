/**
 * Resize along axes of unknown extent, or to sizes that data decides: each such axis is a sum of Gathers at
 * positions that a run computes. Axes whose extents are known stay with the node.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import { atBound } from './at-bound.ts';
import { type Int, isKnown, isSame, leastOf, mostOf, unknown } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { axisIn, given, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

/** Positions this close to a whole number, or to a half, are it. */
const SLACK = 1e-9;

/** One axis that is resized. */
interface Target {
  readonly axis: number;
  readonly from: Int;
  readonly to: Int;
  /** Elements of the result per element; undefined: the ratio of the extents. */
  readonly scale: number | undefined;
}

const textOf = (use: Use, name: string): string => String(use.attrs[name] ?? '');
const numberOf = (use: Use, name: string): number => Number(use.attrs[name] ?? 0);

/** The floats of a constant; undefined where it is absent or empty. */
function constantList(use: Use, k: number, what: string): readonly number[] | undefined {
  const input = use.inputs[k];
  if (input == null || (input.sizes.length === 1 && input.sizes[0] === 0)) return undefined;
  const value = use.s.b.graph.value(input.id);
  if (value.constant === undefined || isBounded(input)) return use.s.cannot(`${what} are data`);
  return [...toNumbers(constantTensor(value))];
}

function targetsOf(use: Use, x: Sized): readonly Target[] {
  const { s, ints } = use;
  const rank = x.sizes.length;
  const asked = use.attrs['axes'];
  const axes = Array.isArray(asked)
    ? (asked as number[]).map((axis) => axisIn(use, axis, rank))
    : x.sizes.map((_, axis) => axis);
  const isSized = use.inputs[3] != null && sizeAt(given(use, 3), 0) !== 0;
  if (isSized) {
    if (textOf(use, 'keep_aspect_ratio_policy') !== 'stretch') s.cannot('an aspect ratio is kept');
    const wanted = intsOf(use, 3, 'the sizes');
    const sizes = s.bounded(
      x.sizes.map((size, axis) => (axes.includes(axis) ? at(wanted, axes.indexOf(axis)) : size)),
      { dtype: s.dtype(x) },
    );
    return axes.map((axis) => ({
      axis,
      from: sizeAt(x, axis),
      to: at(sizes, axis),
      scale: undefined,
    }));
  }
  const scales =
    constantList(use, 2, 'the scales') ?? s.cannot('neither scales nor sizes are given');
  return axes.map((axis, k) => {
    const [from, scale] = [sizeAt(x, axis), at(scales, k)];
    return { axis, from, to: scaled(use, from, scale), scale };
  });
  function scaled({ s: own }: Use, n: Int, scale: number): Int {
    if (isKnown(n)) return Math.floor(Math.fround(n * scale));
    if (Number.isInteger(scale)) return ints.mul(n, scale);
    const product = own.b.op('Mul', [own.cast(n.id, 'f64'), own.number(scale, 'f64')]);
    const whole = own.cast(own.b.op('Floor', [own.cast(product, 'f32')]), 'i64');
    const bound = (size: number): number => Math.floor(Math.fround(size * scale));
    return unknown(whole, bound(leastOf(n)), bound(mostOf(n)));
  }
}

/** A line that gives the position of an output index: slope · index + offset, as f64 scalars. */
interface Line {
  readonly slope: Sized;
  readonly offset: Sized;
}

function lineOf(use: Use, { from, to, scale }: Target): Line {
  const parts = new Parts(use);
  const f = (x: number): Sized => parts.number(x, 'f64');
  const op = (name: string, a: Sized, b: Sized): Sized => parts.op(name, [a, b]);
  const [n, m] = [parts.int(from, 'f64'), parts.int(use.ints.max(to, 1), 'f64')];
  // Where the scale is the ratio of the extents but for its rounding, the ratio is meant.
  const step = ((): Sized => {
    const ratio = op('Div', n, m);
    if (scale === undefined) return ratio;
    const product = parts.cast(op('Mul', n, f(scale)), 'f32');
    const isExact = op('Equal', product, parts.int(to, 'f32'));
    return parts.op('Where', [isExact, ratio, f(1 / scale)]);
  })();
  const half = op('Sub', op('Mul', step, f(0.5)), f(0.5));
  const one = (many: Line, few: Line): Line => {
    const isMany = op('Greater', parts.int(to, 'i64'), parts.number(1, 'i64'));
    return {
      slope: parts.op('Where', [isMany, many.slope, few.slope]),
      offset: parts.op('Where', [isMany, many.offset, few.offset]),
    };
  };
  const zero: Line = { slope: f(0), offset: f(0) };
  switch (textOf(use, 'coordinate_transformation_mode')) {
    case 'half_pixel':
      return { slope: step, offset: half };
    case 'pytorch_half_pixel':
      return one({ slope: step, offset: half }, zero);
    case 'tf_half_pixel_for_nn':
      return { slope: step, offset: op('Mul', step, f(0.5)) };
    case 'asymmetric':
      return { slope: step, offset: f(0) };
    case 'half_pixel_symmetric': {
      const off = op('Sub', f(1), op('Div', op('Mul', m, step), n));
      return { slope: step, offset: op('Add', half, op('Mul', op('Mul', n, f(0.5)), off)) };
    }
    case 'align_corners': {
      // The last position of the result before it was rounded down.
      const last = op('Sub', op('Div', n, step), f(1));
      return one({ slope: op('Div', op('Sub', n, f(1)), last), offset: f(0) }, zero);
    }
    default:
      return use.s.cannot('the crop of an unknown extent');
  }
}

function resized(use: Use, x: Sized, target: Target): Sized {
  const { s, ints } = use;
  const parts = new Parts(use);
  const { axis, from, to } = target;
  s.room(x.sizes.map((size, i) => (i === axis ? to : size)));
  if (mostOf(from) === 0) return s.first(x, axis, to);
  const { slope, offset } = lineOf(use, target);
  const index: Sized = { id: s.cast(s.iota(mostOf(to)), 'f64'), sizes: [mostOf(to)] };
  const place = parts.op('Add', [parts.op('Mul', [index, slope]), offset]);
  const last = ints.max(ints.sub(from, 1), 0);
  const whole = (id: Sized): ValueId => s.cast(id.id, 'i64');
  const within = (id: ValueId): ValueId =>
    s.b.op('Max', [s.b.op('Min', [id, ints.id(last)]), ints.id(0)]);
  const shifted = (by: number): Sized => parts.op('Add', [place, parts.number(by, 'f64')]);
  const mode = textOf(use, 'mode');
  if (mode === 'nearest') {
    const rounded =
      {
        floor: () => parts.op('Floor', [shifted(SLACK)]),
        ceil: () => parts.op('Ceil', [shifted(-SLACK)]),
        round_prefer_ceil: () => parts.op('Floor', [shifted(0.5 + SLACK)]),
      }[textOf(use, 'nearest_mode')] ?? (() => parts.op('Ceil', [shifted(-0.5 - SLACK)]));
    return s.take(x, axis, within(whole(rounded())), to);
  }
  if (numberOf(use, 'antialias') !== 0) return s.cannot('an unknown extent with antialias');
  const floor = parts.op('Floor', [shifted(SLACK)]);
  const share = parts.op('Max', [parts.op('Sub', [place, floor]), parts.number(0, 'f64')]);
  const taps = mode === 'linear' ? linearWeights(parts, share) : cubicWeights(use, parts, share);
  const isExclusive = numberOf(use, 'exclude_outside') !== 0;
  const dtype = s.dtype(x);
  const wide = wideOf(dtype);
  let sum: Sized | undefined;
  let total: Sized | undefined;
  for (const { by, weight } of taps) {
    const position = s.b.op('Add', [whole(floor), ints.id(by)]);
    const safe = within(position);
    const isInside: Sized = { id: s.b.op('Equal', [position, safe]), sizes: weight.sizes };
    const own = isExclusive
      ? parts.op('Where', [isInside, weight, parts.number(0, 'f64')])
      : weight;
    const spread: Sized = {
      id: s.spread(s.cast(own.id, wide), x.sizes.length, axis),
      sizes: x.sizes.map((_, i): Int => (i === axis ? mostOf(to) : 1)),
    };
    const read = s.take({ ...x, id: s.cast(x.id, wide) }, axis, safe, to);
    const part: Sized = s.made(s.op('Mul', [read.id, spread.id]), read.sizes);
    sum = sum === undefined ? part : s.made(s.op('Add', [sum.id, part.id]), part.sizes);
    total = total === undefined ? spread : parts.op('Add', [total, spread]);
  }
  if (sum === undefined || total === undefined) return s.cannot('a mode without weights');
  const mean = isExclusive ? s.made(s.op('Div', [sum.id, total.id]), sum.sizes) : sum;
  return parts.cast(mean, dtype);
}

interface Tap {
  readonly by: number;
  readonly weight: Sized;
}

function linearWeights(parts: Parts, share: Sized): readonly Tap[] {
  return [
    { by: 0, weight: parts.op('Sub', [parts.number(1, 'f64'), share]) },
    { by: 1, weight: share },
  ];
}

/** Keys' kernel at the distances of the four positions around. */
function cubicWeights(use: Use, parts: Parts, share: Sized): readonly Tap[] {
  const a = numberOf(use, 'cubic_coeff_a');
  const near = [a + 2, -(a + 3), 0, 1];
  const far = [a, -5 * a, 8 * a, -4 * a];
  return [-1, 0, 1, 2].map((by) => {
    const apart = parts.op('Sub', [share, parts.number(by, 'f64')]);
    const distance = parts.op('Abs', [apart]);
    const factors = by === 0 || by === 1 ? near : far;
    const weight = factors.reduce(
      (sum, factor) =>
        parts.op('Add', [parts.op('Mul', [sum, distance]), parts.number(factor, 'f64')]),
      parts.number(0, 'f64'),
    );
    return { by, weight };
  });
}

const resize: Rule = (use) => {
  const { s } = use;
  const data = given(use, 0);
  const targets = targetsOf(use, data);
  const isIdentity = ({ from, to, scale }: Target): boolean =>
    isSame(from, to) && (scale === undefined || scale === 1);
  const isOpen = ({ from, to }: Target): boolean => !isKnown(from) || !isKnown(to);
  const changed = targets.filter((target) => !isIdentity(target));
  const open = changed.filter(isOpen);
  const known = changed.filter((target) => !isOpen(target));
  const mode = textOf(use, 'mode');
  if (open.length > 0 && mode !== 'nearest' && !s.isReal(data))
    s.cannot('whole numbers along an unknown extent');
  let x = data;
  if (known.length > 0) {
    const sizes = x.sizes.map((size, axis) => known.find((k) => k.axis === axis)?.to ?? size);
    const ofAxis = (axis: number): Target | undefined => known.find((k) => k.axis === axis);
    const isScaled = known.every(({ scale }) => scale !== undefined);
    const scales = x.sizes.map((_, axis) => ofAxis(axis)?.scale ?? 1);
    const list = isScaled
      ? s.b.constant(fromNumbers('f32', [scales.length], scales))
      : s.b.ints(sizes.map(mostOf));
    const { axes: _, ...attrs } = use.attrs;
    const roi = use.inputs[1] ?? null;
    if (
      textOf(use, 'coordinate_transformation_mode') === 'tf_crop_and_resize' &&
      'axes' in use.attrs
    )
      s.cannot('the crop of some axes');
    const own: Sized = { id: list, sizes: [scales.length] };
    const inputs = isScaled ? [x, roi, own] : [x, roi, null, own];
    [x = data] = atBound({ ...use, attrs }, inputs, [sizes]);
  }
  for (const target of open) x = resized(use, x, target);
  return [x];
};

export const RESAMPLE: ReadonlyMap<string, Rule> = new Map([['Resize', resize]]);
