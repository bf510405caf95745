/** SplitToSequence where the tensor, or the lengths of the pieces, are of sizes that depend on data. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { type Int, leastOf, mostOf } from '../bounded/ints.ts';
import type { Sized, Sizing } from '../bounded/sized.ts';
import type { Extent, StackedEntity } from '../entities.ts';
import { withLength } from './stacked.ts';

/** A row for every position of an axis. */
export function splitSingly(s: Sizing, x: Sized, axis: number, keepsAxis: boolean): StackedEntity {
  const order = [axis, ...x.sizes.flatMap((_, i) => (i === axis ? [] : [i]))];
  const turned = axis === 0 ? x.id : s.b.op('Transpose', [x.id], { perm: order });
  const id = keepsAxis ? s.b.op('Unsqueeze', [turned, s.b.ints([axis + 1])]) : turned;
  const extents = x.sizes.flatMap((size, i) => (i !== axis ? [size] : keepsAxis ? [1] : []));
  return withLength(s, { kind: 'stacked', id, length: 0, extents }, at(x.sizes, axis));
}

/** Pieces of one length, the last of them shorter where there is no more. */
export function splitEvenly(s: Sizing, x: Sized, axis: number, asked: Int): StackedEntity {
  const { b, ints } = s;
  const n = at(x.sizes, axis);
  const size = leastOf(asked) >= 1 ? asked : ints.max(asked, 1);
  const count = ints.div(ints.add(n, ints.sub(size, 1)), size);
  const most = Math.max(1, Math.min(mostOf(size), mostOf(n)));
  const rows = Math.ceil(mostOf(n) / leastOf(size));
  const starts = b.op('Mul', [s.iota(rows), ints.id(size)]);
  const rest = b.op('Max', [b.op('Sub', [ints.id(n), starts]), ints.id(0)]);
  const lengths = b.op('Min', [rest, ints.id(ints.within(size, 1, most))]);
  return pieces(s, x, axis, { starts, lengths, most }, ints.within(count, 0, rows));
}

/** Pieces as long as a list says, which have to make up the axis: else it is a fault of the run. */
export function splitInto(s: Sizing, x: Sized, axis: number, parts: Sized): StackedEntity {
  const { b, ints } = s;
  const n = at(x.sizes, axis);
  const wide = s.masked({ ...parts, id: s.cast(parts.id, 'i64') }, 0).id;
  const sum = b.op('ReduceSum', [wide, b.ints([0])], { keepdims: 0 });
  const isWhole = b.op('Equal', [sum, ints.id(n)]);
  const isPositive = b.op('GreaterOrEqual', [
    b.op('ReduceMin', [b.op('Concat', [wide, b.ints([0])], { axis: 0 }), b.ints([0])], {
      keepdims: 0,
    }),
    ints.id(0),
  ]);
  const isOk = b.op('And', [isWhole, isPositive]);
  const { max } = ints.interval(parts.id);
  const most = Math.max(1, Math.min(max, mostOf(n)));
  const lengths = b.op('Max', [b.op('Min', [wide, ints.id(most)]), ints.id(0)]);
  const starts = b.op('CumSum', [wide, ints.id(0)], { exclusive: 1 });
  return pieces(s, x, axis, { starts, lengths, most, isOk }, at(parts.sizes, 0));
}

interface Pieces {
  readonly starts: ValueId;
  readonly lengths: ValueId;
  /** Of a piece. */
  readonly most: number;
  readonly isOk?: ValueId;
}

function pieces(
  s: Sizing,
  x: Sized,
  axis: number,
  { starts, lengths, most, isOk }: Pieces,
  count: Int,
): StackedEntity {
  const { b, ints } = s;
  const [rows = 0] = b.typeOf(starts).shape;
  const room = b.typeOf(x.id).shape;
  const places = Math.max(1, at(room, axis));
  const wide = places === at(room, axis) ? x.id : s.longer(x.id, axis, places);
  const from = b.op('Unsqueeze', [starts, b.ints([1])]);
  const index = b.op('Add', [from, s.iota(most, 2, 1)]);
  const inside = b.op('Max', [b.op('Min', [index, ints.id(places - 1)]), ints.id(0)]);
  const checked = isOk === undefined ? inside : b.op('Where', [isOk, inside, ints.id(places)]);
  s.room([rows, most, ...room.filter((_, i) => i !== axis)]);
  const taken = s.op('Gather', [wide, checked], { axis });
  const order = b.typeOf(taken).shape.map((_, i) => i);
  order.splice(axis, 1);
  const id = axis === 0 ? taken : b.op('Transpose', [taken], { perm: [axis, ...order] });
  const extents = x.sizes.map(
    (size, i): Extent => (i === axis ? { list: lengths, max: most } : size),
  );
  return withLength(s, { kind: 'stacked', id, length: 0, extents }, count);
}
