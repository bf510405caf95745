/** com.microsoft's operators around language models: NGramRepeatBlock, UnfoldTensor, CDist. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, stridesOf, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  requireDType,
  requiredInt,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { collect, elementAt, given } from '../math/loops.ts';
import { i64 } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { MICROSOFT } from './alias.ts';

const nGramRepeatBlock: CompositeOp = defineOp({
  kind: 'composite',
  name: 'NGramRepeatBlock',
  domain: MICROSOFT,
  doc: 'Scores of words that would repeat an n-gram of the sequence become -∞.',
  since: 1,
  attrs: { ngram_size: requiredInt },
  infer: (ctx: InferContext) => {
    const [ids, scores] = [inputType(ctx, 0), inputType(ctx, 1)];
    requireDType(ctx, ids, ['i64'], 'input_ids');
    requireDType(ctx, scores, ['f32'], 'scores');
    if (ids.shape.length !== 2 || scores.shape.length !== 2 || ids.shape[0] !== scores.shape[0]) {
      shapeError(ctx, `words [${ids.shape.join(',')}] and scores [${scores.shape.join(',')}]`);
    }
    if (intAttr(ctx.attrs, 'ngram_size') < 1) typeError(ctx, 'ngram_size is less than 1');
    return [scores];
  },
  decompose: (b, inputs, ctx) => {
    const [ids, scores] = [inputs[0] as ValueId, inputs[1] as ValueId];
    const [batch = 1, length = 1] = b.typeOf(ids).shape;
    const n = intAttr(ctx.attrs, 'ngram_size');
    const windows = length - n + 1;
    if (windows < 1) return [b.op('Identity', [scores])];
    const slice = (from: number, count: number): ValueId =>
      b.op('Slice', [ids, b.ints([from]), b.ints([from + count]), b.ints([1])]);
    const token = slice(n - 1, windows);
    let hit: ValueId | undefined;
    for (let k = 0; k < n - 1; k++) {
      const equal = b.op('Equal', [slice(k, windows), slice(length - n + 1 + k, 1)]);
      hit = hit === undefined ? equal : b.op('And', [hit, equal]);
    }
    const lowest = b.scalar(Number.NEGATIVE_INFINITY);
    const none = b.scalar(Number.POSITIVE_INFINITY);
    const limits =
      hit === undefined
        ? b.op('Expand', [lowest, b.ints([batch, windows])])
        : b.op('Where', [hit, lowest, none]);
    return [b.op('ScatterElements', [scores, token, limits], { axis: 1, reduction: 'min' })];
  },
  reference: (inputs, attrs, ctx) => {
    const [ids, scores] = [given(inputs, 0), given(inputs, 1)];
    const [batch, length] = ids.shape as [number, number];
    const words = at(scores.shape, 1);
    const n = intAttr(attrs, 'ngram_size');
    const values = toNumbers(ids);
    const out = toNumbers(scores).slice();
    for (let row = 0; row < batch; row++) {
      const own = values.subarray(row * length, (row + 1) * length);
      for (let i = 0; i + n <= length; i++) {
        const isRepeat = own
          .subarray(i, i + n - 1)
          .every((word, k) => word === own[length - n + 1 + k]);
        const word = checkedIndex(ctx.node, own[i + n - 1], words);
        if (isRepeat) out[row * words + word] = Number.NEGATIVE_INFINITY;
      }
    }
    return [fromNumbers('f32', scores.shape, out)];
  },
  cases: () => [
    {
      note: 'pairs',
      inputs: [i64([2, 5], [0, 1, 2, 0, 1, 3, 3, 1, 2, 3]), sample([2, 5])],
      attrs: { ngram_size: 2 },
    },
    {
      note: 'single words',
      inputs: [i64([1, 2], [0, 3]), sample([1, 5])],
      attrs: { ngram_size: 1 },
    },
    { note: 'too short', inputs: [i64([1, 2], [0, 3]), sample([1, 5])], attrs: { ngram_size: 3 } },
  ],
});

function unfolded(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  shape: readonly number[],
): { readonly axis: number; readonly size: number; readonly step: number; readonly count: number } {
  const axis = normalizeAxis(ctx, intAttr(attrs, 'dim'), shape.length);
  const [size, step] = [intAttr(attrs, 'size'), intAttr(attrs, 'step')];
  const extent = shape[axis] ?? shapeError(ctx, 'a scalar has no windows');
  if (size < 1 || step < 1 || size > extent) {
    shapeError(ctx, `windows of ${size} by steps of ${step} do not fit ${extent}`);
  }
  return { axis, size, step, count: Math.floor((extent - size) / step) + 1 };
}

const unfoldTensor: CompositeOp = defineOp({
  kind: 'composite',
  name: 'UnfoldTensor',
  domain: MICROSOFT,
  doc: 'Overlapping windows along an axis, as a new last axis.',
  since: 1,
  attrs: { dim: int(-1), size: requiredInt, step: int(1) },
  infer: (ctx: InferContext) => {
    const { dtype, shape } = inputType(ctx, 0);
    const { axis, size, count } = unfolded(ctx, ctx.attrs, shape);
    return [{ dtype, shape: [...shape.with(axis, count), size] }];
  },
  decompose: (b, inputs, ctx) => {
    const { shape } = inputType(ctx, 0);
    const { axis, size, step, count } = unfolded(ctx, ctx.attrs, shape);
    const places = Array.from(
      { length: count * size },
      (_, i) => Math.floor(i / size) * step + (i % size),
    );
    const picked = b.op('Gather', [inputs[0] ?? null, b.constant(i64([count, size], places))], {
      axis,
    });
    const rank = shape.length + 1;
    const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis + 1);
    return [b.op('Transpose', [picked], { perm: [...others, axis + 1] })];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const { axis, size, step } = unfolded({ node: ctx.node, op: 'UnfoldTensor' }, attrs, x.shape);
    const type = at(ctx.outputTypes, 0);
    const [from, to] = [stridesOf(x.shape), stridesOf(type.shape)];
    return [
      collect(type, (flat) => {
        const place = type.shape.map((extent, k) => Math.floor(flat / at(to, k)) % extent);
        const offset = x.shape.reduce((sum, _, k) => {
          const own = k === axis ? at(place, k) * step + (flat % size) : at(place, k);
          return sum + own * at(from, k);
        }, 0);
        return elementAt(x, offset);
      }),
    ];
  },
  cases: () => [
    { inputs: [sample([2, 7])], attrs: { size: 3, step: 2 } },
    { note: 'a first axis', inputs: [sample([5, 2], 1, 'i64')], attrs: { dim: 0, size: 2 } },
  ],
});

const cDist: CompositeOp = defineOp({
  kind: 'composite',
  name: 'CDist',
  domain: MICROSOFT,
  doc: 'Distances of every row of A to every row of B.',
  since: 1,
  attrs: { metric: text('sqeuclidean') },
  infer: (ctx: InferContext) => {
    const [a, other] = [inputType(ctx, 0), inputType(ctx, 1)];
    requireDType(ctx, a, ['f32', 'f64']);
    requireDType(ctx, other, [a.dtype], 'B');
    if (a.shape.length !== 2 || other.shape.length !== 2 || a.shape[1] !== other.shape[1]) {
      shapeError(ctx, `rows of [${a.shape.join(',')}] and [${other.shape.join(',')}]`);
    }
    const metric = textAttr(ctx.attrs, 'metric');
    if (!['euclidean', 'sqeuclidean'].includes(metric)) typeError(ctx, `metric ${metric}`);
    return [{ dtype: a.dtype, shape: [at(a.shape, 0), at(other.shape, 0)] }];
  },
  decompose: (b, inputs, ctx) => {
    const left = b.op('Unsqueeze', [inputs[0] ?? null, b.ints([1])]);
    const difference = b.op('Sub', [left, inputs[1] ?? null]);
    const square = b.op('ReduceSumSquare', [difference, b.ints([2])], { keepdims: 0 });
    return [textAttr(ctx.attrs, 'metric') === 'euclidean' ? b.op('Sqrt', [square]) : square];
  },
  reference: (inputs, attrs) => {
    const [a, other] = [given(inputs, 0), given(inputs, 1)];
    const [m, n] = [at(a.shape, 0), at(other.shape, 0)];
    const width = at(a.shape, 1);
    const [x, y] = [toNumbers(a), toNumbers(other)];
    const out = Array.from({ length: elementCount([m, n]) }, (_, p) => {
      let sum = 0;
      for (let k = 0; k < width; k++) {
        const [u, v] = [x[Math.floor(p / n) * width + k], y[(p % n) * width + k]];
        sum += ((u as number) - (v as number)) ** 2;
      }
      return textAttr(attrs, 'metric') === 'euclidean' ? Math.sqrt(sum) : sum;
    });
    return [fromNumbers(a.dtype, [m, n], out)];
  },
  cases: () => [
    { inputs: [sample([3, 4], 1), sample([2, 4], 2)] },
    {
      note: 'roots',
      inputs: [sample([2, 3], 1, 'f64'), sample([2, 3], 2, 'f64')],
      attrs: { metric: 'euclidean' },
    },
  ],
});

export const LANGUAGE: readonly OpDef[] = [nGramRepeatBlock, unfoldTensor, cDist];
