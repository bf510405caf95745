/** ai.onnx.ml: linear models as matrix products. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { int, intAttr, shapeError, text } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { uniform } from '../math/samples.ts';
import { floats, ML, numbersOf, numericInput, rowsOf } from './attributes.ts';
import {
  classify,
  classifyNodes,
  type ClassScores,
  EACH,
  inferClassifier,
  LABEL_ATTRS,
  labelsOf,
} from './classes.ts';
import {
  regressionTransform,
  toF32,
  transformOf,
  transformRow,
  transformScores,
} from './post-transform.ts';

/** coefficients [outputs, features] and an intercept per output. */
function weightsOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  features: number,
  names: readonly [string, string],
): { readonly matrix: readonly number[]; readonly bias: readonly number[]; readonly rows: number } {
  const matrix = numbersOf(attrs, names[0]) ?? [];
  const rows = features === 0 ? 0 : matrix.length / features;
  const bias =
    numbersOf(attrs, names[1]) ?? new Array<number>(Math.max(1, Math.floor(rows))).fill(0);
  if (!Number.isInteger(rows) || rows === 0 || bias.length !== rows) {
    shapeError(
      ctx,
      `${matrix.length} coefficients and ${bias.length} intercepts do not fit ${features} features`,
    );
  }
  return { matrix, bias, rows };
}

function productNodes(
  b: OpBuilder,
  x: ValueId,
  shape: readonly number[],
  weights: ReturnType<typeof weightsOf>,
): ValueId {
  const [n, features] = rowsOf(shape);
  const flat = b.reshape(toF32(b, x), [n, features]);
  const w = b.constant(fromNumbers('f32', [weights.rows, features], weights.matrix));
  const c = b.constant(fromNumbers('f32', [weights.rows], weights.bias));
  return b.op('Gemm', [flat, w, c], { transB: 1 });
}

function productRows(x: Tensor, weights: ReturnType<typeof weightsOf>): readonly number[][] {
  const [n, features] = rowsOf(x.shape);
  const values = toNumbers(x);
  return Array.from({ length: n }, (_, row) =>
    weights.bias.map((c, k) => {
      let sum = c;
      for (let i = 0; i < features; i++) {
        sum +=
          (values[row * features + i] as number) * (weights.matrix[k * features + i] as number);
      }
      return sum;
    }),
  );
}

const REGRESSOR = ['coefficients', 'intercepts'] as const;

export const linearRegressor = defineOp({
  kind: 'composite',
  name: 'LinearRegressor',
  domain: ML,
  doc: 'A linear combination of the features per target.',
  since: 1,
  attrs: {
    coefficients: floats,
    intercepts: floats,
    post_transform: text('NONE'),
    targets: int(1),
  },
  infer(ctx) {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    const { rows } = weightsOf(ctx, ctx.attrs, features, REGRESSOR);
    const targets = intAttr(ctx.attrs, 'targets');
    if (rows !== targets) shapeError(ctx, `coefficients of ${rows} targets, not of ${targets}`);
    return [{ dtype: 'f32', shape: [n, rows] }];
  },
  decompose: (b, inputs, ctx) => {
    const { shape } = numericInput(ctx);
    const weights = weightsOf(ctx, ctx.attrs, rowsOf(shape)[1], REGRESSOR);
    const scores = productNodes(b, at(inputs, 0) as ValueId, shape, weights);
    const kind = regressionTransform(ctx, ctx.attrs['post_transform'], weights.rows);
    return [transformScores(b, kind, scores)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'LinearRegressor' };
    const weights = weightsOf(node, attrs, rowsOf(x.shape)[1], REGRESSOR);
    const kind = regressionTransform(node, attrs['post_transform'], weights.rows);
    const rows = productRows(x, weights).map((row) => transformRow(kind, row));
    return [fromNumbers('f32', [rows.length, weights.rows], rows.flat())];
  },
  cases: () => [
    { inputs: [uniform([3, 2])], attrs: { coefficients: [1, -2], intercepts: [0.5] } },
    {
      note: 'two targets, softmax',
      inputs: [uniform([3, 2])],
      attrs: { coefficients: [1, -2, 3, 4], targets: 2, post_transform: 'SOFTMAX' },
    },
    {
      note: 'softmax of what is not zero',
      inputs: [fromNumbers('f32', [2, 1], [0, 0.5])],
      attrs: { coefficients: [1, 2, 0], targets: 3, post_transform: 'SOFTMAX_ZERO' },
    },
    {
      note: 'probit',
      inputs: [fromNumbers('f32', [3, 1], [0.1, 0.5, 0.9])],
      attrs: { coefficients: [1], intercepts: [0], post_transform: 'PROBIT' },
    },
  ],
});

const CLASSIFIER = ['coefficients', 'intercepts'] as const;

function classScores(rows: number, labels: number): ClassScores {
  return rows === 1 && labels === 2 ? { above: 0, other: 'rest' } : EACH;
}

export const linearClassifier = defineOp({
  kind: 'composite',
  name: 'LinearClassifier',
  domain: ML,
  doc: 'The class with the highest linear score, and the scores.',
  since: 1,
  attrs: {
    ...LABEL_ATTRS,
    classlabels_ints: { type: 'ints' },
    coefficients: floats,
    intercepts: floats,
    multi_class: int(0),
    post_transform: text('NONE'),
  },
  infer(ctx) {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    const { rows } = weightsOf(ctx, ctx.attrs, features, CLASSIFIER);
    return inferClassifier(ctx, n, rows);
  },
  decompose: (b, inputs, ctx) => {
    const { shape } = numericInput(ctx);
    const weights = weightsOf(ctx, ctx.attrs, rowsOf(shape)[1], CLASSIFIER);
    const scores = productNodes(b, at(inputs, 0) as ValueId, shape, weights);
    const kind = transformOf(ctx, ctx.attrs['post_transform']);
    const labels = labelsOf(ctx, ctx.attrs);
    return classifyNodes(b, scores, kind, labels, classScores(weights.rows, labels.data.length));
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'LinearClassifier' };
    const weights = weightsOf(node, attrs, rowsOf(x.shape)[1], CLASSIFIER);
    const kind = transformOf(node, attrs['post_transform']);
    const labels = labelsOf(node, attrs);
    const mode = classScores(weights.rows, labels.data.length);
    return classify(productRows(x, weights), kind, labels, mode);
  },
  cases: () => [
    {
      inputs: [uniform([4, 2])],
      attrs: {
        coefficients: [1, -2, 3, 4, 0, 1],
        intercepts: [0, 1, 2],
        classlabels_ints: [7, 8, 9],
      },
      outputs: 2,
    },
    {
      note: 'one row for two classes',
      inputs: [uniform([4, 2])],
      attrs: {
        coefficients: [1, -2],
        intercepts: [0.25],
        classlabels_ints: [0, 1],
        post_transform: 'LOGISTIC',
      },
      outputs: 2,
    },
  ],
});
