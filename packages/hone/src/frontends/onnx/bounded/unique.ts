/**
 * Unique of data, made of orderings: what is equal lies together once it is in order, and each run of
 * equals begins where an element differs from the one before.
 */
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { lastInOrder } from './reduction.ts';
import { axisIn, given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Slices of more elements than this are not ordered, an ordering for each element. */
const MAX_COLUMNS = 64;

const unique: Rule = (use) => {
  const { s, ints } = use;
  const data = given(use, 0);
  const asked = use.attrs['axis'];
  const isFlat = typeof asked !== 'number';
  const x = isFlat ? s.reshaped(data, [ints.product(data.sizes)]) : data;
  const axis = isFlat ? 0 : axisIn(use, asked, data.sizes.length);
  const n = sizeAt(x, axis);
  const bound = mostOf(n);
  if (bound === 0) return emptyOf(use, x, axis);
  const columns = columnsOf(use, x, axis);
  const order = orderOf(use, columns, n);
  const starts = startsOf(use, columns, order, n);
  const { list: begins, count } = s.positions(starts);
  const groups = ints.within(count, 0, bound);
  const list = (id: ValueId, size: Int): Sized => s.made(id, [size]);
  // The first of a run came first: the ordering keeps equals as they were.
  let firsts = list(s.b.op('Gather', [order, begins], { axis: 0 }), groups);
  let lengths = lengthsOf(use, begins, groups, n);
  // To which run each place in the order belongs.
  const numbers = s.b.op('Sub', [
    s.b.op('CumSum', [s.cast(starts, 'i64'), ints.id(0)]),
    ints.id(1),
  ]);
  let inverse = scattered(use, order, numbers, n);
  if (intOf(use, 'sorted', 1) === 0) {
    const [inTime = -1, byTime = -1] = sortedPlaces(use, s.masked(firsts, bound, [0]).id);
    firsts = list(inTime, groups);
    lengths = s.b.op('Gather', [lengths, byTime], { axis: 0 });
    const ranks = scattered(use, byTime, s.iota(bound), bound);
    inverse = s.b.op('Gather', [ranks, inverse], { axis: 0 });
  }
  const places = s.masked(firsts, 0, [0]).id;
  const values = s.take(x, axis, places, groups);
  return [values, { ...firsts, id: places }, list(inverse, n), list(lengths, groups)].slice(
    0,
    Math.max(1, use.outputs),
  );
};

function emptyOf(use: Use, x: Sized, axis: number): readonly Sized[] {
  const { s } = use;
  const none: Sized = { id: s.zeros('i64', [0]), sizes: [0] };
  return [s.first(x, axis, 0), none, none, none].slice(0, Math.max(1, use.outputs));
}

/** What is compared, a list of `bound` elements per position within a slice. */
function columnsOf(use: Use, x: Sized, axis: number): readonly ValueId[] {
  const { s } = use;
  const others = x.sizes.filter((_, i) => i !== axis);
  if (!others.every(isKnown)) return s.cannot('slices of unknown extents');
  const bound = mostOf(sizeAt(x, axis));
  const width = others.reduce((product: number, size) => product * mostOf(size), 1);
  if (width > MAX_COLUMNS) s.cannot(`slices of ${width} elements, more than ${MAX_COLUMNS}`);
  if (width === 1) return [s.reshape(x.id, [bound])];
  const perm = [axis, ...x.sizes.map((_, i) => i).filter((i) => i !== axis)];
  const rows = s.reshape(s.b.op('Transpose', [x.id], { perm }), [bound, width]);
  return Array.from({ length: width }, (_, k) =>
    s.b.op('Gather', [rows, s.ints.id(k)], { axis: 1 }),
  );
}

/** Positions in ascending order of what they hold, room last: by the last column first. */
function orderOf(use: Use, columns: readonly ValueId[], n: Int): ValueId {
  const { s } = use;
  const room = { sizes: [n] };
  let order: ValueId | undefined;
  for (const column of columns.toReversed()) {
    const keys = order === undefined ? column : s.b.op('Gather', [column, order], { axis: 0 });
    const [, places = -1] = sortedPlaces(use, sortable(use, keys, { ...room, id: keys }, order, n));
    order = order === undefined ? places : s.b.op('Gather', [order, places], { axis: 0 });
  }
  return order ?? s.iota(mostOf(n));
}

/** Keys as TopK orders them, with room behind everything: also after it was moved by an ordering. */
function sortable(use: Use, keys: ValueId, x: Sized, order: ValueId | undefined, n: Int): ValueId {
  const { s, ints } = use;
  const narrow = s.b.typeOf(keys).dtype;
  const numeric = narrow === 'bool' ? s.cast(keys, 'u8') : keys;
  const { dtype } = s.b.typeOf(numeric);
  if (isKnown(n)) return numeric;
  const last = lastInOrder(dtype, false);
  if (order === undefined) return s.masked({ ...x, id: numeric }, last).id;
  const isRoom = s.b.op('GreaterOrEqual', [order, ints.id(n)]);
  return s.b.op('Where', [isRoom, s.number(last, dtype), numeric]);
}

/** A list in ascending order and where its elements were; equals keep their order. */
function sortedPlaces(use: Use, list: ValueId): readonly ValueId[] {
  const { s } = use;
  const { shape } = s.b.typeOf(list);
  const attrs = { axis: 0, largest: 0, sorted: 1 };
  return s.ops('TopK', [list, s.b.ints(shape)], attrs, { outputs: 2 });
}

/** Where in the order a run of equals begins. */
function startsOf(use: Use, columns: readonly ValueId[], order: ValueId, n: Int): ValueId {
  const { s, ints } = use;
  const bound = mostOf(n);
  const before = s.b.op('Max', [s.b.op('Sub', [s.iota(bound), ints.id(1)]), ints.id(0)]);
  const previous = s.b.op('Gather', [order, before], { axis: 0 });
  const first = s.b.op('Equal', [s.iota(bound), ints.id(0)]);
  const starts = columns.reduce((any, column) => {
    const [here, there] = [order, previous].map((list) =>
      s.b.op('Gather', [column, list], { axis: 0 }),
    ) as [ValueId, ValueId];
    return s.b.op('Or', [any, s.b.op('Not', [s.b.op('Equal', [here, there])])]);
  }, first);
  const valid = s.valid({ id: starts, sizes: [n] });
  return valid === undefined ? starts : s.b.op('And', [starts, valid]);
}

/** How long each run is: up to where the next begins. */
function lengthsOf(use: Use, begins: ValueId, groups: Int, n: Int): ValueId {
  const { s, ints } = use;
  const bound = mostOf(n);
  const next = s.b.op('Min', [s.b.op('Add', [s.iota(bound), ints.id(1)]), ints.id(bound - 1)]);
  const ends = s.b.op('Gather', [begins, next], { axis: 0 });
  const isLast = s.b.op('Equal', [s.iota(bound), ints.id(ints.sub(groups, 1))]);
  return s.b.op('Sub', [s.b.op('Where', [isLast, ints.id(n), ends]), begins]);
}

/** `values` at the positions `to` names, a permutation. */
function scattered(use: Use, to: ValueId, values: ValueId, n: Int): ValueId {
  const { s } = use;
  const zeros = s.zeros('i64', [mostOf(n)]);
  return s.op('ScatterElements', [zeros, to, values], { axis: 0, reduction: 'none' });
}

export const UNIQUE: ReadonlyMap<string, Rule> = new Map([['Unique', unique]]);
