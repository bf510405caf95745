/** Attention in plain loops: one query row at a time. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import { intAttr } from '../checks.ts';
import type { ReferenceContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { type AttentionGeometry, attentionGeometry, scoreShape } from './attention-geometry.ts';

/** Reads rows [batch, head, position] of an input, whichever way it is laid out. */
type Row = (batch: number, head: number, position: number) => Float64Array;

function rows(x: Tensor, packed: boolean, heads: number, size: number): Row {
  const values = toNumbers(x);
  const length = at(x.shape, packed ? 1 : 2);
  return (batch, head, position) => {
    const row = packed
      ? (batch * length + position) * heads + head
      : (batch * heads + head) * length + position;
    return values.subarray(row * size, (row + 1) * size);
  };
}

/** The cached rows, then this call's. */
function joined(geo: AttentionGeometry, past: Row | null, now: Row): Row {
  return (batch, head, position) =>
    past !== null && position < geo.past
      ? past(batch, head, position)
      : now(batch, head, position - geo.past);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** What the mask adds to a score; −∞ hides the key. */
function maskBias(mask: Tensor | null, geo: AttentionGeometry): (...index: number[]) => number {
  if (mask === null) return () => 0;
  const values = toNumbers(mask);
  const { shape } = mask;
  const keys = geo.past + geo.keys;
  const short = (shape.at(-1) ?? keys) < keys && shape.at(-1) !== 1;
  const scores = scoreShape(geo);
  return (...index) => {
    let flat = 0;
    for (let i = 0; i < shape.length; i++) {
      const position = at(index, i + scores.length - shape.length);
      const extent = at(shape, i);
      if (i === shape.length - 1 && short && position >= extent) return Number.NEGATIVE_INFINITY;
      flat = flat * extent + (extent === 1 ? 0 : position);
    }
    const value = values[flat] as number;
    if (mask.dtype !== 'bool') return value;
    return value === 0 ? Number.NEGATIVE_INFINITY : 0;
  };
}

function softmaxOf(row: readonly number[]): number[] {
  const top = row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const powers = row.map((x) => Math.exp(x - top));
  const sum = powers.reduce((total, x) => total + x, 0);
  return powers.map((x) => x / sum);
}

export function attentionReference(
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  ctx: ReferenceContext,
): readonly Tensor[] {
  const [q, k, v] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
  const pastKey = inputs[4] ?? null;
  const pastValue = inputs[5] ?? null;
  const counts = inputs[6] ? toNumbers(inputs[6]) : null;
  const node = { node: ctx.node, op: 'Attention' };
  const geo = attentionGeometry(node, attrs, q.shape, k.shape, v.shape, pastKey?.shape);
  const { batch, heads, kvHeads, queries, past, size, valueSize } = geo;
  const keys = past + geo.keys;
  const queryRow = rows(q, geo.packed, heads, size);
  const pastRows = (tensor: Tensor | null, width: number): Row | null =>
    tensor === null ? null : rows(tensor, false, kvHeads, width);
  const keyRow = joined(geo, pastRows(pastKey, size), rows(k, geo.packed, kvHeads, size));
  const valueRow = joined(
    geo,
    pastRows(pastValue, valueSize),
    rows(v, geo.packed, kvHeads, valueSize),
  );
  const bias = maskBias(inputs[3] ?? null, geo);
  const mode = intAttr(attrs, 'qk_matmul_output_mode');
  const y = new Float64Array(batch * heads * queries * valueSize);
  const shown: number[] = [];
  for (let n = 0; n < batch; n++) {
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor(h / (heads / kvHeads));
      for (let i = 0; i < queries; i++) {
        const query = queryRow(n, h, i);
        const raw = Array.from(
          { length: keys },
          (_, j) => geo.scale * dot(query, keyRow(n, kvHead, j)),
        );
        const capped =
          geo.softcap === 0 ? raw : raw.map((x) => geo.softcap * Math.tanh(x / geo.softcap));
        const masked = capped.map((x, j) => {
          if (counts !== null && j >= (counts[n] as number)) return Number.NEGATIVE_INFINITY;
          // Added, as ONNX says: what is no number stays none.
          const later = geo.causal && j > i + past ? Number.NEGATIVE_INFINITY : 0;
          return x + bias(n, h, i, j) + later;
        });
        const weights = softmaxOf(masked);
        shown.push(...at([raw, capped, masked, weights], mode));
        const to =
          (geo.packed ? (n * queries + i) * heads + h : (n * heads + h) * queries + i) * valueSize;
        weights.forEach((weight, j) => {
          const value = valueRow(n, kvHead, j);
          for (let c = 0; c < valueSize; c++) {
            y[to + c] = (y[to + c] as number) + weight * (value[c] as number);
          }
        });
      }
    }
  }
  const present = (row: Row): number[] => {
    const all: number[] = [];
    for (let n = 0; n < batch; n++) {
      for (let h = 0; h < kvHeads; h++) for (let j = 0; j < keys; j++) all.push(...row(n, h, j));
    }
    return all;
  };
  const values = [() => y, () => present(keyRow), () => present(valueRow), () => shown];
  return ctx.outputTypes.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(values, i)()));
}
