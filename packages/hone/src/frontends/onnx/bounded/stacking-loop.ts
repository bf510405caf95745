/**
 * Loops that stack results for as many iterations as data says: they become loops with a bound, whose
 * results have room for all of it, and a count that says how much of it is meant.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { Graph, ValueId, ValueType } from '../../../graph/types.ts';
import { valueById } from '../../../graph/walk.ts';
import { inputOf, type OpBuilder } from '../../../ops/builder.ts';
import { knownTrips } from '../../../ops/control/loop.ts';
import { type BoundSource, MAX_ELEMENTS } from './bounds.ts';
import { mostOf, unknown } from './ints.ts';
import type { Use } from './rule.ts';
import type { Sized, Sizing } from './sized.ts';

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
  const rows = body.outputs.slice(1 + carried).map((id) => valueById(body, id).type);
  const { bound, ...source } = stackBound(s, rows, carried, most);
  const said = source.origin === '' ? {} : source;
  const outputs = carried + stacked + 1;
  const results = s.ops(op, ids, { ...attrs, ...said, bound }, { outputs });
  const count = unknown(at(results, carried + stacked), 0, bound);
  return results.slice(0, -1).map((id, i) => {
    const { shape } = s.b.typeOf(id);
    const sizes = i < carried ? shape : [count, ...shape.slice(1)];
    s.room(sizes);
    return s.made(id, sizes);
  });
}

export interface StackBound {
  readonly bound: number;
  readonly tensor: string;
  readonly origin: BoundSource['origin'];
  readonly option: string;
}

/**
 * How many rows a loop stacks at most: as often as it can run, or as is asked for one of its results, or
 * as is assumed. `first`: the output that is the first of those.
 */
export function stackBound(
  { plan, node }: Sizing,
  rows: readonly ValueType[],
  first: number,
  most: number,
): StackBound {
  let found: StackBound = { bound: most, tensor: '', origin: '', option: '' };
  for (const [k, { shape }] of rows.entries()) {
    const tensor = plan.names[first + k] ?? '';
    const limit = tensor === '' ? undefined : plan.bounds.size(tensor, 0, shape.length + 1);
    if (limit === undefined || limit.max >= found.bound) continue;
    found = { bound: limit.max, tensor, origin: 'asked', option: `${tensor}=${limit.max}` };
  }
  if (found.bound <= MAX_ELEMENTS) return found;
  const bytes = rows.map(({ dtype, shape }) => elementCount(shape) * dtypeBytes(dtype));
  const [bound = 0] = plan.bounds.assumed((cap) => [cap], Math.max(1, ...bytes));
  const place = Math.max(
    0,
    rows.findIndex((_, k) => (plan.names[first + k] ?? '') !== ''),
  );
  const tensor = plan.names[first + place] ?? node;
  const shape = rows[place]?.shape ?? [];
  return { bound, tensor, origin: 'assumed', option: `${tensor}=${[bound, ...shape].join('x')}` };
}

function isFixed(b: OpBuilder, ids: readonly (ValueId | null)[], body: Graph): boolean {
  const operand = (id: ValueId | null | undefined) =>
    id == null ? null : inputOf(b.graph.value(id));
  return knownTrips([operand(ids[0]), operand(ids[1])], body) !== undefined;
}
