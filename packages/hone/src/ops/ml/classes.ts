/**
 * The last part of ai.onnx.ml's classifiers: from scores to a label per row and transformed scores.
 *
 * With one score for two classes ("signed") a positive score means the second class; the scores are then
 * [-s, s], or both logistic. "share" is the same for scores that are probabilities: above one half, and
 * [1 - s, s]. This is what ONNX Runtime does.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { shapeError } from '../checks.ts';
import type { AttrSpec, InferContext } from '../define-op.ts';
import { ML, numbersOf, strings, textsOf } from './attributes.ts';
import { type PostTransform, transformRow, transformScores } from './post-transform.ts';

export type ClassScores = 'each' | 'signed' | 'share';

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

/** Scores [N, E] in f32 → label and transformed scores. */
export function classifyNodes(
  b: OpBuilder,
  scores: ValueId,
  kind: PostTransform,
  labels: Tensor,
  mode: ClassScores,
): readonly ValueId[] {
  const position = positionNodes(b, scores, mode);
  const out =
    mode === 'each' ? transformScores(b, kind, scores) : twoScoreNodes(b, scores, kind, mode);
  return [labelNodes(b, position, labels), out];
}

function positionNodes(b: OpBuilder, scores: ValueId, mode: ClassScores): ValueId {
  if (mode === 'each') return b.op('ArgMax', [scores], { axis: 1, keepdims: 0 });
  const column = b.op('Squeeze', [scores, b.ints([1])]);
  const isSecond = b.op('Greater', [column, b.scalar(mode === 'share' ? 0.5 : 0)]);
  return b.op('Where', [isSecond, b.scalar(1, 'i64'), b.scalar(0, 'i64')]);
}

function twoScoreNodes(
  b: OpBuilder,
  score: ValueId,
  kind: PostTransform,
  mode: ClassScores,
): ValueId {
  const isLogistic = kind === 'LOGISTIC';
  const other = mode === 'share' ? b.op('Sub', [b.scalar(1), score]) : b.op('Neg', [score]);
  const both = b.op('Concat', [other, score], { axis: 1 });
  return isLogistic ? b.op('Sigmoid', [both]) : both;
}

function labelNodes(b: OpBuilder, position: ValueId, labels: Tensor): ValueId {
  if (labels.dtype !== 'string') return b.op('Gather', [b.constant(labels), position]);
  const keys = Array.from({ length: labels.data.length }, (_, i) => i);
  const attrs = { keys_int64s: keys, values_strings: labels.data as readonly string[] };
  return b.op('LabelEncoder', [position], attrs, { domain: ML });
}

export function classify(
  rows: readonly (readonly number[])[],
  kind: PostTransform,
  labels: Tensor,
  mode: ClassScores,
): readonly Tensor[] {
  const positions = rows.map((row) => {
    if (mode === 'each') return row.indexOf(Math.max(...row));
    return at(row, 0) > (mode === 'share' ? 0.5 : 0) ? 1 : 0;
  });
  const scores = rows.map((row) => {
    if (mode === 'each') return transformRow(kind, row);
    const s = at(row, 0);
    const both = [mode === 'share' ? 1 - s : -s, s];
    return kind === 'LOGISTIC' ? transformRow(kind, both) : both;
  });
  const data = labels.data as ArrayLike<unknown>;
  const picked = positions.map((p) => data[p]);
  const label: Tensor =
    labels.dtype === 'string'
      ? { dtype: 'string', shape: [rows.length], data: picked as string[] }
      : { dtype: 'i64', shape: [rows.length], data: BigInt64Array.from(picked as bigint[]) };
  return [label, fromNumbers('f32', [rows.length, labels.data.length], scores.flat())];
}
