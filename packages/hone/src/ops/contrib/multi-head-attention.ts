/** com.microsoft's MultiHeadAttention: attention over projected queries, keys and values, with a cache. */
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
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { tensor } from '../math/samples.ts';
import { causalBias } from '../nn/causal-bias.ts';
import { sample } from '../nn/samples.ts';
import { MICROSOFT } from './alias.ts';
import {
  attendNodes,
  attendRows,
  biasFunction,
  castTo,
  columnsOf,
  type Heads,
  headsFrom4,
  headsOf,
  joinedHeads,
  joinHeads,
  splitHeads,
} from './attend.ts';
import { maskBias, maskForm, maskFunction, type ScoreShape } from './attention-mask.ts';

const [QUERY, KEY, VALUE, BIAS, MASK, SCORE_BIAS, PAST_KEY, PAST_VALUE] = [0, 1, 2, 3, 4, 5, 6, 7];

interface Geometry extends ScoreShape {
  readonly heads: number;
  readonly size: number;
  readonly valueSize: number;
  readonly past: number;
  readonly scale: number;
  /** Where keys and values are: inputs of their own (rows or heads), or packed with others. */
  readonly layout: 'rows' | 'heads' | 'packed qkv' | 'packed kv';
}

type Shapes = (k: number) => readonly number[] | undefined;

function geometryOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  shapeOf: Shapes,
): Geometry {
  const [q = [], k, v] = [shapeOf(QUERY), shapeOf(KEY), shapeOf(VALUE)];
  const heads = intAttr(attrs, 'num_heads');
  const layout =
    q.length === 5
      ? 'packed qkv'
      : k?.length === 5
        ? 'packed kv'
        : k?.length === 4
          ? 'heads'
          : 'rows';
  if (q.length !== 3 && layout !== 'packed qkv') shapeError(ctx, `the query has rank ${q.length}`);
  if (layout === 'packed qkv' ? k !== undefined : k === undefined) {
    typeError(ctx, 'keys are given twice, or not at all');
  }
  if ((layout === 'rows' || layout === 'heads') !== (v !== undefined)) {
    typeError(ctx, 'values are given twice, or not at all');
  }
  const width = at(q, q.length - 1);
  const size = layout === 'packed qkv' ? width : width / heads;
  if (!(heads > 0) || !Number.isInteger(size)) {
    shapeError(ctx, `${width} columns are not ${heads} heads`);
  }
  const [batch, queries] = [at(q, 0), at(q, 1)];
  const own = layout === 'packed qkv' ? queries : k?.[layout === 'heads' ? 2 : 1];
  if (own === undefined) shapeError(ctx, `the key has rank ${k?.length}`);
  const last = v?.at(-1) ?? size * heads;
  const valueSize = layout === 'rows' ? last / heads : layout === 'heads' ? last : size;
  if (!Number.isInteger(valueSize)) {
    shapeError(ctx, `${last} columns of the values are not ${heads} heads`);
  }
  const wanted: Record<Geometry['layout'], readonly (readonly number[] | undefined)[]> = {
    'packed qkv': [[batch, queries, heads, 3, size], undefined, undefined],
    'packed kv': [q, [batch, own, heads, 2, size], undefined],
    rows: [q, [batch, own, heads * size], [batch, own, heads * valueSize]],
    heads: [q, [batch, heads, own, size], [batch, heads, own, valueSize]],
  };
  wanted[layout].forEach((shape, i) => {
    const found = shapeOf(i);
    if (shape !== undefined && found?.join() !== shape.join()) {
      shapeError(ctx, `input ${i} has shape [${found?.join(',')}]; it takes [${shape.join(',')}]`);
    }
  });
  const past = (shapeOf(PAST_KEY) ?? [0, 0, 0])[2];
  if (past === undefined) shapeError(ctx, `the past key has rank ${shapeOf(PAST_KEY)?.length}`);
  const scale = intAttr(attrs, 'scale');
  return {
    ...{ batch, queries, heads, size, valueSize, past, layout },
    keys: past + own,
    scale: scale === 0 ? 1 / Math.sqrt(size) : scale,
  };
}

function check(ctx: InferContext): Geometry {
  const geo = geometryOf(ctx, ctx.attrs, (k) => optionalType(ctx, k)?.shape);
  const { batch, heads, queries, keys, size, valueSize, past } = geo;
  const { dtype } = inputType(ctx, QUERY);
  const expect = (k: number, what: string, ...shapes: readonly (readonly number[])[]): void => {
    const type = optionalType(ctx, k);
    if (type === undefined) return;
    requireDType(ctx, type, [dtype], what);
    if (shapes.some((shape) => shape.join() === type.shape.join())) return;
    shapeError(
      ctx,
      `${what} has shape [${type.shape.join(',')}]; it takes [${shapes[0]?.join(',')}]`,
    );
  };
  expect(KEY, 'the keys', optionalType(ctx, KEY)?.shape ?? []);
  expect(VALUE, 'the values', optionalType(ctx, VALUE)?.shape ?? []);
  expect(BIAS, 'the bias', [heads * (2 * size + valueSize)]);
  expect(PAST_KEY, 'past_key', [batch, heads, past, size]);
  expect(PAST_VALUE, 'past_value', [batch, heads, past, valueSize]);
  const scores = [batch, 1].flatMap((n) => [heads, 1].map((h) => [n, h, queries, keys]));
  expect(SCORE_BIAS, 'attention_bias', ...scores);
  if (
    (optionalType(ctx, PAST_KEY) === undefined) !==
    (optionalType(ctx, PAST_VALUE) === undefined)
  ) {
    typeError(ctx, 'past_key and past_value are given both or not at all');
  }
  const mask = optionalType(ctx, MASK);
  if (mask !== undefined) {
    requireDType(ctx, mask, ['i32'], 'key_padding_mask');
    maskForm(ctx, mask, geo);
  }
  if (optionalType(ctx, 9) !== undefined) {
    typeError(ctx, 'cache_indirection belongs to beam search, which is not supported');
  }
  return geo;
}

/** Queries, keys and values of this call by head, their biases added. */
function projections(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  geo: Geometry,
): readonly [ValueId, ValueId, ValueId] {
  const { heads, size, valueSize } = geo;
  const [q, k, v, bias] = [QUERY, KEY, VALUE, BIAS].map((i) => inputs[i] ?? null);
  const widths = [heads * size, heads * size, heads * valueSize];
  const parts =
    bias === null ? [] : b.ops('Split', [bias as ValueId, b.ints(widths)], {}, { outputs: 3 });
  const biased = (x: ValueId, i: number): ValueId =>
    parts[i] === undefined ? x : b.op('Add', [x, parts[i]]);
  const own = (x: ValueId, i: number): ValueId => splitHeads(b, biased(x, i), heads);
  /** Packed [batch, length, heads, count, size], one by one as rows. */
  const unpacked = (x: ValueId, count: number): readonly ValueId[] => {
    const [batch = 1, length = 1] = b.typeOf(x).shape;
    const attrs = { axis: 3, num_outputs: count };
    return b
      .ops('Split', [x], attrs, { outputs: count })
      .map((part) => b.reshape(part, [batch, length, heads * size]));
  };
  if (geo.layout === 'packed qkv') {
    const [a, c, d] = unpacked(q as ValueId, 3);
    return [own(a as ValueId, 0), own(c as ValueId, 1), own(d as ValueId, 2)];
  }
  if (geo.layout === 'packed kv') {
    const [c, d] = unpacked(k as ValueId, 2);
    return [own(q as ValueId, 0), own(c as ValueId, 1), own(d as ValueId, 2)];
  }
  const query = own(q as ValueId, 0);
  // Keys that come by head were projected before: they take no bias.
  if (geo.layout === 'heads') return [query, k as ValueId, v as ValueId];
  return [query, own(k as ValueId, 1), own(v as ValueId, 2)];
}

export const multiHeadAttention: CompositeOp = defineOp({
  kind: 'composite',
  name: 'MultiHeadAttention',
  domain: MICROSOFT,
  doc: 'Attention of projected queries, keys and values by heads, with biases, masks and a cache.',
  since: 1,
  attrs: {
    mask_filter_value: float(-10000),
    num_heads: requiredInt,
    scale: float(0),
    unidirectional: int(0),
  },
  infer: (ctx: InferContext): readonly ValueType[] => {
    requireDType(ctx, inputType(ctx, QUERY), FLOATS);
    const { batch, queries, heads, keys, size, valueSize } = check(ctx);
    const { dtype } = inputType(ctx, QUERY);
    const types = [
      { dtype, shape: [batch, queries, heads * valueSize] },
      { dtype, shape: [batch, heads, keys, size] },
      { dtype, shape: [batch, heads, keys, valueSize] },
    ];
    return types.slice(0, Math.max(1, ctx.outputCount));
  },
  decompose: (b, inputs, ctx) => {
    const geo = check(ctx);
    const { dtype } = inputType(ctx, QUERY);
    const [q, k, v] = projections(b, inputs, geo);
    const withPast = (x: ValueId, past: ValueId | null | undefined): ValueId =>
      past == null ? x : b.op('Concat', [past, x], { axis: 2 });
    const [key, value] = [withPast(k, inputs[PAST_KEY]), withPast(v, inputs[PAST_VALUE])];
    const biases: ValueId[] = [];
    const scoreBias = inputs[SCORE_BIAS];
    if (scoreBias != null) biases.push(scoreBias);
    const mask = inputs[MASK];
    const filter = intAttr(ctx.attrs, 'mask_filter_value');
    if (mask != null) {
      const form = maskForm(ctx, inputType(ctx, MASK), geo);
      biases.push(castTo(b, maskBias(b, mask, form, geo, filter), dtype));
    }
    if (intAttr(ctx.attrs, 'unidirectional') !== 0) {
      biases.push(causalBias(b, geo.queries, geo.keys, geo.keys - geo.queries, dtype));
    }
    const mixed = attendNodes(b, { q, k: key, v: value, scale: geo.scale, biases });
    return [joinHeads(b, mixed), key, value].slice(0, ctx.outputs.length);
  },
  reference: (inputs, attrs, ctx) => {
    const node = { node: ctx.node, op: 'MultiHeadAttention' };
    const geo = geometryOf(node, attrs, (i) => inputs[i]?.shape);
    const { heads, size } = geo;
    const bias = inputs[BIAS] ? toNumbers(inputs[BIAS] as Tensor) : undefined;
    const [qRows, kRows, vRows] = rowsOf(inputs, geo);
    const isOwn = geo.layout !== 'heads';
    const q = headsOf(qRows as Tensor, heads, bias, 0);
    const k = isOwn
      ? headsOf(kRows as Tensor, heads, bias, heads * size)
      : headsFrom4(kRows as Tensor);
    const v = isOwn
      ? headsOf(vRows as Tensor, heads, bias, 2 * heads * size)
      : headsFrom4(vRows as Tensor);
    const past = (i: number): Heads | null => (inputs[i] ? headsFrom4(inputs[i] as Tensor) : null);
    const [key, value] = [joinedHeads(past(PAST_KEY), k), joinedHeads(past(PAST_VALUE), v)];
    const mask = inputs[MASK] ?? null;
    const form = mask === null ? undefined : maskForm(node, mask, geo);
    const hidden = maskFunction(mask, form, geo, intAttr(attrs, 'mask_filter_value'));
    const scoreBias = biasFunction(inputs[SCORE_BIAS] ?? null);
    const isCausal = intAttr(attrs, 'unidirectional') !== 0;
    const y = attendRows({
      ...{ q, k: key, v: value, scale: geo.scale },
      bias: (n, h, i, j) => {
        const isLater = isCausal && j > i + geo.keys - geo.queries;
        const later = isLater ? Number.NEGATIVE_INFINITY : 0;
        return hidden(n, h, i, j) + scoreBias(n, h, i, j) + later;
      },
    });
    const all = [y, key.values, value.values];
    return ctx.outputTypes.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(all, i)));
  },
  tolerance: { f16: { relative: 2e-2, absolute: 5e-3 } },
  cases: () => cases(),
});

/** Query, keys and values as rows, or as they are where they come by head. */
function rowsOf(inputs: readonly (Tensor | null)[], geo: Geometry): readonly (Tensor | null)[] {
  const [q, k, v] = [inputs[QUERY] ?? null, inputs[KEY] ?? null, inputs[VALUE] ?? null];
  const { batch, heads, size } = geo;
  const slot = (x: Tensor, which: number, count: number): Tensor => {
    const values = toNumbers(x);
    const length = at(x.shape, 1);
    const out = Array.from({ length: batch * length * heads * size }, (_, i) => {
      const head = Math.floor(i / size);
      return values[(head * count + which) * size + (i % size)] as number;
    });
    return fromNumbers(x.dtype, [batch, length, heads * size], out);
  };
  if (geo.layout === 'packed qkv' && q !== null) return [0, 1, 2].map((i) => slot(q, i, 3));
  if (geo.layout === 'packed kv' && k !== null) return [q, slot(k, 0, 2), slot(k, 1, 2)];
  return [q, k, v];
}

function cases(): readonly TestCase[] {
  const rows = (length: number, columns: number, seed: number): Tensor =>
    sample([2, length, columns], seed);
  return [
    {
      note: 'biases, lengths of keys',
      inputs: [
        ...[rows(3, 8, 1), rows(4, 8, 2), rows(4, 12, 3), sample([28], 4)],
        tensor('i32', [2], [3, 4]),
      ],
      attrs: { num_heads: 2 },
    },
    {
      note: 'cache, causal, scores biased',
      inputs: [
        ...[rows(2, 8, 1), rows(2, 8, 2), rows(2, 8, 3), null, null, sample([1, 2, 2, 5], 5)],
        ...[sample([2, 2, 3, 4], 6), sample([2, 2, 3, 4], 7)],
      ],
      attrs: { num_heads: 2, unidirectional: 1, scale: 0.25 },
      outputs: 3,
    },
    {
      note: 'keys by head, mask of keys',
      inputs: [
        ...[rows(3, 8, 1), sample([2, 2, 4, 4], 2), sample([2, 2, 4, 4], 3), null],
        tensor('i32', [2, 4], [1, 1, 0, 1, 0, 1, 1, 1]),
      ],
      attrs: { num_heads: 2 },
    },
    { note: 'all packed', inputs: [sample([2, 3, 2, 3, 4], 1)], attrs: { num_heads: 2 } },
    {
      note: 'keys and values packed',
      inputs: [rows(3, 8, 1), sample([2, 5, 2, 2, 4], 2)],
      attrs: { num_heads: 2 },
    },
  ];
}

/** For the operators that project within: three parts of columns. */
export function threeParts(x: Tensor, widths: readonly number[]): readonly Tensor[] {
  let start = 0;
  return widths.map((width) => {
    const part = columnsOf(x, start, start + width);
    start += width;
    return part;
  });
}
