/**
 * Hone's own operator PairwiseCoupling: probabilities of classes from those of their pairs, by the iteration
 * of libsvm (Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise
 * coupling", 2004, second method). SVMClassifier is made of it; compiled, it is the routine
 * `pairwise_coupling` of native/routines.h.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, uniform } from '../math/samples.ts';

export const COUPLING = 'PairwiseCoupling';

const ROUNDS = 100;
/** A row is done when its conditions are met this well, over the number of classes. */
const ENOUGH = 0.005;
/** Classes the routine has room for. */
const MAX_CLASSES = 64;

/** `shares`: for every pair i < j in order, the probability of i where it is i or j. */
export function couple(shares: readonly number[], classes: number): readonly number[] {
  const round = Math.fround;
  const range = Array.from({ length: classes }, (_, i) => i);
  const r = range.map(() => new Array<number>(classes).fill(0));
  let p = 0;
  for (let i = 0; i < classes; i++) {
    for (let j = i + 1; j < classes; j++) {
      const share = round(at(shares, p++));
      at(r, i)[j] = share;
      at(r, j)[i] = round(1 - share);
    }
  }
  const from = (i: number, j: number): number => at(at(r, i), j);
  const q = range.map((t) =>
    range.map((j) => {
      if (t !== j) return round(-from(j, t) * from(t, j));
      return range.reduce((sum, k) => (k === t ? sum : round(sum + from(k, t) ** 2)), 0);
    }),
  );
  const out = range.map(() => round(1 / classes));
  for (let turn = 0; turn < ROUNDS; turn++) {
    const qp = range.map((t) =>
      range.reduce((sum, j) => round(sum + at(at(q, t), j) * at(out, j)), 0),
    );
    let pqp = range.reduce((sum, t) => round(sum + at(out, t) * at(qp, t)), 0);
    const error = Math.max(...qp.map((value) => Math.abs(value - pqp)));
    if (error < ENOUGH / classes) break;
    for (const t of range) {
      const own = at(at(q, t), t);
      const step = round((pqp - at(qp, t)) / own);
      const scale = round(1 + step);
      out[t] = round(at(out, t) + step);
      pqp = round((pqp + step * (step * own + 2 * at(qp, t))) / scale / scale);
      for (const j of range) {
        qp[j] = round((at(qp, j) + step * at(at(q, t), j)) / scale);
        out[j] = round(at(out, j) / scale);
      }
    }
  }
  return out;
}

/** How many classes have so many pairs. */
function classesOf(ctx: InferContext): number {
  const { shape } = inputType(ctx, 0);
  const pairs = shape[1] ?? 0;
  const classes = (1 + Math.sqrt(1 + 8 * pairs)) / 2;
  if (shape.length !== 2 || !Number.isInteger(classes) || classes < 2) {
    shapeError(ctx, `[${shape.join(',')}] are not the pairs of some classes`);
  }
  return classes;
}

export const pairwiseCoupling = defineOp({
  kind: 'core',
  name: COUPLING,
  domain: 'hone',
  doc: "Probabilities of classes from those of their pairs; a part of ai.onnx.ml's SVMClassifier.",
  since: 1,
  attrs: {},
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, ['f32']);
    return [{ dtype: 'f32', shape: [shape[0] ?? 0, classesOf(ctx)] }];
  },
  lower: (ctx) => {
    const classes = classesOf(ctx);
    if (classes > MAX_CLASSES) return `more than ${MAX_CLASSES} classes have no compiled form`;
    const rows = at(inputType(ctx, 0).shape, 0);
    return [{ kind: 'routine', routine: 'pairwise_coupling', dims: [rows, classes], scalars: [] }];
  },
  reference: (inputs, _attrs, ctx) => {
    const x = given(inputs, 0);
    const [rows, classes] = at(ctx.outputTypes, 0).shape as [number, number];
    const pairs = at(x.shape, 1);
    const values = toNumbers(x);
    const out = Array.from({ length: rows }, (_, row) =>
      couple([...values.subarray(row * pairs, (row + 1) * pairs)], classes),
    );
    return [fromNumbers('f32', [rows, classes], out.flat())];
  },
  cases: () => [
    { inputs: [uniform([4, 3], 0.05, 0.95)] },
    { note: 'four classes', inputs: [uniform([3, 6], 0.05, 0.95)] },
    { note: 'certain', inputs: [f32([1, 3], [0.999, 0.999, 0.5])] },
  ],
});
