/**
 * Resize along axes of unknown extent, or to sizes that data decides: each such axis is a sum of Gathers at
 * positions that a run computes. Axes whose extents are known stay with the node.
 */
import { fromNumbers } from 'hone-runtime/base/tensor';
import { atBound } from './at-bound.ts';
import { isKnown, isSame, mostOf } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { resized, shown } from './resample-axis.ts';
import { isSized, numberOf, type Target, targetsOf, textOf } from './resample-targets.ts';
import { given, type Rule, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Are places half a pixel further, even along an axis that stays as long as it is? */
const isHalfFurther = (use: Use): boolean =>
  textOf(use, 'coordinate_transformation_mode') === 'tf_half_pixel_for_nn';

/** Does every index of the result stand for the same of the input? */
function isIdentity(use: Use, { from, to, scale, window }: Target): boolean {
  if (!isSame(from, to) || !(scale === undefined || scale === 1)) return false;
  if (window !== undefined) return window[0] === 0 && window[1] === 1;
  // Some ways to round take half a pixel away.
  if (!isHalfFurther(use)) return true;
  const rounding = textOf(use, 'nearest_mode');
  return textOf(use, 'mode') === 'nearest' && /floor$/.test(rounding);
}

const isOpen = ({ from, to, scale, window }: Target): boolean =>
  !isKnown(from) || !isKnown(to) || [scale, ...(window ?? [])].some((x) => typeof x === 'object');

const resize: Rule = (use) => {
  const { s } = use;
  const parts = new Parts(use);
  const data = given(use, 0);
  const changed = targetsOf(use, data).filter((target) => !isIdentity(use, target));
  const isNearest = textOf(use, 'mode') === 'nearest';
  const dtype = s.dtype(data);
  const isWhole = !isNearest && !s.isReal(data);
  const isKept = changed.some(({ scale }) => scale !== undefined) && isSized(use);
  // What lies outside, and whole numbers, are seen to once, behind all axes; no node has the scale of a ratio.
  const isOne = isWhole || isHalfFurther(use) || changed.some(({ window }) => window !== undefined);
  const isAll = isKept || (isOne && changed.some(isOpen));
  const own = isAll ? changed : changed.filter(isOpen);
  let x = resizedByNode(
    use,
    data,
    changed.filter((target) => !own.includes(target)),
  );
  if (own.length === 0) return [x];
  if (!isNearest) x = parts.cast(x, isWhole ? 'f64' : wideOf(dtype));
  for (const target of own) x = resized(use, x, target);
  if (isWhole) x = settled(use, x);
  x = parts.cast(x, dtype);
  for (const target of own) {
    if (target.window === undefined) continue;
    const fill = s.number(numberOf(use, 'extrapolation_value'), dtype);
    const id = s.op('Where', [shown(use, target, x.sizes.length), x.id, fill]);
    x = s.made(id, x.sizes);
  }
  return [x];
};

/** Sums that are whole numbers but for rounding as those: what is behind the point is cut off next. */
function settled(use: Use, x: Sized): Sized {
  const parts = new Parts(use);
  const steps = parts.number(2 ** 20, 'f64');
  const whole = parts.op('Round', [parts.op('Mul', [x, steps])]);
  return parts.op('Div', [whole, steps]);
}

/** Axes whose geometry is known, by the node itself. */
function resizedByNode(use: Use, x: Sized, targets: readonly Target[]): Sized {
  const { s } = use;
  if (targets.length === 0) return x;
  const ofAxis = (axis: number): Target | undefined => targets.find((k) => k.axis === axis);
  const sizes = x.sizes.map((size, axis) => ofAxis(axis)?.to ?? size);
  const rank = sizes.length;
  const isScaled = targets.every(({ scale }) => scale !== undefined);
  const list = isScaled
    ? s.b.constant(
        fromNumbers(
          'f32',
          [rank],
          sizes.map((_, axis) => Number(ofAxis(axis)?.scale ?? 1)),
        ),
      )
    : s.b.ints(sizes.map(mostOf));
  const windows = sizes.map((_, axis) => ofAxis(axis)?.window ?? [0, 1]);
  const ends = [0, 1].flatMap((end) => windows.map((window) => Number(window[end])));
  const isShown = targets.some(({ window }) => window !== undefined);
  const roi = isShown
    ? { id: s.b.constant(fromNumbers('f32', [2 * rank], ends)), sizes: [2 * rank] }
    : null;
  const own: Sized = { id: list, sizes: [rank] };
  const { axes: _, ...attrs } = use.attrs;
  const inputs = isScaled ? [x, roi, own] : [x, roi, null, own];
  const [made = x] = atBound({ ...use, attrs }, inputs, [sizes]);
  return made;
}

export const RESAMPLE: ReadonlyMap<string, Rule> = new Map([['Resize', resize]]);
