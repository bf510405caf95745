/** com.microsoft's operators of image generators: GroupNorm, SkipGroupNorm, BiasAdd, BiasSplitGelu. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
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
import { type CompositeOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { gelu } from '../math/activations.ts';
import { FLOATS } from '../math/dtypes.ts';
import { broadcastOffsets, given } from '../math/loops.ts';
import { logistic } from '../ml/post-transform.ts';
import { sample } from '../nn/samples.ts';
import { MICROSOFT } from './alias.ts';
import { castTo } from './attend.ts';

function groupShape(ctx: InferContext): { readonly x: ValueType; readonly groups: number } {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, FLOATS);
  if (x.shape.length !== 4) shapeError(ctx, `input has rank ${x.shape.length}; it takes 4`);
  const groups = intAttr(ctx.attrs, 'groups');
  const channels = at(x.shape, intAttr(ctx.attrs, 'channels_last') !== 0 ? 3 : 1);
  if (!(groups > 0) || channels % groups !== 0) {
    shapeError(ctx, `${channels} channels are not ${groups} groups`);
  }
  for (const k of [1, 2]) {
    const { shape } = inputType(ctx, k);
    if (shape.join() !== `${channels}`) {
      shapeError(ctx, `input ${k} has shape [${shape.join(',')}]; it takes [${channels}]`);
    }
  }
  return { x, groups };
}

const GROUP_ATTRS = {
  activation: requiredInt,
  channels_last: int(1),
  epsilon: float(1e-5),
  groups: requiredInt,
} as const;

function groupNodes(
  b: OpBuilder,
  x: ValueId,
  inputs: readonly (ValueId | null)[],
  attrs: Attrs,
): ValueId {
  const isLast = intAttr(attrs, 'channels_last') !== 0;
  const { dtype } = b.typeOf(x);
  const image = isLast ? b.op('Transpose', [x], { perm: [0, 3, 1, 2] }) : x;
  const [gamma, beta] = [1, 2].map((k) => castTo(b, inputs[k] as ValueId, dtype));
  const y = b.op('GroupNormalization', [image, gamma ?? null, beta ?? null], {
    num_groups: intAttr(attrs, 'groups'),
    epsilon: intAttr(attrs, 'epsilon'),
  });
  const active = intAttr(attrs, 'activation') === 0 ? y : b.op('Swish', [y]);
  return isLast ? b.op('Transpose', [active], { perm: [0, 2, 3, 1] }) : active;
}

function groupReference(
  x: { readonly values: Float64Array; readonly shape: readonly number[] },
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
): number[] {
  const isLast = intAttr(attrs, 'channels_last') !== 0;
  const [n, channels] = [at(x.shape, 0), at(x.shape, isLast ? 3 : 1)];
  const pixels = elementCount(x.shape) / Math.max(1, n * channels);
  const place = (image: number, c: number, p: number): number =>
    isLast ? (image * pixels + p) * channels + c : (image * channels + c) * pixels + p;
  const size = channels / intAttr(attrs, 'groups');
  const [gamma, beta] = [toNumbers(given(inputs, 1)), toNumbers(given(inputs, 2))];
  const out = new Array<number>(x.values.length).fill(0);
  for (let image = 0; image < n; image++) {
    for (let from = 0; from < channels; from += size) {
      const places: { readonly to: number; readonly c: number }[] = [];
      for (let c = from; c < from + size; c++) {
        for (let p = 0; p < pixels; p++) places.push({ to: place(image, c, p), c });
      }
      const values = places.map(({ to }) => x.values[to] as number);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
      const inverse = 1 / Math.sqrt(variance + intAttr(attrs, 'epsilon'));
      places.forEach(({ to, c }, i) => {
        const unit = (at(values, i) - mean) * inverse;
        const y = unit * (gamma[c] as number) + (beta[c] as number);
        out[to] = intAttr(attrs, 'activation') === 0 ? y : y * logistic(y);
      });
    }
  }
  return out;
}

const groupNorm: CompositeOp = defineOp({
  kind: 'composite',
  name: 'GroupNorm',
  domain: MICROSOFT,
  doc: 'GroupNormalization of images whose channels come last, with an optional Swish.',
  since: 1,
  attrs: GROUP_ATTRS,
  infer: (ctx: InferContext) => [groupShape(ctx).x],
  decompose: (b, inputs, ctx) => [groupNodes(b, inputs[0] as ValueId, inputs, ctx.attrs)],
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const values = groupReference({ values: toNumbers(x), shape: x.shape }, inputs, attrs);
    return [fromNumbers(x.dtype, x.shape, values)];
  },
  cases: () => [
    {
      inputs: [sample([2, 3, 2, 4], 1), sample([4], 2), sample([4], 3)],
      attrs: { groups: 2, activation: 1 },
    },
    {
      note: 'channels second',
      inputs: [sample([1, 4, 2, 3], 1), sample([4], 2), sample([4], 3)],
      attrs: { groups: 4, activation: 0, channels_last: 0 },
    },
  ],
});

/** [batch, channels] or [batch, 1, 1, channels] is added to every pixel. */
function skipShape(shape: readonly number[]): readonly number[] {
  return shape.length === 2 ? [at(shape, 0), 1, 1, at(shape, 1)] : shape;
}

const skipGroupNorm: CompositeOp = defineOp({
  kind: 'composite',
  name: 'SkipGroupNorm',
  domain: MICROSOFT,
  doc: 'GroupNorm of input + skip (+ bias); gives the sum on request.',
  since: 1,
  attrs: GROUP_ATTRS,
  infer: (ctx: InferContext) => {
    const { x } = groupShape(ctx);
    if (intAttr(ctx.attrs, 'channels_last') === 0) typeError(ctx, 'channels come last here');
    const skip = skipShape(inputType(ctx, 3).shape);
    const fits = skip.length === 4 && skip.every((n, i) => n === x.shape[i] || n === 1);
    const bias = optionalType(ctx, 4)?.shape.join();
    if (!fits || (bias !== undefined && bias !== `${x.shape[3]}`)) {
      shapeError(
        ctx,
        `skip [${skip.join(',')}] or bias [${bias}] do not fit [${x.shape.join(',')}]`,
      );
    }
    return [x, x].slice(0, Math.max(1, ctx.outputCount));
  },
  decompose: (b, inputs, ctx) => {
    const skip = inputs[3] as ValueId;
    const wide = b.reshape(skip, skipShape(b.typeOf(skip).shape));
    const added = b.op('Add', [inputs[0] ?? null, wide]);
    const bias = inputs[4] ?? null;
    const sum = bias === null ? added : b.op('Add', [added, bias]);
    return [groupNodes(b, sum, inputs, ctx.attrs), sum].slice(0, ctx.outputs.length);
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const [skip, bias] = [given(inputs, 3), inputs[4] ? toNumbers(inputs[4] as Tensor) : undefined];
    const from = broadcastOffsets(skipShape(skip.shape), x.shape);
    const skips = toNumbers(skip);
    const values = toNumbers(x).map(
      (value, i) => value + (skips[from[i] as number] as number) + (bias?.[i % bias.length] ?? 0),
    );
    const all = [groupReference({ values, shape: x.shape }, inputs, attrs), values];
    return ctx.outputTypes.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(all, i)));
  },
  cases: () => [
    {
      inputs: [
        ...[sample([2, 3, 2, 4], 1), sample([4], 2), sample([4], 3), sample([2, 4], 4)],
        sample([4], 5),
      ],
      attrs: { groups: 2, activation: 1 },
      outputs: 2,
    },
  ],
});

const biasAdd: CompositeOp = defineOp({
  kind: 'composite',
  name: 'BiasAdd',
  domain: MICROSOFT,
  doc: 'input + bias of the last axis + skip.',
  since: 1,
  attrs: {},
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const [bias, skip] = [inputType(ctx, 1).shape, inputType(ctx, 2).shape];
    if (bias.join() !== `${x.shape.at(-1)}` || skip.join() !== x.shape.join()) {
      shapeError(ctx, `bias [${bias.join(',')}] and skip [${skip.join(',')}] do not fit the input`);
    }
    return [x];
  },
  decompose: (b, inputs) => [
    b.op('Add', [b.op('Add', [inputs[0] ?? null, inputs[1] ?? null]), inputs[2] ?? null]),
  ],
  reference: (inputs) => {
    const x = given(inputs, 0);
    const [bias, skip] = [toNumbers(given(inputs, 1)), toNumbers(given(inputs, 2))];
    const values = toNumbers(x).map(
      (value, i) => value + (bias[i % bias.length] as number) + (skip[i] as number),
    );
    return [fromNumbers(x.dtype, x.shape, values)];
  },
  cases: () => [{ inputs: [sample([2, 3, 4], 1), sample([4], 2), sample([2, 3, 4], 3)] }],
});

const biasSplitGelu: CompositeOp = defineOp({
  kind: 'composite',
  name: 'BiasSplitGelu',
  domain: MICROSOFT,
  doc: 'Of input + bias, the first half of the last axis times Gelu of the second.',
  since: 1,
  attrs: {},
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const columns = x.shape.at(-1) ?? 0;
    const bias = inputType(ctx, 1).shape;
    if (bias.join() !== `${columns}` || columns % 2 !== 0) {
      shapeError(ctx, `bias [${bias.join(',')}] does not fit ${columns} columns, or they are odd`);
    }
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), columns / 2] }];
  },
  decompose: (b, inputs, ctx) => {
    const sum = b.op('Add', [inputs[0] ?? null, inputs[1] ?? null]);
    const axis = at(ctx.outputs, 0).shape.length - 1;
    const [left, right] = b.ops('Split', [sum], { axis, num_outputs: 2 }, { outputs: 2 });
    return [b.op('Mul', [left ?? null, b.op('Gelu', [right ?? null])])];
  },
  reference: (inputs, _attrs, ctx) => {
    const { dtype, shape } = at(ctx.outputTypes, 0);
    const half = at(shape, shape.length - 1);
    const [x, bias] = [toNumbers(given(inputs, 0)), toNumbers(given(inputs, 1))];
    const values = Array.from({ length: elementCount(shape) }, (_, i) => {
      const [row, column] = [Math.floor(i / half), i % half];
      const part = (c: number): number => (x[row * 2 * half + c] as number) + (bias[c] as number);
      return part(column) * gelu(part(column + half));
    });
    return [fromNumbers(dtype, shape, values)];
  },
  cases: () => [{ inputs: [sample([2, 3, 8], 1), sample([8], 2)] }],
});

export const IMAGES: readonly OpDef[] = [groupNorm, skipGroupNorm, biasAdd, biasSplitGelu];
