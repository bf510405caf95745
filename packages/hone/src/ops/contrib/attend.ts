/**
 * Scaled dot-product attention as com.microsoft's operators share it: scores capped and biased, a softmax
 * that may count a "sink" (a score without a value) and heads of keys that serve several of queries.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';

export interface AttendNodes {
  /** [batch, heads, queries, size] */
  readonly q: ValueId;
  /** [batch, key heads, keys, size] */
  readonly k: ValueId;
  readonly v: ValueId;
  readonly scale: number;
  /** 0: none. */
  readonly softcap?: number;
  /** Added to the scores, broadcast to them. */
  readonly biases?: readonly ValueId[];
  /** Bool, broadcast to the scores: keys that a query may see. */
  readonly visible?: ValueId;
  /** One score per head. */
  readonly sink?: ValueId;
}

/** [batch, length, heads · size] as [batch, heads, length, size]. */
export function splitHeads(b: OpBuilder, x: ValueId, heads: number): ValueId {
  const [batch = 1, length = 1, columns = 1] = b.typeOf(x).shape;
  const apart = b.reshape(x, [batch, length, heads, columns / heads]);
  return b.op('Transpose', [apart], { perm: [0, 2, 1, 3] });
}

/** The reverse of `splitHeads`. */
export function joinHeads(b: OpBuilder, x: ValueId): ValueId {
  const [batch = 1, heads = 1, length = 1, size = 1] = b.typeOf(x).shape;
  const apart = b.op('Transpose', [x], { perm: [0, 2, 1, 3] });
  return b.reshape(apart, [batch, length, heads * size]);
}

/** The mixed values [batch, heads, queries, value size]. */
export function attendNodes(b: OpBuilder, it: AttendNodes): ValueId {
  const [batch = 1, heads = 1, queries = 1] = b.typeOf(it.q).shape;
  const [, kvHeads = 1, keys = 1] = b.typeOf(it.k).shape;
  const { dtype } = b.typeOf(it.q);
  // Query heads that share a key head are more rows of one head: keys are not copied.
  const shared = (x: ValueId): ValueId => {
    if (heads === kvHeads) return x;
    const rows = (heads / kvHeads) * queries;
    return b.reshape(x, [batch, kvHeads, rows, b.typeOf(x).shape.at(-1) ?? 1]);
  };
  const apart = (x: ValueId): ValueId => {
    if (heads === kvHeads) return x;
    return b.reshape(x, [batch, heads, queries, b.typeOf(x).shape.at(-1) ?? 1]);
  };
  const product = { transB: 1, alpha: it.scale };
  let scores = apart(
    b.op('FusedMatMul', [shared(it.q), it.k], product, { domain: 'com.microsoft' }),
  );
  const { softcap = 0, biases = [] } = it;
  if (softcap !== 0) {
    const cap = b.scalar(softcap, dtype);
    scores = b.op('Mul', [b.op('Tanh', [b.op('Div', [scores, cap])]), cap]);
  }
  for (const bias of biases) scores = b.op('Add', [scores, bias]);
  if (it.visible !== undefined) {
    const hidden = b.scalar(Number.NEGATIVE_INFINITY, dtype);
    scores = b.op('Where', [it.visible, scores, hidden]);
  }
  const weights = softmaxNodes(b, scores, it.sink, [batch, heads, queries, keys]);
  return apart(b.op('MatMul', [shared(weights), it.v]));
}

function softmaxNodes(
  b: OpBuilder,
  scores: ValueId,
  sink: ValueId | undefined,
  shape: readonly [number, number, number, number],
): ValueId {
  if (sink === undefined) return b.op('Softmax', [scores], { axis: -1 });
  const [batch, heads, queries, keys] = shape;
  const column = b.reshape(castLike(b, sink, scores), [1, heads, 1, 1]);
  const extra = b.op('Expand', [column, b.ints([batch, heads, queries, 1])]);
  const all = b.op('Softmax', [b.op('Concat', [scores, extra], { axis: 3 })], { axis: -1 });
  return b.op('Slice', [all, b.ints([0]), b.ints([keys]), b.ints([3])]);
}

/** `x` in the dtype of `like`. */
export function castLike(b: OpBuilder, x: ValueId, like: ValueId): ValueId {
  return castTo(b, x, b.typeOf(like).dtype);
}

export function castTo(b: OpBuilder, x: ValueId, dtype: DType): ValueId {
  return b.typeOf(x).dtype === dtype ? x : b.op('Cast', [x], { to: dtypeCode(dtype) });
}

/** Four-dimensional [batch, heads, length, size] data of a reference. */
export interface Heads {
  readonly shape: readonly [number, number, number, number];
  readonly values: Float64Array;
}

/** Rows of [batch, length, heads · size] by head. `bias` is added to every row before. */
export function headsOf(x: Tensor, heads: number, bias?: Float64Array, from = 0): Heads {
  const [batch = 1, length = 1, columns = 1] = x.shape;
  const size = columns / heads;
  const source = toNumbers(x);
  const values = new Float64Array(source.length);
  source.forEach((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const [n, t] = [Math.floor(row / length), row % length];
    const to = ((n * heads + Math.floor(column / size)) * length + t) * size + (column % size);
    values[to] = value + (bias?.[from + column] ?? 0);
  });
  return { shape: [batch, heads, length, size], values };
}

export function headsFrom4(x: Tensor): Heads {
  return { shape: x.shape as unknown as Heads['shape'], values: toNumbers(x) };
}

/** Lines `first` to `last` of a tensor [batch, length, columns]. */
export function columnsOf(x: Tensor, first: number, last: number): Tensor {
  const [batch = 1, length = 1, columns = 1] = x.shape;
  const width = last - first;
  const values = toNumbers(x);
  const out = Array.from(
    { length: batch * length * width },
    (_, i) => values[Math.floor(i / width) * columns + first + (i % width)] as number,
  );
  return fromNumbers(x.dtype, [batch, length, width], out);
}

/** `then` behind `first` along the lengths. */
export function joinedHeads(first: Heads | null, then: Heads): Heads {
  if (first === null) return then;
  const [batch, heads, length, size] = then.shape;
  const past = first.shape[2];
  const values = new Float64Array(batch * heads * (past + length) * size);
  for (let row = 0; row < batch * heads; row++) {
    const to = row * (past + length) * size;
    values.set(first.values.subarray(row * past * size, (row + 1) * past * size), to);
    const own = then.values.subarray(row * length * size, (row + 1) * length * size);
    values.set(own, to + past * size);
  }
  return { shape: [batch, heads, past + length, size], values };
}

export interface AttendReference {
  readonly q: Heads;
  readonly k: Heads;
  readonly v: Heads;
  readonly scale: number;
  readonly softcap?: number;
  /** What is added to a score; −∞ hides the key. */
  readonly bias: (batch: number, head: number, query: number, key: number) => number;
  /** Keys that a query may see, whatever their score. */
  readonly visible?: (batch: number, query: number, key: number) => boolean;
  readonly sink?: (head: number) => number;
}

/** The same in plain loops, as rows [batch, queries, heads · value size]. */
export function attendRows(it: AttendReference): number[] {
  const [batch, heads, queries, size] = it.q.shape;
  const [, kvHeads, keys] = it.k.shape;
  const valueSize = it.v.shape[3];
  const { softcap = 0 } = it;
  const out = new Array<number>(batch * queries * heads * valueSize).fill(0);
  const rowOf = (x: Heads, n: number, h: number, t: number): Float64Array => {
    const start = ((n * x.shape[1] + h) * x.shape[2] + t) * x.shape[3];
    return x.values.subarray(start, start + x.shape[3]);
  };
  for (let n = 0; n < batch; n++) {
    for (let h = 0; h < heads; h++) {
      const shared = Math.floor((h * kvHeads) / heads);
      for (let i = 0; i < queries; i++) {
        const query = rowOf(it.q, n, h, i);
        const scores = Array.from({ length: keys }, (_, j) => {
          if (it.visible?.(n, i, j) === false) return Number.NEGATIVE_INFINITY;
          const key = rowOf(it.k, n, shared, j);
          let dot = 0;
          for (let c = 0; c < size; c++) dot += (query[c] as number) * (key[c] as number);
          const raw = dot * it.scale;
          const capped = softcap === 0 ? raw : softcap * Math.tanh(raw / softcap);
          return capped + it.bias(n, h, i, j);
        });
        const sink = it.sink?.(h);
        const all = sink === undefined ? scores : [...scores, sink];
        const top = Math.max(...all);
        const powers = all.map((score) => Math.exp(score - top));
        const sum = powers.reduce((a, b) => a + b, 0);
        for (let j = 0; j < keys; j++) {
          const weight = at(powers, j) / sum;
          const value = rowOf(it.v, n, shared, j);
          for (let c = 0; c < valueSize; c++) {
            const to = ((n * queries + i) * heads + h) * valueSize + c;
            out[to] = at(out, to) + weight * (value[c] as number);
          }
        }
      }
    }
  }
  return out;
}

/** An additive tensor that broadcasts to [batch, heads, queries, keys], as a function. */
export function biasFunction(bias: Tensor | null): AttendReference['bias'] {
  if (bias === null) return () => 0;
  const values = toNumbers(bias);
  const [b0 = 1, b1 = 1, b2 = 1, b3 = 1] = bias.shape;
  return (n, h, i, j) => {
    const place = (k: number, extent: number): number => (extent === 1 ? 0 : k);
    const row = (place(n, b0) * b1 + place(h, b1)) * b2 + place(i, b2);
    return values[row * b3 + place(j, b3)] as number;
  };
}
