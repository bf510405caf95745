/** Operators that sample pictures of unknown extents, and that cut or pad them in the middle. */
import { at } from 'hone-runtime/base/diagnostics';
import { atBound } from './at-bound.ts';
import { type Int, isKnown, isSame, mostOf } from './ints.ts';
import { padTo } from './movement.ts';
import { Parts } from './parts.ts';
import { axisIn, given, intsOf, type Rule, sizeAt } from './rule.ts';
import type { Sized } from './sized.ts';

const spatialOf = (x: Sized): number[] => x.sizes.slice(2).map((_, i) => i + 2);

/**
 * A grid's places are parts of the picture's extents: they become such parts of the room, at the same
 * pixels. Beyond the picture is room that is 0, or the border, which places are kept within.
 */
const gridSample: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [x, grid] = [given(use, 0), given(use, 1)];
  const axes = spatialOf(x);
  const batch = sizeAt(x, 0);
  const sizes = [batch, sizeAt(x, 1), ...grid.sizes.slice(1, -1)];
  if (axes.every((axis) => isKnown(sizeAt(x, axis)))) return atBound(use, [x, grid], [sizes]);
  const padding = String(use.attrs['padding_mode']);
  const isSmooth = String(use.attrs['mode']).includes('cubic');
  if (padding === 'reflection' || (padding === 'border' && isSmooth))
    s.cannot(`padding ${padding} of a picture of unknown extents`);
  const isAligned = Number(use.attrs['align_corners'] ?? 0) !== 0;
  const dtype = s.dtype(grid);
  // The last axis of the picture comes first in a place.
  const extents = axes.map((axis) => sizeAt(x, axis)).reverse();
  const listed = (of: (n: Int) => Sized): Sized =>
    parts.op(
      'Concat',
      extents.map((n) => parts.reshape(of(n), [1])),
      { axis: 0 },
    );
  const less = isAligned ? 1 : 0;
  const own = listed((n) => parts.int(ints.max(ints.sub(n, less), 0), 'f64'));
  const room = listed((n) => parts.int(Math.max(1, mostOf(n) - less), 'f64'));
  const one = parts.number(1, 'f64');
  let place = parts.cast(grid, 'f64');
  if (padding === 'border') {
    // The outermost pixels' middles.
    const edge = isAligned
      ? one
      : parts.op('Sub', [one, parts.op('Div', [one, parts.op('Max', [own, one])])]);
    const least = parts.op('Neg', [edge]);
    place = parts.op('Max', [parts.op('Min', [place, edge]), least]);
  }
  const shifted = parts.op('Mul', [parts.op('Add', [place, one]), parts.op('Div', [own, room])]);
  const moved = parts.cast(parts.op('Sub', [shifted, one]), dtype);
  return atBound(use, [s.masked(x, 0, axes), moved], [sizes]);
};

/** Beyond the picture is 0, as in its room; offsets are as many as there are windows. */
const deformConv: Rule = (use) => {
  const { s } = use;
  const [x, w, offset] = [0, 1, 2].map((k) => given(use, k)) as [Sized, Sized, Sized];
  if (!w.sizes.slice(2).every(isKnown)) s.cannot('a kernel of unknown extents');
  const data = s.masked(x, 0, [1, ...spatialOf(x)]);
  const shapes = [data, s.masked(w, 0, [1]), ...use.inputs.slice(2)];
  const strides = use.attrs['strides'];
  const isOpen = spatialOf(x).some((axis) => !isKnown(sizeAt(x, axis)));
  if (isOpen && spatialOf(offset).some((axis) => isKnown(sizeAt(offset, axis))))
    s.cannot(`offsets of known extents, in steps of ${String(strides ?? 1)}`);
  const sizes = [sizeAt(x, 0), sizeAt(w, 0), ...offset.sizes.slice(2)];
  return atBound(use, shapes, [sizes]);
};

/** Regions of known pictures, or of any number of them with any number of channels. */
const roiAlign: Rule = (use) => {
  const { s } = use;
  const [x, rois, batch] = [given(use, 0), given(use, 1), given(use, 2)];
  if (!spatialOf(x).every((axis) => isKnown(sizeAt(x, axis))))
    s.cannot('pictures of unknown extents');
  const id = s.op('RoiAlign', [x.id, s.masked(rois, 0).id, s.masked(batch, 0).id], use.attrs);
  const { shape } = s.b.typeOf(id);
  return [s.made(id, [sizeAt(rois, 0), sizeAt(x, 1), ...shape.slice(2)])];
};

/** The same elements taken off, or put on, at both ends; one more at the end where they are odd. */
const centerCropPad: Rule = (use) => {
  const { s, ints } = use;
  let x = given(use, 0);
  const rank = x.sizes.length;
  const asked = use.attrs['axes'];
  const own = Array.isArray(asked) && asked.length > 0 ? (asked as number[]) : [...x.sizes.keys()];
  const axes = own.map((axis) => axisIn(use, axis, rank));
  const wanted = intsOf(use, 1, 'the shape');
  const sizes = s.bounded(
    x.sizes.map((size, axis) => (axes.includes(axis) ? at(wanted, axes.indexOf(axis)) : size)),
    { dtype: s.dtype(x) },
  );
  for (const axis of axes) {
    const [have, want] = [sizeAt(x, axis), at(sizes, axis)];
    if (isSame(have, want)) continue;
    const halfOf = (a: Int, b: Int): Int => ints.div(ints.max(ints.sub(a, b), 0), 2);
    const before = ints.sub(halfOf(want, have), halfOf(have, want));
    x = padTo(use, x, axis, before, want, undefined);
  }
  return [x];
};

export const PICTURES: ReadonlyMap<string, Rule> = new Map([
  ['GridSample', gridSample],
  ['DeformConv', deformConv],
  ['RoiAlign', roiAlign],
  ['CenterCropPad', centerCropPad],
]);
