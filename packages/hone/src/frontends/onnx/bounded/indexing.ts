/**
 * Operators that read or write at positions that are data. Room of a list of positions reads position 0
 * and writes nowhere; positions count from the end that is meant, and one behind it is a fault of the run.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import type { ValueId } from '../../../graph/types.ts';
import { common } from './elementwise.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { declaredRank, exactly } from './lists.ts';
import { axisIn, given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { highest, isBounded, lowest, type Sized } from './sized.ts';

/** Positions as they count in an axis with room: `extent` of it is meant. */
function positionsIn(use: Use, indices: Sized, extent: Int): ValueId {
  const { s, ints } = use;
  const wide: Sized = { ...indices, id: s.cast(indices.id, 'i64') };
  const { id } = s.masked(wide, 0);
  if (isKnown(extent)) return id;
  const n = ints.id(extent);
  return resolved(use, id, n, ints.id(mostOf(extent)), s.b.op('Neg', [n]), wide);
}

/** Counts from the end; sends what is outside to `outside`, but for room. */
function resolved(
  use: Use,
  id: ValueId,
  n: ValueId,
  outside: ValueId,
  least: ValueId,
  indices: Sized,
): ValueId {
  const { s, ints } = use;
  const isNegative = s.b.op('Less', [id, ints.id(0)]);
  const counted = s.b.op('Where', [isNegative, s.b.op('Add', [id, n]), id]);
  const isOutside = s.b.op('Or', [s.b.op('GreaterOrEqual', [id, n]), s.b.op('Less', [id, least])]);
  const valid = s.valid(indices);
  const isFault = valid === undefined ? isOutside : s.b.op('And', [isOutside, valid]);
  return s.b.op('Where', [isFault, outside, counted]);
}

const gather: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const indices = given(use, 1);
  const axis = axisIn(use, intOf(use, 'axis'), x.sizes.length);
  const places = positionsIn(use, indices, sizeAt(x, axis));
  const sizes = [...x.sizes.slice(0, axis), ...indices.sizes, ...x.sizes.slice(axis + 1)];
  s.room(sizes);
  return [s.made(s.op('Gather', [readable(use, x, axis), places], { axis }), sizes)];
};

/** A tensor whose axis may have no room at all, with some: position 0 of it is read for room. */
function readable(use: Use, { id, sizes }: Sized, axis: number): ValueId {
  return mostOf(at(sizes, axis)) === 0 ? use.s.longer(id, axis, 1) : id;
}

const gatherElements: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const indices = given(use, 1);
  const axis = axisIn(use, intOf(use, 'axis'), x.sizes.length);
  const places = positionsIn(use, indices, sizeAt(x, axis));
  const data = indices.sizes.reduce((y: Sized, extent, i) => {
    const short = i !== axis && mostOf(sizeAt(y, i)) < mostOf(extent);
    return short ? s.first(y, i, extent) : y;
  }, x);
  return [s.made(s.op('GatherElements', [data.id, places], { axis }), indices.sizes)];
};

/** Tuples of positions in axes of which some may be of unknown extent. */
function tuplesIn(use: Use, indices: Sized, extents: readonly Int[]): ValueId {
  const { s, ints } = use;
  const { id } = s.masked(indices, 0);
  if (extents.every(isKnown)) return id;
  const n = ints.list(extents);
  const outside = s.b.ints(extents.map(mostOf));
  return resolved(use, id, n, outside, s.b.op('Neg', [n]), indices);
}

/** Indices whose tuples are of a known length; `length`: what it has to be where it is data. */
function withTuples(
  use: Use,
  indices: Sized,
  length: () => number,
): { readonly indices: Sized; readonly tuple: number } {
  const axis = indices.sizes.length - 1;
  const tuple = sizeAt(indices, axis);
  if (isKnown(tuple)) return { indices, tuple };
  const wanted = length();
  const size = exactly(use, 1, axis, tuple, wanted, 'the tuples of positions');
  return { indices: use.s.first(indices, axis, size), tuple: wanted };
}

const gatherND: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const batch = intOf(use, 'batch_dims');
  const all = given(use, 1);
  const most = all.sizes.length - 1 + x.sizes.length - batch;
  const { indices, tuple } = withTuples(
    use,
    all,
    () => most - declaredRank(use, 1, 'tuples of positions', all.sizes.length - 1),
  );
  const shared = Array.from({ length: batch }, (_, axis) =>
    common(use, sizeAt(x, axis), sizeAt(indices, axis)),
  );
  const [data, list] = [x, indices].map((y) =>
    shared.reduce((z: Sized, extent, axis) => s.fit(z, axis, extent), y),
  ) as [Sized, Sized];
  const places = tuplesIn(use, list, x.sizes.slice(batch, batch + tuple));
  const sizes = [...list.sizes.slice(0, -1), ...x.sizes.slice(batch + tuple)];
  s.room(sizes);
  return [s.made(s.op('GatherND', [data.id, places], { batch_dims: batch }), sizes)];
};

/** What changes nothing where it is combined with an element; undefined: replacing has no such thing. */
function neutral(use: Use, x: Sized): number | undefined {
  const dtype = use.s.dtype(x);
  switch (use.attrs['reduction']) {
    case 'add':
      return isFloat(dtype) ? -0 : 0;
    case 'mul':
      return 1;
    case 'max':
      return lowest(dtype);
    case 'min':
      return highest(dtype);
    default:
      return undefined;
  }
}

const scatterND: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const updates = given(use, 2);
  const all = given(use, 1);
  // What is written has the axes of the tuples, and those of the data that they leave.
  const most = all.sizes.length - 1 + x.sizes.length;
  const { indices, tuple } = withTuples(use, all, () => most - updates.sizes.length);
  const places = tuplesIn(use, indices, x.sizes.slice(0, tuple));
  const wanted = [...indices.sizes.slice(0, -1), ...x.sizes.slice(tuple)];
  const fitted = wanted.reduce((y: Sized, extent, i) => s.fit(y, i, extent), updates);
  if (!isBounded(indices)) {
    return [s.made(s.op('ScatterND', [x.id, places, fitted.id], use.attrs), x.sizes)];
  }
  const rows = indices.sizes.slice(0, -1).map((_, axis) => axis);
  const value = neutral(use, x);
  if (value !== undefined) {
    const masked = s.masked(fitted, value, rows);
    return [s.made(s.op('ScatterND', [x.id, places, masked.id], use.attrs), x.sizes)];
  }
  // Room goes to a slice behind the tensor, which is cut off again.
  const bound = mostOf(sizeAt(x, 0));
  const longer = s.longer(x.id, 0, bound + 1);
  const sentinel = s.b.ints(Array.from({ length: tuple }, (_, k) => (k === 0 ? bound : 0)));
  const valid = s.valid(indices);
  const sent = s.b.op('Where', [valid ?? null, notBehind(use, places, bound), sentinel]);
  const written = s.op('ScatterND', [longer, sent, fitted.id], use.attrs);
  return [s.made(s.part(written, 0, 0, bound), x.sizes)];
};

/** Positions of the first axis as they count in one that is longer by a place: the place is no target. */
function notBehind(use: Use, places: ValueId, bound: number): ValueId {
  const { s, ints } = use;
  const { shape } = s.b.typeOf(places);
  const rank = shape.length;
  const first = s.b.op('Equal', [s.iota(shape.at(-1) ?? 1, rank, rank - 1), ints.id(0)]);
  return s.b.op('Where', [first, outOf(use, places, bound), places]);
}

/** Negative ones counted from the shorter end; the place behind it made a fault. */
function outOf(use: Use, places: ValueId, bound: number): ValueId {
  const { s, ints } = use;
  const isNegative = s.b.op('Less', [places, ints.id(0)]);
  const counted = s.b.op('Where', [isNegative, s.b.op('Add', [places, ints.id(bound)]), places]);
  // Negative still: it was outside, and would count from the longer end.
  const isOutside = s.b.op('Or', [
    s.b.op('Less', [counted, ints.id(0)]),
    s.b.op('GreaterOrEqual', [counted, ints.id(bound)]),
  ]);
  return s.b.op('Where', [isOutside, ints.id(bound + 1), counted]);
}

const scatterElements: Rule = (use) => {
  const { s, ints } = use;
  const x = given(use, 0);
  const indices = given(use, 1);
  const updates = given(use, 2);
  const axis = axisIn(use, intOf(use, 'axis'), x.sizes.length);
  const places = positionsIn(use, indices, sizeAt(x, axis));
  const fitted = indices.sizes.reduce((y: Sized, extent, i) => s.fit(y, i, extent), updates);
  const data = indices.sizes.reduce((y: Sized, extent, i) => {
    const short = i !== axis && mostOf(sizeAt(y, i)) < mostOf(extent);
    return short ? s.first(y, i, extent) : y;
  }, x);
  const cut = (id: ValueId): Sized =>
    data === x ? s.made(id, x.sizes) : restored(use, { id, sizes: data.sizes }, x);
  if (!isBounded(indices)) {
    return [cut(s.op('ScatterElements', [data.id, places, fitted.id], use.attrs))];
  }
  const value = neutral(use, x);
  if (value !== undefined) {
    const masked = s.masked(
      fitted,
      value,
      indices.sizes.map((_, i) => i),
    );
    return [cut(s.op('ScatterElements', [data.id, places, masked.id], use.attrs))];
  }
  const bound = mostOf(sizeAt(x, axis));
  const longer = s.longer(data.id, axis, bound + 1);
  const valid = s.valid(indices);
  const sent = s.b.op('Where', [valid ?? null, outOf(use, places, bound), ints.id(bound)]);
  const written = s.op('ScatterElements', [longer, sent, fitted.id], use.attrs);
  return [cut(s.part(written, axis, 0, bound))];
};

/** Cut back to the room of another. */
function restored(use: Use, made: Sized, like: Sized): Sized {
  return like.sizes.reduce((y: Sized, extent, axis) => use.s.first(y, axis, extent), made);
}

/** Of a depth that data decides: where a position is the index, which counts from the end below 0. */
function openOneHot(use: Use, axis: number, depth: Int): Sized {
  const { s, ints } = use;
  const indices = given(use, 0);
  const values = given(use, 2);
  const sizes = s.bounded(indices.sizes.toSpliced(axis, 0, depth), { dtype: s.dtype(values) });
  s.room(sizes);
  const index = s.b.op('Unsqueeze', [s.cast(indices.id, 'i64'), s.b.ints([axis])]);
  const fromEnd = s.b.op('Add', [index, ints.id(at(sizes, axis))]);
  const place = s.b.op('Where', [s.b.op('Less', [index, ints.id(0)]), fromEnd, index]);
  const positions = s.iota(mostOf(at(sizes, axis)), sizes.length, axis);
  const isOne = s.b.op('Equal', [positions, place]);
  const [off, on] = [0, 1].map((k) => s.b.op('Gather', [values.id, ints.id(k)], { axis: 0 }));
  return s.made(s.op('Where', [isOne, on ?? null, off ?? null]), sizes);
}

const oneHot: Rule = (use) => {
  const { s } = use;
  const indices = given(use, 0);
  const [depth] = use.ints.elements(s.cast(given(use, 1).id, 'i64')) ?? [];
  if (depth === undefined) return s.cannot('the depth is no number');
  const rank = indices.sizes.length + 1;
  const axis = axisIn(use, intOf(use, 'axis', -1), rank);
  if (!isKnown(depth)) return [openOneHot(use, axis, depth)];
  const inputs = use.inputs.map((input) => input?.id ?? null);
  return [s.made(s.op('OneHot', inputs, use.attrs), indices.sizes.toSpliced(axis, 0, depth))];
};

export const INDEXING: ReadonlyMap<string, Rule> = new Map([
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['GatherND', gatherND],
  ['ScatterND', scatterND],
  ['ScatterElements', scatterElements],
  ['Scatter', scatterElements],
  ['OneHot', oneHot],
]);
