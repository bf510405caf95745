/**
 * Loops that stack results for as many iterations as data says: they become loops with a bound, whose
 * results have room for all of it, and a count that says how much of it is meant.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Graph, ValueId } from '../../../graph/types.ts';
import { inputOf, type OpBuilder } from '../../../ops/builder.ts';
import { knownTrips } from '../../../ops/control/loop.ts';
import { mostOf, unknown } from './ints.ts';
import type { Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** The outputs; undefined where nothing is stacked, or the number of iterations is known. */
export function stackingLoop({ s, ints, attrs, inputs, op }: Use): readonly Sized[] | undefined {
  const ids = inputs.map((input) => input?.id ?? null);
  const body = attrs['body'] as Graph;
  const carried = ids.length - 2 - Number(attrs['captures']);
  const stacked = body.outputs.length - 1 - carried;
  if (stacked <= 0 || isFixed(s.b, ids, body)) return undefined;
  const [trips] = ids;
  const [limit = Infinity] = trips == null ? [] : (ints.elements(trips) ?? []);
  const most = Math.max(0, mostOf(limit));
  const bound = mostOf(s.bound(most, 'the number of iterations'));
  const results = s.ops(op, ids, { ...attrs, bound }, { outputs: carried + stacked + 1 });
  const count = unknown(at(results, carried + stacked), 0, bound);
  return results.slice(0, -1).map((id, i) => {
    const { shape } = s.b.typeOf(id);
    const sizes = i < carried ? shape : [count, ...shape.slice(1)];
    s.room(sizes);
    return s.made(id, sizes);
  });
}

function isFixed(b: OpBuilder, ids: readonly (ValueId | null)[], body: Graph): boolean {
  const operand = (id: ValueId | null | undefined) =>
    id == null ? null : inputOf(b.graph.value(id));
  return knownTrips([operand(ids[0]), operand(ids[1])], body) !== undefined;
}
