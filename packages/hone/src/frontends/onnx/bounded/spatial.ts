/**
 * Windows that slide over axes of unknown extent: convolutions and pools. Room is filled with what padding
 * is filled with; how many windows there are is computed as ONNX says.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { AttrValue, ValueId } from '../../../graph/types.ts';
import { atBound, inferredSizes } from './at-bound.ts';
import { type Int, isKnown, leastOf, mostOf } from './ints.ts';
import { padAxis } from './movement.ts';
import { Parts, wideOf } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { boundsOf, isBounded, lowest, type Sized } from './sized.ts';

/** One spatial axis. */
export interface Slide {
  readonly span: Int;
  readonly stride: number;
  readonly before: Int;
  readonly after: Int;
  /** How many windows there are, where auto_pad says that. */
  readonly count?: Int;
}

function listOf(use: Use, name: string, rank: number, otherwise: number): readonly number[] {
  const value = use.attrs[name];
  return Array.isArray(value) && value.length > 0
    ? (value as number[])
    : new Array<number>(rank).fill(otherwise);
}

/** How a kernel slides along each spatial axis. */
export function slidesOf(use: Use, x: Sized, kernel: readonly Int[]): readonly Slide[] {
  const { ints } = use;
  const rank = x.sizes.length - 2;
  const strides = listOf(use, 'strides', rank, 1);
  const dilations = listOf(use, 'dilations', rank, 1);
  const pads = listOf(use, 'pads', 2 * rank, 0);
  const mode = String(use.attrs['auto_pad'] ?? 'NOTSET');
  return kernel.map((taps, i) => {
    const stride = at(strides, i);
    const span = ints.add(ints.mul(ints.sub(taps, 1), at(dilations, i)), 1);
    if (mode === 'VALID') return { span, stride, before: 0, after: 0 };
    if (mode === 'NOTSET') return { span, stride, before: at(pads, i), after: at(pads, i + rank) };
    const n = sizeAt(x, i + 2);
    const covered = ints.add(ints.mul(ints.sub(ints.ceilDiv(n, stride), 1), stride), span);
    const total = stride === 1 ? ints.sub(span, 1) : ints.max(ints.sub(covered, n), 0);
    const less = isKnown(total) ? Math.floor(total / 2) : ints.div(total, 2);
    const more = ints.sub(total, less);
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

interface Window {
  readonly x: Sized;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly counts: readonly Int[];
}

/** The input with paddings that follow its extents put into it; all others are left to the node. */
function windowed(
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

const spatialOf = (x: Sized): number[] => x.sizes.slice(2).map((_, i) => i + 2);

const kernelOf = (w: Sized): readonly Int[] => w.sizes.slice(2);

/** Taps of a kernel's room count as 0: those of integers are their zero point. */
function filledKernel(use: Use, w: Sized): Sized {
  const { s } = use;
  const open = spatialOf(w).filter((axis) => !isKnown(sizeAt(w, axis)));
  const zero = use.op === 'ConvInteger' ? (use.inputs[3] ?? null) : null;
  if (zero === null || open.length === 0) return s.masked(w, 0, open);
  const ones = spatialOf(w).map(() => 1);
  const count = zero.sizes[0] ?? 1;
  return s.maskedWith(w, s.reshape(zero.id, [mostOf(count), 1, ...ones]), open);
}

/** Room in which a sum has nothing: in the data where windows go, in both along channels. */
function masked(use: Use, x: Sized, w: Sized, channels: number, fill: ValueId): [Sized, Sized] {
  const { s } = use;
  const isOpen = [sizeAt(x, 1), sizeAt(w, channels)].some((size) => !isKnown(size));
  const axes = isOpen ? [1, ...spatialOf(x)] : spatialOf(x);
  const data = s.maskedWith(x, fill, axes);
  return [data, isOpen && s.isReal(w) ? s.masked(w, 0, [channels]) : w];
}

const conv: Rule = (use) => {
  const { s } = use;
  const [x, w] = [given(use, 0), given(use, 1)];
  const kernel = kernelOf(w);
  const slides = slidesOf(use, x, kernel);
  const zero =
    use.op === 'ConvInteger' && use.inputs[2] != null
      ? s.reshape(given(use, 2).id, [])
      : s.number(0, s.dtype(x));
  const [data, weights] = masked(use, x, w, 1, zero);
  const { x: padded, attrs, counts } = windowed(use, data, slides, zero);
  const inputs = [padded, filledKernel(use, weights), ...use.inputs.slice(2)];
  // Windows of the kernel's room reach further than those of what is meant.
  const dilations = listOf(use, 'dilations', kernel.length, 1);
  const further = kernel.map((taps, i) =>
    isKnown(taps) ? 0 : (mostOf(taps) - leastOf(taps)) * at(dilations, i),
  );
  const pads = attrs['pads'] as readonly number[];
  const { kernel_shape: _, ...rest } = attrs;
  const own = {
    ...rest,
    kernel_shape: kernel.map(mostOf),
    pads: pads.map((pad, i) => (i < kernel.length ? pad : pad + at(further, i - kernel.length))),
  };
  return atBound({ ...use, attrs: own }, inputs, [[sizeAt(x, 0), sizeAt(w, 0), ...counts]]);
};

const convTranspose: Rule = (use) => {
  const { s, ints } = use;
  const [x, w] = [given(use, 0), given(use, 1)];
  const kernel = kernelOf(w);
  const slides = slidesOf(use, x, kernel);
  const rank = kernel.length;
  const isOpen = [x, w].some((y) => spatialOf(y).some((axis) => !isKnown(sizeAt(y, axis))));
  if (isOpen && listOf(use, 'output_shape', 0, 0).length > 0)
    s.cannot('a shape is given for an unknown extent');
  const extra = listOf(use, 'output_padding', rank, 0);
  const isSame = String(use.attrs['auto_pad'] ?? '').startsWith('SAME');
  const [data, weights] = masked(use, x, w, 0, s.number(0, s.dtype(x)));
  if (isSame && !kernel.every(isKnown)) s.cannot('auto_pad of a kernel of unknown extents');
  const inputs = [data, filledKernel(use, weights), ...use.inputs.slice(2)];
  const group = intOf(use, 'group', 1);
  const known = isOpen ? undefined : inferredSizes({ ...use, inputs });
  if (known !== undefined) return atBound(use, inputs, known);
  const extents = slides.map((slide, i) => {
    const n = sizeAt(x, i + 2);
    const { stride, span } = slide;
    if (isSame) return ints.mul(n, stride);
    const full = ints.add(ints.mul(ints.sub(n, 1), stride), ints.add(span, at(extra, i)));
    return ints.max(ints.sub(ints.sub(full, slide.before), slide.after), 0);
  });
  const columns = ints.mul(sizeAt(w, 1), group);
  const own = { ...use, attrs: { ...use.attrs, kernel_shape: kernel.map(mostOf) } };
  return atBound(own, inputs, [[sizeAt(x, 0), columns, ...extents]]);
};

const kernelAttr = (use: Use): readonly number[] => use.attrs['kernel_shape'] as readonly number[];

const maxPool: Rule = (use) => {
  const { s } = use;
  const parts = new Parts(use);
  const picture = given(use, 0);
  const dtype = s.dtype(picture);
  // Where positions are asked for, room must not tie with what is meant: no whole number is below all.
  const isWide = use.outputs > 1 && isBounded(picture) && !s.isReal(picture);
  const x = isWide ? parts.cast(picture, 'f32') : picture;
  const slides = slidesOf(use, x, kernelAttr(use));
  const fill = s.number(lowest(s.dtype(x)), s.dtype(x));
  const data = s.maskedWith(x, fill, spatialOf(x));
  const { x: padded, attrs, counts } = windowed(use, data, slides, fill);
  const sizes = [...x.sizes.slice(0, 2), ...counts];
  const count = Math.max(1, use.outputs);
  const made = atBound({ ...use, attrs }, [padded], new Array(count).fill(sizes));
  const [y, places] = made;
  if (y === undefined || places === undefined || !isBounded(x)) return made;
  if (padded !== data || intOf(use, 'storage_order') !== 0)
    s.cannot('positions in a tensor of unknown extents');
  const shown = renumbered(use, places.id, boundsOf(x.sizes), x.sizes);
  return [parts.cast(y, dtype), s.made(shown, places.sizes)];
};

/** Row-major positions in a tensor's room, as positions among what is meant; -1 where it is none. */
function renumbered(
  use: Use,
  places: ValueId,
  room: readonly number[],
  sizes: readonly Int[],
): ValueId {
  const { b } = use.s;
  const { ints } = use;
  // A window of padding alone has no position.
  let isNone = b.op('Less', [places, ints.id(0)]);
  let rest = places;
  let stride: Int = 1;
  let sum = ints.id(0);
  for (let axis = room.length - 1; axis >= 0; axis--) {
    const size = at(sizes, axis);
    const extent = ints.id(Math.max(1, at(room, axis)));
    const index = axis === 0 ? rest : b.op('Mod', [rest, extent]);
    if (!isKnown(size)) isNone = b.op('Or', [isNone, b.op('GreaterOrEqual', [index, size.id])]);
    sum = b.op('Add', [sum, b.op('Mul', [index, ints.id(stride)])]);
    rest = b.op('Div', [rest, extent]);
    stride = ints.mul(stride, size);
  }
  return b.op('Where', [isNone, ints.id(-1), sum]);
}

const lpPool: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const slides = slidesOf(use, x, kernelAttr(use));
  const zero = s.number(0, s.dtype(x));
  const data = s.maskedWith(x, zero, spatialOf(x));
  const { x: padded, attrs, counts } = windowed(use, data, slides, zero);
  return atBound({ ...use, attrs }, [padded], [[...x.sizes.slice(0, 2), ...counts]]);
};

/** Sums of windows, by a convolution with ones of every channel by itself. */
function windowSums(use: Use, x: Sized, window: Window): Sized {
  const { s, ints } = use;
  const parts = new Parts(use);
  const kernel = kernelAttr(use);
  const [n = 1, c = 1, ...spatial] = x.sizes;
  const apart = parts.reshape(x, [ints.mul(n, c), 1, ...spatial]);
  const ones: Sized = {
    id: s.b.op('Expand', [s.number(1, s.dtype(x)), s.b.ints([1, 1, ...kernel])]),
    sizes: [1, 1, ...kernel],
  };
  // With ceil_mode a last window may reach beyond the padding.
  const strides = listOf(use, 'strides', kernel.length, 1);
  const pads = window.attrs['pads'] as readonly number[];
  const more = intOf(use, 'ceil_mode') === 0 ? strides.map(() => 1) : strides;
  const longer = pads.map((pad, i) =>
    i < kernel.length ? pad : pad + at(more, i - kernel.length) - 1,
  );
  const attrs = {
    ...{ pads: longer, strides, dilations: listOf(use, 'dilations', kernel.length, 1) },
    ...{ kernel_shape: kernel, group: 1, auto_pad: 'NOTSET' },
  };
  let sums = parts.op('Conv', [apart, ones], attrs);
  window.counts.forEach((count, i) => {
    sums = s.first(sums, i + 2, count);
  });
  return parts.reshape(sums, [n, c, ...window.counts]);
}

/** The sum of what is there by how much there is. */
const averagePool: Rule = (use) => {
  const { s } = use;
  const parts = new Parts(use);
  const x = given(use, 0);
  const open = spatialOf(x).filter((axis) => !isKnown(sizeAt(x, axis)));
  const slides = slidesOf(use, x, kernelAttr(use));
  if (open.length === 0) {
    const known = windowed(use, x, slides, s.number(0, s.dtype(x)));
    return atBound(use, [x], [[...x.sizes.slice(0, 2), ...known.counts]]);
  }
  const wide = wideOf(s.dtype(x));
  const zero = s.number(0, wide);
  const data = s.masked(parts.cast(x, wide), 0, open);
  const isCounted = intOf(use, 'count_include_pad') !== 0;
  const window = windowed(use, data, slides, zero, isCounted);
  // Without the padding, or with it: it is part of the data then.
  const sizes: readonly Int[] = [1, 1, ...(isCounted ? window.x : data).sizes.slice(2)];
  const isMeant = s.valid({ id: data.id, sizes });
  const ones = isMeant === undefined ? s.number(1, wide) : s.cast(isMeant, wide);
  const mask: Sized = { id: s.b.op('Expand', [ones, s.b.ints(boundsOf(sizes))]), sizes };
  const counted = isCounted ? { ...window, x: mask } : windowed(use, mask, slides, zero);
  const sum = windowSums(use, window.x, window);
  const share = windowSums(use, counted.x, counted);
  return [parts.cast(parts.op('Div', [sum, share]), s.dtype(x))];
};

export const SPATIAL: ReadonlyMap<string, Rule> = new Map([
  ['Conv', conv],
  ['ConvInteger', conv],
  ['ConvTranspose', convTranspose],
  ['MaxPool', maxPool],
  ['LpPool', lpPool],
  ['AveragePool', averagePool],
]);
