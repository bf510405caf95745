/**
 * Unique of data, made of orderings: what is equal lies together once it is in order, and each run of
 * equals begins where an element differs from the one before.
 */
import type { ValueId } from '../../../graph/types.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { lastInOrder } from './reduction.ts';
import { axisIn, given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Slices of more elements than this are ordered by a loop, not one ordering after the other. */
const MAX_WRITTEN_OUT = 8;

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
  const rows = rowsOf(use, x, axis);
  const order = orderOf(use, rows, n);
  const starts = startsOf(use, rows, order, n);
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

/** What is compared: [width, bound], the elements of each position within a slice. */
function rowsOf(use: Use, x: Sized, axis: number): ValueId {
  const { s } = use;
  const others = x.sizes.flatMap((_, i) => (i === axis ? [] : [i]));
  // What is room in every slice is the same in all of them.
  const filled = s.masked(x, 0, others);
  const width = others.reduce((product, i) => product * mostOf(sizeAt(x, i)), 1);
  const moved = s.b.op('Transpose', [filled.id], { perm: [...others, axis] });
  const numeric = s.dtype(x) === 'bool' ? s.cast(moved, 'u8') : moved;
  return s.reshape(numeric, [width, mostOf(sizeAt(x, axis))]);
}

/** Positions in ascending order of what they hold, room last: by the last element of slices first. */
function orderOf(use: Use, rows: ValueId, n: Int): ValueId {
  const { s, ints } = use;
  const { shape } = s.b.typeOf(rows);
  const [width = 0, bound = 0] = shape;
  const start = s.iota(bound);
  const row = (k: number): ValueId => s.b.op('Gather', [rows, ints.id(k)], { axis: 0 });
  if (width <= MAX_WRITTEN_OUT) {
    let order = start;
    for (let k = width - 1; k >= 0; k--) order = reordered(s.b, row(k), order, n, ints.id(n));
    return order;
  }
  const body = s.b.nested('column');
  const iteration = body.graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = body.graph.input('go_on', { dtype: 'bool', shape: [] });
  const order = body.graph.input('order', { dtype: 'i64', shape: [bound] });
  const all = body.graph.input('rows', s.b.typeOf(rows));
  const count = body.graph.input('count', { dtype: 'i64', shape: [] });
  const place = body.op('Sub', [body.scalar(width - 1, 'i64'), iteration]);
  const keys = body.op('Gather', [all, place], { axis: 0 });
  const next = reordered(body, keys, order, n, count);
  const attrs = { body: body.graph.finish([goOn, next]), captures: 2 };
  const inputs = [s.b.scalar(width, 'i64'), null, start, rows, ints.id(n)];
  return s.op('Loop', inputs, attrs);
}

/** An order made one by these keys, what was before it among equals; room stays behind everything. */
function reordered(b: OpBuilder, keys: ValueId, order: ValueId, n: Int, count: ValueId): ValueId {
  const own = b.op('Gather', [keys, order], { axis: 0 });
  const { dtype, shape } = b.typeOf(own);
  const isRoom = isKnown(n) ? undefined : b.op('GreaterOrEqual', [order, count]);
  const last = b.scalar(lastInOrder(dtype, false), dtype);
  const sortable = isRoom === undefined ? own : b.op('Where', [isRoom, last, own]);
  const attrs = { axis: 0, largest: 0, sorted: 1 };
  const [, places = -1] = b.ops('TopK', [sortable, b.ints(shape)], attrs, { outputs: 2 });
  return b.op('Gather', [order, places], { axis: 0 });
}

/** A list in ascending order and where its elements were; equals keep their order. */
function sortedPlaces(use: Use, list: ValueId): readonly ValueId[] {
  const { s } = use;
  const { shape } = s.b.typeOf(list);
  const attrs = { axis: 0, largest: 0, sorted: 1 };
  return s.ops('TopK', [list, s.b.ints(shape)], attrs, { outputs: 2 });
}

/** Where in the order a run of equals begins. */
function startsOf(use: Use, rows: ValueId, order: ValueId, n: Int): ValueId {
  const { s, ints } = use;
  const bound = mostOf(n);
  const before = s.b.op('Max', [s.b.op('Sub', [s.iota(bound), ints.id(1)]), ints.id(0)]);
  const previous = s.b.op('Gather', [order, before], { axis: 0 });
  const first = s.b.op('Equal', [s.iota(bound), ints.id(0)]);
  const [here, there] = [order, previous].map((list) =>
    s.b.op('Gather', [rows, list], { axis: 1 }),
  ) as [ValueId, ValueId];
  const isOther = s.cast(s.b.op('Not', [s.b.op('Equal', [here, there])]), 'u8');
  const { shape } = s.b.typeOf(rows);
  const differ =
    shape[0] === 0
      ? s.zeros('u8', [bound])
      : s.b.op('ReduceMax', [isOther, s.b.ints([0])], { keepdims: 0 });
  const starts = s.b.op('Or', [first, s.cast(differ, 'bool')]);
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

/** com.microsoft's: of a list, in the order of appearance, without where each was. */
const listUnique: Rule = (use) => {
  const attrs = { sorted: 0 };
  const made = unique({ ...use, attrs, outputs: 4 });
  const [values, , inverse, counts] = made;
  return [values, inverse, counts].flatMap((y) => y ?? []).slice(0, Math.max(1, use.outputs));
};

export const UNIQUE: ReadonlyMap<string, Rule> = new Map([
  ['Unique', unique],
  ['com.microsoft:Unique', listUnique],
]);
