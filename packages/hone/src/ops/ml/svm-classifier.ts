/**
 * ai.onnx.ml: SVMClassifier. With support vectors every pair of classes has a score that one of the two
 * wins; the class with most wins is the label. With prob_a and prob_b the scores become probabilities
 * of pairs, and those of classes are coupled from them as libsvm does. Without support vectors it is a
 * linear model per class.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { shapeError, text } from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, uniform } from '../math/samples.ts';
import { floats, ML, numbersOf, numericInput, rowsOf } from './attributes.ts';
import { firstLargest, LABEL_ATTRS, labelNodes, labelsOf, pickLabels } from './classes.ts';
import { couple, COUPLING } from './pairwise-coupling.ts';
import {
  logistic,
  type PostTransform,
  toF32,
  transformOf,
  transformRow,
  transformScores,
} from './post-transform.ts';
import { kernelAttrs, kernelNodes, kernelOf, type SupportVectors } from './svm-kernel.ts';

interface Machine {
  readonly labels: Tensor;
  readonly classes: number;
  /** Absent: a linear model. */
  readonly supports?: SupportVectors;
  /** Scores as sums over support vectors (or features): [terms, scores]. */
  readonly weights: readonly number[];
  readonly scores: number;
  readonly rho: readonly number[];
  readonly pairs: readonly (readonly [number, number])[];
  readonly probability?: { readonly a: readonly number[]; readonly b: readonly number[] };
}

type NodeRef = { readonly node: string; readonly op: string };

function machineOf(ctx: NodeRef, attrs: Attrs, features: number): Machine {
  const labels = labelsOf(ctx, attrs);
  const classes = labels.data.length;
  const coefficients = numbersOf(attrs, 'coefficients') ?? [];
  const rho = numbersOf(attrs, 'rho') ?? [];
  const perClass = numbersOf(attrs, 'vectors_per_class') ?? [];
  if (perClass.length === 0) {
    if (coefficients.length !== classes * features || rho.length < 1) {
      shapeError(
        ctx,
        `${coefficients.length} coefficients of ${classes} classes of ${features} features`,
      );
    }
    const weights = Array.from({ length: features * classes }, (_, i) =>
      at(coefficients, (i % classes) * features + Math.floor(i / classes)),
    );
    const same = new Array<number>(classes).fill(at(rho, 0));
    return { labels, classes, weights, scores: classes, rho: same, pairs: [] };
  }
  const count = perClass.reduce((a, b) => a + b, 0);
  const kernel = kernelAttrs(attrs);
  const pairs = perClass.flatMap((_, i) =>
    perClass.slice(i + 1).map((_, k) => [i, i + 1 + k] as const),
  );
  const [a, b] = ['prob_a', 'prob_b'].map((name) => numbersOf(attrs, name) ?? []);
  const fits =
    perClass.length === classes &&
    perClass.every((own) => own >= 0) &&
    classes > 1 &&
    kernel.vectors.length === count * features &&
    coefficients.length === (classes - 1) * count &&
    rho.length >= pairs.length &&
    (a?.length === 0 || (a?.length === pairs.length && b?.length === pairs.length));
  if (!fits) {
    shapeError(
      ctx,
      `${count} support vectors of ${features} features, ${coefficients.length} coefficients and ${rho.length} rho do not fit ${classes} classes`,
    );
  }
  const owner = perClass.flatMap((own, k) => new Array<number>(own).fill(k));
  const weights = owner.flatMap((own, v) =>
    pairs.map(([i, j]) => {
      if (own === i) return at(coefficients, (j - 1) * count + v);
      return own === j ? at(coefficients, i * count + v) : 0;
    }),
  );
  return {
    ...{ labels, classes, weights, pairs, scores: pairs.length },
    supports: { ...kernel, count },
    rho: rho.slice(0, pairs.length),
    ...(a === undefined || b === undefined || a.length === 0 ? {} : { probability: { a, b } }),
  };
}

/** How many scores come out. */
function width(machine: Machine): number {
  if (machine.probability !== undefined) return machine.classes;
  return machine.classes === 2 ? 2 : machine.scores;
}

/** Least and largest probability of a pair, as libsvm has it. */
const LEAST = 1e-7;

/** [pairs, classes]: which class a pair gives its win to (`side` 0) or its loss. */
function sides(machine: Machine, side: 0 | 1): Tensor {
  const { pairs, classes } = machine;
  const values = pairs.flatMap((pair) =>
    Array.from({ length: classes }, (_, k) => (pair[side] === k ? 1 : 0)),
  );
  return fromNumbers('f32', [pairs.length, classes], values);
}

function votesNodes(b: OpBuilder, scores: ValueId, machine: Machine): ValueId {
  const won = b.op('Cast', [b.op('Greater', [scores, b.scalar(0)])], { to: 1 });
  const lost = b.op('Sub', [b.scalar(1), won]);
  return b.op('Add', [
    b.op('MatMul', [won, b.constant(sides(machine, 0))]),
    b.op('MatMul', [lost, b.constant(sides(machine, 1))]),
  ]);
}

function probabilityNodes(b: OpBuilder, scores: ValueId, machine: Machine): ValueId {
  const { probability, pairs } = machine;
  const row = (values: readonly number[] = []): ValueId =>
    b.constant(fromNumbers('f32', [pairs.length], values));
  const scaled = b.op('Add', [b.op('Mul', [scores, row(probability?.a)]), row(probability?.b)]);
  const raw = b.op('Sigmoid', [b.op('Neg', [scaled])]);
  const share = b.op('Clip', [raw, b.scalar(LEAST), b.scalar(1 - LEAST)]);
  return b.op(COUPLING, [share], {}, { domain: 'hone' });
}

/** Two classes have the score of their pair and, as ONNX Runtime does, its negative or its rest to 1. */
function bothScores(kind: PostTransform, s: number): readonly number[] {
  if (kind === 'LOGISTIC') return transformRow(kind, [-s, s]);
  return [kind === 'NONE' ? -s : 1 - s, s];
}

function bothNodes(b: OpBuilder, kind: PostTransform, score: ValueId): ValueId {
  const isRest = kind !== 'NONE' && kind !== 'LOGISTIC';
  const first = isRest ? b.op('Sub', [b.scalar(1), score]) : b.op('Neg', [score]);
  const both = b.op('Concat', [first, score], { axis: 1 });
  return kind === 'LOGISTIC' ? b.op('Sigmoid', [both]) : both;
}

function scoresOf(machine: Machine, row: ArrayLike<number>): readonly number[] {
  const { supports, scores, weights, rho } = machine;
  const features = row.length;
  const terms =
    supports === undefined
      ? Array.from(row)
      : Array.from({ length: supports.count }, (_, k) =>
          kernelOf(supports, row, supports.vectors.slice(k * features, (k + 1) * features)),
        );
  return Array.from({ length: scores }, (_, p) =>
    terms.reduce((sum, term, k) => sum + term * at(weights, k * scores + p), at(rho, p)),
  );
}

const SAMPLE_KERNEL: Attrs = { kernel_type: 'RBF', kernel_params: [0.5, 0, 3] };

export const svmClassifier: CompositeOp = defineOp({
  kind: 'composite',
  name: 'SVMClassifier',
  domain: ML,
  doc: 'The class that wins most comparisons of support vectors, and the scores or probabilities.',
  since: 1,
  attrs: {
    ...LABEL_ATTRS,
    classlabels_ints: { type: 'ints' },
    coefficients: floats,
    kernel_params: floats,
    kernel_type: text('LINEAR'),
    post_transform: text('NONE'),
    prob_a: floats,
    prob_b: floats,
    rho: floats,
    support_vectors: floats,
    vectors_per_class: { type: 'ints' },
  },
  infer: (ctx: InferContext) => {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    const machine = machineOf(ctx, ctx.attrs, features);
    return [
      { dtype: machine.labels.dtype, shape: [n] },
      { dtype: 'f32', shape: [n, width(machine)] },
    ];
  },
  decompose: (b, inputs, ctx) => {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    const machine = machineOf(ctx, ctx.attrs, features);
    const x = b.reshape(toF32(b, inputs[0] as ValueId), [n, features]);
    const { supports, scores } = machine;
    const terms = supports === undefined ? x : kernelNodes(b, x, features, supports);
    const count = supports?.count ?? features;
    const weights = b.constant(fromNumbers('f32', [count, scores], machine.weights));
    const rho = b.constant(fromNumbers('f32', [scores], machine.rho));
    const sums = b.op('Gemm', [terms, weights, rho]);
    const chosen = supports === undefined ? sums : votesNodes(b, sums, machine);
    const position = b.op('ArgMax', [chosen], { axis: 1, keepdims: 0 });
    const kind = transformOf(ctx, ctx.attrs['post_transform']);
    const label = labelNodes(b, position, machine.labels);
    if (machine.probability !== undefined) {
      return [label, transformScores(b, kind, probabilityNodes(b, sums, machine))];
    }
    const isPair = width(machine) !== scores;
    return [label, isPair ? bothNodes(b, kind, sums) : transformScores(b, kind, sums)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'SVMClassifier' };
    const [n, features] = rowsOf(x.shape);
    const machine = machineOf(node, attrs, features);
    const kind = transformOf(node, attrs['post_transform']);
    const { pairs, classes, probability } = machine;
    const all = toNumbers(x);
    const positions: number[] = [];
    const out = Array.from({ length: n }, (_, row) => {
      const sums = scoresOf(machine, all.subarray(row * features, (row + 1) * features));
      const votes = new Array<number>(classes).fill(0);
      pairs.forEach((pair, p) => {
        const winner = at(sums, p) > 0 ? pair[0] : pair[1];
        votes[winner] = at(votes, winner) + 1;
      });
      const by = machine.supports === undefined ? sums : votes;
      positions.push(firstLargest(by));
      if (probability === undefined) {
        if (width(machine) === sums.length) return transformRow(kind, sums);
        return bothScores(kind, at(sums, 0));
      }
      const shares = sums.map((sum, p) => {
        const share = logistic(-(sum * at(probability.a, p) + at(probability.b, p)));
        return Math.min(Math.max(share, LEAST), 1 - LEAST);
      });
      return transformRow(kind, couple(shares, classes));
    });
    const scores = fromNumbers('f32', [n, width(machine)], out.flat());
    return [pickLabels(machine.labels, positions), scores];
  },
  cases: () => [
    {
      note: 'linear',
      inputs: [uniform([3, 2])],
      attrs: { classlabels_ints: [0, 1, 2], coefficients: [1, -1, 0.5, 2, -2, 1], rho: [0.25] },
      outputs: 2,
    },
    {
      note: 'not a number',
      inputs: [f32([1, 2], [Number.NaN, 1])],
      attrs: { classlabels_ints: [4, 5], coefficients: [1, -1, 0.5, 2], rho: [0.25] },
      outputs: 2,
    },
    {
      note: 'two classes',
      inputs: [uniform([3, 2])],
      attrs: {
        classlabels_ints: [0, 1],
        ...SAMPLE_KERNEL,
        coefficients: [1, -0.5, 0.25],
        rho: [0.125],
        support_vectors: [1, 2, -1, 0.5, 0, 1],
        vectors_per_class: [2, 1],
        post_transform: 'SOFTMAX',
      },
      outputs: 2,
    },
    {
      note: 'probabilities of three, labels are texts',
      inputs: [uniform([4, 2])],
      attrs: {
        classlabels_strings: ['a', 'b', 'c'],
        ...SAMPLE_KERNEL,
        coefficients: [1, -0.5, 0.25, 1, 0.75, -1, 0.5, 0.25],
        rho: [0.125, -0.25, 0.5],
        support_vectors: [1, 2, -1, 0.5, 0, 1, 0.5, -0.5],
        vectors_per_class: [2, 1, 1],
        prob_a: [-1, -1.5, -0.75],
        prob_b: [0.25, 0, -0.5],
      },
      outputs: 2,
    },
  ],
});
