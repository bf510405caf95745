/** LinearAttention: a matrix state per head, updated and read once for every token. */
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  float,
  inputType,
  int,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
  text,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { uniform } from '../math/samples.ts';
import {
  geometry,
  geometryOf,
  linearAttentionNodes,
  TOKEN_LIMIT,
} from './linear-attention-nodes.ts';
import { sample } from './samples.ts';

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
  decompose: (b, inputs, ctx) =>
    linearAttentionNodes(b, inputs, { ...ctx, outputCount: ctx.outputs.length }),
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
    {
      note: 'more tokens than are written out, gated per key',
      inputs: [
        ...[sample([1, TOKEN_LIMIT + 4, 3], 1), sample([1, TOKEN_LIMIT + 4, 3], 2)],
        ...[sample([1, TOKEN_LIMIT + 4, 2], 3), sample([1, 1, 3, 2], 4)],
        uniform([1, TOKEN_LIMIT + 4, 3], -1, -0.1),
      ],
      attrs: { q_num_heads: 1, kv_num_heads: 1, update_rule: 'gated' },
      outputs: 2,
    },
    {
      note: 'no tokens',
      inputs: [sample([1, 0, 4], 1), sample([1, 0, 2], 2), sample([1, 0, 3], 3)],
      attrs: { q_num_heads: 2, kv_num_heads: 1, update_rule: 'linear' },
      outputs: 2,
    },
  ];
}
