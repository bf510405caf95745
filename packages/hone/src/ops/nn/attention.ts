/** Attention: softmax(scale · Q·Kᵀ + mask) · V over heads, with caches and shared key heads. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { float, int, intAttr, optionalInt } from '../checks.ts';
import { defineOp, type LowerContext, type TestCase } from '../define-op.ts';
import { type AttentionGeometry, geometryOfNode, inferAttention } from './attention-geometry.ts';
import { attentionReference } from './attention-reference.ts';
import { causalBias } from './causal-bias.ts';
import { sample } from './samples.ts';

/** [batch, sequence, heads · size] as [batch, heads, sequence, size]. */
function splitHeads(b: OpBuilder, x: ValueId, heads: number): ValueId {
  const [batch = 1, length = 1, columns = 1] = b.typeOf(x).shape;
  const apart = b.reshape(x, [batch, length, heads, columns / heads]);
  return b.op('Transpose', [apart], { perm: [0, 2, 1, 3] });
}

/** The reverse of `splitHeads`. */
function joinHeads(b: OpBuilder, x: ValueId): ValueId {
  const [batch = 1, heads = 1, length = 1, size = 1] = b.typeOf(x).shape;
  const apart = b.op('Transpose', [x], { perm: [0, 2, 1, 3] });
  return b.reshape(apart, [batch, length, heads * size]);
}

/** Query heads that share a key head as more rows of one head: no copies of keys or values. */
function shareHeads(b: OpBuilder, x: ValueId, geo: AttentionGeometry): ValueId {
  if (geo.heads === geo.kvHeads) return x;
  const columns = b.typeOf(x).shape.at(-1) ?? 1;
  const rows = (geo.heads / geo.kvHeads) * geo.queries;
  return b.reshape(x, [geo.batch, geo.kvHeads, rows, columns]);
}

/** The reverse of `shareHeads`. */
function unshareHeads(b: OpBuilder, x: ValueId, geo: AttentionGeometry): ValueId {
  if (geo.heads === geo.kvHeads) return x;
  const columns = b.typeOf(x).shape.at(-1) ?? 1;
  return b.reshape(x, [geo.batch, geo.heads, geo.queries, columns]);
}

/** Scores with the mask, continued by −∞ where it is shorter than the keys. */
function addMask(b: OpBuilder, scores: ValueId, mask: ValueId, keys: number): ValueId {
  const { dtype } = b.typeOf(scores);
  const hidden = b.scalar(Number.NEGATIVE_INFINITY, dtype);
  const type = b.typeOf(mask);
  const missing = keys - (type.shape.at(-1) ?? keys);
  const short = missing > 0 && type.shape.at(-1) !== 1;
  const bias =
    type.dtype === 'bool'
      ? b.op('Where', [mask, b.scalar(0, dtype), hidden])
      : type.dtype === dtype
        ? mask
        : b.op('CastLike', [mask, scores]);
  const whole = short ? b.op('Pad', [bias, b.ints([0, missing]), hidden, b.ints([-1])]) : bias;
  return b.op('Add', [scores, whole]);
}

/** Hides the keys from each batch entry's count on. */
function hidePadding(
  b: OpBuilder,
  scores: ValueId,
  counts: ValueId,
  geo: AttentionGeometry,
): ValueId {
  const keys = geo.past + geo.keys;
  const positions = b.positions(keys);
  const limit = b.reshape(counts, [geo.batch, 1, 1, 1]);
  const seen = b.op('Less', [positions, limit]);
  return b.op('Where', [seen, scores, b.scalar(Number.NEGATIVE_INFINITY, b.typeOf(scores).dtype)]);
}

function decompose(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: LowerContext,
): readonly ValueId[] | string {
  const geo = geometryOfNode(ctx);
  const [q, k, v] = inputs;
  if (q == null || k == null || v == null) return 'Q, K or V is missing';
  const heads = (x: ValueId, count: number): ValueId => (geo.packed ? splitHeads(b, x, count) : x);
  const withPast = (x: ValueId, past: ValueId | null | undefined): ValueId =>
    past == null ? x : b.op('Concat', [past, x], { axis: 2 });
  const query = shareHeads(b, heads(q, geo.heads), geo);
  const key = withPast(heads(k, geo.kvHeads), inputs[4]);
  const value = withPast(heads(v, geo.kvHeads), inputs[5]);
  const { dtype } = b.typeOf(q);
  const raw = unshareHeads(
    b,
    b.op('FusedMatMul', [query, key], { transB: 1, alpha: geo.scale }, { domain: 'com.microsoft' }),
    geo,
  );
  const cap = b.scalar(geo.softcap, dtype);
  const capped =
    geo.softcap === 0 ? raw : b.op('Mul', [b.op('Tanh', [b.op('Div', [raw, cap])]), cap]);
  let scores = capped;
  const mask = inputs[3];
  if (mask != null) scores = addMask(b, scores, mask, geo.past + geo.keys);
  if (geo.causal) {
    const bias = causalBias(b, geo.queries, geo.past + geo.keys, geo.past, dtype);
    scores = b.op('Add', [scores, bias]);
  }
  const counts = inputs[6];
  if (counts != null) scores = hidePadding(b, scores, counts, geo);
  const weights = b.op('Softmax', [scores], { axis: -1 });
  const shared = shareHeads(b, weights, geo);
  const left = b.typeOf(value).dtype === dtype ? shared : b.op('CastLike', [shared, value]);
  const mixed = unshareHeads(b, b.op('MatMul', [left, value]), geo);
  const typed = b.typeOf(mixed).dtype === dtype ? mixed : b.op('CastLike', [mixed, q]);
  const y = geo.packed ? joinHeads(b, typed) : typed;
  const shown = [raw, capped, scores, weights];
  const mode = intAttr(ctx.attrs, 'qk_matmul_output_mode');
  return [y, key, value, at(shown, mode)].slice(0, ctx.outputs.length);
}

export const attention = defineOp({
  kind: 'composite',
  name: 'Attention',
  doc: 'Scaled dot-product attention with masks, key and value caches and grouped heads.',
  since: 24,
  attrs: {
    is_causal: int(0),
    kv_num_heads: optionalInt,
    q_num_heads: optionalInt,
    qk_matmul_output_mode: int(0),
    scale: { type: 'float' },
    softcap: float(0),
    softmax_precision: optionalInt,
  },
  infer: inferAttention,
  decompose,
  reference: (inputs, attrs, ctx) => attentionReference(inputs, attrs, ctx),
  // Rounding of the scores is magnified by the exponential.
  tolerance: { f16: { relative: 2e-2, absolute: 5e-3 } },
  cases: () => cases(),
});

function cases(): readonly TestCase[] {
  const four = (heads: number, kvHeads: number, queries: number, keys: number, valueSize = 4) => [
    sample([2, heads, queries, 4], 1),
    sample([2, kvHeads, keys, 4], 2),
    sample([2, kvHeads, keys, valueSize], 3),
  ];
  const make = (
    note: string,
    inputs: TestCase['inputs'],
    attrs: Attrs = {},
    outputs = 1,
  ): TestCase => ({
    note,
    inputs,
    attrs,
    outputs,
  });
  return [
    make('heads apart', four(2, 2, 3, 5)),
    make('causal, values of another size', four(2, 2, 4, 4, 6), { is_causal: 1 }),
    make(
      'packed, shared heads, mask, softcap',
      [sample([2, 3, 16], 1), sample([2, 5, 8], 2), sample([2, 5, 8], 3), sample([3, 5], 4)],
      { q_num_heads: 4, kv_num_heads: 2, softcap: 1.5, scale: 0.3 },
    ),
    make('bool mask', [
      ...four(2, 2, 2, 3),
      fromNumbers('bool', [2, 1, 2, 3], [1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1]),
    ]),
    make(
      'cache, all outputs',
      [...four(2, 1, 2, 3), null, sample([2, 1, 4, 4], 5), sample([2, 1, 4, 4], 6)],
      { is_causal: 1, qk_matmul_output_mode: 3 },
      4,
    ),
    make('counts of keys, short mask', [
      ...four(2, 2, 2, 5),
      sample([2, 4], 4),
      null,
      null,
      fromNumbers('i64', [2], [3, 4]),
    ]),
  ];
}
