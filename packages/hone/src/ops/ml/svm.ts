/** ai.onnx.ml: support vector machines, as kernels and matrix products. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import { int, intAttr, shapeError, text } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { uniform } from '../math/samples.ts';
import { floats, ML, numbersOf, numericInput, rowsOf } from './attributes.ts';
import { kernelAttrs, kernelNodes, kernelOf, type SupportVectors } from './svm-kernel.ts';
import { toF32, transformOf, transformRow, transformScores } from './post-transform.ts';

interface Regression extends SupportVectors {
  readonly weights: readonly number[];
  readonly rho: number;
}

function svmOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  features: number,
): Regression {
  const count = intAttr(attrs, 'n_supports');
  const kernel = kernelAttrs(attrs);
  const { vectors } = kernel;
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
  const [rho = 0] = numbersOf(attrs, 'rho') ?? [];
  return { ...kernel, weights, count, rho };
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
    const x = b.reshape(toF32(b, at(inputs, 0) as ValueId), [n, features]);
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
