/** LinearAttention as other operators: written out token by token, or as a Loop. */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, intAttr, shapeError, textAttr, typeError } from '../checks.ts';
import { sliceNodes, stackNodes } from '../control/stacks.ts';
import type { InferContext } from '../define-op.ts';
import type { NodeRef } from './window.ts';

/** ONNX's number for f32, as `Cast` takes it. */
const F32 = 1;

/** More tokens are those of a Loop. */
export const TOKEN_LIMIT = 256;

export interface Geometry {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly scale: number;
  /** Does the state decay, and is what is written the difference from what is there? */
  readonly gated: boolean;
  readonly delta: boolean;
}

export function geometry(
  ctx: NodeRef,
  attrs: Attrs,
  q: readonly number[],
  k: readonly number[],
  v: readonly number[],
): Geometry {
  if (q.length !== 3 || k.length !== 3 || v.length !== 3) {
    shapeError(
      ctx,
      `query, key and value have ranks ${q.length}, ${k.length}, ${v.length}; each takes 3`,
    );
  }
  const [heads, kvHeads] = [intAttr(attrs, 'q_num_heads'), intAttr(attrs, 'kv_num_heads')];
  if (heads < 1 || kvHeads < 1 || heads % kvHeads !== 0) {
    shapeError(ctx, `${heads} query heads cannot share ${kvHeads} key heads evenly`);
  }
  const keySize = at(q, 2) / heads;
  if (at(k, 2) !== keySize * kvHeads) {
    shapeError(
      ctx,
      `heads of the query have size ${keySize}, those of the key ${at(k, 2) / kvHeads}`,
    );
  }
  if (q[0] !== k[0] || k[0] !== v[0] || q[1] !== k[1] || k[1] !== v[1]) {
    shapeError(ctx, 'query, key and value have different batches or lengths');
  }
  if (at(v, 2) % kvHeads !== 0)
    shapeError(ctx, `the value's ${v[2]} columns are not ${kvHeads} heads`);
  const rule = textAttr(attrs, 'update_rule');
  if (!['linear', 'gated', 'delta', 'gated_delta'].includes(rule)) {
    typeError(ctx, `update_rule ${rule} is not known`);
  }
  const scale = intAttr(attrs, 'scale');
  return {
    batch: at(q, 0),
    tokens: at(q, 1),
    heads,
    kvHeads,
    keySize,
    valueSize: at(v, 2) / kvHeads,
    scale: scale === 0 ? 1 / Math.sqrt(keySize) : scale,
    gated: rule === 'gated' || rule === 'gated_delta',
    delta: rule === 'delta' || rule === 'gated_delta',
  };
}

export function geometryOf(ctx: InferContext): Geometry {
  const shape = (i: number): readonly number[] => inputType(ctx, i).shape;
  return geometry(ctx, ctx.attrs, shape(0), shape(1), shape(2));
}

/** One token's rows, [batch, columns] each. */
interface Token {
  readonly query: ValueId;
  readonly key: ValueId;
  readonly value: ValueId;
  /** What the state is multiplied by. */
  readonly factor: ValueId | null;
  readonly strength: ValueId | null;
}

/** The state behind a token, and what is read of it: [batch, heads · value size]. */
function tokenNodes(
  b: OpBuilder,
  geo: Geometry,
  { query, key, value, factor, strength }: Token,
  before: ValueId,
  keys: ValueId | null,
): { readonly state: ValueId; readonly read: ValueId } {
  const { batch, heads, kvHeads, keySize, valueSize } = geo;
  const as = (x: ValueId, rest: readonly number[]): ValueId => b.reshape(x, [batch, ...rest]);
  const zero = (): ValueId => b.scalar(0, b.typeOf(before).dtype);
  const meant = (x: ValueId): ValueId => (keys === null ? x : b.op('Where', [keys, x, zero()]));
  let state = before;
  if (geo.gated && factor !== null) {
    const perKey = b.typeOf(factor).shape[1] === kvHeads * keySize;
    state = meant(b.op('Mul', [state, as(factor, [kvHeads, perKey ? keySize : 1, 1])]));
  }
  let written = as(value, [kvHeads, 1, valueSize]);
  if (geo.delta && strength !== null) {
    const there = b.op('MatMul', [as(key, [kvHeads, 1, keySize]), state]);
    const amount = as(strength, [b.typeOf(strength).shape[1] ?? 1, 1, 1]);
    written = b.op('Mul', [amount, b.op('Sub', [written, there])]);
  }
  // An outer product, keySize × valueSize.
  state = meant(b.op('Add', [state, b.op('Mul', [as(key, [kvHeads, keySize, 1]), written])]));
  const read = b.op(
    'FusedMatMul',
    [as(query, [kvHeads, heads / kvHeads, keySize]), state],
    { alpha: geo.scale },
    { domain: 'com.microsoft' },
  );
  return { state, read: as(read, [heads * valueSize]) };
}

/** What of a node's room is meant; null: all, or as attributes say. */
export interface MeantTokens {
  /** i64: how many of the tokens change the state. */
  readonly count: ValueId | null;
  /** Bool [key size, 1]: rows of the state; the others stay 0, as they are in queries, keys and the past. */
  readonly keys: ValueId | null;
  /** What products with queries are multiplied by, of no axes. */
  readonly scale: ValueId | null;
}

const ALL: MeantTokens = { count: null, keys: null, scale: null };

/** All tokens' rows, [batch, tokens, columns] each. */
interface Tokens extends Token {
  readonly meant: MeantTokens;
}

interface Passed {
  /** [batch, tokens, heads · value size] */
  readonly y: ValueId;
  readonly state: ValueId;
}

function writtenOut(b: OpBuilder, geo: Geometry, all: Tokens, start: ValueId): Passed {
  const rows = (x: ValueId, t: number): ValueId => sliceNodes(b, x, 1, t);
  const reads: ValueId[] = [];
  let state = start;
  for (let t = 0; t < geo.tokens; t++) {
    const next = tokenNodes(
      b,
      geo,
      tokenOf(all, (x) => rows(x, t)),
      state,
      all.meant.keys,
    );
    reads.push(next.read);
    state = kept(b, all.meant.count, b.scalar(t, 'i64'), next.state, state);
  }
  return { y: stackNodes(b, reads, 1), state };
}

/** As a Loop over the tokens. */
function repeated(b: OpBuilder, geo: Geometry, all: Tokens, start: ValueId, node: string): Passed {
  const nested = b.nested('token');
  const iteration = nested.graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = nested.graph.input('go_on', { dtype: 'bool', shape: [] });
  const given = (name: string, id: ValueId): ValueId => nested.graph.input(name, b.typeOf(id));
  const before = given('state', start);
  const captures: ValueId[] = [];
  const capture = (name: string, id: ValueId): ValueId => {
    captures.push(id);
    return given(name, id);
  };
  const inner = (name: string, id: ValueId | null): ValueId | null =>
    id === null ? null : capture(name, id);
  const count = inner('count', all.meant.count);
  const keys = inner('keys', all.meant.keys);
  const token = tokenOf(all, (x, name) =>
    nested.op('Gather', [capture(name, x), iteration], { axis: 1 }),
  );
  const { state, read } = tokenNodes(nested, geo, token, before, keys);
  const last = kept(nested, count, iteration, state, before);
  const [end = -1, reads = -1] = b.ops(
    'Loop',
    [b.scalar(geo.tokens, 'i64'), null, start, ...captures],
    { body: nested.graph.finish([goOn, last, read]), captures: captures.length },
    { name: node, outputs: 2 },
  );
  return { y: b.op('Transpose', [reads], { perm: [1, 0, 2] }), state: end };
}

function tokenOf(all: Tokens, of: (x: ValueId, name: string) => ValueId): Token {
  const maybe = (x: ValueId | null, name: string): ValueId | null =>
    x === null ? null : of(x, name);
  return {
    query: of(all.query, 'query'),
    key: of(all.key, 'key'),
    value: of(all.value, 'value'),
    factor: maybe(all.factor, 'factor'),
    strength: maybe(all.strength, 'strength'),
  };
}

/** The state behind token t: as before it, where it is none of those that count. */
function kept(
  b: OpBuilder,
  count: ValueId | null,
  t: ValueId,
  now: ValueId,
  before: ValueId,
): ValueId {
  return count === null ? now : b.op('Where', [b.op('Less', [t, count]), now, before]);
}

/**
 * The operator as other ones, written out or as a Loop. Of its results, what is not meant is of no use.
 */
export function linearAttentionNodes(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: InferContext,
  meant: MeantTokens = ALL,
): readonly ValueId[] | string {
  const geo = geometryOf(ctx);
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = geo;
  const [q, k, v, past = null, decay = null, beta = null] = inputs;
  if (q == null || k == null || v == null) return 'an input is missing';
  const { dtype } = b.typeOf(q);
  const low = dtype === 'f16' || dtype === 'bf16';
  const wide = (x: ValueId): ValueId => (low ? b.op('Cast', [x], { to: F32 }) : x);
  const narrow = (x: ValueId): ValueId => (low ? b.op('CastLike', [x, q]) : x);
  const stateShape = [batch, kvHeads, keySize, valueSize];
  const start = past === null ? b.filled(low ? 'f32' : dtype, stateShape) : wide(past);
  const query = wide(q);
  const scaled =
    meant.scale === null ? query : b.op('Mul', [query, b.op('CastLike', [meant.scale, query])]);
  const all: Tokens = {
    ...{ query: scaled, key: wide(k), value: wide(v), meant },
    factor: decay === null ? null : b.op('Exp', [wide(decay)]),
    strength: beta === null ? null : wide(beta),
  };
  const passed = (): Passed => {
    if (tokens === 0)
      return { y: b.filled(low ? 'f32' : dtype, [batch, 0, heads * valueSize]), state: start };
    return tokens > TOKEN_LIMIT
      ? repeated(b, geo, all, start, ctx.node)
      : writtenOut(b, geo, all, start);
  };
  const { y, state } = passed();
  return ctx.outputCount > 1 ? [narrow(y), narrow(state)] : [narrow(y)];
}
