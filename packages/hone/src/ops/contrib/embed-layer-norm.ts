/** com.microsoft's EmbedLayerNormalization: the embeddings that BERT begins with, summed and normalised. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId, ValueType } from '../../graph/types.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { tensor } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { MICROSOFT } from './alias.ts';
import { castTo } from './attend.ts';

const IN = {
  ids: 0,
  segments: 1,
  word: 2,
  position: 3,
  segment: 4,
  gamma: 5,
  beta: 6,
  mask: 7,
  places: 8,
};

export const embedLayerNormalization: CompositeOp = defineOp({
  kind: 'composite',
  name: 'EmbedLayerNormalization',
  domain: MICROSOFT,
  doc: 'Sum of the embeddings of words, positions and segments, then LayerNormalization.',
  since: 1,
  attrs: { epsilon: float(1e-12), mask_index_type: int(0) },
  infer: (ctx: InferContext): readonly ValueType[] => {
    const ids = inputType(ctx, IN.ids);
    if (ids.shape.length !== 2)
      shapeError(ctx, `input_ids has rank ${ids.shape.length}; it takes 2`);
    for (const k of [IN.ids, IN.segments, IN.mask, IN.places]) {
      const type = optionalType(ctx, k);
      if (type !== undefined) requireDType(ctx, type, ['i32', 'i64'], `input ${k}`);
    }
    const word = inputType(ctx, IN.word);
    requireDType(ctx, word, FLOATS, 'word_embedding');
    const [batch, length] = ids.shape as [number, number];
    const positions = inputType(ctx, IN.position).shape;
    if (word.shape.length !== 2 || positions.length !== 2) {
      const shapes = `[${word.shape.join(',')}] and [${positions.join(',')}]`;
      shapeError(ctx, `word and position_embedding have shapes ${shapes}; both have rank 2`);
    }
    const width = at(word.shape, 1);
    if (positions[1] !== width || (!optionalType(ctx, IN.places) && at(positions, 0) < length)) {
      shapeError(
        ctx,
        `position_embedding [${positions.join(',')}] for ${length} words of ${width}`,
      );
    }
    const segment = optionalType(ctx, IN.segment);
    if (segment !== undefined && (segment.shape.length !== 2 || segment.shape[1] !== width)) {
      shapeError(ctx, `segment_embedding [${segment.shape.join(',')}] for words of ${width}`);
    }
    for (const k of [IN.segments, IN.mask, IN.places]) {
      const shape = optionalType(ctx, k)?.shape;
      const fits = shape === undefined || shape.join() === ids.shape.join();
      const isRow = k === IN.places && shape?.join() === `1,${length}`;
      if (!fits && !isRow) {
        shapeError(
          ctx,
          `input ${k} has shape [${shape?.join(',')}]; it takes [${ids.shape.join(',')}]`,
        );
      }
    }
    for (const k of [IN.gamma, IN.beta]) {
      const { shape } = inputType(ctx, k);
      if (shape.join() !== `${width}`) shapeError(ctx, `input ${k} has shape [${shape.join(',')}]`);
    }
    const sum = { dtype: word.dtype, shape: [batch, length, width] };
    const counts = { dtype: 'i32', shape: [batch] } as const;
    return [sum, counts, sum].slice(0, Math.max(1, ctx.outputCount));
  },
  decompose: (b, inputs, ctx) => {
    const id = (k: number): ValueId | null => inputs[k] ?? null;
    const length = at(inputType(ctx, IN.ids).shape, 1);
    const { dtype, shape } = at(ctx.outputs, 0);
    const places = id(IN.places);
    const position =
      places === null
        ? b.op('Slice', [id(IN.position), b.ints([0]), b.ints([length]), b.ints([0])])
        : b.op('Gather', [id(IN.position), places]);
    let sum = b.op('Add', [b.op('Gather', [id(IN.word), id(IN.ids)]), position]);
    const segments = id(IN.segments);
    if (segments !== null && id(IN.segment) !== null) {
      sum = b.op('Add', [sum, b.op('Gather', [id(IN.segment), segments])]);
    }
    const attrs = { axis: -1, epsilon: intAttr(ctx.attrs, 'epsilon') };
    const y = b.op('LayerNormalization', [sum, id(IN.gamma), id(IN.beta)], attrs);
    const mask = id(IN.mask);
    const batch = at(shape, 0);
    const counts = (): ValueId => {
      if (mask === null) {
        return b.filled('i32', [batch]);
      }
      const isWord = castTo(b, b.op('Equal', [mask, b.scalar(1, b.typeOf(mask).dtype)]), 'i32');
      return b.op('ReduceSum', [isWord, b.ints([1])], { keepdims: 0 });
    };
    const all = [(): ValueId => y, counts, (): ValueId => castTo(b, sum, dtype)];
    return ctx.outputs.map((_, i) => at(all, i)());
  },
  reference: (inputs, attrs, ctx) => {
    const ids = toNumbers(given(inputs, IN.ids));
    const [batch, length] = given(inputs, IN.ids).shape as [number, number];
    const list = (k: number): Float64Array | undefined =>
      inputs[k] ? toNumbers(inputs[k] as Tensor) : undefined;
    const word = given(inputs, IN.word);
    const width = at(word.shape, 1);
    const places = list(IN.places);
    const rowOf = (k: number, index: number): Float64Array => {
      const table = given(inputs, k);
      const row = width === 0 ? 0 : checkedIndex(ctx.node, index, at(table.shape, 0));
      return toNumbers(table).subarray(row * width, (row + 1) * width);
    };
    const segments = inputs[IN.segment] ? list(IN.segments) : undefined;
    const [gamma, beta] = [toNumbers(given(inputs, IN.gamma)), toNumbers(given(inputs, IN.beta))];
    const sums: number[] = [];
    const y: number[] = [];
    ids.forEach((id, i) => {
      const place = places?.[i % places.length] ?? i % length;
      const parts = [rowOf(IN.word, id), rowOf(IN.position, place)];
      if (segments !== undefined) parts.push(rowOf(IN.segment, segments[i] as number));
      const row = Array.from({ length: width }, (_, c) =>
        parts.reduce((sum, part) => sum + (part[c] as number), 0),
      );
      const mean = row.reduce((sum, x) => sum + x, 0) / width;
      const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / width;
      const inverse = 1 / Math.sqrt(variance + intAttr(attrs, 'epsilon'));
      sums.push(...row);
      y.push(
        ...row.map((x, c) => (x - mean) * inverse * (gamma[c] as number) + (beta[c] as number)),
      );
    });
    const mask = list(IN.mask);
    const counts = Array.from({ length: batch }, (_, n) =>
      mask === undefined
        ? 0
        : mask.subarray(n * length, (n + 1) * length).filter((x) => x === 1).length,
    );
    const all = [y, counts, sums];
    return ctx.outputTypes.map(({ dtype, shape }, i) => fromNumbers(dtype, shape, at(all, i)));
  },
  cases: () => {
    const ids = tensor('i32', [2, 3], [0, 4, 2, 3, 3, 1]);
    const tables = [sample([5, 4], 1), sample([6, 4], 2)];
    const affine = [sample([4], 4), sample([4], 5)];
    return [
      {
        note: 'segments and a mask',
        inputs: [
          ...[ids, tensor('i32', [2, 3], [0, 0, 1, 1, 1, 0]), ...tables, sample([2, 4], 3)],
          ...[...affine, tensor('i32', [2, 3], [1, 1, 0, 1, 0, 0])],
        ],
        outputs: 3,
      },
      {
        note: 'positions, no segments',
        inputs: [
          ...[ids, null, ...tables, null, ...affine, null],
          tensor('i32', [2, 3], [5, 4, 3, 0, 1, 2]),
        ],
        outputs: 2,
      },
    ];
  },
});
