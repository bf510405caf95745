/** ai.onnx.ml: kernels of support vector machines, by operators and in plain loops. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { textAttr } from '../checks.ts';
import { numbersOf } from './attributes.ts';

export interface SupportVectors {
  readonly vectors: readonly number[];
  readonly count: number;
  readonly kernel: string;
  readonly gamma: number;
  readonly coef0: number;
  readonly degree: number;
}

/** The attributes that all support vector machines have. */
export function kernelAttrs(attrs: Attrs): Omit<SupportVectors, 'count'> {
  const [gamma = 0, coef0 = 0, degree = 0] = numbersOf(attrs, 'kernel_params') ?? [];
  const vectors = numbersOf(attrs, 'support_vectors') ?? [];
  return { vectors, kernel: textAttr(attrs, 'kernel_type'), gamma, coef0, degree };
}

/** Every row against every support vector: [N, count]. */
export function kernelNodes(
  b: OpBuilder,
  x: ValueId,
  features: number,
  svm: SupportVectors,
): ValueId {
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

export function kernelOf(svm: SupportVectors, x: ArrayLike<number>, y: ArrayLike<number>): number {
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
