/**
 * A small translator, whole: token ids in, token ids out. An encoder (self-attention, post-norm as in
 * Marian), and a greedy `Loop` around a decoder: causal self-attention over caches of keys and values
 * that grow by a row an iteration, cross-attention over what the encoder gave, the surest token fed
 * back. The loop ends with the end token, which the seeded weights give after more or less tokens by
 * what is translated, or at the longest length.
 */
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

export interface TranslatorSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width of the feed-forward layers. */
  readonly inner: number;
  readonly vocabulary: number;
  /** Tokens of the source, padding included. */
  readonly source: number;
  /** Most tokens that are generated. */
  readonly longest: number;
  /**
   * How tokens come out: stacked by the loop, so that the output is as long as what was generated; or
   * written into a carried list of the longest length, with their number beside it.
   */
  readonly tokens: 'stacked' | 'carried';
}

/** Token ids that mean something. */
export const PADDING = 0;
export const END = 1;
export const START = 2;

export const TRANSLATOR: TranslatorSizes = {
  layers: 2,
  width: 128,
  heads: 4,
  inner: 512,
  vocabulary: 1000,
  source: 24,
  longest: 32,
  tokens: 'stacked',
};

/** How much likelier than any other token the end is, in logits. */
const END_BIAS = 3;
/** Added to the scores of what must not be seen. */
const UNSEEN = -1e9;

/**
 * Ids of a source [1, source], padded behind its end; the tokens generated out, [n], or [longest] and
 * their number.
 */
export function translator(name: string, sizes: TranslatorSizes = TRANSLATOR): Graph {
  const net = new Net(name);
  const ids = net.input('source', [1, sizes.source], 'i64');
  const isPadding = net.op('Equal', [ids, net.b.scalar(PADDING, 'i64')]);
  const unseen = unseenWhere(net, net.reshape(isPadding, [1, 1, 1, sizes.source]));
  const memory = encoder(net, ids, unseen, sizes);
  // Of every layer of the decoder: keys and values of the source, once.
  const crossed = Array.from({ length: sizes.layers * 2 }, () =>
    heads(net, net.linear(memory, sizes.width), sizes),
  );
  const captured = [unseen, ...crossed];
  const start = net.b.constant(fromNumbers('i64', [1, 1], [START]), 'start');
  const caches = crossed.map(() => zeros(net, 'f32', cacheShape(sizes)));
  const isStacked = sizes.tokens === 'stacked';
  const list = isStacked
    ? []
    : [zeros(net, 'i64', [sizes.longest]), net.b.constant(fromNumbers('i64', [], [0]), 'none')];
  const state = [start, ...caches, ...list];
  const trips = net.b.scalar(sizes.longest, 'i64');
  const attrs = {
    body: step(
      sizes,
      captured.map((id) => net.shape(id)),
    ),
    captures: captured.length,
    // A loop that stacks has to say how much at most; then it counts, too.
    ...(isStacked ? { bound: sizes.longest } : {}),
  };
  const inputs = [trips, net.b.scalar(1, 'bool'), ...state, ...captured];
  const results = net.b.ops('Loop', inputs, attrs, {
    name: '/generate',
    outputs: state.length + (isStacked ? 2 : 0),
  });
  return net.finish(isStacked ? results.slice(-2, -1) : results.slice(-2));
}

function cacheShape({ heads: count, longest, width }: TranslatorSizes): readonly number[] {
  return [1, count, longest, width / count];
}

function zeros(net: Net, dtype: 'f32' | 'i64', shape: readonly number[]): ValueId {
  const values = new Float32Array(elementCount(shape));
  return net.b.constant(fromNumbers(dtype, shape, values), 'zeros');
}

function encoder(net: Net, ids: ValueId, unseen: ValueId, sizes: TranslatorSizes): ValueId {
  const { width, source } = sizes;
  const words = net.op('Gather', [net.weights([sizes.vocabulary, width], 1), ids], { axis: 0 });
  let x = net.layerNorm(net.add(words, net.weights([1, source, width], 0.3)));
  for (let layer = 0; layer < sizes.layers; layer++) {
    const [q, k, v] = queryKeyValue(net, x, sizes);
    x = net.layerNorm(net.add(x, attend(net, q, k, v, unseen, sizes)));
    x = feedForward(net, x, sizes);
  }
  return x;
}

function queryKeyValue(net: Net, x: ValueId, sizes: TranslatorSizes): [ValueId, ValueId, ValueId] {
  const project = (): ValueId => heads(net, net.linear(x, sizes.width), sizes);
  return [project(), project(), project()];
}

/** One iteration: its number, condition, token, caches, tokens so far and their number, what is captured. */
function step(sizes: TranslatorSizes, captured: readonly (readonly number[])[]): Graph {
  const { width, longest, layers } = sizes;
  const net = new Net('generate', 2);
  const iteration = net.input('iteration', [], 'i64');
  const goOn = net.input('go_on', [], 'bool');
  const token = net.input('token', [1, 1], 'i64');
  const size = width / sizes.heads;
  const cached = Array.from({ length: layers * 2 }, (_, i) =>
    net.input(`${i % 2 === 0 ? 'keys' : 'values'}_${i >> 1}`, cacheShape(sizes)),
  );
  const isStacked = sizes.tokens === 'stacked';
  const written = isStacked ? null : net.input('written', [longest], 'i64');
  if (!isStacked) net.input('count', [], 'i64');
  const [unseenSource, ...crossed] = captured.map((shape, i) => net.input(`captured_${i}`, shape));
  void goOn;
  const position = net.reshape(iteration, [1]);
  const places = net.b.constant(
    fromNumbers(
      'i64',
      [1, 1, 1, longest],
      Array.from({ length: longest }, (_, i) => i),
    ),
    'places',
  );
  const unseen = unseenWhere(net, net.op('Greater', [places, iteration]));
  const row = net.op('Expand', [iteration, net.b.ints([1, sizes.heads, 1, size])]);
  const word = net.op('Gather', [net.weights([sizes.vocabulary, width], 1), token], { axis: 0 });
  const place = net.op('Gather', [net.weights([longest, width], 1), position], { axis: 0 });
  let x = net.layerNorm(net.add(word, place));
  const grown: ValueId[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const [q, k, v] = queryKeyValue(net, x, sizes);
    const write = (cache: ValueId | undefined, fresh: ValueId): ValueId =>
      net.op('ScatterElements', [cache ?? null, row, fresh], { axis: 2 });
    const keys = write(cached[layer * 2], k);
    const values = write(cached[layer * 2 + 1], v);
    grown.push(keys, values);
    x = net.layerNorm(net.add(x, attend(net, q, keys, values, unseen, sizes)));
    const asked = heads(net, net.linear(x, width), sizes);
    const [theirs, said] = crossed.slice(layer * 2) as [ValueId, ValueId];
    x = net.layerNorm(net.add(x, attend(net, asked, theirs, said, unseenSource ?? null, sizes)));
    x = feedForward(net, x, sizes);
  }
  const logits = net.op('MatMul', [
    x,
    net.weights([width, sizes.vocabulary], Math.sqrt(1 / width)),
  ]);
  const bias = new Float32Array(sizes.vocabulary);
  bias[END] = END_BIAS;
  // Neither padding nor the start is generated.
  bias[PADDING] = bias[START] = UNSEEN;
  const biased = net.add(
    logits,
    net.b.constant(fromNumbers('f32', [sizes.vocabulary], bias), 'end_bias'),
  );
  const next = net.op('ArgMax', [biased], { axis: -1, keepdims: 0 });
  const isEnd = net.op('Equal', [next, net.b.scalar(END, 'i64')]);
  const again = net.reshape(net.op('Not', [isEnd]), []);
  const list = isStacked
    ? [net.reshape(next, [])]
    : [
        net.op('ScatterElements', [written, position, net.reshape(next, [1])]),
        net.op('Add', [iteration, net.b.scalar(1, 'i64')]),
      ];
  return net.finish([again, next, ...grown, ...list]);
}

/** 0 where something may be seen, else a number that leaves it no weight. */
function unseenWhere(net: Net, hidden: ValueId): ValueId {
  return net.op('Where', [hidden, net.b.scalar(UNSEEN), net.b.scalar(0)]);
}

/** [1, n, width] as [1, heads, n, width / heads]. */
function heads(net: Net, x: ValueId, sizes: TranslatorSizes): ValueId {
  const [, n = 1] = net.shape(x);
  const split = net.reshape(x, [1, n, sizes.heads, sizes.width / sizes.heads]);
  return net.transpose(split, [0, 2, 1, 3]);
}

function attend(
  net: Net,
  q: ValueId,
  k: ValueId,
  v: ValueId,
  unseen: ValueId | null,
  sizes: TranslatorSizes,
): ValueId {
  const [, , n = 1, size = 1] = net.shape(q);
  const product = net.op('MatMul', [q, net.transpose(k, [0, 1, 3, 2])]);
  const scores = net.op('Div', [product, net.b.scalar(Math.sqrt(size))]);
  const weights = net.op('Softmax', [unseen === null ? scores : net.add(scores, unseen)], {
    axis: -1,
  });
  const mixed = net.transpose(net.op('MatMul', [weights, v]), [0, 2, 1, 3]);
  return net.linear(net.reshape(mixed, [1, n, sizes.width]), sizes.width);
}

function feedForward(net: Net, x: ValueId, { inner, width }: TranslatorSizes): ValueId {
  const hidden = net.silu(net.linear(x, inner));
  return net.layerNorm(net.add(x, net.linear(hidden, width)));
}
