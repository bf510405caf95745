/**
 * What ai.onnx.ml's predictors do with their scores: nothing, softmax, softmax that leaves zeros alone,
 * the logistic function, or the probit by Winitzki's approximation of the inverse error function
 * (a = 0.147), which is what ONNX Runtime computes.
 */
import { dtypeCode } from 'hone-runtime/base/dtype';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { typeError } from '../checks.ts';

const TRANSFORMS = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'] as const;
export type PostTransform = (typeof TRANSFORMS)[number];

/** By name, or by the number TreeEnsemble gives it. */
export function transformOf(
  ctx: { readonly node: string; readonly op: string },
  value: unknown,
): PostTransform {
  const found = TRANSFORMS.find((name, i) => name === value || i === value);
  return found ?? typeError(ctx, `post_transform ${String(value)} is not known`);
}

/** Of a regression: what has a single target stays as it is, but for the probit. */
export function regressionTransform(
  ctx: { readonly node: string; readonly op: string },
  value: unknown,
  targets: unknown,
): PostTransform {
  const kind = transformOf(ctx, value);
  return targets === 1 && kind !== 'PROBIT' ? 'NONE' : kind;
}

const APPROXIMATION = 0.147;
/** Scores nearer to zero than this stay as they are in SOFTMAX_ZERO. */
const ZERO = 1e-7;

export function transformRow(kind: PostTransform, row: readonly number[]): readonly number[] {
  const largest = Math.max(...row);
  switch (kind) {
    case 'NONE':
      return row;
    case 'LOGISTIC':
      return row.map(logistic);
    case 'PROBIT':
      return row.map(probit);
    case 'SOFTMAX': {
      const powers = row.map((x) => Math.exp(x - largest));
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((x) => x / sum);
    }
    case 'SOFTMAX_ZERO': {
      const isZero = (x: number): boolean => Math.abs(x) <= ZERO;
      const powers = row.map((x) => (isZero(x) ? x * Math.exp(-largest) : Math.exp(x - largest)));
      const sum = powers.reduce((a, b, i) => (isZero(row[i] as number) ? a : a + b), 0);
      return powers.map((x) => x / sum);
    }
    default:
      return kind satisfies never;
  }
}

export function logistic(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

function probit(p: number): number {
  const x = 2 * p - 1;
  const log = Math.log((1 - x) * (1 + x));
  const v = 2 / (Math.PI * APPROXIMATION) + 0.5 * log;
  return Math.SQRT2 * Math.sign(x) * Math.sqrt(-v + Math.sqrt(v * v - log / APPROXIMATION));
}

/** The same by operators, along the last axis of f32 scores. */
export function transformScores(b: OpBuilder, kind: PostTransform, scores: ValueId): ValueId {
  switch (kind) {
    case 'NONE':
      return scores;
    case 'LOGISTIC':
      return b.op('Sigmoid', [scores]);
    case 'SOFTMAX':
      return b.op('Softmax', [scores], { axis: -1 });
    case 'SOFTMAX_ZERO':
      return softmaxZero(b, scores);
    case 'PROBIT':
      return probitNodes(b, scores);
    default:
      return kind satisfies never;
  }
}

function softmaxZero(b: OpBuilder, scores: ValueId): ValueId {
  const last = b.ints([-1]);
  const largest = b.op('ReduceMax', [scores, last]);
  const isZero = b.op('LessOrEqual', [b.op('Abs', [scores]), b.scalar(ZERO)]);
  const power = b.op('Exp', [b.op('Sub', [scores, largest])]);
  const small = b.op('Mul', [scores, b.op('Exp', [b.op('Neg', [largest])])]);
  const counted = b.op('Where', [isZero, b.scalar(0), power]);
  const sum = b.op('ReduceSum', [counted, last]);
  return b.op('Div', [b.op('Where', [isZero, small, power]), sum]);
}

function probitNodes(b: OpBuilder, scores: ValueId): ValueId {
  const one = b.scalar(1);
  const x = b.op('Sub', [b.op('Mul', [scores, b.scalar(2)]), one]);
  const log = b.op('Log', [b.op('Mul', [b.op('Sub', [one, x]), b.op('Add', [one, x])])]);
  const v = b.op('Add', [
    b.op('Mul', [log, b.scalar(0.5)]),
    b.scalar(2 / (Math.PI * APPROXIMATION)),
  ]);
  const inner = b.op('Sub', [b.op('Mul', [v, v]), b.op('Mul', [log, b.scalar(1 / APPROXIMATION)])]);
  const size = b.op('Sqrt', [b.op('Sub', [b.op('Sqrt', [inner]), v])]);
  return b.op('Mul', [b.op('Mul', [b.op('Sign', [x]), size]), b.scalar(Math.SQRT2)]);
}

export function toF32(b: OpBuilder, id: ValueId): ValueId {
  return b.typeOf(id).dtype === 'f32' ? id : b.op('Cast', [id], { to: dtypeCode('f32') });
}
