/** Operators that move elements: shapes, transposes, parts, joins. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { ASSUMED_BYTES, ASSUMED_EXTENT, MAX_ELEMENTS } from './bounds.ts';
import { common } from './elementwise.ts';
import { type Int, isKnown, isSame, leastOf, mostOf } from './ints.ts';
import {
  checkCount,
  exactList,
  flagsOf,
  isSettled,
  itemAt,
  itemFor,
  lengthOf,
  openAxes,
  openList,
  rankBy,
  withAxes,
  withoutAxes,
} from './lists.ts';
import {
  axisIn,
  given,
  intOf,
  knownInts,
  optionalKnown,
  type Rule,
  sizeAt,
  type Use,
} from './rule.ts';
import type { Sized } from './sized.ts';
import { FAR, slice } from './slicing.ts';

const shape: Rule = (use) => {
  const { sizes } = given(use, 0);
  const end = use.attrs['end'];
  const part = sizes.slice(intOf(use, 'start'), typeof end === 'number' ? end : undefined);
  return [{ id: use.ints.list(part), sizes: [part.length] }];
};

const size: Rule = (use) => {
  const count = use.ints.product(given(use, 0).sizes);
  const id = use.ints.id(count);
  use.ints.note(id, [count]);
  return [{ id, sizes: [] }];
};

const reshape: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const keepsZero = intOf(use, 'allowzero') !== 0;
  const rank = rankBy(use, 1, 'the shape', (length) => length);
  const asked = exactList(use, 1, 'the shape', rank).map((item, axis) =>
    item === 0 && !keepsZero ? (x.sizes[axis] ?? 0) : item,
  );
  return [s.reshaped(x, reshapedSizes(use, x, asked, keepsZero))];
};

/** The least of a type, the narrow ones among them. */
const saysNothing = (least: number): boolean =>
  least < -MAX_ELEMENTS || least === -(2 ** 7) || least === -(2 ** 15);

/**
 * The extents behind a Reshape. An extent that data decides may be 0 (as before) or -1 (what is left) too;
 * where nothing else bounds it, the elements do.
 */
function reshapedSizes(
  { ints, s }: Use,
  x: Sized,
  asked: readonly Int[],
  keepsZero: boolean,
): readonly Int[] {
  const total = ints.product(x.sizes);
  // What intervals say of other numbers is that they are extents.
  const isFree = (item: Int): boolean => !isKnown(item) && saysNothing(leastOf(item));
  const copied = asked.map((item, axis) =>
    isFree(item) && !keepsZero ? ints.whereEqual(item, 0, x.sizes[axis] ?? 0, item) : item,
  );
  const factors = copied.flatMap((item): Int[] => {
    if (item === -1) return [];
    return [isFree(item) ? ints.whereEqual(item, -1, 1, ints.near(item, 2 ** 31)) : item];
  });
  const rest = ints.div(total, ints.product(factors));
  const sizes = copied.map((item): Int => {
    if (item === -1) return rest;
    return isFree(item) ? ints.whereEqual(item, -1, rest, item) : item;
  });
  // ONNX calls other numbers of elements an error.
  if (copied.some(isFree) && !copied.includes(-1)) {
    const apart = ints.sub(total, ints.product(sizes.map((size) => ints.near(size, 2 ** 31))));
    const [tensor = ''] = s.plan.names;
    const source = { tensor, axis: -1, origin: '', option: '' } as const;
    s.checked(apart, { min: 0, max: 0 }, source, `${s.node}: elements before and after differ`);
  }
  // No extent is more than all elements, were the others 1; beside a 0 it may be anything.
  const known = sizes.filter(isKnown).reduce((a, c) => a * Math.max(1, c), 1);
  const isEmpty = mostOf(total) === 0;
  const most = isEmpty ? ASSUMED_EXTENT : Math.floor(mostOf(total) / known);
  const dtype = s.dtype(x);
  const room = (size: Int): number => (isKnown(size) ? size : Math.min(most, mostOf(size)));
  if (isEmpty || elementCount(sizes.map(room)) * dtypeBytes(dtype) > ASSUMED_BYTES)
    return s.bounded(sizes, {
      dtype,
      start: isEmpty ? ASSUMED_EXTENT : 2 ** 20,
      room: (_, cap) => Math.min(cap, most),
      all: true,
    });
  const [tensor = ''] = s.plan.names;
  // Numbers of a narrow type have a most, which says nothing.
  const isVast = elementCount(sizes.map(mostOf)) * dtypeBytes(dtype) > ASSUMED_BYTES;
  const largest = isVast ? most : MAX_ELEMENTS;
  const natural = sizes.map((size, axis) =>
    isKnown(size) || mostOf(size) <= largest
      ? size
      : s.checked(
          ints.max(size, 0),
          { min: 0, max: most },
          { tensor, axis, origin: '', option: '' },
        ),
  );
  return s.bounded(natural, { dtype });
}

const flatten: Rule = (use) => {
  const x = given(use, 0);
  const axis = intOf(use, 'axis', 1);
  const cut = axis < 0 ? axis + x.sizes.length : axis;
  const halves = [x.sizes.slice(0, cut), x.sizes.slice(cut)];
  return [
    use.s.reshaped(
      x,
      halves.map((half) => use.ints.product(half)),
    ),
  ];
};

const squeeze: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const rank = x.sizes.length;
  if (!isSettled(use, 1)) return [squeezeNamed(use, x)];
  const chosen = use.inputs[1] == null ? squeezeOnes(use, x) : undefined;
  if (chosen !== undefined) return [chosen];
  const axes =
    optionalKnown(use, 1, 'the axes')?.map((axis) => axisIn(use, axis, rank)) ??
    x.sizes.flatMap((extent, axis) => (extent === 1 ? [axis] : []));
  const cut = axes.reduce((y, axis) => (sizeAt(y, axis) === 1 ? y : s.first(y, axis, 1)), x);
  const sizes = cut.sizes.filter((_, axis) => !axes.includes(axis));
  return [s.made(s.op('Squeeze', [cut.id, s.b.ints(axes)]), sizes)];
};

/**
 * Without axes, those of extent 1 go, which extents that are data may be, too. How many go is what the model
 * states, else those that are known to; undefined: none but these. A run checks it.
 */
function squeezeOnes(use: Use, x: Sized): Sized | undefined {
  const flags = x.sizes.map((size) => use.ints.whereEqual(size, 1, 1, 0));
  if (flags.every(isKnown)) return undefined;
  const known = x.sizes.filter((size) => size === 1).length;
  const left = use.ranks[0] ?? x.sizes.length - known;
  if (left !== x.sizes.length - known) return withoutAxes(use, 0, x, flags, left);
  const says = `${use.s.node}: without axes, an extent that is 1 in this run would go, too`;
  checkCount(use, 0, flags, known, says);
  return undefined;
}

/** Which axes go is data: those that do have to be of extent 1. */
function squeezeNamed(use: Use, x: Sized): Sized {
  const { s, ints } = use;
  const rank = x.sizes.length;
  const left = rankBy(use, 1, 'the axes', (length) => Math.max(0, rank - length));
  const flags = flagsOf(use, openAxes(use, 1, 'the axes', rank), rank);
  const says = `${s.node}: an axis is squeezed whose extent is not 1`;
  const [tensor = ''] = use.reads;
  const sizes = x.sizes.map((size, axis): Int => {
    const gone = ints.whereEqual(at(flags, axis), 1, size, 1);
    const source = { tensor, axis, origin: '', option: '' } as const;
    s.checked(gone, { min: 1, max: 1 }, source, says);
    return size;
  });
  return withoutAxes(use, 1, { id: x.id, sizes }, flags, left);
}

const unsqueeze: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  if (!isSettled(use, 1)) {
    const all = rankBy(use, 1, 'the axes', (length) => x.sizes.length + length);
    return [withAxes(use, 1, x, flagsOf(use, openAxes(use, 1, 'the axes', all), all))];
  }
  const axes = knownInts(use, 1, 'the axes');
  const rank = x.sizes.length + axes.length;
  const places = axes.map((axis) => axisIn(use, axis, rank));
  const left = [...x.sizes];
  const sizes = Array.from(
    { length: rank },
    (_, axis): Int => (places.includes(axis) ? 1 : (left.shift() ?? 1)),
  );
  return [s.made(s.op('Unsqueeze', [x.id, s.b.ints(axes)]), sizes)];
};

const transpose: Rule = (use) => {
  const x = given(use, 0);
  const perm = use.attrs['perm'];
  const order = Array.isArray(perm) && perm.length > 0 ? (perm as number[]) : reversed(x);
  const sizes = order.map((axis) => sizeAt(x, axis));
  return [use.s.made(use.s.op('Transpose', [x.id], { perm: order }), sizes)];
};

const reversed = ({ sizes }: Sized): number[] => sizes.map((_, i) => sizes.length - 1 - i);

const expand: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const rank = rankBy(use, 1, 'the shape', (length) => Math.max(x.sizes.length, length));
  const asked = expandedTo(use, x, rank);
  const pad = (sizes: readonly Int[]): Int[] => [
    ...new Array<Int>(rank - sizes.length).fill(1),
    ...sizes,
  ];
  const from = pad(x.sizes);
  const wanted = pad(asked);
  const sizes = s.bounded(
    from.map((extent, axis) => common(use, extent, at(wanted, axis))),
    { dtype: s.dtype(x) },
  );
  const bounds = s.room(sizes);
  const ranked: Sized = {
    id: s.b.op('Reshape', [x.id, s.b.ints(from.map(mostOf))], { allowzero: 1 }),
    sizes: from,
  };
  const fitted = sizes.reduce((y, extent, axis) => s.fit(y, axis, extent), ranked);
  return [s.made(s.op('Expand', [fitted.id, s.b.ints(bounds)]), sizes)];
};

/** The extents that an Expand asks for; as many as it has axes where their number is data. */
function expandedTo(use: Use, x: Sized, rank: number): readonly Int[] {
  const { ints } = use;
  if (isKnown(lengthOf(use, 1)) || rank > x.sizes.length)
    return exactList(use, 1, 'the shape', rank);
  const { items, count } = openList(use, 1, 'the shape', rank);
  return Array.from({ length: rank }, (_, axis) =>
    itemAt(use, items, ints.add(ints.sub(axis, rank), count), 1),
  );
}

/** Repeats of one axis: position i reads i mod n. */
const tile: Rule = (use) => {
  const { s, ints } = use;
  let x = given(use, 0);
  const { sizes } = x;
  const repeats = exactList(use, 1, 'the repeats', sizes.length);
  const totals = s.bounded(
    sizes.map((have, axis) => {
      const times = repeats[axis] ?? 1;
      return ints.mul(have, isKnown(times) ? times : ints.near(times, 2 ** 31));
    }),
    { dtype: s.dtype(x), room: (axis, cap) => mostOf(at(sizes, axis)) * cap },
  );
  totals.forEach((total, axis) => {
    const have = sizeAt(x, axis);
    if (isSame(total, have)) return;
    const list = s.b.op('Mod', [s.iota(mostOf(total)), ints.id(ints.max(have, 1))]);
    s.room(x.sizes.map((extent, i) => (i === axis ? total : extent)));
    x = s.take(x, axis, list, total);
  });
  return [x];
};

/** All operands one after the other; `axis` may be of unknown extent in each. */
export function concat(
  use: Pick<Use, 's' | 'ints'>,
  operands: readonly Sized[],
  axis: number,
): Sized {
  const { s, ints } = use;
  const rank = at(operands, 0).sizes.length;
  let fitted = operands;
  for (let other = 0; other < rank; other++) {
    if (other === axis) continue;
    const all = fitted.map((x) => sizeAt(x, other));
    const extent = all.reduce((a, b) => (mostOf(b) < mostOf(a) ? b : a));
    fitted = fitted.map((x) => (isSame(sizeAt(x, other), extent) ? x : s.first(x, other, extent)));
  }
  const extents = fitted.map((x) => sizeAt(x, axis));
  const total = extents.reduce((a, b) => ints.add(a, b), 0 as Int);
  const sizes = at(fitted, 0).sizes.map((extent, i) => (i === axis ? total : extent));
  const room = extents.reduce((sum: number, extent) => sum + mostOf(extent), 0);
  s.room(sizes);
  const id = s.op(
    'Concat',
    fitted.map((x) => x.id),
    { axis },
  );
  const joined: Sized = { id, sizes: sizes.map((extent, i) => (i === axis ? room : extent)) };
  if (extents.slice(0, -1).every(isKnown)) return s.first(joined, axis, total);
  // Room between the parts is skipped: position i lies as much later as there was room before it.
  let list = s.iota(mostOf(total));
  const start = list;
  let end: Int = 0;
  for (const extent of extents.slice(0, -1)) {
    end = ints.add(end, extent);
    const gap = ints.sub(mostOf(extent), extent);
    if (gap === 0) continue;
    const isBefore = s.b.op('Less', [start, ints.id(end)]);
    list = s.b.op('Add', [list, s.b.op('Where', [isBefore, ints.id(0), ints.id(gap)])]);
  }
  const safe = s.b.op('Min', [list, ints.id(Math.max(0, room - 1))]);
  return s.take(joined, axis, safe, total);
}

const concatRule: Rule = (use) => {
  const operands = use.inputs.flatMap((input) => input ?? []);
  const rank = given(use, 0).sizes.length;
  return [concat(use, operands, axisIn(use, intOf(use, 'axis'), rank))];
};

const pad: Rule = (use) => {
  const { ints, s } = use;
  let x = given(use, 0);
  const pads = padsOf(use, x);
  const mode = String(use.attrs['mode'] ?? 'constant');
  const fill = use.inputs[2];
  const totals = x.sizes.map((size, axis): Int => {
    const { before, after } = at(pads, axis);
    const more = ints.add(before, after);
    return more === 0 ? size : ints.max(ints.add(size, more), 0);
  });
  const { sizes: own } = x;
  const room = (axis: number, cap: number): number => mostOf(at(own, axis)) + cap;
  const sizes = mode === 'constant' ? s.bounded(totals, { dtype: s.dtype(x), room }) : totals;
  pads.forEach(({ before, after }, axis) => {
    if (before === 0 && after === 0) return;
    x =
      mode === 'constant'
        ? padTo(use, x, axis, before, at(sizes, axis), fill?.id)
        : mirrored(use, x, axis, before, after, mode);
  });
  return [x];
};

interface Ends {
  readonly before: Int;
  readonly after: Int;
}

/** What is put before and behind each axis. */
function padsOf(use: Use, x: Sized): readonly Ends[] {
  const { ints } = use;
  const rank = x.sizes.length;
  const near = (items: readonly Int[]): Int[] =>
    items.map((item) => (isKnown(item) ? item : ints.near(item, FAR)));
  if (isSettled(use, 3)) {
    const axes = (optionalKnown(use, 3, 'the axes') ?? x.sizes.map((_, i) => i)).map((axis) =>
      axisIn(use, axis, rank),
    );
    const pads = near(exactList(use, 1, 'the pads', 2 * axes.length));
    return x.sizes.map((_, axis) => {
      const i = axes.indexOf(axis);
      return i < 0
        ? { before: 0, after: 0 }
        : { before: at(pads, i), after: at(pads, i + axes.length) };
    });
  }
  const axes = openAxes(use, 3, 'the axes', rank);
  const count = lengthOf(use, 3);
  const pads = near(openList(use, 1, 'the pads', 2 * rank).items);
  const apart = ints.sub(lengthOf(use, 1), ints.mul(count, 2));
  const source = { tensor: use.reads[1] ?? '', axis: -1, origin: '', option: '' } as const;
  if (apart !== 0)
    use.s.checked(
      apart,
      { min: 0, max: 0 },
      source,
      `${use.s.node}: pads are not two for each axis`,
    );
  // The second half begins behind as many as there are axes.
  const behind = axes.map((_, i) => itemAt(use, pads, ints.add(count, i), 0));
  return x.sizes.map((_, axis) => ({
    before: itemFor(use, axes, axis, pads, 0),
    after: itemFor(use, axes, axis, behind, 0),
  }));
}

/** Position i of the result reads i - before, brought into the axis as the mode says. */
function mirrored(
  use: Use,
  data: Sized,
  axis: number,
  before: Int,
  after: Int,
  mode: string,
): Sized {
  const { ints, s } = use;
  const cut = (pad: Int): Int => ints.max(ints.sub(0, pad), 0);
  // What negative pads cut off is not mirrored.
  const kept = ints.max(ints.sub(ints.sub(sizeAt(data, axis), cut(before)), cut(after)), 0);
  const x = slice(
    use,
    data,
    axis,
    cut(before),
    1,
    ints.within(kept, 0, mostOf(sizeAt(data, axis))),
  );
  const [front, back] = [ints.max(before, 0), ints.max(after, 0)];
  const have = sizeAt(x, axis);
  const open = x.sizes.with(axis, ints.add(ints.add(have, front), back));
  const room = (_: number, cap: number): number => mostOf(have) + cap;
  const sizes = s.bounded(open, { dtype: s.dtype(x), room });
  const total = at(sizes, axis);
  s.room(sizes);
  if (mostOf(have) === 0) return s.first(x, axis, total);
  const list = s.b.op('Sub', [s.iota(mostOf(total)), ints.id(front)]);
  const last = ints.max(ints.sub(have, 1), 0);
  const within = (id: ValueId): ValueId =>
    s.b.op('Max', [s.b.op('Min', [id, ints.id(last)]), ints.id(0)]);
  if (mode === 'edge') return s.take(x, axis, within(list), total);
  if (mode === 'wrap') {
    const round = s.b.op('Mod', [list, ints.id(ints.max(have, 1))]);
    return s.take(x, axis, round, total);
  }
  // There and back, without the ends twice.
  const period = ints.max(ints.mul(last, 2), 1);
  const turn = s.b.op('Mod', [list, ints.id(period)]);
  const isBack = s.b.op('Greater', [turn, ints.id(last)]);
  const folded = s.b.op('Where', [isBack, s.b.op('Sub', [ints.id(period), turn]), turn]);
  return s.take(x, axis, within(folded), total);
}

/** An axis with so much of the fill in front of it and behind it; all has a bound. */
export function padAxis(
  use: Use,
  x: Sized,
  axis: number,
  before: Int,
  after: Int,
  fill: ValueId | undefined,
): Sized {
  const { ints, s } = use;
  const open = ints.max(ints.add(ints.add(sizeAt(x, axis), before), after), 0);
  const sizes = s.bounded(x.sizes.with(axis, open), { dtype: s.dtype(x) });
  return padTo(use, x, axis, before, at(sizes, axis), fill);
}

/** Position i of the result reads i - before; what that does not hold is the fill. */
export function padTo(
  use: Use,
  x: Sized,
  axis: number,
  before: Int,
  total: Int,
  fill: ValueId | undefined,
): Sized {
  const { ints, s } = use;
  const have = sizeAt(x, axis);
  const sizes = x.sizes.map((extent, i) => (i === axis ? total : extent));
  s.room(sizes);
  const list = s.b.op('Sub', [s.iota(mostOf(total)), ints.id(before)]);
  const isBefore = s.b.op('Less', [list, ints.id(0)]);
  const isBehind = s.b.op('GreaterOrEqual', [list, ints.id(have)]);
  const isOutside = s.spread(s.b.op('Or', [isBefore, isBehind]), sizes.length, axis);
  const dtype = s.dtype(x);
  const other = fill === undefined ? s.number(0, dtype) : s.b.op('Reshape', [fill, s.b.ints([])]);
  if (mostOf(have) === 0) {
    const empty = s.b.op('Expand', [other, s.b.ints(sizes.map(mostOf))]);
    return s.made(empty, sizes);
  }
  const last = ints.id(mostOf(have) - 1);
  const safe = s.b.op('Max', [s.b.op('Min', [list, last]), ints.id(0)]);
  const read = s.take(x, axis, safe, total);
  return s.made(s.op('Where', [isOutside, other, read.id]), sizes);
}

export const MOVEMENT: ReadonlyMap<string, Rule> = new Map([
  ['Shape', shape],
  ['Size', size],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Transpose', transpose],
  ['Expand', expand],
  ['Tile', tile],
  ['Concat', concatRule],
  ['Pad', pad],
]);
