/** Operators that sample pictures of unknown extents, and that cut or pad them in the middle. */
import { at } from 'hone-runtime/base/diagnostics';
import { HONE_DOMAIN } from '../../../ops/tensor/positions.ts';
import { atBound } from './at-bound.ts';
import { inGroups } from './groups.ts';
import { type Int, isKnown, isSame, mostOf } from './ints.ts';
import { exactList } from './lists.ts';
import { padTo } from './movement.ts';
import { axisIn, given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';
import { slidesOf, windowsIn } from './windows.ts';

const spatialOf = (x: Sized): number[] => x.sizes.slice(2).map((_, i) => i + 2);

/** The node as the operator that takes the extents of its pictures as numbers of the run. */
function sizedTo(
  use: Use,
  op: string,
  inputs: readonly Sized[],
  sizes: readonly Int[],
): readonly Sized[] {
  const { s, ints } = use;
  s.room(sizes);
  const extents = ints.list(spatialOf(given(use, 0)).map((axis) => sizeAt(given(use, 0), axis)));
  const ids = [...inputs.map(({ id }) => id), extents];
  const [made = -1] = s.ops(op, ids, use.attrs, { domain: HONE_DOMAIN });
  return [s.made(made, sizes)];
}

/** A grid's places are parts of the picture's extents, so those have to be known to the node. */
const gridSample: Rule = (use) => {
  const [x, grid] = [given(use, 0), given(use, 1)];
  const sizes = [sizeAt(x, 0), sizeAt(x, 1), ...grid.sizes.slice(1, -1)];
  const isKnownPicture = spatialOf(x).every((axis) => isKnown(sizeAt(x, axis)));
  if (isKnownPicture) return atBound(use, [x, grid], [sizes]);
  return sizedTo(use, 'SizedGridSample', [x, grid], sizes);
};

/**
 * Beyond the picture is 0, as in its room; offsets are as many as there are windows. Where only one of both is
 * known, an extent of the other that does not fit is an error of the run.
 */
const deformConv: Rule = (use) => {
  const { s } = use;
  const [x, w, offset] = [0, 1, 2].map((k) => given(use, k)) as [Sized, Sized, Sized];
  if (!w.sizes.slice(2).every(isKnown)) s.cannot('a kernel of unknown extents');
  let data = s.masked(x, 0, [1, ...spatialOf(x)]);
  let rest = use.inputs.slice(2);
  slidesOf(use, x.sizes.slice(2), w.sizes.slice(2)).forEach((slide, i) => {
    const [axis, have] = [i + 2, sizeAt(offset, i + 2)];
    const of = (what: string, size: Int, min: number, max: number): Int => {
      const source = { tensor: '', axis, origin: '', option: '' } as const;
      const says = `${s.node}: ${what} for the windows along axis ${axis}`;
      return s.checked(size, { min, max }, source, says);
    };
    if (isKnown(have) && !isKnown(sizeAt(x, axis)) && isKnown(slide.span)) {
      // Pictures that have so many windows: as many as a stride.
      const reach = (have - 1) * slide.stride + slide.span;
      const least = reach - mostOf(slide.before) - mostOf(slide.after);
      const most = Math.max(0, least + slide.stride - 1);
      const from = have === 0 ? 0 : Math.max(0, least);
      data = s.first(data, axis, of('the picture', sizeAt(x, axis), from, most));
      return;
    }
    const count = windowsIn(use, sizeAt(x, axis), slide, false);
    if (isSame(count, have)) return;
    const own = isKnown(count) ? of('offsets', have, count, count) : count;
    // Offsets and their mask.
    rest = rest.map((input, k) => (k === 1 || input === null ? input : s.first(input, axis, own)));
  });
  const [offsets = offset] = rest;
  const sizes = [sizeAt(x, 0), sizeAt(w, 0), ...(offsets ?? offset).sizes.slice(2)];
  return atBound(use, [data, s.masked(w, 0, [1]), ...rest], [sizes]);
};

/** Regions of any number of pictures with any number of channels, of any extents. */
const roiAlign: Rule = (use) => {
  const { s } = use;
  const [x, rois, batch] = [given(use, 0), given(use, 1), given(use, 2)];
  const inputs = [x, s.masked(rois, 0), s.masked(batch, 0)];
  const cells = ['output_height', 'output_width'].map((name) => intOf(use, name, 1));
  const sizes = [sizeAt(rois, 0), sizeAt(x, 1), ...cells];
  const isKnownPicture = spatialOf(x).every((axis) => isKnown(sizeAt(x, axis)));
  if (isKnownPicture) return atBound(use, inputs, [sizes]);
  return sizedTo(use, 'SizedRoiAlign', inputs, sizes);
};

/** The same elements taken off, or put on, at both ends; one more at the end where they are odd. */
const centerCropPad: Rule = (use) => {
  const { s, ints } = use;
  let x = given(use, 0);
  const rank = x.sizes.length;
  const asked = use.attrs['axes'];
  const own = Array.isArray(asked) && asked.length > 0 ? (asked as number[]) : [...x.sizes.keys()];
  const axes = own.map((axis) => axisIn(use, axis, rank));
  const wanted = exactList(use, 1, 'the shape', axes.length);
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
  ['DeformConv', inGroups(deformConv, 1, (use) => use.s.number(0, use.s.dtype(given(use, 0))))],
  ['RoiAlign', roiAlign],
  ['CenterCropPad', centerCropPad],
]);
