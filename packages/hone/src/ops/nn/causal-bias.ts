/** The bias that hides later keys from a query, for attention operators of every domain. */
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';

/** Elements of a bias that is stored; a larger one is compared as the model runs. */
const MAX_STORED = 2 ** 22;

/** [queries, keys]: −∞ where a key lies behind the query, which stands at `past` + its number; else 0. */
export function causalBias(
  b: OpBuilder,
  queries: number,
  keys: number,
  past: number,
  dtype: DType,
): ValueId {
  if (queries * keys > MAX_STORED) {
    const own = b.op('Add', [b.positions(queries), b.scalar(past, 'i64')]);
    const isSeen = b.op('LessOrEqual', [b.positions(keys), b.reshape(own, [queries, 1])]);
    const [seen, hidden] = [0, Number.NEGATIVE_INFINITY].map((value) => b.scalar(value, dtype));
    return b.op('Where', [isSeen, seen ?? null, hidden ?? null]);
  }
  const values = Array.from({ length: queries * keys }, (_, p) =>
    Math.floor(p / keys) + past < p % keys ? Number.NEGATIVE_INFINITY : 0,
  );
  return b.constant(fromNumbers(dtype, [queries, keys], values), 'causal');
}
