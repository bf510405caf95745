/**
 * Lists as one tensor with a row for each element there can be: how they are made, read and changed at
 * positions that are data. A position outside of a list is a fault of the run: it is sent behind the end
 * of the rows, where the check of Gather meets it.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, isSame, leastOf, mostOf, unknown } from '../bounded/ints.ts';
import { boundsOf, type Sized, type Sizing } from '../bounded/sized.ts';
import { type Extent, isList, type StackedEntity } from '../entities.ts';

/** The room of an element. */
export function roomOf(s: Sizing, { id }: StackedEntity): readonly number[] {
  return s.b.typeOf(id).shape.slice(1);
}

/** How many rows there are. */
export function rowsOf(s: Sizing, { id }: StackedEntity): number {
  return at(s.b.typeOf(id).shape, 0);
}

/** A list of known elements with a row for each. */
export function stackedOf(s: Sizing, items: readonly Sized[]): StackedEntity {
  const [first] = items;
  if (first === undefined) return s.cannot('an empty sequence has no element to look at');
  const { dtype } = s.b.typeOf(first.id);
  const rank = first.sizes.length;
  if (items.some(({ id, sizes }) => sizes.length !== rank || s.b.typeOf(id).dtype !== dtype)) {
    return fail(
      'HONE-SHAPE-002',
      `node ${s.node}: which element of a sequence is meant depends on data, and they differ in dtype or rank`,
      s.node,
      'export the model with a sequence of tensors of one dtype and one rank',
    );
  }
  const extents = first.sizes.map((size, axis): Extent => {
    const all = items.map(({ sizes }) => at(sizes, axis));
    if (all.every((other) => isSame(other, size))) return size;
    return { list: s.ints.list(all), max: Math.max(...all.map(mostOf)) };
  });
  const room = extents.map((extent) => (isList(extent) ? extent.max : mostOf(extent)));
  s.room([items.length, ...room]);
  const rows = items.map((item) => rowOf(s, item.id, room));
  const id = rows.length === 1 ? at(rows, 0) : s.b.op('Concat', rows, { axis: 0 });
  return { kind: 'stacked', id, length: items.length, extents };
}

/** An element as a row, with more room where it needs it. */
function rowOf(s: Sizing, id: ValueId, room: readonly number[]): ValueId {
  return s.b.op('Unsqueeze', [widened(s, id, room, 0), s.b.ints([0])]);
}

/** With at least this room along the axes behind the first `skip`. */
export function widened(s: Sizing, id: ValueId, room: readonly number[], skip: number): ValueId {
  return room.reduce((made, extent, i) => {
    const have = at(s.b.typeOf(made).shape, i + skip);
    return have < extent ? s.longer(made, i + skip, extent) : made;
  }, id);
}

/** The numbers of an extent as a list, one for each row. */
export function extentList(s: Sizing, seq: StackedEntity, axis: number): ValueId {
  const extent = at(seq.extents, axis);
  if (isList(extent)) return extent.list;
  return s.b.op('Expand', [s.ints.id(extent), s.b.ints([rowsOf(s, seq)])]);
}

/** A position as it counts from the begin; `isOk` says whether it is inside, where that is not known. */
export interface Place {
  readonly place: Int;
  readonly isOk: ValueId | undefined;
}

/** `places`: how many there are to choose from; negative positions count from `length`. */
export function placeIn(s: Sizing, position: Int, length: Int, places: Int): Place {
  const { b, ints } = s;
  const place = ints.whereLess(position, 0, ints.add(position, length), position);
  if (leastOf(place) >= 0 && mostOf(place) < leastOf(places)) return { place, isOk: undefined };
  const id = ints.id(place);
  const isOk = b.op('And', [
    b.op('GreaterOrEqual', [id, ints.id(0)]),
    b.op('Less', [id, ints.id(places)]),
  ]);
  return { place, isOk };
}

/** The element at a place. */
export function elementAt(s: Sizing, seq: StackedEntity, { place, isOk }: Place): Sized {
  const { b, ints } = s;
  const rows = Math.max(1, rowsOf(s, seq));
  const inside = ints.id(place);
  const index = isOk === undefined ? inside : b.op('Where', [isOk, inside, ints.id(rows)]);
  const sizes = seq.extents.map((extent, axis): Int => {
    if (!isList(extent)) return extent;
    const list = s.longer(extentList(s, seq, axis), 0, rows + 1);
    const size = unknown(b.op('Gather', [list, index], { axis: 0 }), 0, extent.max);
    return size;
  });
  const readable = rowsOf(s, seq) < rows ? s.longer(seq.id, 0, rows) : seq.id;
  return s.made(s.op('Gather', [readable, index], { axis: 0 }), sizes);
}

/** The list with one more element in front of a place, or at the end. */
export function inserted(
  s: Sizing,
  seq: StackedEntity,
  element: Sized,
  where: Place,
): StackedEntity {
  const { b, ints } = s;
  const own = stackedOf(s, [element]);
  checkAlike(s, seq, own);
  const rows = rowsOf(s, seq);
  const joined = joinedRows(s, seq, own);
  const i = s.iota(rows + 1);
  const place = ints.id(where.place);
  const isBefore = b.op('Less', [i, place]);
  const behind = b.op('Where', [
    b.op('Equal', [i, place]),
    ints.id(rows),
    b.op('Sub', [i, ints.id(1)]),
  ]);
  const list = b.op('Where', [isBefore, i, behind]);
  return taken(s, joined, guarded(s, where, list, rows + 1), ints.add(seq.length, 1));
}

/** The list without the element at a place. */
export function erased(s: Sizing, seq: StackedEntity, where: Place): StackedEntity {
  const { b, ints } = s;
  const rows = rowsOf(s, seq);
  const i = s.iota(Math.max(0, rows - 1));
  const isBefore = b.op('Less', [i, ints.id(where.place)]);
  const list = b.op('Where', [isBefore, i, b.op('Add', [i, ints.id(1)])]);
  const length = ints.sub(seq.length, 1);
  const most = Math.max(0, rows - 1);
  if (where.isOk === undefined) return taken(s, seq, list, length);
  // A list that has nothing to take from reads no row that could be outside.
  const checked = b.op('Gather', [
    s.iota(most + 1),
    b.op('Where', [where.isOk, ints.id(length), ints.id(most + 1)]),
  ]);
  return taken(s, seq, list, unknown(checked, 0, most));
}

/** Sends every position behind the rows where a place is outside. */
function guarded(s: Sizing, { isOk }: Place, list: ValueId, rows: number): ValueId {
  return isOk === undefined ? list : s.b.op('Where', [isOk, list, s.ints.id(rows)]);
}

/** The rows of a list of positions; all of them are inside. */
function taken(s: Sizing, seq: StackedEntity, list: ValueId, length: Int): StackedEntity {
  const { b } = s;
  const [count = 0] = b.typeOf(list).shape;
  const readable = (id: ValueId): ValueId =>
    at(b.typeOf(id).shape, 0) === 0 ? s.longer(id, 0, 1) : id;
  const id = s.op('Gather', [readable(seq.id), list], { axis: 0 });
  const extents = seq.extents.map((extent): Extent => {
    if (!isList(extent)) return extent;
    return { ...extent, list: b.op('Gather', [readable(extent.list), list], { axis: 0 }) };
  });
  return withLength(s, { kind: 'stacked', id, length: count, extents }, length);
}

/** Another length of as many rows. */
export function withLength(s: Sizing, seq: StackedEntity, length: Int): StackedEntity {
  const rows = rowsOf(s, seq);
  if (length === rows) return { ...seq, length };
  return {
    ...seq,
    length: { id: s.ints.id(length), min: Math.max(0, leastOf(length)), max: rows },
  };
}

/** All rows of two lists, one after the other; the length is that of the rows. */
export function joinedRows(s: Sizing, a: StackedEntity, b: StackedEntity): StackedEntity {
  const room = roomOf(s, a).map((extent, axis) => Math.max(extent, at(roomOf(s, b), axis)));
  s.room([rowsOf(s, a) + rowsOf(s, b), ...room]);
  const extents = a.extents.map((extent, axis): Extent => {
    const other = at(b.extents, axis);
    if (!isList(extent) && !isList(other) && isSame(extent, other)) return extent;
    const lists = [extentList(s, a, axis), extentList(s, b, axis)];
    return { list: s.b.op('Concat', lists, { axis: 0 }), max: at(room, axis) };
  });
  const parts = [a, b].map(({ id }) => widened(s, id, room, 1));
  const id = s.b.op('Concat', parts, { axis: 0 });
  return { kind: 'stacked', id, length: rowsOf(s, a) + rowsOf(s, b), extents };
}

function checkAlike(s: Sizing, a: StackedEntity, b: StackedEntity): void {
  const [x, y] = [s.b.typeOf(a.id), s.b.typeOf(b.id)];
  if (x.dtype === y.dtype && x.shape.length === y.shape.length) return;
  s.cannot('elements of different dtype or rank');
}

/** The list along a new axis: rows that are meant one after the other. */
export function stackedAlong(s: Sizing, seq: StackedEntity, axis: number): Sized {
  const sizes = seq.extents.map(
    (extent): Int => (isList(extent) ? firstOf(s, extent.list, extent.max) : extent),
  );
  const rows: Sized = s.made(seq.id, [seq.length, ...sizes]);
  return moved(s, rows, axis);
}

/** The extent of the first element, which all have where they are to fit each other. */
function firstOf(s: Sizing, list: ValueId, max: number): Int {
  const padded = s.longer(list, 0, at(s.b.typeOf(list).shape, 0) + 1);
  return unknown(s.b.op('Gather', [padded, s.ints.id(0)], { axis: 0 }), 0, max);
}

/** The first axis moved behind `axis` others. */
export function moved(s: Sizing, x: Sized, axis: number): Sized {
  if (axis === 0) return x;
  const order = x.sizes.map((_, i) => i);
  order.shift();
  order.splice(axis, 0, 0);
  return s.made(
    s.op('Transpose', [x.id], { perm: order }),
    order.map((from) => at(x.sizes, from)),
  );
}

/** The elements joined along an axis that they have. */
export function joinedAlong(s: Sizing, seq: StackedEntity, axis: number): Sized {
  const { b, ints } = s;
  const extent = at(seq.extents, axis);
  const others = { ...seq, extents: seq.extents.map((own, i) => (i === axis ? 0 : own)) };
  const plain = others.extents.map(
    (own): Int => (isList(own) ? firstOf(s, own.list, own.max) : own),
  );
  const rows = rowsOf(s, seq);
  const most = at(roomOf(s, seq), axis);
  const sizes: Int[] = plain.map((own, i) => (i === axis ? most : own));
  const side = moved(s, s.made(seq.id, [seq.length, ...sizes]), axis);
  const merged = boundsOf(side.sizes).toSpliced(axis, 2, rows * most);
  s.room(merged);
  const id = s.reshape(side.id, merged);
  const whole = sizes.map((own, i) => (i === axis ? rows * most : own));
  const joined: Sized = s.made(id, whole);
  if (!isList(extent) && isKnown(extent)) {
    const total = ints.mul(seq.length, extent);
    const size: Int =
      isKnown(total) && total === rows * most
        ? total
        : { id: ints.id(total), min: leastOf(total), max: rows * most };
    return { id, sizes: whole.map((own, i) => (i === axis ? size : own)) };
  }
  if (rows * most === 0) return joined;
  const ends = s.reshape(extentList(s, seq, axis), [rows, 1]);
  const inRow = b.op('Less', [s.iota(most, 2, 1), ends]);
  const isRow = b.op('Less', [s.iota(rows, 2, 0), ints.id(seq.length)]);
  const mask = s.reshape(b.op('And', [inRow, isRow]), [rows * most]);
  const { list, count } = s.positions(mask);
  return s.take(joined, axis, list, count);
}
