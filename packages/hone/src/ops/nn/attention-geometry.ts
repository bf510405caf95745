/** Shapes of scaled dot-product attention, and what does not fit. */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  broadcastShapes,
  inputType,
  intAttr,
  optionalType,
  requireDType,
  shapeError,
  typeError,
} from '../checks.ts';
import type { InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import type { NodeRef } from './window.ts';

export interface AttentionGeometry {
  /** Inputs are [batch, sequence, heads · size] instead of [batch, heads, sequence, size]. */
  readonly packed: boolean;
  readonly batch: number;
  /** Heads of the queries, and of keys and values (fewer: each serves several query heads). */
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  /** Keys before these, from the cache. */
  readonly past: number;
  /** Keys of this call, without the past. */
  readonly keys: number;
  readonly size: number;
  readonly valueSize: number;
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
  readonly causal: boolean;
}

function numberOr(attrs: Attrs, name: string, otherwise: number): number {
  const value = attrs[name];
  return typeof value === 'number' ? value : otherwise;
}

export function attentionGeometry(
  ctx: NodeRef,
  attrs: Attrs,
  q: readonly number[],
  k: readonly number[],
  v: readonly number[],
  pastKey: readonly number[] | undefined,
): AttentionGeometry {
  const packed = q.length === 3;
  if ((q.length !== 3 && q.length !== 4) || k.length !== q.length || v.length !== q.length) {
    shapeError(ctx, `Q, K and V have ranks ${q.length}, ${k.length}, ${v.length}; all 3 or all 4`);
  }
  const heads = packed ? numberOr(attrs, 'q_num_heads', 0) : at(q, 1);
  const kvHeads = packed ? numberOr(attrs, 'kv_num_heads', 0) : at(k, 1);
  if (heads < 1 || kvHeads < 1) {
    typeError(ctx, 'inputs of rank 3 need q_num_heads and kv_num_heads');
  }
  if (heads % kvHeads !== 0) {
    shapeError(ctx, `${heads} query heads cannot share ${kvHeads} key heads evenly`);
  }
  const line = packed ? 1 : 2;
  const sizeOf = (shape: readonly number[], count: number, name: string): number => {
    const last = at(shape, shape.length - 1);
    if (!packed) return last;
    if (last % count !== 0) shapeError(ctx, `${name}'s ${last} columns are not ${count} heads`);
    return last / count;
  };
  const size = sizeOf(q, heads, 'Q');
  const keySize = sizeOf(k, kvHeads, 'K');
  if (keySize !== size) shapeError(ctx, `heads of Q have size ${size}, those of K ${keySize}`);
  const keys = at(k, line);
  if (at(v, line) !== keys) shapeError(ctx, `there are ${keys} keys, but ${at(v, line)} values`);
  if (at(q, 0) !== at(k, 0) || at(k, 0) !== at(v, 0)) {
    shapeError(ctx, `batches of Q, K and V are ${q[0]}, ${k[0]}, ${v[0]}`);
  }
  if (!packed && at(v, 1) !== kvHeads) {
    shapeError(ctx, `K has ${kvHeads} heads, but V has ${v[1]}`);
  }
  const past = pastKey === undefined ? 0 : pastKey[2];
  if (past === undefined) shapeError(ctx, `the past key has rank ${pastKey?.length}; it takes 4`);
  return {
    packed,
    batch: at(q, 0),
    heads,
    kvHeads,
    queries: at(q, line),
    past,
    keys,
    size,
    valueSize: sizeOf(v, kvHeads, 'V'),
    scale: numberOr(attrs, 'scale', 1 / Math.sqrt(size)),
    softcap: intAttr(attrs, 'softcap'),
    causal: intAttr(attrs, 'is_causal') !== 0,
  };
}

/** Shape of the scores [batch, heads, queries, all keys]. */
export function scoreShape(geo: AttentionGeometry): readonly number[] {
  return [geo.batch, geo.heads, geo.queries, geo.past + geo.keys];
}

export function geometryOfNode(ctx: InferContext): AttentionGeometry {
  const shape = (i: number): readonly number[] => inputType(ctx, i).shape;
  return attentionGeometry(
    ctx,
    ctx.attrs,
    shape(0),
    shape(1),
    shape(2),
    optionalType(ctx, 4)?.shape,
  );
}

export function inferAttention(ctx: InferContext): readonly ValueType[] {
  const q = inputType(ctx, 0);
  requireDType(ctx, q, FLOATS);
  requireDType(ctx, inputType(ctx, 1), [q.dtype], 'K');
  requireDType(ctx, inputType(ctx, 2), FLOATS, 'V');
  const geo = geometryOfNode(ctx);
  const { batch, kvHeads, past, keys, size, valueSize } = geo;
  const expect = (i: number, name: string, wanted: readonly number[]): void => {
    const type = optionalType(ctx, i);
    if (type !== undefined && type.shape.join() !== wanted.join()) {
      shapeError(
        ctx,
        `${name} has shape [${type.shape.join(',')}]; it takes [${wanted.join(',')}]`,
      );
    }
  };
  expect(4, 'past_key', [batch, kvHeads, past, size]);
  expect(5, 'past_value', [batch, kvHeads, past, valueSize]);
  expect(6, 'nonpad_kv_seqlen', [batch]);
  const lengths = optionalType(ctx, 6);
  if (lengths !== undefined) requireDType(ctx, lengths, ['i64'], 'nonpad_kv_seqlen');
  if ((optionalType(ctx, 4) === undefined) !== (optionalType(ctx, 5) === undefined)) {
    typeError(ctx, 'past_key and past_value are given both or not at all');
  }
  const shown = intAttr(ctx.attrs, 'qk_matmul_output_mode');
  if (![0, 1, 2, 3].includes(shown)) typeError(ctx, `there is no qk_matmul_output_mode ${shown}`);
  const scores = scoreShape(geo);
  const mask = optionalType(ctx, 3);
  if (mask !== undefined) {
    requireDType(ctx, mask, ['bool', ...FLOATS], 'attn_mask');
    const short = (mask.shape.at(-1) ?? 1) < at(scores, 3);
    // A mask of fewer keys is continued with "not to be seen".
    const whole = short ? [...mask.shape.slice(0, -1), at(scores, 3)] : mask.shape;
    if (broadcastShapes(ctx, whole, scores).join() !== scores.join()) {
      shapeError(
        ctx,
        `attn_mask [${mask.shape.join(',')}] does not fit the scores [${scores.join(',')}]`,
      );
    }
  }
  const { dtype } = q;
  const valueType = inputType(ctx, 2).dtype;
  const { queries, heads } = geo;
  const types: readonly ValueType[] = [
    {
      dtype,
      shape: geo.packed ? [batch, queries, heads * valueSize] : [batch, heads, queries, valueSize],
    },
    { dtype, shape: [batch, kvHeads, past + keys, size] },
    { dtype: valueType, shape: [batch, kvHeads, past + keys, valueSize] },
    { dtype, shape: scores },
  ];
  return types.slice(0, Math.max(1, ctx.outputCount));
}
