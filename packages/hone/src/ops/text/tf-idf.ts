/** TfIdfVectorizer: counts of n-grams. Integers are counted by core operators, texts by a host step. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { countGrams, eachGram, type NGrams } from 'hone-runtime/host/n-grams';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, intAttr, requireDType, requiredInt, textAttr, typeError } from '../checks.ts';
import { defineOp, type HostCall } from '../define-op.ts';
import { given, outputOf } from '../math/loops.ts';
import { tensor } from '../math/samples.ts';
import { texts } from './strings.ts';

function listOf<T>(attrs: Attrs, name: string): readonly T[] | undefined {
  const value = attrs[name];
  return Array.isArray(value) && value.length > 0 ? (value as readonly T[]) : undefined;
}

function gramsOf<T>(attrs: Attrs, pool: readonly T[]): NGrams<T> {
  const weights = listOf<number>(attrs, 'weights');
  return {
    pool,
    starts: listOf<number>(attrs, 'ngram_counts') ?? [],
    columns: listOf<number>(attrs, 'ngram_indexes') ?? [],
    ...(weights === undefined ? {} : { weights }),
    shortest: intAttr(attrs, 'min_gram_length'),
    longest: intAttr(attrs, 'max_gram_length'),
    skips: intAttr(attrs, 'max_skip_count'),
    mode: textAttr(attrs, 'mode'),
  };
}

function widthOf(attrs: Attrs): number {
  return Math.max(-1, ...(listOf<number>(attrs, 'ngram_indexes') ?? [])) + 1;
}

function hostCall(attrs: Attrs): HostCall {
  const grams = gramsOf(attrs, listOf<string>(attrs, 'pool_strings') ?? []);
  return { routine: 'n_grams', attrs: { ...grams } };
}

/** Comparisons of positions with grams, at most. */
const MAX_COMPARISONS = 1 << 24;

/** Counts of the grams of one length, [rows, grams]. */
function countNodes(
  b: OpBuilder,
  rows: ValueId,
  length: number,
  grams: readonly (readonly number[])[],
  skips: number,
): ValueId {
  const { dtype, shape } = b.typeOf(rows);
  const n = at(grams, 0).length;
  const counts: ValueId[] = [];
  for (let skip = 0; skip <= (n === 1 ? 0 : skips); skip++) {
    const positions = length - (n - 1) * (skip + 1);
    if (positions <= 0) break;
    const hits = Array.from({ length: n }, (_, k) => {
      const start = k * (skip + 1);
      const window = b.op('Slice', [
        rows,
        b.ints([start]),
        b.ints([start + positions]),
        b.ints([1]),
      ]);
      const wanted = fromNumbers(
        dtype,
        [grams.length],
        grams.map((gram) => at(gram, k)),
      );
      return b.op('Equal', [b.op('Unsqueeze', [window, b.ints([-1])]), b.constant(wanted)]);
    });
    const all = hits.reduce((left, right) => b.op('And', [left, right]));
    const ones = b.op('Cast', [all], { to: dtypeCode('f32') });
    counts.push(b.op('ReduceSum', [ones, b.ints([1])], { keepdims: 0 }));
  }
  if (counts.length === 0) {
    return b.filled('f32', [shape[0] ?? 1, grams.length]);
  }
  return counts.reduce((left, right) => b.op('Add', [left, right]));
}

export const tfIdfVectorizer = defineOp({
  kind: 'composite',
  name: 'TfIdfVectorizer',
  doc: 'Counts (or weights) of the n-grams of each row.',
  since: 9,
  attrs: {
    max_gram_length: requiredInt,
    max_skip_count: requiredInt,
    min_gram_length: requiredInt,
    mode: { type: 'string', required: true },
    ngram_counts: { type: 'ints', required: true },
    ngram_indexes: { type: 'ints', required: true },
    pool_int64s: { type: 'ints' },
    pool_strings: { type: 'strings' },
    weights: { type: 'floats' },
  },
  infer(ctx) {
    const type = inputType(ctx, 0);
    requireDType(ctx, type, ['i32', 'i64', 'string']);
    if (type.shape.length < 1 || type.shape.length > 2) {
      typeError(ctx, `it takes rows of one or two axes, not [${type.shape.join(',')}]`);
    }
    const pool = type.dtype === 'string' ? 'pool_strings' : 'pool_int64s';
    if (listOf(ctx.attrs, pool) === undefined) typeError(ctx, `attribute ${pool} is missing`);
    const grams = gramsOf<unknown>(ctx.attrs, listOf(ctx.attrs, pool) ?? []);
    const outside = grams.starts.find((start) => !(start >= 0 && start <= grams.pool.length));
    if (outside !== undefined) {
      typeError(ctx, `ngram_counts has ${outside} for a pool of ${grams.pool.length}`);
    }
    let count = 0;
    eachGram(grams, () => count++);
    if (count !== grams.columns.length) {
      typeError(ctx, `${grams.columns.length} ngram_indexes for ${count} n-grams`);
    }
    return [{ dtype: 'f32', shape: [...type.shape.slice(0, -1), widthOf(ctx.attrs)] }];
  },
  hostCall: ({ attrs }) => hostCall(attrs),
  decompose(b, inputs, ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    if (dtype === 'string') return 'texts are steps of the Node runtime';
    const length = at(shape, shape.length - 1);
    const count = elementCount(shape.slice(0, -1));
    const grams = gramsOf(ctx.attrs, listOf<number>(ctx.attrs, 'pool_int64s') ?? []);
    if (new Set(grams.columns).size < grams.columns.length) return 'n-grams share an output';
    const rows = b.reshape(at(inputs, 0), [count, length]);
    const byLength = new Map<number, { gram: readonly number[]; index: number }[]>();
    eachGram(grams, (gram, index) => {
      if (gram.length < grams.shortest || gram.length > grams.longest) return;
      byLength.set(gram.length, [...(byLength.get(gram.length) ?? []), { gram, index }]);
    });
    const total = [...byLength.values()].reduce((sum, list) => sum + list.length, 0);
    if (total * length * count * (grams.skips + 1) > MAX_COMPARISONS) {
      return `${total} n-grams in rows of ${length} are too many comparisons`;
    }
    // Column 0 is 0; then one for every gram, gathered into the order of the outputs.
    const zero = b.filled('f32', [count, 1]);
    const columns = new Array<number>(widthOf(ctx.attrs)).fill(0);
    const parts = [zero];
    let place = 1;
    for (const list of byLength.values()) {
      const hits = countNodes(
        b,
        rows,
        length,
        list.map(({ gram }) => gram),
        grams.skips,
      );
      parts.push(
        weighted(
          b,
          hits,
          list.map(({ index }) => grams.weights?.[index] ?? 1),
          grams.mode,
        ),
      );
      for (const { index } of list) columns[at(grams.columns, index)] = place++;
    }
    const all = parts.length === 1 ? zero : b.op('Concat', parts, { axis: 1 });
    const picked = b.op('Gather', [all, b.ints(columns)], { axis: 1 });
    return [b.reshape(picked, at(ctx.outputs, 0).shape)];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const { shape } = outputOf(ctx);
    const length = x.shape.at(-1) ?? 0;
    const width = shape.at(-1) ?? 0;
    const rows = elementCount(shape.slice(0, -1));
    const count = <T>(data: readonly T[], pool: readonly T[]): Tensor => {
      const grams = gramsOf(attrs, pool);
      const out = Array.from({ length: rows }, (_, row) => [
        ...countGrams(data.slice(row * length, (row + 1) * length), grams, width),
      ]);
      return fromNumbers('f32', shape, out.flat());
    };
    return x.dtype === 'string'
      ? [count(x.data as readonly string[], listOf<string>(attrs, 'pool_strings') ?? [])]
      : [count([...toNumbers(x)], listOf<number>(attrs, 'pool_int64s') ?? [])];
  },
  cases: () => {
    const pool = { ngram_counts: [0, 2], ngram_indexes: [0, 2, 1, 4] };
    const attrs = { ...pool, min_gram_length: 1, max_gram_length: 2, max_skip_count: 1 };
    const ints = { ...attrs, pool_int64s: [2, 3, 5, 4, 5, 6] };
    return [
      {
        inputs: [tensor('i32', [2, 6], [1, 2, 5, 3, 4, 5, 5, 5, 4, 6, 6, 2])],
        attrs: { ...ints, mode: 'TF' },
      },
      {
        note: 'weights',
        inputs: [tensor('i64', [5], [5, 4, 2, 2, 6])],
        attrs: { ...ints, mode: 'TFIDF', weights: [1, 2, 3, 4] },
      },
      {
        note: 'a row that is too short',
        inputs: [tensor('i32', [1], [2])],
        attrs: { ...ints, mode: 'IDF', weights: [5, 2, 3, 4] },
      },
      {
        note: 'texts',
        inputs: [texts([3], ['a', 'b', 'a'])],
        attrs: { ...attrs, pool_strings: ['a', 'z', 'a', 'b', 'b', 'a'], mode: 'TF' },
      },
    ];
  },
});

/** TF: counts; IDF: the weight where there is one; TFIDF: counts times weights. */
function weighted(
  b: OpBuilder,
  counts: ValueId,
  weights: readonly number[],
  mode: string,
): ValueId {
  if (mode === 'TF') return counts;
  const list = b.constant(fromNumbers('f32', [weights.length], weights));
  if (mode === 'TFIDF') return b.op('Mul', [counts, list]);
  return b.op('Where', [b.op('Greater', [counts, b.scalar(0)]), list, b.scalar(0)]);
}
