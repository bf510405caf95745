/** ai.onnx.ml: linear models and support vector regression, as matrix products. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { int, intAttr, shapeError, text, textAttr } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { uniform } from '../math/samples.ts';
import { floats, ML, numbersOf, numericInput, rowsOf } from './attributes.ts';
import {
  classify,
  classifyNodes,
  type ClassScores,
  inferClassifier,
  LABEL_ATTRS,
  labelsOf,
} from './classes.ts';
import { toF32, transformOf, transformRow, transformScores } from './post-transform.ts';

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
  const flat = b.op('Reshape', [toF32(b, x), b.ints([n, features])]);
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
    return [{ dtype: 'f32', shape: [n, rows] }];
  },
  decompose: (b, inputs, ctx) => {
    const { shape } = numericInput(ctx);
    const weights = weightsOf(ctx, ctx.attrs, rowsOf(shape)[1], REGRESSOR);
    const scores = productNodes(b, at(inputs, 0) as ValueId, shape, weights);
    return [transformScores(b, transformOf(ctx, ctx.attrs['post_transform']), scores)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'LinearRegressor' };
    const weights = weightsOf(node, attrs, rowsOf(x.shape)[1], REGRESSOR);
    const kind = transformOf(node, attrs['post_transform']);
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
  return rows === 1 && labels === 2 ? 'signed' : 'each';
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

interface Svm {
  readonly vectors: readonly number[];
  readonly weights: readonly number[];
  readonly count: number;
  readonly rho: number;
  readonly kernel: string;
  readonly gamma: number;
  readonly coef0: number;
  readonly degree: number;
}

function svmOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  features: number,
): Svm {
  const count = intAttr(attrs, 'n_supports');
  const vectors = numbersOf(attrs, 'support_vectors') ?? [];
  const weights = numbersOf(attrs, 'coefficients') ?? [];
  const rows = count === 0 ? 1 : count;
  const isLinear = count === 0;
  if (
    isLinear
      ? weights.length !== features
      : vectors.length !== rows * features || weights.length !== rows
  ) {
    shapeError(
      ctx,
      `${vectors.length} numbers of ${count} support vectors and ${weights.length} coefficients do not fit ${features} features`,
    );
  }
  const [gamma = 0, coef0 = 0, degree = 0] = numbersOf(attrs, 'kernel_params') ?? [];
  const [rho = 0] = numbersOf(attrs, 'rho') ?? [];
  const kernel = textAttr(attrs, 'kernel_type');
  return { vectors, weights, count, rho, kernel, gamma, coef0, degree };
}

function kernelNodes(b: OpBuilder, x: ValueId, features: number, svm: Svm): ValueId {
  const { count, gamma, coef0 } = svm;
  const supports = b.constant(fromNumbers('f32', [count, features], svm.vectors));
  if (svm.kernel === 'RBF') {
    const difference = b.op('Sub', [b.op('Unsqueeze', [x, b.ints([1])]), supports]);
    const distance = b.op('ReduceSumSquare', [difference, b.ints([-1])], { keepdims: 0 });
    return b.op('Exp', [b.op('Mul', [distance, b.scalar(-gamma)])]);
  }
  const dot = b.op('Gemm', [x, supports], { transB: 1 });
  if (svm.kernel === 'LINEAR') return dot;
  const affine = b.op('Add', [b.op('Mul', [dot, b.scalar(gamma)]), b.scalar(coef0)]);
  return svm.kernel === 'POLY'
    ? b.op('Pow', [affine, b.scalar(svm.degree)])
    : b.op('Tanh', [affine]);
}

function kernelOf(svm: Svm, x: ArrayLike<number>, y: ArrayLike<number>): number {
  let dot = 0;
  let distance = 0;
  for (let i = 0; i < x.length; i++) {
    dot += (x[i] as number) * (y[i] as number);
    distance += ((x[i] as number) - (y[i] as number)) ** 2;
  }
  switch (svm.kernel) {
    case 'RBF':
      return Math.exp(-svm.gamma * distance);
    case 'POLY':
      return (svm.gamma * dot + svm.coef0) ** svm.degree;
    case 'SIGMOID':
      return Math.tanh(svm.gamma * dot + svm.coef0);
    default:
      return dot;
  }
}

export const svmRegressor = defineOp({
  kind: 'composite',
  name: 'SVMRegressor',
  domain: ML,
  doc: 'Support vector regression, or the side of a one-class boundary.',
  since: 1,
  attrs: {
    coefficients: floats,
    kernel_params: floats,
    kernel_type: text('LINEAR'),
    n_supports: int(0),
    one_class: int(0),
    post_transform: text('NONE'),
    rho: floats,
    support_vectors: floats,
  },
  infer(ctx: InferContext) {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    svmOf(ctx, ctx.attrs, features);
    return [{ dtype: 'f32', shape: [n, 1] }];
  },
  decompose: (b, inputs, ctx) => {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    const svm = svmOf(ctx, ctx.attrs, features);
    const x = b.op('Reshape', [toF32(b, at(inputs, 0) as ValueId), b.ints([n, features])]);
    const values = svm.count === 0 ? x : kernelNodes(b, x, features, svm);
    const width = svm.weights.length;
    const weights = b.constant(fromNumbers('f32', [width, 1], svm.weights));
    const sum = b.op('Gemm', [values, weights, b.constant(fromNumbers('f32', [1], [svm.rho]))]);
    if (intAttr(ctx.attrs, 'one_class') !== 0) {
      const isInside = b.op('Greater', [sum, b.scalar(0)]);
      return [b.op('Where', [isInside, b.scalar(1), b.scalar(-1)])];
    }
    return [transformScores(b, transformOf(ctx, ctx.attrs['post_transform']), sum)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'SVMRegressor' };
    const [n, features] = rowsOf(x.shape);
    const svm = svmOf(node, attrs, features);
    const kind = transformOf(node, attrs['post_transform']);
    const all = toNumbers(x);
    const out = Array.from({ length: n }, (_, row) => {
      const own = all.subarray(row * features, (row + 1) * features);
      let sum = svm.rho;
      svm.weights.forEach((weight, k) => {
        const support = svm.vectors.slice(k * features, (k + 1) * features);
        sum += weight * (svm.count === 0 ? (own[k] as number) : kernelOf(svm, own, support));
      });
      if (intAttr(attrs, 'one_class') !== 0) return sum > 0 ? 1 : -1;
      return at(transformRow(kind, [sum]), 0);
    });
    return [fromNumbers('f32', [n, 1], out)];
  },
  cases: () => [
    ...['LINEAR', 'POLY', 'RBF', 'SIGMOID'].map((kernel_type) => ({
      note: kernel_type,
      inputs: [uniform([3, 2])],
      attrs: {
        kernel_type,
        kernel_params: [0.5, 0.25, 3],
        n_supports: 2,
        support_vectors: [1, 2, -1, 0.5],
        coefficients: [0.5, -1.5],
        rho: [0.125],
      },
    })),
    {
      note: 'no support vectors, one class',
      inputs: [uniform([3, 2])],
      attrs: { coefficients: [1, -1], rho: [0.1], one_class: 1 },
    },
  ],
});
