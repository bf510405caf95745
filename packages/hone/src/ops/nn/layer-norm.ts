/** LayerNormalization, RMSNormalization and SimplifiedLayerNormalization over the trailing axes. */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, cast, index } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { ReduceBody, ReduceStep } from '../../stages/types.ts';
import {
  broadcastShapes,
  float,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import {
  type CoreOp,
  defineOp,
  type InferContext,
  type LowerContext,
  type TestCase,
} from '../define-op.ts';
import { broadcastLoad } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { broadcastOffsets, given } from '../math/loops.ts';
import { f32 } from '../math/samples.ts';
import { add, computeType, div, mul, sub } from '../math/scalar.ts';
import { eachGroup, foldAxes, moments, momentsOf } from './normalize.ts';
import { sample } from './samples.ts';
import { inverseRoot } from './terms.ts';

interface LayerNorm {
  readonly name: string;
  readonly domain?: string;
  readonly doc: string;
  readonly since: number;
  /** Subtract the mean (LayerNormalization), or only divide by the root of the mean square. */
  readonly centred: boolean;
  /** Outputs after Y. */
  readonly statistics: readonly ('mean' | 'inverse')[];
}

/** The dtype the statistics are computed and given in. */
function stashType(x: ValueType): DType {
  return computeType(x.dtype);
}

function firstAxis(ctx: InferContext): number {
  return normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), inputType(ctx, 0).shape.length);
}

function inferLayerNorm(ctx: InferContext, def: LayerNorm): readonly ValueType[] {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, FLOATS);
  const from = firstAxis(ctx);
  const tail = x.shape.slice(from);
  for (const [operand, name] of [
    [1, 'the scale'],
    [2, 'the bias'],
  ] as const) {
    const type = operand === 1 ? inputType(ctx, 1) : optionalType(ctx, 2);
    if (type === undefined) continue;
    requireDType(ctx, type, FLOATS, name);
    if (broadcastShapes(ctx, type.shape, x.shape).join() !== x.shape.join()) {
      shapeError(
        ctx,
        `${name} has shape [${type.shape.join(',')}], but the axes normalised are [${tail.join(',')}]`,
      );
    }
  }
  const shape = x.shape.map((extent, i) => (i < from ? extent : 1));
  // Y has the scale's dtype where that differs, as SimplifiedLayerNormalization allows.
  const y = { dtype: inputType(ctx, 1).dtype, shape: x.shape };
  const extra = def.statistics.map(() => ({ dtype: stashType(x), shape }));
  return [y, ...extra].slice(0, Math.max(1, ctx.outputCount));
}

function lowerLayerNorm(ctx: LowerContext, def: LayerNorm): readonly ReduceBody[] {
  const x = inputType(ctx, 0);
  const from = firstAxis(ctx);
  const epsilon = intAttr(ctx.attrs, 'epsilon');
  const fold = foldAxes(x, (i) => i >= from);
  const { element, count } = fold;
  const dtype = element.dtype;
  const centred = moments(element, count);
  const steps: readonly ReduceStep[] = def.centred
    ? centred.steps
    : [{ op: 'sum', value: mul(element, element), dtype }];
  const variance = def.centred ? centred.variance : div(acc(0, dtype), count);
  const inverse = inverseRoot(variance, epsilon);
  const parameter = (operand: number, type: ValueType): Expr =>
    cast(dtype, broadcastLoad(operand, type, fold.position));
  const difference = def.centred ? sub(element, centred.mean) : element;
  const scaled = mul(mul(difference, inverse), parameter(1, inputType(ctx, 1)));
  const bias = optionalType(ctx, 2);
  const value = bias === undefined ? scaled : add(scaled, parameter(2, bias));
  const common = { kind: 'reduce', axes: fold.axes, reduceAxes: fold.reduceAxes, steps } as const;
  const outer = fold.position.map((position, i) => (i < from ? position : index(0)));
  const statistic = { mean: centred.mean, inverse };
  const bodies: readonly ReduceBody[] = [
    {
      ...common,
      spans: 'all',
      outIndex: fold.position,
      value: cast(at(ctx.outputs, 0).dtype, value),
    },
    ...def.statistics.map(
      (which): ReduceBody => ({
        ...common,
        spans: 'outer',
        outIndex: outer,
        value: statistic[which],
      }),
    ),
  ];
  return bodies.slice(0, ctx.outputs.length);
}

function layerNormReference(
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  def: LayerNorm,
  outputs: readonly ValueType[],
): readonly Tensor[] {
  const [x, scale, bias] = [given(inputs, 0), given(inputs, 1), inputs[2] ?? null];
  const axis = intAttr(attrs, 'axis');
  const from = axis < 0 ? axis + x.shape.length : axis;
  const epsilon = intAttr(attrs, 'epsilon');
  const values = toNumbers(x);
  const factors = toNumbers(scale);
  const addends = bias === null ? null : toNumbers(bias);
  const scaleAt = broadcastOffsets(scale.shape, x.shape);
  const biasAt = broadcastOffsets(bias?.shape ?? [], x.shape);
  const y = new Float64Array(values.length);
  const means: number[] = [];
  const inverses: number[] = [];
  eachGroup(
    x.shape,
    (i) => i >= from,
    (positions) => {
      const found = momentsOf(values, positions);
      const mean = def.centred ? found.mean : 0;
      const spread = def.centred ? found.variance : found.meanSquare;
      const inverse = 1 / Math.sqrt(spread + epsilon);
      means.push(mean);
      inverses.push(inverse);
      for (const p of positions) {
        const scaled =
          ((values[p] as number) - mean) * inverse * (factors[scaleAt[p] as number] as number);
        y[p] = scaled + (addends === null ? 0 : (addends[biasAt[p] as number] as number));
      }
    },
  );
  const all = [y, ...def.statistics.map((which) => (which === 'mean' ? means : inverses))];
  return outputs.map((type, i) => fromNumbers(type.dtype, type.shape, at(all, i)));
}

function layerNorm(def: LayerNorm): CoreOp {
  return defineOp({
    kind: 'core',
    name: def.name,
    ...(def.domain === undefined ? {} : { domain: def.domain }),
    doc: def.doc,
    since: def.since,
    attrs: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
    infer: (ctx) => inferLayerNorm(ctx, def),
    lower: (ctx) => lowerLayerNorm(ctx, def),
    reference: (inputs, attrs, ctx) => layerNormReference(inputs, attrs, def, ctx.outputTypes),
    cases: () => layerNormCases(def),
  });
}

function layerNormCases(def: LayerNorm): readonly TestCase[] {
  const bias = (shape: readonly number[]): readonly Tensor[] =>
    def.centred ? [sample(shape, 3)] : [];
  return [
    { note: 'last axis', inputs: [sample([2, 3, 6]), sample([6], 2), ...bias([6])] },
    {
      note: 'two axes',
      inputs: [sample([2, 3, 4]), sample([3, 4], 2), ...bias([4])],
      attrs: { axis: 1, epsilon: 0.1 },
    },
    { note: 'no bias, axis 0', inputs: [sample([2, 5]), sample([2, 5], 2)], attrs: { axis: 0 } },
    { note: 'f16', inputs: [sample([2, 8], 1, 'f16'), sample([8], 2, 'f16')] },
    {
      note: 'all outputs',
      inputs: [sample([2, 3, 4]), sample([4], 2), ...bias([4])],
      outputs: 1 + def.statistics.length,
    },
    // A mean square that is infinite takes finite elements to 0.
    ...(def.centred
      ? []
      : [
          {
            note: 'infinite',
            inputs: [f32([1, 3], [1, -Number.POSITIVE_INFINITY, 2]), sample([3], 2)],
          },
        ]),
  ];
}

/** Also the parts of com.microsoft's SkipLayerNormalization. */
export const layerNormalization = layerNorm({
  name: 'LayerNormalization',
  doc: 'Normalises the trailing axes to mean 0 and variance 1, then scales and shifts.',
  since: 17,
  centred: true,
  statistics: ['mean', 'inverse'],
});

export const rmsNormalization = layerNorm({
  name: 'RMSNormalization',
  doc: 'Divides the trailing axes by the root of their mean square, then scales.',
  since: 23,
  centred: false,
  statistics: [],
});

/** As onnxruntime writes it into the default domain. */
export const simplifiedLayerNormalization = layerNorm({
  name: 'SimplifiedLayerNormalization',
  doc: 'Root-mean-square normalisation as onnxruntime spells it; gives 1/rms on request.',
  since: 1,
  centred: false,
  statistics: ['inverse'],
});
