/** BatchNormalization: a map in inference, a reduction over the batch in training mode. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, cast, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import type { ReduceStep, StageBody } from '../../stages/types.ts';
import { float, inputType, int, intAttr, requireDType, shapeError, typeError } from '../checks.ts';
import { defineOp, type InferContext, type LowerContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, computeType, div, mul, sub, widen } from '../math/scalar.ts';
import { sample } from './samples.ts';
import { inverseRoot } from './terms.ts';

const PARAMETERS = ['scale', 'bias', 'mean', 'variance'] as const;

/** Channels are axis 1; a vector has one channel. */
function channels(shape: readonly number[]): number {
  return shape[1] ?? 1;
}

function infer(ctx: InferContext): readonly ValueType[] {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, FLOATS);
  const count = channels(x.shape);
  PARAMETERS.forEach((name, i) => {
    const type = inputType(ctx, i + 1);
    requireDType(ctx, type, FLOATS, name);
    if (type.shape.length !== 1 || type.shape[0] !== count) {
      shapeError(
        ctx,
        `${name} has shape [${type.shape.join(',')}], but the input has ${count} channels`,
      );
    }
  });
  if (intAttr(ctx.attrs, 'training_mode') === 0) {
    if (ctx.outputCount > 1) typeError(ctx, 'inference has one output');
    return [x];
  }
  const statistics = { dtype: inputType(ctx, 3).dtype, shape: [count] };
  return [x, statistics, statistics].slice(0, Math.max(1, ctx.outputCount));
}

/** (x − mean) · scale / √(variance + ε) + bias, with the statistics given. */
function normalized(
  ctx: LowerContext,
  x: Expr,
  channel: readonly Expr[],
  mean: Expr,
  variance: Expr,
): Expr {
  const parameter = (operand: number): Expr =>
    cast(x.dtype, load(`${operand}`, inputType(ctx, operand).dtype, channel));
  const factor = mul(parameter(1), inverseRoot(variance, intAttr(ctx.attrs, 'epsilon')));
  return add(mul(sub(x, mean), factor), parameter(2));
}

function lowerInference(ctx: LowerContext): StageBody {
  const x = inputType(ctx, 0);
  const axes = outAxes(x.shape.length);
  const dtype = computeType(x.dtype);
  const position = [axes[1] ?? index(0)];
  const statistic = (operand: number): Expr =>
    cast(dtype, load(`${operand}`, inputType(ctx, operand).dtype, position));
  const value = normalized(
    ctx,
    widen(load('0', x.dtype, axes)),
    position,
    statistic(3),
    statistic(4),
  );
  return mapBody(x.shape, cast(x.dtype, value));
}

function lowerTraining(ctx: LowerContext): readonly StageBody[] | string {
  const x = inputType(ctx, 0);
  if (x.shape.length < 2) return 'training mode of a vector';
  const dtype = computeType(x.dtype);
  const channel = axis('i0');
  const reduceAxes = x.shape.filter((_, i) => i !== 1);
  const position = x.shape.map((_, i) => (i === 1 ? channel : axis(`r${i === 0 ? 0 : i - 1}`)));
  const element = widen(load('0', x.dtype, position));
  const count = elementCount(reduceAxes);
  const mean = div(acc(0, dtype), count);
  const difference = sub(element, mean);
  const steps: readonly ReduceStep[] = [
    { op: 'sum', value: element, dtype },
    { op: 'sum', value: mul(difference, difference), dtype },
  ];
  const variance = div(acc(1, dtype), count);
  const axes = [channels(x.shape)];
  const momentum = intAttr(ctx.attrs, 'momentum');
  const running = (operand: number, current: Expr): StageBody => {
    const type = inputType(ctx, operand);
    const old = cast(dtype, load(`${operand}`, type.dtype, [channel]));
    const value = cast(type.dtype, add(mul(old, momentum), mul(current, 1 - momentum)));
    return { kind: 'reduce', axes, reduceAxes, steps, spans: 'outer', outIndex: [channel], value };
  };
  const value = cast(x.dtype, normalized(ctx, element, [channel], mean, variance));
  const bodies: readonly StageBody[] = [
    { kind: 'reduce', axes, reduceAxes, steps, spans: 'all', outIndex: position, value },
    running(3, mean),
    running(4, variance),
  ];
  return bodies.slice(0, ctx.outputs.length);
}

function reference(
  inputs: readonly (Tensor | null)[],
  epsilon: number,
  momentum: number,
  training: boolean,
): readonly Tensor[] {
  const tensors = [0, 1, 2, 3, 4].map((i) => given(inputs, i));
  const x = at(tensors, 0);
  const [values, scale, bias, mean, variance] = tensors.map(toNumbers) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const count = channels(x.shape);
  const inner = elementCount(x.shape.slice(2));
  const perChannel = values.length / count;
  const channelOf = (i: number): number => Math.floor(i / inner) % count;
  const [useMean, useVariance] = [mean.slice(), variance.slice()];
  if (training) {
    // Of no elements there is neither mean nor variance.
    useMean.fill(perChannel === 0 ? Number.NaN : 0);
    useVariance.fill(perChannel === 0 ? Number.NaN : 0);
    values.forEach((value, i) => {
      useMean[channelOf(i)] = (useMean[channelOf(i)] as number) + value / perChannel;
    });
    values.forEach((value, i) => {
      const c = channelOf(i);
      useVariance[c] =
        (useVariance[c] as number) + (value - (useMean[c] as number)) ** 2 / perChannel;
    });
  }
  const out = values.map((value, i) => {
    const c = channelOf(i);
    const root = Math.sqrt((useVariance[c] as number) + epsilon);
    return ((value - (useMean[c] as number)) / root) * (scale[c] as number) + (bias[c] as number);
  });
  const y = fromNumbers(x.dtype, x.shape, out);
  if (!training) return [y];
  const running = (old: Float64Array, now: Float64Array, like: Tensor): Tensor =>
    fromNumbers(
      like.dtype,
      [count],
      old.map((value, c) => value * momentum + (now[c] as number) * (1 - momentum)),
    );
  return [
    y,
    running(mean, useMean, at(tensors, 3)),
    running(variance, useVariance, at(tensors, 4)),
  ];
}

function parameters(count: number, dtype: 'f32' | 'f16' = 'f32'): readonly Tensor[] {
  const variance = toNumbers(sample([count], 5)).map((value) => Math.abs(value) + 0.1);
  return [
    sample([count], 2, dtype),
    sample([count], 3, dtype),
    sample([count], 4, dtype),
    fromNumbers(dtype, [count], variance),
  ];
}

export const batchNormalization = defineOp({
  kind: 'core',
  name: 'BatchNormalization',
  doc: 'Normalises each channel by given (or, in training mode, computed) mean and variance.',
  since: 15,
  attrs: { epsilon: float(1e-5), momentum: float(0.9), training_mode: int(0) },
  upgrade: (_b, { inputs, attrs, op, name }) => {
    if (attrs['spatial'] === 0) {
      typeError({ node: name, op }, 'statistics per position (spatial = 0) are not supported');
    }
    const { spatial: _1, is_test: _2, consumed_inputs: _3, ...rest } = attrs;
    return { inputs, attrs: rest };
  },
  infer,
  lower: (ctx) =>
    intAttr(ctx.attrs, 'training_mode') === 0 ? [lowerInference(ctx)] : lowerTraining(ctx),
  reference: (inputs, attrs, ctx) =>
    reference(
      inputs,
      intAttr(attrs, 'epsilon'),
      intAttr(attrs, 'momentum'),
      intAttr(attrs, 'training_mode') !== 0,
    ).slice(0, ctx.outputTypes.length),
  cases: () => [
    { note: 'images', inputs: [sample([2, 3, 4, 5]), ...parameters(3)] },
    { note: 'rows', inputs: [sample([4, 3]), ...parameters(3)], attrs: { epsilon: 0.01 } },
    { note: 'f16', inputs: [sample([1, 2, 3], 1, 'f16'), ...parameters(2, 'f16')] },
    { note: 'a vector', inputs: [sample([4]), ...parameters(1)] },
    {
      note: 'training',
      inputs: [sample([2, 3, 4, 5]), ...parameters(3)],
      attrs: { training_mode: 1, momentum: 0.7 },
      outputs: 3,
    },
  ],
});
