/** com.microsoft's SkipLayerNormalization family: a residual sum, then a normalisation. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';
import {
  broadcastShapes,
  float,
  inputType,
  intAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { broadcastOffsets, given } from '../math/loops.ts';
import { computeType } from '../math/scalar.ts';
import { eachGroup, momentsOf } from './normalize.ts';
import { sample } from './samples.ts';

interface SkipNorm {
  readonly name: string;
  readonly doc: string;
  /** LayerNormalization with beta; else root-mean-square without. */
  readonly centred: boolean;
}

/** Positions of the inputs after input and skip. */
function operands(centred: boolean): { gamma: number; beta: number | null; bias: number } {
  return centred ? { gamma: 2, beta: 3, bias: 4 } : { gamma: 2, beta: null, bias: 3 };
}

function inferSkipNorm(ctx: InferContext, centred: boolean): readonly ValueType[] {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, FLOATS);
  const { beta, bias } = operands(centred);
  const skip = inputType(ctx, 1);
  if (broadcastShapes(ctx, skip.shape, x.shape).join() !== x.shape.join()) {
    shapeError(ctx, `skip [${skip.shape.join(',')}] does not fit the input [${x.shape.join(',')}]`);
  }
  for (const i of [2, ...(beta === null ? [] : [beta]), bias]) {
    const type = i === 2 ? inputType(ctx, 2) : optionalType(ctx, i);
    if (type === undefined) continue;
    if (type.shape.length !== 1 || type.shape[0] !== x.shape.at(-1)) {
      shapeError(
        ctx,
        `input ${i} has shape [${type.shape.join(',')}], but rows have ${x.shape.at(-1)} elements`,
      );
    }
  }
  const statistics = { dtype: computeType(x.dtype), shape: [...x.shape.slice(0, -1), 1] };
  return [x, statistics, statistics, x].slice(0, Math.max(1, ctx.outputCount));
}

function skipNorm({ name, doc, centred }: SkipNorm): CompositeOp {
  const { gamma, beta, bias } = operands(centred);
  return defineOp({
    kind: 'composite',
    name,
    domain: 'com.microsoft',
    doc,
    since: 1,
    attrs: { epsilon: float(1e-12) },
    infer: (ctx) => inferSkipNorm(ctx, centred),
    decompose: (b, inputs, ctx) => {
      const pick = (i: number | null) => (i === null ? null : (inputs[i] ?? null));
      const [x, skip, addend] = [pick(0), pick(1), pick(bias)];
      const biased = addend === null ? x : b.op('Add', [x, addend]);
      const sum = b.op('Add', [biased, skip]);
      const attrs = { axis: -1, epsilon: intAttr(ctx.attrs, 'epsilon') };
      if (centred) {
        const options = { outputs: Math.min(3, ctx.outputs.length) };
        const parts = b.ops('LayerNormalization', [sum, pick(gamma), pick(beta)], attrs, options);
        return [...parts, sum].slice(0, ctx.outputs.length);
      }
      const outputs = Math.min(2, ctx.outputs.length);
      const parts = b.ops('SimplifiedLayerNormalization', [sum, pick(gamma)], attrs, { outputs });
      // The mean is not computed; its place keeps the statistics' shape.
      const inverse = parts[1] ?? at(parts, 0);
      return [at(parts, 0), inverse, inverse, sum].slice(0, ctx.outputs.length);
    },
    reference: (inputs, attrs, ctx) => {
      const x = given(inputs, 0);
      const skip = given(inputs, 1);
      const scale = toNumbers(given(inputs, gamma));
      const vector = (i: number | null): Float64Array => {
        const tensor: Tensor | null = i === null ? null : (inputs[i] ?? null);
        return tensor === null ? new Float64Array(scale.length) : toNumbers(tensor);
      };
      const [shift, addend] = [vector(beta), vector(bias)];
      const skipAt = broadcastOffsets(skip.shape, x.shape);
      const skips = toNumbers(skip);
      const sum = toNumbers(x).map(
        (value, i) =>
          value + (skips[skipAt[i] as number] as number) + (addend[i % scale.length] as number),
      );
      const out = new Float64Array(sum.length);
      const means: number[] = [];
      const inverses: number[] = [];
      eachGroup(
        x.shape,
        (i) => i === x.shape.length - 1,
        (positions) => {
          const found = momentsOf(sum, positions);
          const mean = centred ? found.mean : 0;
          const spread = centred ? found.variance : found.meanSquare;
          const inverse = 1 / Math.sqrt(spread + intAttr(attrs, 'epsilon'));
          means.push(centred ? mean : inverse);
          inverses.push(inverse);
          positions.forEach((p, c) => {
            const unit = ((sum[p] as number) - mean) * inverse;
            out[p] = unit * (scale[c] as number) + (shift[c] as number);
          });
        },
      );
      const all = [out, means, inverses, sum];
      return ctx.outputTypes.map((type, i) => fromNumbers(type.dtype, type.shape, at(all, i)));
    },
    cases: () => skipCases(centred),
  });
}

function skipCases(centred: boolean): readonly TestCase[] {
  const row = (seed: number): Tensor => sample([6], seed);
  const parameters = centred ? [row(3), row(4), row(5)] : [row(3), row(5)];
  return [
    { note: 'scale alone', inputs: [sample([2, 3, 6], 1), sample([2, 3, 6], 2), row(3)] },
    {
      note: 'everything, skip broadcast',
      inputs: [sample([2, 3, 6], 1), sample([3, 6], 2), ...parameters],
      attrs: { epsilon: 1e-5 },
      outputs: 4,
    },
  ];
}

export const SKIP_NORMS: readonly CompositeOp[] = [
  skipNorm({
    name: 'SkipLayerNormalization',
    doc: 'LayerNormalization of input + skip (+ bias).',
    centred: true,
  }),
  skipNorm({
    name: 'SkipSimplifiedLayerNormalization',
    doc: 'Root-mean-square normalisation of input + skip (+ bias).',
    centred: false,
  }),
];
