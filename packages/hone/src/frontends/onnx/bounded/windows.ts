/**
 * Windows that slide over axes of unknown extent: how many there are is computed as ONNX says, and paddings
 * that follow from the extents are put into the data.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { AttrValue, ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { padAxis } from './movement.ts';
import { intOf, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** One spatial axis. */
export interface Slide {
  readonly span: Int;
  readonly stride: number;
  readonly before: Int;
  readonly after: Int;
  /** How many windows there are, where auto_pad says that. */
  readonly count?: Int;
}

export function listOf(use: Use, name: string, rank: number, otherwise: number): readonly number[] {
  const value = use.attrs[name];
  return Array.isArray(value) && value.length > 0
    ? (value as number[])
    : new Array<number>(rank).fill(otherwise);
}

export function slidesOf(
  use: Use,
  extents: readonly Int[],
  kernel: readonly Int[],
): readonly Slide[] {
  const { ints } = use;
  const rank = extents.length;
  const strides = listOf(use, 'strides', rank, 1);
  const dilations = listOf(use, 'dilations', rank, 1);
  const pads = listOf(use, 'pads', 2 * rank, 0);
  const mode = String(use.attrs['auto_pad'] ?? 'NOTSET');
  return kernel.map((taps, i) => {
    const stride = at(strides, i);
    const span = ints.add(ints.mul(ints.sub(taps, 1), at(dilations, i)), 1);
    if (mode === 'VALID') return { span, stride, before: 0, after: 0 };
    if (mode === 'NOTSET') return { span, stride, before: at(pads, i), after: at(pads, i + rank) };
    const n = at(extents, i);
    const covered = ints.add(ints.mul(ints.sub(ints.ceilDiv(n, stride), 1), stride), span);
    const total = stride === 1 ? ints.sub(span, 1) : ints.max(ints.sub(covered, n), 0);
    const less = isKnown(total) ? Math.floor(total / 2) : ints.div(total, 2);
    const rest = ints.sub(total, less);
    // No window is there to be over nothing: the node's own is cut off.
    const more = n === 0 ? ints.max(rest, ints.sub(span, less)) : rest;
    const count = ints.ceilDiv(n, stride);
    return mode === 'SAME_UPPER'
      ? { span, stride, before: less, after: more, count }
      : { span, stride, before: more, after: less, count };
  });
}

/** How many windows an extent takes. */
export function windowsIn(use: Use, n: Int, slide: Slide, isCeil: boolean): Int {
  const { ints } = use;
  const { span, stride, before, after } = slide;
  if (slide.count !== undefined) return slide.count;
  const padded = ints.add(ints.add(n, before), after);
  if (!isCeil) {
    const reach = ints.max(ints.sub(ints.add(padded, stride), span), 0);
    return ints.within(ints.div(reach, stride), 0, mostOf(reach));
  }
  const room = ints.max(ints.sub(padded, span), 0);
  const count = ints.add(ints.ceilDiv(room, stride), 1);
  // A window that would begin in the padding at the end is dropped.
  const last = ints.sub(count, 1);
  const start = ints.mul(last, stride);
  return ints.max(ints.whereLess(start, ints.add(n, before), count, last), 0);
}

export interface Window {
  readonly x: Sized;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly counts: readonly Int[];
}

/** The input with paddings that follow its extents put into it; all others are left to the node. */
export function windowed(
  use: Use,
  x: Sized,
  slides: readonly Slide[],
  fill: ValueId,
  isExplicit = false,
): Window {
  const isCeil = intOf(use, 'ceil_mode') !== 0;
  const counts = slides.map((slide, i) => windowsIn(use, sizeAt(x, i + 2), slide, isCeil));
  let padded = x;
  const left = slides.map((slide, i) => {
    const { before, after } = slide;
    if (!isExplicit && isKnown(before) && isKnown(after)) return [before, after] as const;
    if (before !== 0 || after !== 0) padded = padAxis(use, padded, i + 2, before, after, fill);
    return [0, 0] as const;
  });
  const pads = [...left.map(([before]) => before), ...left.map(([, after]) => after)];
  const { auto_pad: _, ...rest } = use.attrs;
  return { x: padded, attrs: { ...rest, auto_pad: 'NOTSET', pads }, counts };
}

export const spatialOf = (x: Sized): number[] => x.sizes.slice(2).map((_, i) => i + 2);

export const kernelOf = (w: Sized): readonly Int[] => w.sizes.slice(2);

export const kernelAttr = (use: Use): readonly number[] =>
  use.attrs['kernel_shape'] as readonly number[];
