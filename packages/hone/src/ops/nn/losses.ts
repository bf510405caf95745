/** NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, bound, cast, constant, load, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { StageBody } from '../../stages/types.ts';
import {
  inputType,
  optionalInt,
  optionalType,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { mapBody } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { choose, computeType, div, eq, mul, widen } from '../math/scalar.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { sample } from './samples.ts';
import { axesFrom } from './window.ts';

const ATTRS = { ignore_index: optionalInt, reduction: text('mean') };
const TARGETS: readonly DType[] = ['i32', 'i64'];

/** Type of the loss; checks scores [N, C, …], targets [N, …] and weights [C]. */
function inferLoss(ctx: InferContext): ValueType {
  const x = inputType(ctx, 0);
  const target = inputType(ctx, 1);
  requireDType(ctx, x, FLOATS);
  requireDType(ctx, target, TARGETS, 'the target');
  if (x.shape.length < 2) shapeError(ctx, `input [${x.shape.join(',')}] has no class axis`);
  const wanted = x.shape.filter((_, i) => i !== 1);
  if (target.shape.join() !== wanted.join()) {
    shapeError(
      ctx,
      `the target has shape [${target.shape.join(',')}]; the input asks for [${wanted.join(',')}]`,
    );
  }
  const weight = optionalType(ctx, 2);
  if (weight !== undefined && (weight.shape.length !== 1 || weight.shape[0] !== x.shape[1])) {
    shapeError(
      ctx,
      `weights have shape [${weight.shape.join(',')}], but there are ${x.shape[1]} classes`,
    );
  }
  const reduction = textAttr(ctx.attrs, 'reduction');
  if (!['none', 'sum', 'mean'].includes(reduction)) {
    typeError(ctx, `reduction ${reduction} is not known`);
  }
  return { dtype: x.dtype, shape: reduction === 'none' ? target.shape : [] };
}

function lowerLoss(ctx: LowerContext): readonly StageBody[] {
  const x = inputType(ctx, 0);
  const target = inputType(ctx, 1);
  const weight = optionalType(ctx, 2);
  const reduction = textAttr(ctx.attrs, 'reduction');
  const dtype = computeType(x.dtype);
  const axes = axesFrom(reduction === 'none' ? 'i' : 'r', 0, target.shape.length);
  const label = load('1', target.dtype, axes);
  const position = bound(label, at(x.shape, 1));
  const score = widen(load('0', x.dtype, [at(axes, 0), position, ...axes.slice(1)]));
  const share =
    weight === undefined ? constant(dtype, 1) : cast(dtype, load('2', weight.dtype, [position]));
  const ignored = ctx.attrs['ignore_index'];
  const unlessIgnored = (value: Expr): Expr =>
    typeof ignored === 'number' ? choose(eq(label, ignored), 0, value) : value;
  const loss = unlessIgnored(unary('neg', weight === undefined ? score : mul(score, share)));
  if (reduction === 'none') return [mapBody(target.shape, cast(x.dtype, loss))];
  const mean = reduction === 'mean';
  const sum = acc(0, dtype);
  return [
    {
      kind: 'reduce',
      axes: [],
      reduceAxes: target.shape,
      steps: [
        { op: 'sum', value: loss, dtype },
        ...(mean ? [{ op: 'sum', value: unlessIgnored(share), dtype } as const] : []),
      ],
      spans: 'outer',
      outIndex: [],
      value: cast(x.dtype, mean ? div(sum, acc(1, dtype)) : sum),
    },
  ];
}

/** The loss of log-probabilities given as doubles in the layout of `x`. */
function lossOf(
  node: string,
  logs: Float64Array,
  x: Tensor,
  target: Tensor,
  weight: Tensor | null,
  attrs: Attrs,
): Tensor {
  const classes = at(x.shape, 1);
  const inner = elementCount(x.shape.slice(2));
  const weights = weight === null ? null : toNumbers(weight);
  let total = 0;
  let shares = 0;
  const losses = toNumbers(target).map((label, p) => {
    if (label === attrs['ignore_index']) return 0;
    const n = Math.floor(p / inner);
    const c = checkedIndex(node, label, classes);
    const share = weights === null ? 1 : (weights[c] as number);
    const loss = -(logs[(n * classes + c) * inner + (p % inner)] as number) * share;
    total += loss;
    shares += share;
    return loss;
  });
  const reduction = textAttr(attrs, 'reduction');
  if (reduction === 'none') return fromNumbers(x.dtype, target.shape, losses);
  return fromNumbers(x.dtype, [], [reduction === 'mean' ? total / shares : total]);
}

export const negativeLogLikelihoodLoss = defineOp({
  kind: 'core',
  name: 'NegativeLogLikelihoodLoss',
  doc: 'Minus the log-probability of each target, weighted; classes to ignore count as nothing.',
  since: 22,
  attrs: ATTRS,
  infer: (ctx) => [inferLoss(ctx)],
  lower: lowerLoss,
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    return [lossOf(ctx.node, toNumbers(x), x, given(inputs, 1), inputs[2] ?? null, attrs)];
  },
  cases: () => lossCases(1),
});

/** log-softmax over axis 1 */
function logProbabilities(x: Tensor): Float64Array {
  const values = toNumbers(x);
  const classes = at(x.shape, 1);
  const inner = elementCount(x.shape.slice(2));
  const out = new Float64Array(values.length);
  for (let row = 0; row < values.length / classes; row++) {
    const base = Math.floor(row / inner) * classes * inner + (row % inner);
    const at_ = Array.from({ length: classes }, (_, c) => base + c * inner);
    const top = at_.reduce(
      (most, p) => Math.max(most, values[p] as number),
      Number.NEGATIVE_INFINITY,
    );
    const sum = at_.reduce((total, p) => total + Math.exp((values[p] as number) - top), 0);
    for (const p of at_) out[p] = (values[p] as number) - top - Math.log(sum);
  }
  return out;
}

export const softmaxCrossEntropyLoss = defineOp({
  kind: 'composite',
  name: 'SoftmaxCrossEntropyLoss',
  doc: 'Negative log-likelihood of the softmax of scores; optionally the log-probabilities.',
  since: 13,
  attrs: ATTRS,
  infer: (ctx) => {
    const loss = inferLoss(ctx);
    return ctx.outputCount > 1 ? [loss, inputType(ctx, 0)] : [loss];
  },
  decompose: (b, inputs, ctx) => {
    const [x = null, target = null, weight = null] = inputs;
    const logs = b.op('LogSoftmax', [x], { axis: 1 });
    const loss = b.op('NegativeLogLikelihoodLoss', [logs, target, weight], ctx.attrs);
    return ctx.outputs.length > 1 ? [loss, logs] : [loss];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const logs = logProbabilities(x);
    const loss = lossOf(ctx.node, logs, x, given(inputs, 1), inputs[2] ?? null, attrs);
    return ctx.outputTypes.length > 1 ? [loss, fromNumbers(x.dtype, x.shape, logs)] : [loss];
  },
  cases: () => lossCases(2),
});

function lossCases(outputs: number): readonly TestCase[] {
  const labels = (shape: readonly number[], values: readonly number[]): Tensor =>
    fromNumbers('i64', shape, values);
  return [
    { note: 'mean of rows', inputs: [sample([3, 4]), labels([3], [0, 3, 1])], outputs },
    {
      note: 'weighted, each loss, one to ignore',
      inputs: [sample([2, 3, 2]), labels([2, 2], [0, -1, 2, 1]), sample([3], 2)],
      attrs: { reduction: 'none', ignore_index: -1 },
      outputs,
    },
    {
      note: 'weighted mean, one to ignore',
      inputs: [
        sample([2, 3, 2]),
        labels([2, 2], [0, 9, 2, 1]),
        fromNumbers('f32', [3], [0.5, 1, 2]),
      ],
      attrs: { ignore_index: 9 },
      outputs,
    },
    {
      note: 'sum over positions',
      inputs: [sample([1, 3, 2, 2]), labels([1, 2, 2], [2, 0, 1, 1])],
      attrs: { reduction: 'sum' },
      outputs,
    },
  ];
}
