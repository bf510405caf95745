/** What Resize makes of each axis: how long it becomes, by which scale, and which part of it is shown. */
import { at } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import { MAX_ELEMENTS } from './bounds.ts';
import { type Int, isKnown, leastOf, mostOf, unknown } from './ints.ts';
import { Parts } from './parts.ts';
import { axisIn, given, intsOf, sizeAt, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

/** A number that is known, or an f64 scalar of the run. */
export type Real = number | Sized;

/** One axis that is resized. */
export interface Target {
  readonly axis: number;
  readonly from: Int;
  readonly to: Int;
  /** Elements of the result per element; undefined: the ratio of the extents. */
  readonly scale: Real | undefined;
  /** What the scale is at least, where the result has elements. */
  readonly leastScale: number;
  /** Begin and end of what is shown, as parts of the axis; undefined: all of it, by another mode. */
  readonly window: readonly [Real, Real] | undefined;
}

export const textOf = (use: Use, name: string): string => String(use.attrs[name] ?? '');
export const numberOf = (use: Use, name: string): number => Number(use.attrs[name] ?? 0);

export const realOf = (use: Use, x: Real): Sized =>
  typeof x === 'number' ? new Parts(use).number(x, 'f64') : x;

const isAbsent = (input: Sized | null | undefined): boolean =>
  input == null || (input.sizes.length === 1 && input.sizes[0] === 0);

/** Are sizes given, rather than scales? */
export const isSized = (use: Use): boolean => !isAbsent(use.inputs[3]);

/** The floats of a list; undefined where it is absent or empty. */
function realsOf(use: Use, k: number, count: number, what: string): readonly Real[] | undefined {
  const { s } = use;
  if (isAbsent(use.inputs[k])) return undefined;
  const input = given(use, k);
  if (isBounded(input)) return s.cannot(`${what} are of unknown number`);
  const reals = elementsOf(use, input.id);
  return reals.length === count ? reals : s.cannot(`${what} are not ${count}`);
}

/** The elements of a list of floats: those that are constants are known, wherever it was put together. */
function elementsOf(use: Use, id: ValueId): readonly Real[] {
  const { s, ints } = use;
  const value = s.b.graph.value(id);
  if (value.constant !== undefined) return [...toNumbers(constantTensor(value))];
  const node = s.b.graph.producer(id);
  const inputs = node?.domain === '' ? node.inputs.flatMap((input) => input ?? []) : [];
  const { dtype, shape } = value.type;
  if (shape.length <= 1 && isFloat(dtype)) {
    if (node?.op === 'Concat') return inputs.flatMap((input) => elementsOf(use, input));
    if (node !== undefined && SAME_ELEMENTS.has(node.op))
      return inputs.slice(0, 1).flatMap((input) => elementsOf(use, input));
  }
  const whole = isFloat(dtype) ? undefined : ints.elements(id);
  if (whole !== undefined) return whole.map((x) => (isKnown(x) ? x : new Parts(use).int(x, 'f64')));
  const wide = s.reshape(s.cast(id, 'f64'), [elementCount(shape)]);
  return Array.from({ length: elementCount(shape) }, (_, i) => ({
    id: s.b.op('Gather', [wide, s.b.scalar(i, 'i64')], { axis: 0 }),
    sizes: [],
  }));
}

/** Operators on lists that give the elements of their first input, as they are. */
const SAME_ELEMENTS: ReadonlySet<string> = new Set([
  ...['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast'],
]);

export function targetsOf(use: Use, x: Sized): readonly Target[] {
  const rank = x.sizes.length;
  const asked = use.attrs['axes'];
  const axes = Array.isArray(asked)
    ? (asked as number[]).map((axis) => axisIn(use, axis, rank))
    : x.sizes.map((_, axis) => axis);
  const windows = windowsOf(use, axes.length);
  return isSized(use) ? fromSizes(use, x, axes, windows) : fromScales(use, x, axes, windows);
}

type Windows = readonly (readonly [Real, Real])[] | undefined;

function windowsOf(use: Use, count: number): Windows {
  if (textOf(use, 'coordinate_transformation_mode') !== 'tf_crop_and_resize') return undefined;
  const roi = realsOf(use, 1, 2 * count, 'the ends of the crop');
  return Array.from({ length: count }, (_, k) =>
    roi === undefined ? [0, 1] : [at(roi, k), at(roi, k + count)],
  );
}

/** An extent at least, where there is something, and the other at most. */
const leastRatio = (to: Int, from: Int): number =>
  Math.max(1, leastOf(to)) / Math.max(1, mostOf(from));

function fromSizes(
  use: Use,
  x: Sized,
  axes: readonly number[],
  windows: Windows,
): readonly Target[] {
  const { s } = use;
  const wanted = intsOf(use, 3, 'the sizes');
  const isKept = textOf(use, 'keep_aspect_ratio_policy') !== 'stretch';
  const kept = isKept ? keptAspect(use, x, axes, wanted) : undefined;
  const own = kept?.sizes ?? wanted;
  const open = x.sizes.map((size, axis) =>
    axes.includes(axis) ? at(own, axes.indexOf(axis)) : size,
  );
  // Where the ratio of the sides is data, one of them may become vast: that is no bound.
  const isVast = isKept && elementCount(open.map(mostOf)) > MAX_ELEMENTS;
  const unbound = (size: Int): Int =>
    isKnown(size) ? size : { ...size, max: Number.POSITIVE_INFINITY };
  const sizes = s.bounded(isVast ? open.map(unbound) : open, {
    dtype: s.dtype(x),
    room: (axis, cap) => Math.min(cap, mostOf(at(open, axis))),
  });
  return axes.map((axis, k) => {
    const [from, to] = [sizeAt(x, axis), at(sizes, axis)];
    return {
      ...{ axis, from, to, scale: kept?.scale },
      leastScale: kept?.leastScale ?? leastRatio(to, from),
      window: windows?.[k],
    };
  });
}

interface Kept {
  readonly sizes: readonly Int[];
  readonly scale: Real;
  readonly leastScale: number;
}

/** One scale for all axes: the smallest, or the largest, of those that the sizes ask for. */
function keptAspect(use: Use, x: Sized, axes: readonly number[], wanted: readonly Int[]): Kept {
  const { s, ints } = use;
  const parts = new Parts(use);
  const isSmallest = textOf(use, 'keep_aspect_ratio_policy') === 'not_larger';
  const extreme = isSmallest ? Math.min : Math.max;
  const extents = axes.map((axis) => sizeAt(x, axis));
  const ratio = (of: (k: number) => readonly [number, number]): number =>
    extreme(
      ...axes.map((_, k) => {
        const [to, from] = of(k);
        return to / Math.max(1, from);
      }),
    );
  const leastScale = ratio((k) => [leastOf(at(wanted, k)), mostOf(at(extents, k))]);
  const grown = (n: number, scale: number): number => Math.floor(n * scale + 0.5);
  if ([...wanted, ...extents].every(isKnown)) {
    const sizes = extents.map((n) => grown(mostOf(n), leastScale));
    return { sizes, scale: leastScale, leastScale };
  }
  const scale = axes
    .map((_, k) => {
      const [to, from] = [parts.int(at(wanted, k), 'f64'), ints.max(at(extents, k), 1)];
      return parts.op('Div', [to, parts.int(from, 'f64')]);
    })
    .reduce((a, c) => parts.op(isSmallest ? 'Min' : 'Max', [a, c]));
  const sizes = extents.map((n, k): Int => {
    const product = parts.op('Mul', [parts.int(n, 'f64'), scale]);
    const rounded = parts.op('Floor', [parts.op('Add', [product, parts.number(0.5, 'f64')])]);
    const others = axes.flatMap((_, j) => {
      const [to, from] = [mostOf(at(wanted, j)), leastOf(at(extents, j))];
      return j === k ? [] : [grown(mostOf(n), to / Math.max(1, from))];
    });
    const most = extreme(mostOf(at(wanted, k)), ...others);
    const least = Math.min(grown(leastOf(n), leastScale), most);
    return unknown(s.cast(rounded.id, 'i64'), least, most);
  });
  // Where there is a result, half an element at least was rounded up to one, along every axis.
  const least = Math.max(leastScale, 0.5 / Math.max(1, Math.min(...extents.map(mostOf))));
  return { sizes, scale, leastScale: least };
}

function fromScales(
  use: Use,
  x: Sized,
  axes: readonly number[],
  windows: Windows,
): readonly Target[] {
  const { s } = use;
  const scales =
    realsOf(use, 2, axes.length, 'the scales') ?? s.cannot('neither scales nor sizes are given');
  const isSmoothed = numberOf(use, 'antialias') !== 0 && textOf(use, 'mode') !== 'nearest';
  if (isSmoothed && windows !== undefined && scales.some((scale) => typeof scale !== 'number'))
    s.cannot('how many elements a scale that is data smooths in a crop');
  const grown = new Map(
    axes.map((axis, k) => [axis, scaled(use, sizeAt(x, axis), at(scales, k), windows?.[k])]),
  );
  const open = x.sizes.map((size, axis) => grown.get(axis) ?? size);
  const isEndless = open.some((size) => mostOf(size) === Number.POSITIVE_INFINITY);
  const sizes = isEndless ? s.bounded(open, { dtype: s.dtype(x) }) : open;
  return axes.map((axis, k) => {
    const [from, to, scale] = [sizeAt(x, axis), at(sizes, axis), at(scales, k)];
    const leastScale = typeof scale === 'number' ? scale : leastRatio(to, from);
    return { axis, from, to, scale, leastScale, window: windows?.[k] };
  });
}

/** An extent times a scale as Resize rounds it: in doubles, as f32, down. */
function scaled(use: Use, n: Int, scale: Real, [start, end]: readonly [Real, Real] = [0, 1]): Int {
  const { s, ints } = use;
  const parts = new Parts(use);
  const areKnown = [scale, start, end].every((x) => typeof x === 'number');
  if (areKnown) {
    const [factor, span] = [Number(scale), Number(end) - Number(start)];
    const whole = (size: number): number =>
      Math.max(0, Math.floor(Math.fround(size * span * factor)));
    if (isKnown(n)) return whole(n);
    if (span === 1 && Number.isInteger(factor)) return ints.mul(n, factor);
    return product(whole(leastOf(n)), whole(mostOf(n)));
  }
  return product(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  function product(least: number, most: number): Int {
    const real = (x: Real): Sized => realOf(use, x);
    const span = parts.op('Sub', [real(end), real(start)]);
    const shown = parts.op('Mul', [parts.int(n, 'f64'), span]);
    const size = parts.cast(parts.op('Mul', [shown, real(scale)]), 'f32');
    const whole = s.cast(parts.op('Floor', [size]).id, 'i64');
    return ints.max(unknown(whole, least, most), 0);
  }
}
