/**
 * com.microsoft's GroupQueryAttention, as exports of language models have it: rotary positions, a cache that
 * the keys of this call are written into, sequences of different lengths.
 *
 * How long the sequences are is data (seqlens_k); how many keys there are in all (total_sequence_length) is
 * a shape, known at compile time.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  constantInt,
  float,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { rotaryEmbedding } from '../nn/rotary-embedding.ts';
import { checkedLength } from '../tensor/elements.ts';
import { MICROSOFT } from './alias.ts';
import {
  attendNodes,
  attendRows,
  biasFunction,
  castTo,
  type Heads,
  headsFrom4,
  headsOf,
  joinHeads,
  splitHeads,
} from './attend.ts';
import { threeParts } from './multi-head-attention.ts';
import { groupQueryCases } from './group-query-cases.ts';

const IN = {
  ...{ query: 0, key: 1, value: 2, pastKey: 3, pastValue: 4, lengths: 5, total: 6 },
  ...{ cos: 7, sin: 8, positions: 9, bias: 10, sink: 11 },
};

interface Geometry {
  readonly batch: number;
  readonly queries: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly size: number;
  /** Keys of the cache that is given, and of the one that is returned. */
  readonly past: number;
  readonly present: number;
  /** Nothing of the cache counts: the keys of this call are the first. */
  readonly isFirst: boolean;
  readonly packed: boolean;
  readonly scale: number;
  readonly softcap: number;
  /** Keys that a query sees at most, itself among them; 0: all. */
  readonly window: number;
  readonly rotates: boolean;
}

function geometryOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  shapeOf: (k: number) => readonly number[] | undefined,
  total: number,
): Geometry {
  const [q = [], past] = [shapeOf(IN.query), shapeOf(IN.pastKey)];
  const [heads, kvHeads] = [intAttr(attrs, 'num_heads'), intAttr(attrs, 'kv_num_heads')];
  const packed = shapeOf(IN.key) === undefined;
  const columns = q.at(-1) ?? 0;
  const size = columns / (packed ? heads + 2 * kvHeads : heads);
  if (q.length !== 3 || !(kvHeads > 0) || heads % kvHeads !== 0 || !Number.isInteger(size)) {
    shapeError(ctx, `query [${q.join(',')}] is not of ${heads} heads over ${kvHeads}`);
  }
  const [batch, queries] = [at(q, 0), at(q, 1)];
  const before = past?.[2] ?? 0;
  const expected: readonly (readonly [number, readonly number[]])[] = [
    ...[IN.key, IN.value].map((k) => [k, [batch, queries, kvHeads * size]] as const),
    ...[IN.pastKey, IN.pastValue].map((k) => [k, [batch, kvHeads, before, size]] as const),
  ];
  for (const [k, wanted] of expected) {
    const shape = shapeOf(k);
    if (shape !== undefined && shape.join() !== wanted.join()) {
      shapeError(ctx, `input ${k} has shape [${shape.join(',')}]; it takes [${wanted.join(',')}]`);
    }
  }
  if (total < queries) shapeError(ctx, `${queries} queries are more than ${total} keys in all`);
  const scale = intAttr(attrs, 'scale');
  const window = intAttr(attrs, 'local_window_size');
  return {
    ...{ batch, queries, heads, kvHeads, size, past: before, packed },
    present: Math.max(before, total),
    isFirst: total === queries,
    scale: scale === 0 ? 1 / Math.sqrt(size) : scale,
    softcap: intAttr(attrs, 'softcap'),
    window: Math.max(0, window),
    // Caches without columns rotate nothing.
    rotates: intAttr(attrs, 'do_rotary') !== 0 && shapeOf(IN.cos)?.[1] !== 0,
  };
}

function check(ctx: InferContext): Geometry {
  const total = constantInt(ctx, IN.total, 'total_sequence_length');
  const geo = geometryOf(ctx, ctx.attrs, (k) => optionalType(ctx, k)?.shape, total);
  const { batch, queries, heads, present } = geo;
  for (const name of ['qk_output', 'kv_cache_bit_width']) {
    if (ctx.attrs[name]) typeError(ctx, `${name} is not supported`);
  }
  const { dtype } = inputType(ctx, IN.query);
  for (const k of [IN.key, IN.value, IN.pastKey, IN.pastValue]) {
    const type = optionalType(ctx, k);
    if (type !== undefined) requireDType(ctx, type, [dtype], `input ${k}`);
  }
  const lengths = inputType(ctx, IN.lengths);
  requireDType(ctx, lengths, ['i32'], 'seqlens_k');
  if (elementCount(lengths.shape) !== batch) {
    shapeError(ctx, `seqlens_k has shape [${lengths.shape.join(',')}] for a batch of ${batch}`);
  }
  const given = (k: number): boolean => optionalType(ctx, k) !== undefined;
  if (given(IN.key) !== given(IN.value) || given(IN.pastKey) !== given(IN.pastValue)) {
    typeError(ctx, 'keys and values are given both or not at all');
  }
  if (geo.rotates) {
    const [cos, sin] = [optionalType(ctx, IN.cos)?.shape, optionalType(ctx, IN.sin)?.shape];
    if (!cos || !sin) typeError(ctx, 'do_rotary takes caches');
    if (cos.length !== 2 || cos.join() !== sin.join()) {
      shapeError(ctx, `caches of [${cos.join(',')}] and [${sin.join(',')}]`);
    }
  }
  const positions = optionalType(ctx, IN.positions);
  if (positions !== undefined) requireDType(ctx, positions, ['i64'], 'position_ids');
  if (positions !== undefined && positions.shape.join() !== `${batch},${queries}`) {
    shapeError(ctx, `position_ids has shape [${positions.shape.join(',')}]`);
  }
  const bias = optionalType(ctx, IN.bias);
  const fits = [batch, 1].some((n) =>
    [heads, 1].some((h) => bias?.shape.join() === [n, h, queries, present].join()),
  );
  if (bias !== undefined && !fits) {
    shapeError(ctx, `attention_bias has shape [${bias.shape.join(',')}]`);
  }
  const sink = optionalType(ctx, IN.sink);
  if (sink !== undefined && sink.shape.join() !== `${heads}`) {
    shapeError(ctx, `head_sink has shape [${sink.shape.join(',')}]; it takes [${heads}]`);
  }
  return geo;
}

/** i64 [batch]: how many keys of the cache count for each sequence. */
function pastNodes(b: OpBuilder, lengths: ValueId, geo: Geometry): ValueId {
  const { batch, queries, isFirst } = geo;
  if (isFirst) return b.filled('i64', [batch]);
  const flat = castTo(b, b.reshape(lengths, [batch]), 'i64');
  return b.op('Add', [flat, b.scalar(1 - queries, 'i64')]);
}

/** The keys (or values) of this call written into the cache. */
function cacheNodes(
  b: OpBuilder,
  now: ValueId,
  cache: ValueId | null,
  past: ValueId,
  geo: Geometry,
): ValueId {
  const { batch, kvHeads, queries, present, size, isFirst } = geo;
  const longer = (x: ValueId, by: number): ValueId => {
    if (by === 0) return x;
    const zeros = b.constant(fromNumbers(b.typeOf(x).dtype, [], [0]));
    return b.op('Pad', [x, b.ints([0, by]), zeros, b.ints([2])]);
  };
  if (isFirst && (cache === null || geo.past === 0)) return longer(now, present - queries);
  const { dtype } = b.typeOf(now);
  const empty = [batch, kvHeads, present, size];
  const old = cache === null ? b.filled(dtype, empty) : longer(cache, present - geo.past);
  return b.op('TensorScatter', [old, now, past], { axis: 2 });
}

/** Positions of a first call: of those that are given only the first of all counts, the others follow it. */
export function countedFrom(
  b: OpBuilder,
  positions: ValueId,
  batch: number,
  queries: number,
): ValueId {
  const all = b.reshape(positions, [batch * queries]);
  const first = b.op('Slice', [all, b.ints([0]), b.ints([1]), b.ints([0]), b.ints([1])]);
  const rows = b.op('Add', [first, b.positions(queries)]);
  return b.op('Expand', [rows, b.ints([batch, queries])]);
}

function rotated(
  b: OpBuilder,
  x: ValueId,
  inputs: readonly (ValueId | null)[],
  past: ValueId,
  geo: Geometry,
  attrs: Attrs,
): ValueId {
  if (!geo.rotates) return x;
  const { batch, queries, isFirst } = geo;
  const [cos, sin] = [inputs[IN.cos] as ValueId, inputs[IN.sin] as ValueId];
  const steps = b.positions(queries);
  const own = inputs[IN.positions];
  const positions = (): ValueId => {
    if (own == null) return b.op('Add', [b.reshape(past, [batch, 1]), steps]);
    if (!isFirst || batch * queries === 0) return own;
    return countedFrom(b, own, batch, queries);
  };
  return b.op(
    'RotaryEmbedding',
    [x, cos, sin, positions()],
    rotaryAttrs(attrs, b.typeOf(cos).shape),
  );
}

function rotaryAttrs(attrs: Attrs, cache: readonly number[]): Attrs {
  return {
    interleaved: intAttr(attrs, 'rotary_interleaved'),
    rotary_embedding_dim: 2 * at(cache, 1),
    num_heads: 0,
  };
}

/** Bool [batch, 1, queries, keys]: keys up to the query's own position, within the window. */
function visibleNodes(b: OpBuilder, past: ValueId, geo: Geometry): ValueId {
  const { batch, queries, present, window } = geo;
  const rows = b.reshape(b.positions(queries), [queries, 1]);
  const own = b.op('Add', [b.reshape(past, [batch, 1, 1, 1]), rows]);
  const keys = b.positions(present);
  const isBefore = b.op('LessOrEqual', [keys, own]);
  if (window === 0) return isBefore;
  const isNear = b.op('Greater', [keys, b.op('Sub', [own, b.scalar(window, 'i64')])]);
  return b.op('And', [isBefore, isNear]);
}

export const groupQueryAttention: CompositeOp = defineOp({
  kind: 'composite',
  name: 'GroupQueryAttention',
  domain: MICROSOFT,
  doc: 'Causal attention of grouped heads with rotary positions, a cache and a local window.',
  since: 1,
  attrs: {
    do_rotary: int(0),
    k_quant_type: { type: 'string' },
    kv_cache_bit_width: int(0),
    kv_num_heads: requiredInt,
    local_window_size: int(-1),
    num_heads: requiredInt,
    qk_output: int(0),
    rotary_interleaved: int(0),
    scale: float(0),
    smooth_softmax: int(0),
    softcap: float(0),
    v_quant_type: { type: 'string' },
  },
  infer: (ctx: InferContext): readonly ValueType[] => {
    requireDType(ctx, inputType(ctx, IN.query), FLOATS);
    const { batch, queries, heads, kvHeads, present, size } = check(ctx);
    const { dtype } = inputType(ctx, IN.query);
    const cache = { dtype, shape: [batch, kvHeads, present, size] };
    const types = [{ dtype, shape: [batch, queries, heads * size] }, cache, cache];
    return types.slice(0, Math.max(1, ctx.outputCount));
  },
  decompose: (b, inputs, ctx) => {
    const geo = check(ctx);
    const { heads, kvHeads, size, scale, softcap } = geo;
    const widths = [heads * size, kvHeads * size, kvHeads * size];
    const rows = geo.packed
      ? b.ops('Split', [inputs[IN.query] ?? null, b.ints(widths)], { axis: 2 }, { outputs: 3 })
      : [IN.query, IN.key, IN.value].map((k) => inputs[k] as ValueId);
    const [q, k, v] = rows.map((x, i) => splitHeads(b, x, i === 0 ? heads : kvHeads)) as [
      ...[ValueId, ValueId, ValueId],
    ];
    const past = pastNodes(b, inputs[IN.lengths] as ValueId, geo);
    const turn = (x: ValueId): ValueId => rotated(b, x, inputs, past, geo, ctx.attrs);
    const key = cacheNodes(b, turn(k), inputs[IN.pastKey] ?? null, past, geo);
    const value = cacheNodes(b, v, inputs[IN.pastValue] ?? null, past, geo);
    const bias = inputs[IN.bias];
    const isSmooth = intAttr(ctx.attrs, 'smooth_softmax') !== 0;
    const zeros = (): ValueId => b.filled('f32', [heads]);
    const sink = inputs[IN.sink] ?? (isSmooth ? zeros() : null);
    const mixed = attendNodes(b, {
      ...{ q: turn(q), k: key, v: value, scale, softcap },
      visible: visibleNodes(b, past, geo),
      ...(bias == null ? {} : { biases: [bias] }),
      ...(sink === null ? {} : { sink }),
    });
    return [joinHeads(b, mixed), key, value].slice(0, ctx.outputs.length);
  },
  reference: (inputs, attrs, ctx) => {
    const node = { node: ctx.node, op: 'GroupQueryAttention' };
    const total = at([...toNumbers(inputs[IN.total] as Tensor)], 0);
    const geo = geometryOf(node, attrs, (k) => inputs[k]?.shape, total);
    const { heads, kvHeads, size, queries } = geo;
    const lengths = toNumbers(inputs[IN.lengths] as Tensor);
    const starts = Array.from(lengths, (length) =>
      geo.isFirst ? 0 : checkedLength(ctx.node, length + 1 - queries, geo.present - queries),
    );
    const before = (n: number): number => at(starts, n);
    const widths = [heads * size, kvHeads * size, kvHeads * size];
    const rows = geo.packed
      ? threeParts(inputs[IN.query] as Tensor, widths)
      : [IN.query, IN.key, IN.value].map((k) => inputs[k] as Tensor);
    const [q, k, v] = rows.map((x, i) => headsOf(x, i === 0 ? heads : kvHeads)) as [
      ...[Heads, Heads, Heads],
    ];
    const ids = inputs[IN.positions] ? toNumbers(inputs[IN.positions] as Tensor) : undefined;
    const positions = Array.from({ length: geo.batch * queries }, (_, p) =>
      ids === undefined || geo.isFirst
        ? (ids?.[0] ?? before(Math.floor(p / queries))) + (p % queries)
        : (ids[p] as number),
    );
    const turn = (x: Heads): Heads => {
      if (!geo.rotates) return x;
      const [cos, sin] = [inputs[IN.cos] as Tensor, inputs[IN.sin] as Tensor];
      const tensor = fromNumbers('f64', x.shape, x.values);
      const places = fromNumbers('i64', [geo.batch, queries], positions);
      const full = { num_heads: 0, ...rotaryAttrs(attrs, cos.shape) };
      return headsFrom4(at(rotaryEmbedding.reference([tensor, cos, sin, places], full, ctx), 0));
    };
    const key = written(inputs[IN.pastKey] ?? null, turn(k), before, geo);
    const value = written(inputs[IN.pastValue] ?? null, v, before, geo);
    const sinks = inputs[IN.sink] ? toNumbers(inputs[IN.sink] as Tensor) : undefined;
    const isSmooth = intAttr(attrs, 'smooth_softmax') !== 0;
    const y = attendRows({
      ...{ q: turn(q), k: key, v: value, scale: geo.scale, softcap: geo.softcap },
      bias: biasFunction(inputs[IN.bias] ?? null),
      visible: (n, i, j) => {
        const own = before(n) + i;
        return j <= own && (geo.window === 0 || j > own - geo.window);
      },
      ...(sinks !== undefined || isSmooth ? { sink: (h: number) => sinks?.[h] ?? 0 } : {}),
    });
    const all = [y, key.values, value.values];
    return ctx.outputTypes.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(all, i)));
  },
  tolerance: { f16: { relative: 2e-2, absolute: 5e-3 } },
  cases: () => groupQueryCases(),
});

/** The cache with the rows of this call from each sequence's position on. */
function written(
  cache: Tensor | null,
  now: Heads,
  before: (batch: number) => number,
  geo: Geometry,
): Heads {
  const { batch, kvHeads, queries, past, present, size } = geo;
  const values = new Float64Array(batch * kvHeads * present * size);
  const old = cache === null ? undefined : toNumbers(cache);
  for (let row = 0; row < batch * kvHeads; row++) {
    const to = row * present * size;
    if (old !== undefined) values.set(old.subarray(row * past * size, (row + 1) * past * size), to);
    const own = now.values.subarray(row * queries * size, (row + 1) * queries * size);
    values.set(own, to + before(Math.floor(row / kvHeads)) * size);
  }
  return { shape: [batch, kvHeads, present, size], values };
}
