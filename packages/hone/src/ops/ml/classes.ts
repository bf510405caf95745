/**
 * The last part of ai.onnx.ml's classifiers: from scores to a label per row and transformed scores.
 *
 * Two classes may have one score, that of the second: it is chosen where the score is above a number, and
 * what stands for the first is its negative, the rest to 1, or zero. This is what ONNX Runtime does.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { shapeError } from '../checks.ts';
import type { AttrSpec, InferContext } from '../define-op.ts';
import { ML, numbersOf, strings, textsOf } from './attributes.ts';
import { type PostTransform, transformRow, transformScores } from './post-transform.ts';

export interface OneScore {
  /** The second class is chosen above it. */
  readonly above: number;
  /** What the first class gets. */
  readonly other: 'negative' | 'rest' | 'zero';
}

/** A score for each class, or one for two classes. */
export type ClassScores = 'each' | OneScore;
export const EACH = 'each';

export const LABEL_ATTRS: Readonly<Record<string, AttrSpec>> = { classlabels_strings: strings };

/** The class labels: i64 or strings. */
export function labelsOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
): Tensor {
  const texts = textsOf(attrs, 'classlabels_strings');
  if (texts !== undefined) return { dtype: 'string', shape: [texts.length], data: texts };
  const ints = numbersOf(attrs, 'classlabels_ints') ?? numbersOf(attrs, 'classlabels_int64s');
  if (ints === undefined) shapeError(ctx, 'it has no class labels');
  return fromNumbers('i64', [ints.length], ints);
}

export function inferClassifier(
  ctx: InferContext,
  rows: number,
  scores: number,
): readonly ValueType[] {
  const labels = labelsOf(ctx, ctx.attrs);
  const classes = labels.data.length;
  if (scores !== classes && !(scores === 1 && classes === 2)) {
    shapeError(ctx, `${scores} scores do not fit ${classes} classes`);
  }
  return [
    { dtype: labels.dtype, shape: [rows] },
    { dtype: 'f32', shape: [rows, classes] },
  ];
}

/** Scores [N, E] in f32 → label and transformed scores. `chosen`: scores that the label follows. */
export function classifyNodes(
  b: OpBuilder,
  scores: ValueId,
  kind: PostTransform,
  labels: Tensor,
  mode: ClassScores,
  chosen: ValueId = scores,
): readonly ValueId[] {
  const position = positionNodes(b, chosen, mode);
  const out =
    mode === EACH ? transformScores(b, kind, scores) : twoScoreNodes(b, scores, kind, mode);
  return [labelNodes(b, position, labels), out];
}

function positionNodes(b: OpBuilder, scores: ValueId, mode: ClassScores): ValueId {
  if (mode === EACH) return b.op('ArgMax', [scores], { axis: 1, keepdims: 0 });
  const column = b.op('Squeeze', [scores, b.ints([1])]);
  const isSecond = b.op('Greater', [column, b.scalar(mode.above)]);
  return b.op('Where', [isSecond, b.scalar(1, 'i64'), b.scalar(0, 'i64')]);
}

function twoScoreNodes(
  b: OpBuilder,
  score: ValueId,
  kind: PostTransform,
  { other }: OneScore,
): ValueId {
  const both = (first: ValueId): ValueId => b.op('Concat', [first, score], { axis: 1 });
  if (other === 'zero') return transformScores(b, kind, both(b.op('Mul', [score, b.scalar(0)])));
  // Logistic scores of s and -s make up 1 in any case.
  if (kind === 'LOGISTIC') return b.op('Sigmoid', [both(b.op('Neg', [score]))]);
  return both(other === 'rest' ? b.op('Sub', [b.scalar(1), score]) : b.op('Neg', [score]));
}

/** Labels by their positions. */
export function labelNodes(b: OpBuilder, position: ValueId, labels: Tensor): ValueId {
  if (labels.dtype !== 'string') return b.op('Gather', [b.constant(labels), position]);
  const keys = Array.from({ length: labels.data.length }, (_, i) => i);
  const attrs = { keys_int64s: keys, values_strings: labels.data as readonly string[] };
  return b.op('LabelEncoder', [position], attrs, { domain: ML });
}

/** As ArgMax: the first of equals; what is no number is never larger. */
export function firstLargest(row: readonly number[]): number {
  return row.reduce((best, value, i) => (value > at(row, best) ? i : best), 0);
}

export function classify(
  rows: readonly (readonly number[])[],
  kind: PostTransform,
  labels: Tensor,
  mode: ClassScores,
  chosen: readonly (readonly number[])[] = rows,
): readonly Tensor[] {
  const positions = chosen.map((row) => {
    if (mode === EACH) return firstLargest(row);
    return at(row, 0) > mode.above ? 1 : 0;
  });
  const scores = rows.map((row) => {
    if (mode === EACH) return transformRow(kind, row);
    const s = at(row, 0);
    if (mode.other === 'zero') return transformRow(kind, [0, s]);
    if (kind === 'LOGISTIC') return transformRow(kind, [-s, s]);
    return [mode.other === 'rest' ? 1 - s : -s, s];
  });
  const out = fromNumbers('f32', [rows.length, labels.data.length], scores.flat());
  return [pickLabels(labels, positions), out];
}

/** The labels at positions. */
export function pickLabels(labels: Tensor, positions: readonly number[]): Tensor {
  const data = labels.data as ArrayLike<unknown>;
  const picked = positions.map((p) => data[p]);
  return labels.dtype === 'string'
    ? { dtype: 'string', shape: [positions.length], data: picked as string[] }
    : { dtype: 'i64', shape: [positions.length], data: BigInt64Array.from(picked as bigint[]) };
}
