/** com.microsoft's Attention and QAttention: projections of one input, then attention over its heads. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  intsAttr,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import {
  type CompositeOp,
  defineOp,
  type InferContext,
  type OpInput,
  type TestCase,
} from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { f32, tensor } from '../math/samples.ts';
import { causalBias } from '../nn/causal-bias.ts';
import { sample } from '../nn/samples.ts';
import {
  alikeParameters,
  checkParameters,
  dequantizeNode,
  EIGHT_BITS,
  realOf,
} from '../quant/real-form.ts';
import { MICROSOFT } from './alias.ts';
import {
  attendNodes,
  attendRows,
  biasFunction,
  castTo,
  type Heads,
  headsOf,
  joinedHeads,
  joinHeads,
  splitHeads,
} from './attend.ts';
import { maskBias, maskForm, maskFunction, type ScoreShape } from './attention-mask.ts';
import { threeParts } from './multi-head-attention.ts';

const [DATA, WEIGHTS, BIAS, MASK, PAST, SCORE_BIAS] = [0, 1, 2, 3, 4, 5];

interface Geometry extends ScoreShape {
  readonly heads: number;
  /** Columns of queries, keys and values. */
  readonly widths: readonly [number, number, number];
  readonly past: number;
  readonly scale: number;
}

function geometryOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  shapeOf: (k: number) => readonly number[] | undefined,
): Geometry {
  const [x = [], w = []] = [shapeOf(DATA), shapeOf(WEIGHTS)];
  if (x.length !== 3 || w.length !== 2 || w[0] !== x[2]) {
    shapeError(ctx, `input [${x.join(',')}] and weights [${w.join(',')}] do not fit`);
  }
  const heads = intAttr(attrs, 'num_heads');
  const given = intsAttr(attrs, 'qkv_hidden_sizes');
  const third = at(w, 1) / 3;
  const [q = third, k = third, v = third] = given ?? [];
  const isWhole = [q, k, v].every((width) => heads > 0 && Number.isInteger(width / heads));
  if (!isWhole || q !== k || q + k + v !== w[1]) {
    shapeError(ctx, `${w[1]} columns are not ${heads} heads of queries, keys and values`);
  }
  const past = shapeOf(PAST);
  if (past !== undefined) {
    const wanted = [2, x[0], heads, past[3], k / heads].join();
    if (past.join() !== wanted || k !== v) {
      shapeError(
        ctx,
        `past has shape [${past.join(',')}]; it takes [2,${x[0]},${heads},…,${k / heads}]`,
      );
    }
  }
  const before = past?.[3] ?? 0;
  const scale = attrs['scale'];
  return {
    ...{ batch: at(x, 0), queries: at(x, 1), heads, widths: [q, k, v], past: before },
    keys: before + at(x, 1),
    scale: typeof scale === 'number' && scale !== 0 ? scale : 1 / Math.sqrt(q / heads),
  };
}

function check(ctx: InferContext): Geometry {
  for (const flag of ['do_rotary', 'past_present_share_buffer']) {
    if (ctx.attrs[flag]) typeError(ctx, `${flag} is not supported`);
  }
  const geo = geometryOf(ctx, ctx.attrs, (k) => optionalType(ctx, k)?.shape);
  const { batch, heads, queries, keys, widths } = geo;
  const { dtype } = inputType(ctx, DATA);
  requireDType(ctx, inputType(ctx, WEIGHTS), [dtype], 'the weights');
  const width = widths[0] + widths[1] + widths[2];
  const bias = optionalType(ctx, BIAS);
  if (bias !== undefined && bias.shape.join() !== `${width}`) {
    shapeError(ctx, `the bias has shape [${bias.shape.join(',')}]; it takes [${width}]`);
  }
  const mask = optionalType(ctx, MASK);
  if (mask !== undefined) {
    requireDType(ctx, mask, ['i32'], 'mask_index');
    maskForm(ctx, mask, geo);
  }
  const scores = optionalType(ctx, SCORE_BIAS);
  const fits = [batch, 1].some((n) =>
    [heads, 1].some((h) => scores?.shape.join() === [n, h, queries, keys].join()),
  );
  if (scores !== undefined && !fits) {
    shapeError(ctx, `attention_bias has shape [${scores.shape.join(',')}]`);
  }
  return geo;
}

function outputTypes(ctx: InferContext, geo: Geometry): readonly ValueType[] {
  const { dtype } = inputType(ctx, DATA);
  const { batch, queries, heads, keys, widths } = geo;
  if (ctx.outputCount > 1 && widths[1] !== widths[2]) {
    shapeError(
      ctx,
      `keys of ${widths[1]} and values of ${widths[2]} do not fit in one \`present\``,
    );
  }
  const types = [
    { dtype, shape: [batch, queries, widths[2]] },
    { dtype, shape: [2, batch, heads, keys, widths[1] / heads] },
  ];
  return types.slice(0, Math.max(1, ctx.outputCount));
}

function decompose(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: InferContext & { readonly outputs: readonly ValueType[] },
): readonly ValueId[] {
  const geo = check(ctx);
  const { dtype } = inputType(ctx, DATA);
  const product = b.op('MatMul', [inputs[DATA] ?? null, inputs[WEIGHTS] ?? null]);
  const bias = inputs[BIAS] ?? null;
  const rows = bias === null ? product : b.op('Add', [product, bias]);
  const parts = b.ops('Split', [rows, b.ints(geo.widths)], { axis: 2 }, { outputs: 3 });
  const [q, k, v] = parts.map((part) => splitHeads(b, part, geo.heads)) as [
    ...[ValueId, ValueId, ValueId],
  ];
  const past = inputs[PAST] ?? null;
  const cached =
    past === null
      ? []
      : b
          .ops('Split', [past], { axis: 0, num_outputs: 2 }, { outputs: 2 })
          .map((half) => b.op('Squeeze', [half, b.ints([0])]));
  const withPast = (x: ValueId, half: ValueId | undefined): ValueId =>
    half === undefined ? x : b.op('Concat', [half, x], { axis: 2 });
  const [key, value] = [withPast(k, cached[0]), withPast(v, cached[1])];
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
  const mixed = joinHeads(b, attendNodes(b, { q, k: key, v: value, scale: geo.scale, biases }));
  if (ctx.outputs.length < 2) return [mixed];
  const stacked = [key, value].map((x) => b.op('Unsqueeze', [x, b.ints([0])]));
  return [mixed, b.op('Concat', stacked, { axis: 0 })];
}

function reference(
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  node: { readonly node: string; readonly op: string },
  types: readonly ValueType[],
): readonly Tensor[] {
  const geo = geometryOf(node, attrs, (k) => inputs[k]?.shape);
  const { batch, queries, heads, widths } = geo;
  const [x, w] = [toNumbers(inputs[DATA] as Tensor), toNumbers(inputs[WEIGHTS] as Tensor)];
  const bias = inputs[BIAS] ? toNumbers(inputs[BIAS] as Tensor) : undefined;
  const width = widths[0] + widths[1] + widths[2];
  const depth = w.length / width;
  const rows = Array.from({ length: batch * queries * width }, (_, p) => {
    const [row, column] = [Math.floor(p / width), p % width];
    let sum = bias?.[column] ?? 0;
    for (let i = 0; i < depth; i++) {
      sum += (x[row * depth + i] as number) * (w[i * width + column] as number);
    }
    return sum;
  });
  const product = fromNumbers('f64', [batch, queries, width], rows);
  const [q, k, v] = threeParts(product, widths).map((part) => headsOf(part, heads)) as [
    ...[Heads, Heads, Heads],
  ];
  const past = (half: number): Heads | null => {
    const cache = inputs[PAST];
    if (cache == null) return null;
    const values = toNumbers(cache);
    const count = values.length / 2;
    return {
      shape: cache.shape.slice(1) as unknown as Heads['shape'],
      values: values.subarray(half * count, (half + 1) * count),
    };
  };
  const [key, value] = [joinedHeads(past(0), k), joinedHeads(past(1), v)];
  const mask = inputs[MASK] ?? null;
  const form = mask === null ? undefined : maskForm(node, mask, geo);
  const hidden = maskFunction(mask, form, geo, intAttr(attrs, 'mask_filter_value'));
  const scoreBias = biasFunction(inputs[SCORE_BIAS] ?? null);
  const isCausal = intAttr(attrs, 'unidirectional') !== 0;
  const y = attendRows({
    ...{ q, k: key, v: value, scale: geo.scale },
    bias: (n, h, i, j) => {
      const later = isCausal && j > i + geo.past ? Number.NEGATIVE_INFINITY : 0;
      return hidden(n, h, i, j) + scoreBias(n, h, i, j) + later;
    },
  });
  const all = [y, [...key.values, ...value.values]];
  return types.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(all, i)));
}

const ATTRS = {
  do_rotary: int(0),
  mask_filter_value: float(-10000),
  num_heads: requiredInt,
  past_present_share_buffer: int(0),
  unidirectional: int(0),
} as const;

export const microsoftAttention: CompositeOp = defineOp({
  kind: 'composite',
  name: 'Attention',
  domain: MICROSOFT,
  doc: 'Self-attention of one input with its projections, masks and a cache.',
  since: 1,
  attrs: {
    ...ATTRS,
    qkv_hidden_sizes: { type: 'ints' },
    rotary_embedding_dim: int(0),
    scale: { type: 'float' },
  },
  infer: (ctx: InferContext) => {
    requireDType(ctx, inputType(ctx, DATA), FLOATS);
    return outputTypes(ctx, check(ctx));
  },
  decompose: (b, inputs, ctx) => decompose(b, inputs, ctx),
  reference: (inputs, attrs, ctx) =>
    reference(inputs, attrs, { node: ctx.node, op: 'Attention' }, ctx.outputTypes),
  tolerance: { f16: { relative: 2e-2, absolute: 5e-3 } },
  cases: (): readonly TestCase[] => {
    const [x, w, bias] = [sample([2, 3, 6], 1), sample([6, 12], 2), sample([12], 3)];
    return [
      {
        note: 'mask of keys',
        inputs: [x, w, bias, tensor('i32', [2, 3], [1, 1, 0, 1, 1, 1])],
        attrs: { num_heads: 2 },
      },
      {
        note: 'cache, causal',
        inputs: [x, w, bias, null, sample([2, 2, 2, 4, 2], 4)],
        attrs: { num_heads: 2, unidirectional: 1 },
        outputs: 2,
      },
      {
        note: 'ends and starts, values of another size',
        inputs: [x, sample([6, 16], 2), sample([16], 3), tensor('i32', [4], [3, 2, 0, 1])],
        attrs: { num_heads: 2, qkv_hidden_sizes: [4, 4, 8], scale: 0.5 },
      },
      {
        note: 'mask per query',
        inputs: [x, w, bias, tensor('i32', [2, 3, 3], [...'110011111100111011'].map(Number))],
        attrs: { num_heads: 1 },
      },
    ];
  },
});

const Q = {
  x: 0,
  w: 1,
  bias: 2,
  scale: 3,
  weightScale: 4,
  mask: 5,
  zero: 6,
  weightZero: 7,
  past: 8,
};

/** Inputs in the order of Attention, the quantised ones in real numbers. */
function realInputs<T>(inputs: readonly (T | null)[], x: T, w: T): readonly (T | null)[] {
  return [x, w, ...[Q.bias, Q.mask, Q.past].map((k) => inputs[k] ?? null)];
}

export const qAttention: CompositeOp = defineOp({
  kind: 'composite',
  name: 'QAttention',
  domain: MICROSOFT,
  doc: 'Attention whose input and weights are quantised.',
  since: 1,
  attrs: { ...ATTRS, scale: { type: 'float' } },
  infer: (ctx: InferContext) => {
    const [x, w] = [inputType(ctx, Q.x), inputType(ctx, Q.w)];
    requireDType(ctx, x, EIGHT_BITS);
    requireDType(ctx, w, EIGHT_BITS, 'the weights');
    checkParameters(ctx, x.dtype, Q.scale, Q.zero);
    requireDType(ctx, inputType(ctx, Q.weightScale), ['f32'], 'the scale of the weights');
    for (const k of [Q.weightScale, Q.weightZero]) {
      const { shape = [] } = optionalType(ctx, k) ?? {};
      const [count = 1] = shape;
      if (shape.length > 1 || (count !== 1 && count !== w.shape[1])) {
        shapeError(ctx, `input ${k} has shape [${shape.join(',')}]`);
      }
    }
    const real = (shape: readonly number[]): OpInput => ({
      type: { dtype: 'f32', shape },
      constant: null,
    });
    const inner = { ...ctx, inputs: realInputs(ctx.inputs, real(x.shape), real(w.shape)) };
    return outputTypes(inner, check(inner));
  },
  decompose: (b, inputs, ctx) => {
    const id = (k: number): ValueId | null => inputs[k] ?? null;
    const x = dequantizeNode(b, inputs, { x: Q.x, scale: Q.scale, zero: Q.zero });
    const weights = alikeParameters(b, [id(Q.weightScale), id(Q.weightZero)]);
    const w = b.op('DequantizeLinear', [id(Q.w), ...weights], { axis: 1 });
    const moved = realInputs(inputs, x, w);
    const seen = moved.map((given): OpInput | null =>
      given === null ? null : { type: b.typeOf(given), constant: null },
    );
    return decompose(b, moved, { ...ctx, inputs: seen });
  },
  reference: (inputs, attrs, ctx) => {
    const x = realOf(inputs, { x: Q.x, scale: Q.scale, zero: Q.zero });
    const weights = inputs[Q.w] as Tensor;
    const width = at(weights.shape, 1);
    const list = (k: number, otherwise: number): Float64Array =>
      inputs[k] ? toNumbers(inputs[k] as Tensor) : Float64Array.of(otherwise);
    const [scales, zeros] = [list(Q.weightScale, 1), list(Q.weightZero, 0)];
    const pick = (values: Float64Array, i: number): number =>
      values[values.length === 1 ? 0 : i % width] as number;
    const values = toNumbers(weights).map((value, i) => (value - pick(zeros, i)) * pick(scales, i));
    const w = fromNumbers('f32', weights.shape, values);
    const node = { node: ctx.node, op: 'QAttention' };
    return reference(realInputs(inputs, x, w), attrs, node, ctx.outputTypes);
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-4 } },
  cases: (): readonly TestCase[] => {
    const bias = sample([12], 3);
    return [
      {
        note: 'one scale',
        inputs: [
          ...[sample([2, 3, 6], 1, 'u8'), sample([6, 12], 2, 'i8'), bias],
          ...[f32([], [0.0625]), f32([], [0.125]), null, tensor('u8', [], [9])],
        ],
        attrs: { num_heads: 2 },
      },
      {
        note: 'a scale per column, lengths, cache',
        inputs: [
          ...[sample([2, 3, 6], 1, 'u8'), sample([6, 12], 2, 'u8'), bias, f32([1], [0.0625])],
          f32(
            [12],
            Array.from({ length: 12 }, (_, i) => (i + 1) / 64),
          ),
          ...[tensor('i32', [2], [5, 4]), tensor('u8', [1], [9])],
          tensor('u8', [12], [...Array(12).keys()]),
          sample([2, 2, 2, 2, 2], 4),
        ],
        attrs: { num_heads: 2, unidirectional: 1 },
        outputs: 2,
      },
    ];
  },
});
