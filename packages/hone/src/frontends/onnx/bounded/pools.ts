/** Pools along axes of unknown extent: room is filled with what padding is filled with. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { blocksOfAnySize } from './decided.ts';
import { atBound } from './at-bound.ts';
import { type Int, isKnown, isSame, mostOf } from './ints.ts';
import { padTo } from './movement.ts';
import { Parts, wideOf } from './parts.ts';
import { given, intOf, intsOf, optionalInts, type Rule, sizeAt, type Use } from './rule.ts';
import { boundsOf, isBounded, lowest, type Sized } from './sized.ts';
import {
  kernelAttr,
  listOf,
  slidesOf,
  spatialOf,
  type Window,
  windowed,
  windowsIn,
} from './windows.ts';

const maxPool: Rule = (use) => {
  const { s } = use;
  const parts = new Parts(use);
  const picture = given(use, 0);
  const dtype = s.dtype(picture);
  // Where positions are asked for, room must not tie with what is meant: no whole number is below all.
  const isWide = use.outputs > 1 && isBounded(picture) && !s.isReal(picture);
  const x = isWide ? parts.cast(picture, 'f32') : picture;
  const slides = slidesOf(use, x.sizes.slice(2), kernelAttr(use));
  const fill = s.number(lowest(s.dtype(x)), s.dtype(x));
  const data = s.maskedWith(x, fill, spatialOf(x));
  const { x: padded, attrs, counts } = windowed(use, data, slides, fill);
  const sizes = [...x.sizes.slice(0, 2), ...counts];
  const count = Math.max(1, use.outputs);
  const isAnew = use.outputs > 1 && isBounded(x);
  const own = isAnew ? { ...attrs, storage_order: 0 } : attrs;
  const made = atBound({ ...use, attrs: own }, [padded], new Array(count).fill(sizes));
  const [y, places] = made;
  if (y === undefined || places === undefined || !isAnew) return made;
  // Paddings that were put into the data lie in front of its positions.
  const fronts = slides.map(({ before, after }) =>
    isKnown(before) && isKnown(after) ? 0 : before,
  );
  return [
    parts.cast(y, dtype),
    s.made(renumbered(use, places.id, padded, x, [0, 0, ...fronts]), places.sizes),
  ];
};

/**
 * Row-major positions in the room of a tensor that may have padding in front, as positions among what is
 * meant of `x`, in the node's order; -1 where it is none.
 */
function renumbered(
  use: Use,
  places: ValueId,
  padded: Sized,
  x: Sized,
  fronts: readonly Int[],
): ValueId {
  const { b } = use.s;
  const { ints } = use;
  const room = boundsOf(padded.sizes);
  const strides = stridesIn(use, x);
  // A window of padding alone has no position.
  let isNone = b.op('Less', [places, ints.id(0)]);
  let rest = places;
  let sum = ints.id(0);
  for (let axis = room.length - 1; axis >= 0; axis--) {
    const [size, front] = [sizeAt(x, axis), at(fronts, axis)];
    const extent = ints.id(Math.max(1, at(room, axis)));
    const index = axis === 0 ? rest : b.op('Mod', [rest, extent]);
    const place = front === 0 ? index : b.op('Sub', [index, ints.id(front)]);
    if (front !== 0) isNone = b.op('Or', [isNone, b.op('Less', [place, ints.id(0)])]);
    if (!isKnown(size) || front !== 0)
      isNone = b.op('Or', [isNone, b.op('GreaterOrEqual', [place, ints.id(size)])]);
    sum = b.op('Add', [sum, b.op('Mul', [place, ints.id(at(strides, axis))])]);
    rest = b.op('Div', [rest, extent]);
  }
  return b.op('Where', [isNone, ints.id(-1), sum]);
}

/** How far apart neighbours along each axis are; images may be counted column by column. */
function stridesIn(use: Use, x: Sized): readonly Int[] {
  const { ints } = use;
  const spatial = spatialOf(x);
  const order = intOf(use, 'storage_order') === 0 ? spatial.toReversed() : spatial;
  const strides: Int[] = x.sizes.map(() => 1);
  let stride: Int = 1;
  for (const axis of [...order, 1, 0]) {
    strides[axis] = stride;
    stride = ints.mul(stride, sizeAt(x, axis));
  }
  return strides;
}

/** The elements at their positions in a tensor of the extents before pooling, with zeros behind it. */
const maxUnpool: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [x, indices] = [given(use, 0), given(use, 1)];
  const places = x.sizes.reduce((y: Sized, size, axis) => s.first(y, axis, size), indices);
  const inner = [
    ...x.sizes.slice(0, 2),
    ...slidesOf(use, x.sizes.slice(2), kernelAttr(use)).map(
      ({ span, stride, before, after }, i) => {
        const full = ints.add(ints.mul(ints.sub(sizeAt(x, i + 2), 1), stride), span);
        return ints.max(ints.sub(ints.sub(full, before), after), 0);
      },
    ),
  ];
  s.room(inner);
  const flat = (y: Sized): Sized => parts.reshape(y, [ints.product(x.sizes)]);
  const count = ints.product(inner);
  const zeros: Sized = { id: s.zeros(s.dtype(x), [mostOf(count)]), sizes: [count] };
  const placed = parts.op('ScatterElements', [zeros, flat(places), flat(x)], { axis: 0 });
  const small = parts.reshape(placed, inner);
  const wanted = optionalInts(use, 2, 'the output shape');
  if (wanted === undefined) return [small];
  const sizes = s.bounded(wanted, { dtype: s.dtype(x) });
  return [
    sizes.reduce(
      (y: Sized, size, axis) =>
        isSame(size, sizeAt(y, axis)) ? y : padTo(use, y, axis, 0, size, undefined),
      small,
    ),
  ];
};

/**
 * Blocks put back into an image of unknown extents: blocks of the image's room are zeros, in their places between
 * those that are meant.
 */
const col2im: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const x = given(use, 0);
  const isConstant = (k: number): boolean =>
    s.b.graph.value(given(use, k).id).constant !== undefined;
  if (isKnown(sizeAt(x, 2)) && isConstant(1) && isConstant(2)) return atBound(use);
  const block = intsOf(use, 2, 'the extents of blocks');
  if (!block.every(isKnown)) return blocksOfAnySize(use);
  const image = s.bounded(intsOf(use, 1, 'the extents of the image'), { dtype: s.dtype(x) });
  const counts = slidesOf(use, image, block).map((slide, i) =>
    windowsIn(use, at(image, i), slide, false),
  );
  const [n = 1, rows = 1] = x.sizes;
  const apart = parts.reshape(s.first(x, 2, ints.product(counts)), [n, rows, ...counts]);
  const filled = s.masked(apart, 0, spatialOf(apart));
  const all = boundsOf(counts).reduce((a, c) => a * c, 1);
  const columns = s.reshape(filled.id, [mostOf(n), mostOf(rows), all]);
  const list = (items: readonly number[]): Sized => ({
    id: s.b.ints(items),
    sizes: [items.length],
  });
  const channels = ints.div(
    rows,
    block.reduce((a, c) => a * c, 1),
  );
  const inputs = [
    { id: columns, sizes: [mostOf(n), mostOf(rows), all] },
    list(boundsOf(image)),
    list(block),
  ];
  return atBound(use, inputs, [[n, channels, ...image]]);
};

const lpPool: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const slides = slidesOf(use, x.sizes.slice(2), kernelAttr(use));
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
  const slides = slidesOf(use, x.sizes.slice(2), kernelAttr(use));
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

export const POOLS: ReadonlyMap<string, Rule> = new Map([
  ['MaxPool', maxPool],
  ['MaxUnpool', maxUnpool],
  ['Col2Im', col2im],
  ['LpPool', lpPool],
  ['AveragePool', averagePool],
]);
