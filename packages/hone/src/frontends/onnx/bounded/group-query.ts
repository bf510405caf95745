/**
 * GroupQueryAttention on queries, caches and key counts that a run decides. Rows of queries are computed apart,
 * so those of the room do no harm; keys of the room are hidden like those behind the query, and their values
 * are 0. Whether this is a first call is decided by the run too, where sizes do not say it.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { attendNodes, joinHeads, splitHeads } from '../../../ops/contrib/attend.ts';
import { countedFrom } from '../../../ops/contrib/group-query-attention.ts';
import type { OpInput } from '../../../ops/define-op.ts';
import { agreed, apart, rootOf } from './agreed.ts';
import { type Int, isKnown, isSame, leastOf, mostOf } from './ints.ts';
import { Parts } from './parts.ts';
import { rotated } from './rotary.ts';
import { given, intOf, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import { type Sized, Sizing } from './sized.ts';

const IN = {
  ...{ query: 0, key: 1, value: 2, pastKey: 3, pastValue: 4, lengths: 5, total: 6 },
  ...{ cos: 7, sin: 8, positions: 9, bias: 10, sink: 11 },
};

/** Queries, keys, values. */
type Rows = readonly [ValueId, ValueId, ValueId];

/** What is known of a node's sizes. */
interface Plan {
  readonly batch: Int;
  readonly queries: Int;
  readonly past: Int;
  /** Keys in all, those of the cache that is returned. */
  readonly present: Int;
  readonly heads: number;
  readonly kvHeads: number;
  readonly size: Int;
  /** Does nothing of the cache count? A bool of no axes where a run decides it. */
  readonly isFirst: boolean | ValueId;
  /** i64, one for each place of the batch: the first query's among the keys; 0 in the room. */
  readonly begin: ValueId;
}

export const groupQueryAttention: Rule = (use) => {
  const { s } = use;
  const plan = planOf(use);
  checkTypes(use, plan);
  const { batch, present, heads, kvHeads, size } = plan;
  const rows = rowsOf(use, plan);
  const q = splitHeads(s.b, rows[0], heads);
  const [k, v] = [splitHeads(s.b, rows[1], kvHeads), splitHeads(s.b, rows[2], kvHeads)];
  const turn = turning(use, plan);
  const key = cached(use, plan, turn(k), IN.pastKey);
  const value = cached(use, plan, v, IN.pastValue);
  const asked = intOf(use, 'scale');
  const isOfRun = asked === 0 && !isKnown(size);
  const scale = asked !== 0 ? asked : isKnown(size) ? 1 / Math.sqrt(size) : 1;
  const isSmooth = intOf(use, 'smooth_softmax') !== 0;
  const sink = use.inputs[IN.sink]?.id ?? (isSmooth ? s.b.filled('f32', [heads]) : undefined);
  const mixed = attendNodes(s.b, {
    q: isOfRun ? scaled(use, turn(q), size) : turn(q),
    ...{ k: key.id, v: s.masked(value, 0, [2]).id, scale },
    softcap: intOf(use, 'softcap'),
    visible: visible(use, plan),
    biases: biasesOf(use, plan),
    ...(sink === undefined ? {} : { sink }),
  });
  const cache: Int[] = [batch, kvHeads, present, size];
  return [joined(use, plan, mixed), s.made(key.id, cache), s.made(value.id, cache)].slice(
    0,
    Math.max(1, use.outputs),
  );
};

/** Queries times 1 / √ of the heads' size. */
function scaled(use: Use, q: ValueId, size: Int): ValueId {
  const { s } = use;
  return s.op('Mul', [q, s.cast(rootOf(use, size), s.b.typeOf(q).dtype)]);
}

/** Mixed values [batch, heads, queries, size] as rows. */
function joined({ s, ints }: Use, { batch, queries, heads, size }: Plan, mixed: ValueId): Sized {
  const columns: Int[] = [batch, queries, ints.mul(size, heads)];
  if (isKnown(size)) return s.made(joinHeads(s.b, mixed), columns);
  const moved = s.op('Transpose', [mixed], { perm: [0, 2, 1, 3] });
  return s.reshaped(s.made(moved, [batch, queries, heads, size]), columns);
}

function planOf(use: Use): Plan {
  const { s, ints } = use;
  const query = given(use, IN.query);
  if (query.sizes.length !== 3) return s.cannot(`a query of ${query.sizes.length} axes`);
  const [heads, kvHeads] = [intOf(use, 'num_heads'), intOf(use, 'kv_num_heads')];
  const extents = (axis: number, ...inputs: readonly number[]): Int[] =>
    inputs.flatMap((k) => use.inputs[k]?.sizes[axis] ?? []);
  const { key, value, pastKey, pastValue, positions, bias } = IN;
  const ofHead = (k: number, count: number): Int[] =>
    extents(2, k).map((columns) => ints.div(columns, count));
  const isPacked = use.inputs[key] == null;
  const own = ofHead(IN.query, isPacked ? heads + 2 * kvHeads : heads);
  const others = [...ofHead(key, kvHeads), ...ofHead(value, kvHeads)];
  const sizes = [...own, ...others, ...extents(3, pastKey, pastValue)];
  const size = agreed(use, sizes, 'the sizes of heads in its inputs');
  const rows = [IN.query, key, value, positions];
  const lengths = given(use, IN.lengths);
  const batches = [...extents(0, ...rows, pastKey, pastValue), ints.product(lengths.sizes)];
  const batch = agreed(use, batches, 'the batches of its inputs');
  const counts = [...extents(1, ...rows), ...extents(2, bias)];
  const queries = agreed(use, counts, 'the numbers of queries in its inputs');
  const caches = extents(2, pastKey, pastValue);
  const past = caches.length === 0 ? 0 : agreed(use, caches, 'the lengths of its caches');
  const total = ints.near(at(intsOf(use, IN.total, 'total_sequence_length'), 0), 2 ** 31);
  const rest = ints.sub(total, queries);
  if (leastOf(rest) < 0) {
    const source = { tensor: s.plan.names[0] ?? '', axis: -1, origin: '', option: '' } as const;
    const says = `${s.node}: total_sequence_length is less than the queries`;
    s.checked(rest, { min: 0, max: 2 ** 32 }, source, says);
  }
  const present = boundedPresent(use, [batch, kvHeads, ints.max(past, total), size]);
  // Sizes that cannot be equal are those of a later call.
  const decides = leastOf(total) <= mostOf(queries) && leastOf(queries) <= mostOf(total);
  const isFirst =
    isSame(total, queries) || (decides && s.op('Equal', [ints.id(total), ints.id(queries)]));
  const zeros = s.b.filled('i64', [mostOf(batch)]);
  const begin = choose(use, isFirst, zeros, () => countedBegin(use, lengths, batch, queries));
  return { batch, queries, past, present, heads, kvHeads, size, isFirst, begin };
}

/** `yes` in a first call, else `no`. */
function choose({ s }: Use, isFirst: boolean | ValueId, yes: ValueId, no: () => ValueId): ValueId {
  if (isFirst === true) return yes;
  return isFirst === false ? no() : s.op('Where', [isFirst, yes, no()]);
}

/** The number of keys in all, planned at a bound even where nothing bounds the number that is given. */
function boundedPresent(use: Use, cache: readonly Int[]): Int {
  const { b, ints, node, plan } = use.s;
  const names = [plan.names[1] ?? plan.names[0] ?? ''];
  const s = new Sizing(b, ints, node, use.op, use.def.domain, { ...plan, names });
  return at(s.bounded(cache, { dtype: s.dtype(given(use, IN.query)) }), 2);
}

/** The first place of a later call's queries: lengths are those with the last query, less one. */
function countedBegin(use: Use, lengths: Sized, batch: Int, queries: Int): ValueId {
  const { s, ints } = use;
  const parts = new Parts(use);
  const flat = s.first(parts.reshape(lengths, [ints.product(lengths.sizes)]), 0, batch);
  const less = parts.int(ints.sub(1, queries), 'i64');
  return s.masked(parts.op('Add', [parts.cast(flat, 'i64'), less]), 0).id;
}

/** What inference checks, at the bound. */
function checkTypes(use: Use, plan: Plan): void {
  const { s } = use;
  const { batch, queries, past, present, heads, kvHeads, size } = plan;
  const isPacked = use.inputs[IN.key] == null;
  const headsIn = (k: number): number =>
    k !== IN.query ? kvHeads : isPacked ? heads + 2 * kvHeads : heads;
  const keys = Math.max(mostOf(present), mostOf(queries));
  const total = fromNumbers('i32', [1], [keys]);
  const inputs = use.inputs.map((x, k): OpInput | null => {
    if (x === null) return null;
    const { dtype } = s.b.typeOf(x.id);
    const shape = [...s.b.typeOf(x.id).shape];
    if (k === IN.total) return { type: { dtype, shape: [1] }, constant: () => total };
    if (k === IN.lengths) return { type: { dtype, shape: [mostOf(batch)] }, constant: null };
    const isCache = k === IN.pastKey || k === IN.pastValue;
    if (k <= IN.pastValue || k === IN.positions) shape[0] = mostOf(batch);
    if (isCache) shape[2] = Math.min(mostOf(past), keys);
    if (isCache && !isKnown(sizeAt(x, 3))) shape[3] = mostOf(size);
    else if (k <= IN.value || k === IN.positions) shape[1] = mostOf(queries);
    if (k <= IN.value && !isKnown(sizeAt(x, 2))) shape[2] = headsIn(k) * mostOf(size);
    if (k === IN.bias) shape.splice(2, 2, mostOf(queries), keys);
    return { type: { dtype, shape }, constant: null };
  });
  const { op, attrs, outputs } = use;
  use.def.infer({ node: s.node, op, attrs, inputs, outputCount: outputs });
}

/** Queries, keys and values [batch, queries, heads · size], at the bound. */
function rowsOf(use: Use, { batch, queries, heads, kvHeads, size }: Plan): Rows {
  const { s } = use;
  const row = (k: number, count: number): ValueId =>
    apart(use, s.first(s.first(given(use, k), 0, batch), 1, queries), count, size).id;
  if (use.inputs[IN.key] != null)
    return [row(IN.query, heads), row(IN.key, kvHeads), row(IN.value, kvHeads)];
  const widths = s.b.ints([heads, kvHeads, kvHeads].map((count) => count * mostOf(size)));
  const all = row(IN.query, heads + 2 * kvHeads);
  return s.ops('Split', [all, widths], { axis: 2 }, { outputs: 3 }) as unknown as Rows;
}

/** What rotates queries and keys [batch, heads, queries, size], if anything does. */
function turning(use: Use, { batch, queries, begin, isFirst }: Plan): (x: ValueId) => ValueId {
  const { s } = use;
  if (intOf(use, 'do_rotary') === 0) return (x) => x;
  const own = use.inputs[IN.positions];
  const counted = (): ValueId => {
    const first = s.reshape(begin, [mostOf(batch), 1]);
    return s.op('Add', [first, s.iota(mostOf(queries))]);
  };
  const listed = (x: Sized): ValueId => {
    const all = s.first(s.first(x, 0, batch), 1, queries).id;
    const [n, m] = [mostOf(batch), mostOf(queries)];
    if (isFirst === false || n * m === 0) return all;
    return choose(use, isFirst, countedFrom(s.b, all, n, m), () => all);
  };
  const id = own == null ? counted() : listed(own);
  const positions = s.masked({ id, sizes: [batch, queries] }, 0);
  const [cos, sin] = [given(use, IN.cos), given(use, IN.sin)];
  const isInterleaved = intOf(use, 'rotary_interleaved') !== 0;
  return (x) => rotated(use, { x, cos, sin, positions: positions.id, isInterleaved });
}

/** The keys (or values) of this call written into the cache. */
function cached(use: Use, plan: Plan, now: ValueId, k: number): Sized {
  const { s } = use;
  const { batch, queries, past, present, kvHeads, size, isFirst, begin } = plan;
  const [n, width] = [mostOf(batch), mostOf(size)];
  const rows: Sized = { id: now, sizes: [n, kvHeads, queries, width] };
  const cache = use.inputs[k];
  if (isFirst === true && (cache == null || past === 0))
    return s.first(s.masked(rows, 0), 2, present);
  const old =
    cache == null
      ? s.zeros(s.dtype(rows), [n, kvHeads, mostOf(present), width])
      : s.first(s.masked(s.first(s.first(cache, 0, batch), 3, size), 0, [2, 3]), 2, present).id;
  const room: Sized = { id: old, sizes: [n, kvHeads, present, width] };
  const where: Sized = { id: begin, sizes: [n] };
  return new Parts(use).op('TensorScatter', [room, rows, where], { axis: 2 });
}

/** Bool [batch, 1, queries, keys]: keys up to the query's own position, within the window. */
function visible(use: Use, { batch, queries, present, begin }: Plan): ValueId {
  const { s } = use;
  const first = s.reshape(begin, [mostOf(batch), 1, 1, 1]);
  const own = s.op('Add', [first, s.iota(mostOf(queries), 2)]);
  const keys = s.iota(mostOf(present));
  const isBefore = s.op('LessOrEqual', [keys, own]);
  const window = intOf(use, 'local_window_size', -1);
  if (window <= 0) return isBefore;
  const isNear = s.op('Greater', [keys, s.op('Sub', [own, s.number(window, 'i64')])]);
  return s.op('And', [isBefore, isNear]);
}

/** What is added to the scores, at the bound. */
function biasesOf(use: Use, { batch, queries, present }: Plan): readonly ValueId[] {
  const { s } = use;
  const bias = use.inputs[IN.bias];
  if (bias == null) return [];
  agreed(use, [present, sizeAt(bias, 3)], 'the keys in all and those of attention_bias');
  const rows = s.first(s.first(bias, 2, queries), 3, present);
  return [sizeAt(rows, 0) === 1 ? rows.id : s.first(rows, 0, batch).id];
}
