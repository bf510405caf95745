/** LinearAttention: a matrix state per head, updated and read once for every token. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { sliceNodes, stackNodes } from '../control/stacks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { sample } from './samples.ts';
import type { NodeRef } from './window.ts';

/** ONNX's number for f32, as `Cast` takes it. */
const F32 = 1;

/** Most tokens that are written out. */
const TOKEN_LIMIT = 256;

interface Geometry {
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

function geometry(
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

function geometryOf(ctx: InferContext): Geometry {
  const shape = (i: number): readonly number[] => inputType(ctx, i).shape;
  return geometry(ctx, ctx.attrs, shape(0), shape(1), shape(2));
}

function inferLinearAttention(ctx: InferContext): readonly ValueType[] {
  const q = inputType(ctx, 0);
  requireDType(ctx, q, FLOATS);
  const geo = geometryOf(ctx);
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = geo;
  const state = [batch, kvHeads, keySize, valueSize];
  const perToken = (columns: number): readonly number[] => [batch, tokens, columns];
  const allowed: readonly (readonly [number, string, readonly (readonly number[])[]])[] = [
    [3, 'past_state', [state]],
    [4, 'decay', [perToken(kvHeads * keySize), perToken(kvHeads)]],
    [5, 'beta', [perToken(kvHeads), perToken(1)]],
  ];
  for (const [i, name, shapes] of allowed) {
    const type = optionalType(ctx, i);
    if (type === undefined) continue;
    requireDType(ctx, type, FLOATS, name);
    if (shapes.some((shape) => shape.join() === type.shape.join())) continue;
    const wanted = shapes.map((shape) => `[${shape.join(',')}]`).join(' or ');
    shapeError(ctx, `${name} has shape [${type.shape.join(',')}]; it takes ${wanted}`);
  }
  if (geo.gated && optionalType(ctx, 4) === undefined) typeError(ctx, 'this rule needs a decay');
  if (geo.delta && optionalType(ctx, 5) === undefined) typeError(ctx, 'this rule needs a beta');
  return [
    { dtype: q.dtype, shape: [batch, tokens, heads * valueSize] },
    { dtype: q.dtype, shape: state },
  ].slice(0, Math.max(1, ctx.outputCount));
}

function decompose(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: LowerContext,
): readonly ValueId[] | string {
  const geo = geometryOf(ctx);
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = geo;
  if (tokens > TOKEN_LIMIT) return `writing out ${tokens} tokens would be too long`;
  if (tokens === 0) return 'there are no tokens';
  const [q, k, v, past = null, decay = null, beta = null] = inputs;
  if (q == null || k == null || v == null) return 'an input is missing';
  const { dtype } = b.typeOf(q);
  const low = dtype === 'f16' || dtype === 'bf16';
  const wide = (x: ValueId): ValueId => (low ? b.op('Cast', [x], { to: F32 }) : x);
  const narrow = (x: ValueId): ValueId => (low ? b.op('CastLike', [x, q]) : x);
  const stateShape = [batch, kvHeads, keySize, valueSize];
  let state = past === null ? b.filled(low ? 'f32' : dtype, stateShape) : wide(past);
  /** Token t's columns as [batch, …rest]. */
  const token = (x: ValueId, t: number, rest: readonly number[]): ValueId =>
    b.reshape(sliceNodes(b, x, 1, t), [batch, ...rest]);
  const [query, key, value] = [wide(q), wide(k), wide(v)];
  const factors = decay === null ? null : b.op('Exp', [wide(decay)]);
  const strengths = beta === null ? null : wide(beta);
  const rows = heads / kvHeads;
  const outputs: ValueId[] = [];
  for (let t = 0; t < tokens; t++) {
    if (geo.gated && factors !== null) {
      const perKey = b.typeOf(factors).shape[2] === kvHeads * keySize;
      const factor = token(factors, t, [kvHeads, perKey ? keySize : 1, 1]);
      state = b.op('Mul', [state, factor]);
    }
    let written = token(value, t, [kvHeads, 1, valueSize]);
    if (geo.delta && strengths !== null) {
      const there = b.op('MatMul', [token(key, t, [kvHeads, 1, keySize]), state]);
      const columns = b.typeOf(strengths).shape[2] ?? 1;
      const strength = token(strengths, t, [columns, 1, 1]);
      written = b.op('Mul', [strength, b.op('Sub', [written, there])]);
    }
    // An outer product, keySize × valueSize.
    state = b.op('Add', [state, b.op('Mul', [token(key, t, [kvHeads, keySize, 1]), written])]);
    const read = b.op(
      'FusedMatMul',
      [token(query, t, [kvHeads, rows, keySize]), state],
      { alpha: geo.scale },
      { domain: 'com.microsoft' },
    );
    outputs.push(b.reshape(read, [batch, heads * valueSize]));
  }
  const y = narrow(stackNodes(b, outputs, 1));
  return ctx.outputs.length > 1 ? [y, narrow(state)] : [y];
}

function reference(
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  node: string,
  outputs: readonly ValueType[],
): readonly Tensor[] {
  const [q, k, v] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
  const geo = geometry({ node, op: 'LinearAttention' }, attrs, q.shape, k.shape, v.shape);
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = geo;
  const numbers = (i: number): Float64Array => toNumbers(given(inputs, i));
  const [query, key, value] = [numbers(0), numbers(1), numbers(2)];
  const state = inputs[3] ? numbers(3) : new Float64Array(batch * kvHeads * keySize * valueSize);
  const decay = geo.gated ? numbers(4) : new Float64Array(0);
  const beta = geo.delta ? numbers(5) : new Float64Array(0);
  const [decayColumns, betaColumns] = [inputs[4]?.shape[2] ?? 1, inputs[5]?.shape[2] ?? 1];
  const y = new Float64Array(batch * tokens * heads * valueSize);
  for (let n = 0; n < batch; n++) {
    for (let t = 0; t < tokens; t++) {
      const token = n * tokens + t;
      for (let h = 0; h < kvHeads; h++) {
        const base = (n * kvHeads + h) * keySize * valueSize;
        const keyAt = (i: number): number => key[(token * kvHeads + h) * keySize + i] as number;
        for (let i = 0; geo.gated && i < keySize; i++) {
          const column = decayColumns === kvHeads * keySize ? h * keySize + i : h;
          const factor = Math.exp(decay[token * decayColumns + column] as number);
          for (let j = 0; j < valueSize; j++) {
            const p = base + i * valueSize + j;
            state[p] = (state[p] as number) * factor;
          }
        }
        for (let j = 0; j < valueSize; j++) {
          let written = value[(token * kvHeads + h) * valueSize + j] as number;
          if (geo.delta) {
            for (let i = 0; i < keySize; i++) {
              written -= (state[base + i * valueSize + j] as number) * keyAt(i);
            }
            written *= beta[token * betaColumns + (betaColumns === 1 ? 0 : h)] as number;
          }
          for (let i = 0; i < keySize; i++) {
            const p = base + i * valueSize + j;
            state[p] = (state[p] as number) + keyAt(i) * written;
          }
        }
      }
      for (let h = 0; h < heads; h++) {
        const from = (n * kvHeads + Math.floor(h / (heads / kvHeads))) * keySize * valueSize;
        for (let j = 0; j < valueSize; j++) {
          let sum = 0;
          for (let i = 0; i < keySize; i++) {
            const left = query[(token * heads + h) * keySize + i] as number;
            sum += left * (state[from + i * valueSize + j] as number);
          }
          y[(token * heads + h) * valueSize + j] = geo.scale * sum;
        }
      }
    }
  }
  return outputs.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, i === 0 ? y : state));
}

export const linearAttention = defineOp({
  kind: 'composite',
  name: 'LinearAttention',
  doc: 'Recurrent attention with a matrix state per head: plain, gated, delta or gated delta rule.',
  since: 27,
  attrs: {
    chunk_size: int(64),
    kv_num_heads: requiredInt,
    q_num_heads: requiredInt,
    scale: float(0),
    update_rule: text('gated_delta'),
  },
  infer: inferLinearAttention,
  decompose,
  reference: (inputs, attrs, ctx) => reference(inputs, attrs, ctx.node, ctx.outputTypes),
  cases: () => cases(),
});

function cases(): readonly TestCase[] {
  const [q, k, v] = [sample([2, 3, 8], 1), sample([2, 3, 4], 2), sample([2, 3, 6], 3)];
  const past = sample([2, 2, 2, 3], 4);
  const heads = { q_num_heads: 4, kv_num_heads: 2 };
  return [
    { note: 'linear', inputs: [q, k, v], attrs: { ...heads, update_rule: 'linear' }, outputs: 2 },
    {
      note: 'no sequences',
      inputs: [sample([0, 3, 8], 1), sample([0, 3, 4], 2), sample([0, 3, 6], 3)],
      attrs: { ...heads, update_rule: 'linear' },
    },
    {
      note: 'gated per head, from a past state',
      inputs: [q, k, v, past, sample([2, 3, 2], 5)],
      attrs: { ...heads, update_rule: 'gated' },
      outputs: 2,
    },
    {
      note: 'delta',
      inputs: [q, k, v, null, null, sample([2, 3, 2], 6)],
      attrs: { ...heads, update_rule: 'delta', scale: 0.5 },
    },
    {
      note: 'gated delta, one strength for all heads',
      inputs: [q, k, v, past, sample([2, 3, 4], 5), sample([2, 3, 1], 6)],
      attrs: heads,
      outputs: 2,
    },
  ];
}
