/** Operators of com.microsoft on images whose channels come last, or whose padding is an input. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { constantInts, inputType, int, shapeError } from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { f32, i64, tensor } from '../math/samples.ts';
import { convTranspose } from '../nn/conv-transpose.ts';
import { maxPool } from '../nn/max-pool.ts';
import { sample } from '../nn/samples.ts';
import { qLinearConv } from '../quant/qlinear.ts';
import { MICROSOFT } from './alias.ts';

/** Shape of an image with its channels second. */
function channelsSecond(shape: readonly number[]): readonly number[] {
  return [at(shape, 0), at(shape, shape.length - 1), ...shape.slice(1, -1)];
}

function channelsLast(shape: readonly number[]): readonly number[] {
  return [at(shape, 0), ...shape.slice(2), at(shape, 1)];
}

const toSecond = (b: OpBuilder, x: ValueId): ValueId => {
  const rank = b.typeOf(x).shape.length;
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  return b.op('Transpose', [x], { perm: [0, rank - 1, ...spatial] });
};

const toLast = (b: OpBuilder, x: ValueId): ValueId => {
  const rank = b.typeOf(x).shape.length;
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  return b.op('Transpose', [x], { perm: [0, ...spatial, 1] });
};

/** The elements in the other order: `channels` last to second, or back. */
function reordered(x: Tensor, direction: 'second' | 'last'): Tensor {
  const values = toNumbers(x);
  const n = at(x.shape, 0);
  const c = at(x.shape, direction === 'second' ? x.shape.length - 1 : 1);
  const pixels = n * c === 0 ? 0 : values.length / n / c;
  const shape = direction === 'second' ? channelsSecond(x.shape) : channelsLast(x.shape);
  const [rows, columns] = direction === 'second' ? [c, pixels] : [pixels, c];
  const out = Array.from({ length: values.length }, (_, i) => {
    const image = Math.floor(i / (rows * columns));
    const [row, column] = [Math.floor(i / columns) % rows, i % columns];
    return values[(image * columns + column) * rows + row] as number;
  });
  return fromNumbers(x.dtype, shape, out);
}

function imageType(ctx: InferContext, k = 0): readonly number[] {
  const { shape } = inputType(ctx, k);
  if (shape.length < 3)
    shapeError(ctx, `input ${k} has rank ${shape.length}; images have 3 or more`);
  return shape;
}

const { storage_order: _, ...poolAttrs } = maxPool.attrs;

export const nhwcMaxPool: CompositeOp = defineOp({
  kind: 'composite',
  name: 'NhwcMaxPool',
  domain: MICROSOFT,
  doc: 'MaxPool of images whose channels come last.',
  since: 1,
  attrs: poolAttrs,
  infer: (ctx: InferContext) => {
    const { dtype } = inputType(ctx, 0);
    const type = { dtype, shape: channelsSecond(imageType(ctx)) };
    const inputs = [{ type, constant: null }];
    const attrs = { ...ctx.attrs, storage_order: 0 };
    const [out] = maxPool.infer({ ...ctx, inputs, attrs, outputCount: 1 });
    return [{ dtype, shape: channelsLast(out?.shape ?? []) }];
  },
  decompose: (b, inputs, ctx) => {
    const pooled = b.op('MaxPool', [toSecond(b, inputs[0] as ValueId)], ctx.attrs);
    return [toLast(b, pooled)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = reordered(inputs[0] as Tensor, 'second');
    const { dtype, shape } = at(ctx.outputTypes, 0);
    const outputTypes = [{ dtype, shape: channelsSecond(shape) }];
    const pooled = maxPool.reference([x], { ...attrs, storage_order: 0 }, { ...ctx, outputTypes });
    return [reordered(at(pooled, 0), 'last')];
  },
  cases: () => [
    { inputs: [sample([1, 4, 5, 3], 1, 'u8')], attrs: { kernel_shape: [2, 2], strides: [2, 1] } },
    {
      note: 'i8, padded',
      inputs: [sample([2, 4, 4, 2], 1, 'i8')],
      attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
    },
  ],
});

function withoutLayout({ channels_last: _gone, ...attrs }: Attrs): Attrs {
  return attrs;
}

export const qLinearConvLast: CompositeOp = defineOp({
  kind: 'composite',
  name: 'QLinearConv',
  domain: MICROSOFT,
  doc: 'QLinearConv of ai.onnx, of images whose channels may come last.',
  since: 1,
  attrs: { ...qLinearConv.attrs, channels_last: int(0) },
  infer: (ctx: InferContext) => {
    const isLast = ctx.attrs['channels_last'] !== 0;
    const x = inputType(ctx, 0);
    const type = { dtype: x.dtype, shape: isLast ? channelsSecond(imageType(ctx)) : x.shape };
    const inputs = [{ type, constant: null }, ...ctx.inputs.slice(1)];
    const [out] = qLinearConv.infer({ ...ctx, inputs, attrs: withoutLayout(ctx.attrs) });
    if (out === undefined) return [];
    return [isLast ? { dtype: out.dtype, shape: channelsLast(out.shape) } : out];
  },
  decompose: (b, inputs, ctx) => {
    const attrs = withoutLayout(ctx.attrs);
    if (ctx.attrs['channels_last'] === 0) return [b.op('QLinearConv', inputs, attrs)];
    const x = toSecond(b, inputs[0] as ValueId);
    return [toLast(b, b.op('QLinearConv', [x, ...inputs.slice(1)], attrs))];
  },
  reference: (inputs, attrs, ctx) => {
    const plain = withoutLayout(attrs);
    if (attrs['channels_last'] === 0) return qLinearConv.reference(inputs, plain, ctx);
    const { dtype, shape } = at(ctx.outputTypes, 0);
    const outputTypes = [{ dtype, shape: channelsSecond(shape) }];
    const x = reordered(inputs[0] as Tensor, 'second');
    const out = qLinearConv.reference([x, ...inputs.slice(1)], plain, { ...ctx, outputTypes });
    return [reordered(at(out, 0), 'last')];
  },
  cases: () => {
    const scale = (value: number): Tensor => f32([], [value]);
    const zero = (value: number): Tensor => tensor('u8', [], [value]);
    const weights = [sample([3, 2, 2, 2], 2, 'u8'), scale(0.25), zero(9)];
    const rest = [...weights, scale(2), zero(100)];
    return [
      { inputs: [sample([1, 2, 4, 4], 1, 'u8'), scale(0.5), zero(7), ...rest] },
      {
        note: 'channels last',
        inputs: [sample([1, 4, 4, 2], 1, 'u8'), scale(0.5), zero(7), ...rest],
        attrs: { channels_last: 1 },
      },
    ];
  },
});

const transposeAttrs = Object.fromEntries(
  Object.entries(convTranspose.attrs).filter(([name]) => name !== 'pads'),
);

function padded(ctx: InferContext): { readonly attrs: Attrs; readonly order: readonly number[] } {
  const order = ctx.inputs[3] ? [0, 1, 3] : [0, 1];
  const given = ctx.inputs[2] ? { pads: constantInts(ctx, 2, 'the padding') } : {};
  return { attrs: { ...ctx.attrs, ...given }, order };
}

export const convTransposeWithDynamicPads: CompositeOp = defineOp({
  kind: 'composite',
  name: 'ConvTransposeWithDynamicPads',
  domain: MICROSOFT,
  doc: 'ConvTranspose whose padding is an input, known at compile time.',
  since: 1,
  attrs: transposeAttrs,
  infer: (ctx: InferContext) => {
    const { attrs, order } = padded(ctx);
    return convTranspose.infer({ ...ctx, attrs, inputs: order.map((k) => ctx.inputs[k] ?? null) });
  },
  decompose: (b, inputs, ctx) => {
    const { attrs, order } = padded(ctx);
    return [
      b.op(
        'ConvTranspose',
        order.map((k) => inputs[k] ?? null),
        attrs,
      ),
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, w, pads, bias] = inputs;
    const full = { ...attrs, ...(pads ? { pads: [...toNumbers(pads)] } : {}) };
    return convTranspose.reference([x ?? null, w ?? null, ...(bias ? [bias] : [])], full, ctx);
  },
  cases: () => [
    {
      inputs: [sample([1, 2, 3, 3], 1), sample([2, 2, 3, 3], 2), i64([4], [1, 0, 1, 1])],
      attrs: { strides: [2, 2] },
    },
  ],
});
