/** InstanceNormalization, GroupNormalization and MeanVarianceNormalization. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { axis, cast, iadd, imul, load, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueId, ValueType } from '../../graph/types.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  ints,
  intsAttr,
  normalizeAxis,
  requireDType,
  requiredInt,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, div, mul, sub, widen } from '../math/scalar.ts';
import { eachGroup, foldAxes, moments, momentsOf } from './normalize.ts';
import { sample } from './samples.ts';
import { inverseRoot } from './terms.ts';
import { axesFrom } from './window.ts';

/** Scale and bias have one element per channel. */
function inferPerChannel(ctx: InferContext): ValueType {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, FLOATS);
  if (x.shape.length < 3) shapeError(ctx, `input [${x.shape.join(',')}] has no spatial axes`);
  for (const operand of [1, 2]) {
    const { dtype, shape } = inputType(ctx, operand);
    const name = operand === 1 ? 'the scale' : 'the bias';
    requireDType(ctx, { dtype, shape }, [x.dtype], name);
    if (shape.length !== 1 || shape[0] !== x.shape[1]) {
      shapeError(
        ctx,
        `${name} has shape [${shape.join(',')}], but the input has ${x.shape[1]} channels`,
      );
    }
  }
  return x;
}

function perChannel(x: ValueType, operand: number, channel: Expr): Expr {
  return widen(load(`${operand}`, x.dtype, [channel]));
}

/** Normalises groups of `channels` neighbouring channels; scale and bias are per channel. */
function normalizeChannels(
  inputs: readonly (Tensor | null)[],
  channels: number,
  epsilon: number,
): Tensor {
  const [x, scale, bias] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
  const [values, factors, addends] = [toNumbers(x), toNumbers(scale), toNumbers(bias)];
  const count = at(x.shape, 1);
  const inner = elementCount(x.shape.slice(2));
  const out = new Float64Array(values.length);
  const groups = [at(x.shape, 0), count / channels, channels * inner];
  eachGroup(
    groups,
    (i) => i === 2,
    (positions) => {
      const { mean, variance } = momentsOf(values, positions);
      for (const p of positions) {
        const c = Math.floor(p / inner) % count;
        const unit = ((values[p] as number) - mean) / Math.sqrt(variance + epsilon);
        out[p] = unit * (factors[c] as number) + (addends[c] as number);
      }
    },
  );
  return fromNumbers(x.dtype, x.shape, out);
}

export const instanceNormalization = defineOp({
  kind: 'core',
  name: 'InstanceNormalization',
  doc: 'Normalises every channel of every image, then scales and shifts.',
  since: 22,
  attrs: { epsilon: float(1e-5) },
  upgrade: (_b, { inputs, attrs }) => {
    const { consumed_inputs: _, ...rest } = attrs;
    return { inputs, attrs: rest };
  },
  infer: (ctx) => [inferPerChannel(ctx)],
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const { axes, reduceAxes, position, element, count } = foldAxes(x, (i) => i >= 2);
    const { steps, mean, variance } = moments(element, count);
    const unit = mul(sub(element, mean), inverseRoot(variance, intAttr(ctx.attrs, 'epsilon')));
    const channel = axis('i1');
    const value = add(mul(unit, perChannel(x, 1, channel)), perChannel(x, 2, channel));
    return [
      {
        kind: 'reduce',
        axes,
        reduceAxes,
        steps,
        spans: 'all',
        outIndex: position,
        value: cast(x.dtype, value),
      },
    ];
  },
  reference: (inputs, attrs) => [normalizeChannels(inputs, 1, intAttr(attrs, 'epsilon'))],
  cases: () => [
    { note: 'images', inputs: [sample([2, 3, 4, 5]), sample([3], 2), sample([3], 3)] },
    {
      note: 'one spatial axis',
      inputs: [sample([2, 2, 6]), sample([2], 2), sample([2], 3)],
      attrs: { epsilon: 0.01 },
    },
    {
      note: 'f16',
      inputs: [sample([1, 2, 3, 3], 1, 'f16'), sample([2], 2, 'f16'), sample([2], 3, 'f16')],
    },
  ],
});

export const groupNormalization = defineOp({
  kind: 'core',
  name: 'GroupNormalization',
  doc: 'Normalises groups of channels of every image, then scales and shifts each channel.',
  since: 21,
  attrs: { epsilon: float(1e-5), num_groups: requiredInt, stash_type: int(1) },
  // Up to opset 20 scale and bias have one element per group.
  upgrade: (b, { inputs, attrs }) => {
    const [x, ...parameters] = inputs;
    const groups = attrs['num_groups'];
    if (x === null || x === undefined || typeof groups !== 'number') return { inputs, attrs };
    const channels = b.typeOf(x).shape[1] ?? 1;
    const spread = (id: ValueId | null): ValueId | null => {
      if (id === null || channels === groups) return id;
      const column = b.reshape(id, [groups, 1]);
      const matrix = b.op('Expand', [column, b.ints([groups, channels / groups])]);
      return b.reshape(matrix, [channels]);
    };
    return { inputs: [x, ...parameters.map(spread)], attrs };
  },
  infer: (ctx) => {
    const x = inferPerChannel(ctx);
    const groups = intAttr(ctx.attrs, 'num_groups');
    if (groups < 1 || at(x.shape, 1) % groups !== 0) {
      shapeError(ctx, `${x.shape[1]} channels do not divide into ${groups} groups`);
    }
    return [x];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const groups = intAttr(ctx.attrs, 'num_groups');
    const channels = at(x.shape, 1) / groups;
    const spatial = x.shape.slice(2);
    const channel = iadd(imul(axis('i1'), channels), axis('r0'));
    const position = [axis('i0'), channel, ...axesFrom('r', 1, spatial.length)];
    const element = widen(load('0', x.dtype, position));
    const reduceAxes = [channels, ...spatial];
    const { steps, mean, variance } = moments(element, elementCount(reduceAxes));
    const unit = mul(sub(element, mean), inverseRoot(variance, intAttr(ctx.attrs, 'epsilon')));
    const value = add(mul(unit, perChannel(x, 1, channel)), perChannel(x, 2, channel));
    return [
      {
        kind: 'reduce',
        axes: [at(x.shape, 0), groups],
        reduceAxes,
        steps,
        spans: 'all',
        outIndex: position,
        value: cast(x.dtype, value),
      },
    ];
  },
  reference: (inputs, attrs) => {
    const channels = at(given(inputs, 0).shape, 1) / intAttr(attrs, 'num_groups');
    return [normalizeChannels(inputs, channels, intAttr(attrs, 'epsilon'))];
  },
  cases: () => [
    {
      note: 'two groups',
      inputs: [sample([2, 4, 3, 3]), sample([4], 2), sample([4], 3)],
      attrs: { num_groups: 2 },
    },
    {
      note: 'one group, one spatial axis',
      inputs: [sample([2, 3, 5]), sample([3], 2), sample([3], 3)],
      attrs: { num_groups: 1, epsilon: 0.01 },
    },
    {
      note: 'a group per channel',
      inputs: [sample([1, 3, 2, 4]), sample([3], 2), sample([3], 3)],
      attrs: { num_groups: 3 },
    },
  ],
});

/** As the operator's definition adds it to the standard deviation. */
const MVN_EPSILON = 1e-9;

export const meanVarianceNormalization = defineOp({
  kind: 'core',
  name: 'MeanVarianceNormalization',
  doc: 'Brings the given axes together to mean 0 and standard deviation 1.',
  since: 13,
  attrs: { axes: ints([0, 2, 3]) },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    for (const axis_ of intsAttr(ctx.attrs, 'axes') ?? [])
      normalizeAxis(ctx, axis_, x.shape.length);
    return [x];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const wanted = axesOf(intsAttr(ctx.attrs, 'axes') ?? [], x.shape.length);
    const { axes, reduceAxes, position, element, count } = foldAxes(x, (i) => wanted.has(i));
    const { steps, mean, variance } = moments(element, count);
    const deviation = add(unary('sqrt', variance), MVN_EPSILON);
    return [
      {
        kind: 'reduce',
        axes,
        reduceAxes,
        steps,
        spans: 'all',
        outIndex: position,
        value: cast(x.dtype, div(sub(element, mean), deviation)),
      },
    ];
  },
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const wanted = axesOf(intsAttr(attrs, 'axes') ?? [], x.shape.length);
    const values = toNumbers(x);
    const out = new Float64Array(values.length);
    eachGroup(
      x.shape,
      (i) => wanted.has(i),
      (positions) => {
        const { mean, variance } = momentsOf(values, positions);
        for (const p of positions) {
          out[p] = ((values[p] as number) - mean) / (Math.sqrt(variance) + MVN_EPSILON);
        }
      },
    );
    return [fromNumbers(x.dtype, x.shape, out)];
  },
  cases: () => [
    { note: 'over all but channels', inputs: [sample([2, 3, 4, 3])] },
    { note: 'over positions', inputs: [sample([2, 3, 5])], attrs: { axes: [-1] } },
  ],
});

function axesOf(axes: readonly number[], rank: number): ReadonlySet<number> {
  return new Set(axes.map((axis_) => (axis_ < 0 ? axis_ + rank : axis_)));
}
