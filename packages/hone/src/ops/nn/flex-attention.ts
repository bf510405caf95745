/** FlexAttention: attention whose scores and probabilities a sub-graph may change. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode, dtypeFromCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, ValueId } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, requireDType, shapeError } from '../checks.ts';
import { CAPTURES, inlineGraph } from '../control/subgraph.ts';
import { defineOp, type InferContext, type LowerContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given, outputOf } from '../math/loops.ts';
import { sample } from './samples.ts';

interface Geometry {
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly size: number;
  readonly valueSize: number;
}

type Shapes = readonly [readonly number[], readonly number[], readonly number[]];

function geometryOf(ctx: { node: string; op: string }, [q, k, v]: Shapes): Geometry {
  const fits =
    q.length === 4 &&
    k.length === 4 &&
    v.length === 4 &&
    q[0] === k[0] &&
    q[3] === k[3] &&
    k.slice(0, 3).join() === v.slice(0, 3).join() &&
    at(q, 1) % Math.max(1, at(k, 1)) === 0 &&
    (at(k, 1) > 0 || at(q, 1) === 0);
  if (!fits) {
    shapeError(
      ctx,
      `Q [${q.join(',')}], K [${k.join(',')}] and V [${v.join(',')}] do not fit together`,
    );
  }
  return {
    batch: at(q, 0),
    heads: at(q, 1),
    kvHeads: at(k, 1),
    queries: at(q, 2),
    keys: at(k, 2),
    size: at(q, 3),
    valueSize: at(v, 3),
  };
}

function scaleOf(attrs: Attrs, size: number): number {
  const scale = attrs['scale'];
  return typeof scale === 'number' ? scale : 1 / Math.sqrt(size);
}

function graphOf(attrs: Attrs, name: string): Graph | undefined {
  const value = attrs[name];
  return typeof value === 'object' && 'nodes' in value ? value : undefined;
}

/** A sub-graph takes scores, then what it captures, and gives scores. */
function checkModifier(ctx: InferContext, name: string, scores: readonly number[]): void {
  const graph = graphOf(ctx.attrs, name);
  if (graph === undefined) return;
  const own = graph.inputs.length - (ctx.inputs.length - 3);
  if (own !== 1 || graph.outputs.length !== 1) {
    shapeError(
      ctx,
      `${name} has ${own} inputs and ${graph.outputs.length} outputs, where scores are one of each`,
    );
  }
  for (const id of [at(graph.inputs, 0), at(graph.outputs, 0)]) {
    const { shape } = valueById(graph, id).type;
    if (shape.join() !== scores.join()) {
      shapeError(ctx, `${name} has scores of [${shape.join(',')}], not [${scores.join(',')}]`);
    }
  }
}

/** A sub-graph over scores, which it may take in another dtype. */
function modified(
  b: OpBuilder,
  x: ValueId,
  graph: Graph | undefined,
  captures: readonly ValueId[],
  prefix: string,
): ValueId {
  if (graph === undefined) return x;
  const own = b.typeOf(x).dtype;
  const wanted = valueById(graph, at(graph.inputs, 0)).type.dtype;
  const cast = (id: ValueId, to: typeof own): ValueId =>
    b.typeOf(id).dtype === to ? id : b.op('Cast', [id], { to: dtypeCode(to) });
  const [made] = inlineGraph(b, graph, [cast(x, wanted), ...captures], prefix);
  return made === undefined ? x : cast(made, own);
}

function decompose(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: LowerContext,
): readonly ValueId[] {
  const [q, k, v, ...captures] = inputs.map((id) => id ?? b.scalar(0));
  const shapes = [0, 1, 2].map((i) => inputType(ctx, i).shape) as unknown as Shapes;
  const geo = geometryOf(ctx, shapes);
  const { batch, heads, kvHeads, queries, keys } = geo;
  // Query heads that share a key head are more rows of one head.
  const rows = (heads / Math.max(1, kvHeads)) * queries;
  const query = b.reshape(q ?? null, [batch, kvHeads, rows, geo.size]);
  const alpha = scaleOf(ctx.attrs, geo.size);
  const raw = b.op(
    'FusedMatMul',
    [query, k ?? null],
    { transB: 1, alpha },
    { domain: 'com.microsoft' },
  );
  const apart = b.reshape(raw, [batch, heads, queries, keys]);
  const scores = modified(
    b,
    apart,
    graphOf(ctx.attrs, 'score_mod'),
    captures,
    `${ctx.node}/score_mod`,
  );
  const wide = dtypeFromCode((ctx.attrs['softmax_precision'] as number | undefined) ?? 0);
  const own = b.typeOf(scores).dtype;
  const precise =
    wide === undefined || wide === own ? scores : b.op('Cast', [scores], { to: dtypeCode(wide) });
  const soft = b.op('Softmax', [precise], { axis: -1 });
  const weights = precise === scores ? soft : b.op('Cast', [soft], { to: dtypeCode(own) });
  const probs = modified(
    b,
    weights,
    graphOf(ctx.attrs, 'prob_mod'),
    captures,
    `${ctx.node}/prob_mod`,
  );
  const shared = b.reshape(probs, [batch, kvHeads, rows, keys]);
  const mixed = b.op('MatMul', [shared, v ?? null]);
  return [b.reshape(mixed, at(ctx.outputs, 0).shape)];
}

export const flexAttention = defineOp({
  kind: 'composite',
  name: 'FlexAttention',
  domain: 'ai.onnx.preview',
  doc: 'Attention whose scores and probabilities sub-graphs may change.',
  since: 1,
  attrs: {
    ...CAPTURES,
    prob_mod: { type: 'graph' },
    scale: { type: 'float' },
    score_mod: { type: 'graph' },
    softmax_precision: { type: 'int' },
  },
  infer(ctx) {
    const q = inputType(ctx, 0);
    requireDType(ctx, q, FLOATS);
    const shapes = [q.shape, inputType(ctx, 1).shape, inputType(ctx, 2).shape] as const;
    const { batch, heads, queries, keys, valueSize } = geometryOf(ctx, shapes);
    for (const name of ['score_mod', 'prob_mod']) {
      checkModifier(ctx, name, [batch, heads, queries, keys]);
    }
    return [{ dtype: q.dtype, shape: [batch, heads, queries, valueSize] }];
  },
  decompose,
  reference(inputs, attrs, ctx) {
    const [q, k, v] = [0, 1, 2].map((i) => given(inputs, i)) as [Tensor, Tensor, Tensor];
    const node = { node: ctx.node, op: 'FlexAttention' };
    const geo = geometryOf(node, [q.shape, k.shape, v.shape]);
    const { heads, kvHeads, queries, keys, size, valueSize } = geo;
    const [qs, ks, vs] = [toNumbers(q), toNumbers(k), toNumbers(v)];
    const kvOf = (head: number): number =>
      Math.floor(head / heads) * kvHeads + Math.floor((head % heads) / (heads / kvHeads));
    const shape = [geo.batch, heads, queries, keys];
    const captures = inputs.slice(3) as readonly Tensor[];
    const run = (values: Float64Array, name: string): Float64Array => {
      const graph = graphOf(attrs, name);
      if (graph === undefined) return values;
      const { dtype } = valueById(graph, at(graph.inputs, 0)).type;
      const [made] = ctx.run(graph, [fromNumbers(dtype, shape, values), ...captures]);
      return made === undefined ? values : toNumbers(made);
    };
    const scale = scaleOf(attrs, size);
    const raw = Float64Array.from({ length: elementCount(shape) }, (_, i) => {
      const [row, key] = [Math.floor(i / keys), i % keys];
      const base = (kvOf(Math.floor(row / queries)) * keys + key) * size;
      let sum = 0;
      for (let d = 0; d < size; d++) {
        sum += (qs[row * size + d] as number) * (ks[base + d] as number);
      }
      return sum * scale;
    });
    const scores = run(raw, 'score_mod');
    const soft = new Float64Array(scores.length);
    for (let row = 0; row < scores.length; row += keys) {
      const part = [...scores.subarray(row, row + keys)];
      const most = Math.max(...part);
      const powers = part.map((x) => Math.exp(x - most));
      const total = powers.reduce((sum, x) => sum + x, 0);
      powers.forEach((x, i) => {
        soft[row + i] = x / total;
      });
    }
    const probs = run(soft, 'prob_mod');
    const out = outputOf(ctx);
    const values = Float64Array.from({ length: elementCount(out.shape) }, (_, i) => {
      const [row, d] = [Math.floor(i / valueSize), i % valueSize];
      const base = kvOf(Math.floor(row / queries)) * keys;
      let sum = 0;
      for (let key = 0; key < keys; key++) {
        sum += (probs[row * keys + key] as number) * (vs[(base + key) * valueSize + d] as number);
      }
      return sum;
    });
    return [fromNumbers(out.dtype, out.shape, values)];
  },
  cases: () => [
    { inputs: [sample([1, 2, 3, 4], 1), sample([1, 2, 5, 4], 2), sample([1, 2, 5, 6], 3)] },
    {
      note: 'shared key heads, a scale',
      inputs: [sample([2, 4, 3, 2], 1), sample([2, 2, 3, 2], 2), sample([2, 2, 3, 2], 3)],
      attrs: { scale: 0.25 },
    },
  ],
});
