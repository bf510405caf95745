/** Convolutions along axes of unknown extent: room is filled with what padding is filled with. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { atBound, inferredSizes } from './at-bound.ts';
import { inGroups } from './groups.ts';
import { type Int, isKnown, leastOf, mostOf } from './ints.ts';
import { slice } from './slicing.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';
import { kernelOf, listOf, type Slide, slidesOf, spatialOf, windowed } from './windows.ts';

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

/** What the padding of the data is: 0, which is the zero point of integers. */
function paddingOf(use: Use): ValueId {
  const { s } = use;
  const isShifted = use.op === 'ConvInteger' && use.inputs[2] != null;
  return isShifted ? s.reshape(given(use, 2).id, []) : s.number(0, s.dtype(given(use, 0)));
}

const conv: Rule = (use) => {
  const [x, w] = [given(use, 0), given(use, 1)];
  const kernel = kernelOf(w);
  const slides = slidesOf(use, x.sizes.slice(2), kernel);
  const zero = paddingOf(use);
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

/** What a transposed convolution needs along one spatial axis: its padding, or a cut behind it. */
interface Unslide {
  readonly before: number;
  readonly after: number;
  /** Positions behind the end, for an extent that is larger than all windows reach. */
  readonly more: number;
  readonly begin: Int;
  readonly count: Int;
}

/**
 * Padding that follows from the extents of the run is cut off behind the node; what is known is the node's
 * own. `wanted`: the extent that output_shape or auto_pad asks for.
 */
function unslideOf(
  use: Use,
  slide: Slide,
  n: Int,
  extra: number,
  wanted: Int | undefined,
): Unslide {
  const { ints } = use;
  const { stride, span } = slide;
  const full = ints.add(ints.mul(ints.sub(n, 1), stride), ints.add(span, extra));
  if (wanted === undefined) {
    const [before, after] = [Number(slide.before), Number(slide.after)];
    const count = ints.max(ints.sub(ints.sub(full, before), after), 0);
    return { before, after, more: extra, begin: 0, count };
  }
  const total = ints.max(ints.sub(full, wanted), 0);
  const half = isKnown(total) ? Math.floor(total / 2) : ints.div(total, 2);
  const begin = String(use.attrs['auto_pad']) === 'SAME_UPPER' ? half : ints.sub(total, half);
  const more = extra + Math.max(0, mostOf(wanted) - mostOf(full));
  if (isKnown(total) && isKnown(begin) && isKnown(full))
    return { before: begin, after: total - begin, more, begin: 0, count: wanted };
  return { before: 0, after: 0, more, begin, count: wanted };
}

const convTranspose: Rule = (use) => {
  const { s, ints } = use;
  const [x, w] = [given(use, 0), given(use, 1)];
  const kernel = kernelOf(w);
  const rank = kernel.length;
  const isOpen = [x, w].some((y) => spatialOf(y).some((axis) => !isKnown(sizeAt(y, axis))));
  const [data, weights] = masked(use, x, w, 0, s.number(0, s.dtype(x)));
  const inputs = [data, filledKernel(use, weights), ...use.inputs.slice(2)];
  const known = isOpen ? undefined : inferredSizes({ ...use, inputs });
  if (known !== undefined) return atBound(use, inputs, known);
  const mode = String(use.attrs['auto_pad'] ?? 'NOTSET');
  const isSame = mode.startsWith('SAME');
  const attrs = { ...use.attrs, auto_pad: isSame ? 'NOTSET' : mode };
  const slides = slidesOf({ ...use, attrs }, x.sizes.slice(2), kernel);
  const extra = listOf(use, 'output_padding', rank, 0);
  // Some exporters give the whole shape: the last entries are the spatial ones.
  const asked = listOf(use, 'output_shape', 0, 0).slice(-rank);
  const unslides = slides.map((slide, i) => {
    const n = sizeAt(x, i + 2);
    const wanted = asked[i] ?? (isSame ? ints.mul(n, slide.stride) : undefined);
    return unslideOf(use, slide, n, at(extra, i), wanted);
  });
  const { output_shape: _, ...rest } = use.attrs;
  const own = {
    ...rest,
    auto_pad: 'NOTSET',
    kernel_shape: kernel.map(mostOf),
    output_padding: unslides.map(({ more }) => more),
    pads: [...unslides.map(({ before }) => before), ...unslides.map(({ after }) => after)],
  };
  const columns = ints.mul(sizeAt(w, 1), intOf(use, 'group', 1));
  const made = s.own(
    inputs.map((input) => input?.id ?? null),
    own,
    1,
  );
  const whole: Sized = { id: at(made, 0), sizes: s.b.typeOf(at(made, 0)).shape };
  const cut = unslides.reduce(
    (y, { begin, count }, i) => slice(use, y, i + 2, begin, 1, count),
    whole,
  );
  return [{ ...cut, sizes: [sizeAt(x, 0), columns, ...cut.sizes.slice(2)] }];
};

export const CONVOLUTION: ReadonlyMap<string, Rule> = new Map([
  ['Conv', inGroups(conv, 1, paddingOf)],
  ['ConvInteger', inGroups(conv, 1, paddingOf)],
  ['ConvTranspose', inGroups(convTranspose, 0, paddingOf)],
]);
