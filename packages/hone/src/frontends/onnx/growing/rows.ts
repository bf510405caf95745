/**
 * Rows that a loop stacks whose own extents depend on data: the stack has room for the largest, and the
 * extents of every row are stacked beside it. ONNX asks that all rows are of one shape: a run in which they are
 * not ends behind the loop (HONE-RUN-010).
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, unknown } from '../bounded/ints.ts';
import type { Sized, Sizing } from '../bounded/sized.ts';
import type { Body } from './body.ts';

/** An extent of a stack's rows that is not known. */
interface RowExtent {
  readonly stack: number;
  readonly axis: number;
  /** The same in every iteration, as it is called outside; undefined: each row has its own. */
  readonly outside: Int | undefined;
  /** In the body. */
  readonly inside: ValueId;
  readonly most: number;
}

/** The extents of rows that are not known. */
export function rowExtents(
  inside: Sizing,
  { rows, outer }: Pick<Body, 'rows' | 'outer'>,
): readonly RowExtent[] {
  return rows.flatMap(({ sizes }, stack) =>
    sizes.flatMap((size, axis): RowExtent[] => {
      if (isKnown(size)) return [];
      const { id, min, max } = size;
      const captured = outer.get(id);
      const outside = captured === undefined ? undefined : unknown(captured, min, max);
      return [{ stack, axis, outside, inside: inside.ints.id(size), most: max }];
    }),
  );
}

/** Does it have to be stacked? */
export const isStacked = ({ outside }: RowExtent): boolean => outside === undefined;

/** The stacks, `count` rows of which are meant. `lists`: those of the extents that are stacked, in order. */
export function stackedRows(
  s: Sizing,
  stacks: readonly ValueId[],
  count: Int,
  extents: readonly RowExtent[],
  lists: readonly ValueId[],
): readonly Sized[] {
  const own = extents.filter(isStacked);
  const sizes = new Map(
    extents.map((extent): [RowExtent, Int] => [
      extent,
      extent.outside ?? commonOf(s, at(lists, own.indexOf(extent)), count, extent),
    ]),
  );
  return stacks.map((id, stack) => {
    const [, ...room] = s.b.typeOf(id).shape;
    const rest = room.map((known, axis): Int => {
      const extent = extents.find((item) => item.stack === stack && item.axis === axis);
      return extent === undefined ? known : (sizes.get(extent) ?? known);
    });
    return s.made(id, [count, ...rest]);
  });
}

/** What all rows have; 0 where there is none. */
function commonOf(s: Sizing, list: ValueId, count: Int, { stack, axis, most }: RowExtent): Int {
  const { b, ints } = s;
  const rows = at(b.typeOf(list).shape, 0);
  if (rows === 0 || count === 0) return 0;
  const first = b.op('Gather', [list, ints.id(0)], { axis: 0 });
  if (rows > 1) {
    const isRow = b.op('Less', [s.iota(rows), ints.id(count)]);
    const isOther = b.op('Not', [b.op('Equal', [list, first])]);
    const wrong = s.cast(b.op('And', [isRow, isOther]), 'i64');
    const some = b.op('ReduceMax', [wrong, b.ints([0])], { keepdims: 0 });
    const source = { tensor: '', axis: axis + 1, origin: '', option: '' } as const;
    const name = s.plan.names[stack] ?? '';
    s.checked(
      { id: some, min: 0, max: 1 },
      { min: 0, max: 0 },
      source,
      `${s.node}: all rows of ${name === '' ? `stack ${stack}` : name} have the same extent along axis ${axis + 1}`,
    );
  }
  const size = unknown(first, 0, most);
  if (!isKnown(size)) ints.note(size.id, [size]);
  return size;
}
