/**
 * Layers of language models with a cache, in one artifact for all lengths: the words of a call and the keys
 * before them vary from run to run, from none on.
 */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawAttribute, RawModel, RawNode, RawValue } from '../onnx/raw-model.ts';
import { f32, i64, node, noise } from './cases.ts';
import type { RangeCase } from './range-cases.ts';

export const [HEADS, KV_HEADS, SIZE] = [2, 1, 16];
const [ROOM, POSITIONS] = [10, 32];
const KV = KV_HEADS * SIZE;
export const WIDTH = HEADS * SIZE;

/** [batch, keys]: 1 for the keys of each sequence, 0 behind them. */
export function maskOf(keys: number, ...counts: readonly number[]): Tensor {
  const values = counts.flatMap((count) => Array.from({ length: keys }, (_, i) => +(i < count)));
  return fromNumbers('i64', [counts.length, keys], values);
}

/** seqlens_k and total_sequence_length from the attention mask, as exporters write them. */
const LENGTHS: readonly RawNode[] = [
  node('ReduceSum', ['mask', 'one'], ['counts'], { keepdims: { int: 0 } }),
  node('Sub', ['counts', 'one64'], ['last']),
  node('Cast', ['last'], ['seqlens'], { to: { int: 6 } }),
  node('Shape', ['mask'], ['sizes']),
  node('Gather', ['sizes', 'one64'], ['length']),
  node('Cast', ['length'], ['total'], { to: { int: 6 } }),
];

const CONSTANTS = {
  one: i64(1),
  one64: fromNumbers('i64', [], [1]),
  cos: noise([POSITIONS, SIZE / 2], 1),
  sin: noise([POSITIONS, SIZE / 2], 2),
};

const cacheInputs = (batch: number): readonly RawValue[] =>
  ['past_key', 'past_value'].map((name) => ({
    name,
    dtype: 'f32',
    shape: [batch, KV_HEADS, 'past', SIZE],
  }));

function attention(
  inputs: readonly string[],
  attrs: Readonly<Record<string, RawAttribute>>,
): RawNode {
  return {
    ...node('GroupQueryAttention', inputs, ['y', 'present_key', 'present_value'], {
      num_heads: { int: HEADS },
      kv_num_heads: { int: KV_HEADS },
      ...attrs,
    }),
    domain: 'com.microsoft',
  };
}

const OUTPUTS: readonly RawValue[] = ['y', 'present_key', 'present_value'].map((name) => ({
  name,
  dtype: 'f32',
}));

const modelOf = (model: Omit<RawModel, 'opset' | 'domains'>): RawModel => ({
  opset: 18,
  domains: { 'com.microsoft': 1 },
  ...model,
});

const caches = (batch: number, past: number, seed: number): Record<string, Tensor> => ({
  past_key: noise([batch, KV_HEADS, past, SIZE], seed + 100),
  past_value: noise([batch, KV_HEADS, past, SIZE], seed + 200),
});

/** Queries of a call, and keys before them. */
const CALLS = [
  [5, 0],
  [1, 5],
  [1, 6],
  [3, 7],
  [6, 10],
  [1, 0],
  [2, 1],
] as const;

const RANGES: RangeCase['options'] = {
  dims: { queries: 6, past: ROOM, keys: 6 + ROOM },
  least: { queries: 1, past: 0, keys: 1 },
};

/** First calls and later ones: which it is sizes say, at run time. */
export const PACKED: RangeCase = {
  name: 'GroupQueryAttention, packed, rotary, queries and cache vary',
  model: modelOf({
    inputs: [
      { name: 'x', dtype: 'f32', shape: [1, 'queries', SIZE] },
      { name: 'mask', dtype: 'i64', shape: [1, 'keys'] },
      ...cacheInputs(1),
    ],
    outputs: OUTPUTS,
    initializers: { ...CONSTANTS, w: noise([SIZE, WIDTH + 2 * KV], 3) },
    nodes: [
      ...LENGTHS,
      node('MatMul', ['x', 'w'], ['qkv']),
      attention(['qkv', '', '', 'past_key', 'past_value', 'seqlens', 'total', 'cos', 'sin'], {
        do_rotary: { int: 1 },
      }),
    ],
  }),
  options: RANGES,
  runs: CALLS.map(([queries, past], seed) => ({
    x: noise([1, queries, SIZE], seed),
    mask: maskOf(past + queries, past + queries),
    ...caches(1, past, seed),
  })),
};

/** The same with a window, a softcap and pairs that are neighbours. */
const WINDOW: RangeCase = {
  name: 'GroupQueryAttention, a window of the keys, softcap',
  model: modelOf({
    inputs: [
      ...['q', 'k', 'v'].map((name, i) => ({
        name,
        dtype: 'f32' as const,
        shape: [1, 'queries', i === 0 ? WIDTH : KV],
      })),
      { name: 'mask', dtype: 'i64', shape: [1, 'keys'] },
      ...cacheInputs(1),
    ],
    outputs: OUTPUTS,
    initializers: CONSTANTS,
    nodes: [
      ...LENGTHS,
      attention(['q', 'k', 'v', 'past_key', 'past_value', 'seqlens', 'total', 'cos', 'sin'], {
        do_rotary: { int: 1 },
        rotary_interleaved: { int: 1 },
        local_window_size: { int: 4 },
        softcap: { float: 2 },
        scale: { float: 0.3 },
      }),
    ],
  }),
  options: RANGES,
  runs: CALLS.map(([queries, past], seed) => ({
    q: noise([1, queries, WIDTH], seed),
    k: noise([1, queries, KV], seed + 10),
    v: noise([1, queries, KV], seed + 20),
    mask: maskOf(past + queries, past + queries),
    ...caches(1, past, seed),
  })),
};

/** One word for each of two sequences of different lengths, and how many words there are is data. */
export const LENGTHS_DIFFER: RangeCase = {
  name: 'GroupQueryAttention, two sequences of different lengths, total is an input',
  model: modelOf({
    inputs: [
      { name: 'q', dtype: 'f32', shape: [2, 1, WIDTH] },
      { name: 'k', dtype: 'f32', shape: [2, 1, KV] },
      { name: 'v', dtype: 'f32', shape: [2, 1, KV] },
      ...cacheInputs(2),
      { name: 'seqlens', dtype: 'i32', shape: [2] },
      { name: 'total', dtype: 'i32', shape: [1] },
    ],
    outputs: OUTPUTS.slice(0, 1),
    initializers: CONSTANTS,
    nodes: [
      attention(['q', 'k', 'v', 'past_key', 'past_value', 'seqlens', 'total', 'cos', 'sin'], {
        do_rotary: { int: 1 },
      }),
    ],
  }),
  options: { dims: { past: ROOM }, least: { past: 0 }, bounds: { total: ROOM + 1 } },
  runs: [
    [10, 11, 10, 7],
    [6, 7, 3, 6],
    [10, 5, 4, 2],
    [1, 2, 1, 1],
  ].map(([past = 0, total = 0, a = 0, b = 0], seed) => ({
    q: noise([2, 1, WIDTH], seed),
    k: noise([2, 1, KV], seed + 10),
    v: noise([2, 1, KV], seed + 20),
    ...caches(2, past, seed),
    seqlens: fromNumbers('i32', [2], [a, b]),
    total: fromNumbers('i32', [1], [total]),
  })),
};

/** Positions and biases are given; a score without a key. */
const BIASED: RangeCase = {
  name: 'GroupQueryAttention, positions, biases, sinks',
  model: modelOf({
    inputs: [
      { name: 'x', dtype: 'f32', shape: [1, 'queries', WIDTH + 2 * KV] },
      { name: 'mask', dtype: 'i64', shape: [1, 'keys'] },
      ...cacheInputs(1),
      { name: 'positions', dtype: 'i64', shape: [1, 'queries'] },
      { name: 'bias', dtype: 'f32', shape: [1, 1, 'queries', 'keys'] },
    ],
    outputs: OUTPUTS,
    initializers: { ...CONSTANTS, sink: noise([HEADS], 4) },
    nodes: [
      ...LENGTHS,
      attention(
        [
          ...['x', '', '', 'past_key', 'past_value', 'seqlens', 'total', 'cos', 'sin'],
          ...['positions', 'bias', 'sink'],
        ],
        { do_rotary: { int: 1 } },
      ),
    ],
  }),
  options: RANGES,
  runs: CALLS.map(([queries, past], seed) => ({
    x: noise([1, queries, WIDTH + 2 * KV], seed),
    mask: maskOf(past + queries, past + queries),
    ...caches(1, past, seed),
    positions: fromNumbers(
      'i64',
      [1, queries],
      // In a first call only the first of them counts.
      Array.from({ length: queries }, (_, i) => past + 2 * i + 1),
    ),
    bias: noise([1, 1, queries, past + queries], seed + 30),
  })),
};

/** Caches that grow by Concat, and a causal mask made of what shapes say. */
export const JOINED: RangeCase = {
  name: 'a decoder layer, caches grow by Concat',
  model: {
    opset: 18,
    inputs: [
      { name: 'x', dtype: 'f32', shape: [1, 'queries', WIDTH] },
      ...['past_key', 'past_value'].map((name) => ({
        name,
        dtype: 'f32' as const,
        shape: [1, HEADS, 'past', SIZE],
      })),
    ],
    outputs: OUTPUTS,
    initializers: {
      wq: noise([WIDTH, WIDTH], 1),
      wk: noise([WIDTH, WIDTH], 2),
      wv: noise([WIDTH, WIDTH], 3),
      wo: noise([WIDTH, WIDTH], 4),
      gamma: noise([WIDTH], 5),
      heads: i64(0, 0, HEADS, SIZE),
      flat: i64(0, 0, WIDTH),
      zero: fromNumbers('i64', [], [0]),
      one: fromNumbers('i64', [], [1]),
      two: fromNumbers('i64', [], [2]),
      columns: i64(1),
      root: f32([], [4]),
      low: f32([], [-1e9]),
    },
    nodes: [
      node('LayerNormalization', ['x', 'gamma'], ['normed'], { axis: { int: -1 } }),
      ...['q', 'k', 'v'].flatMap((name) => [
        node('MatMul', ['normed', `w${name}`], [`${name}0`]),
        node('Reshape', [`${name}0`, 'heads'], [`${name}1`]),
        node('Transpose', [`${name}1`], [`${name}2`], { perm: { ints: [0, 2, 1, 3] } }),
      ]),
      node('Concat', ['past_key', 'k2'], ['present_key'], { axis: { int: 2 } }),
      node('Concat', ['past_value', 'v2'], ['present_value'], { axis: { int: 2 } }),
      node('Shape', ['past_key'], ['past_shape']),
      node('Gather', ['past_shape', 'two'], ['begin']),
      node('Shape', ['present_key'], ['present_shape']),
      node('Gather', ['present_shape', 'two'], ['end']),
      node('Range', ['begin', 'end', 'one'], ['rows']),
      node('Unsqueeze', ['rows', 'columns'], ['own']),
      node('Range', ['zero', 'end', 'one'], ['keys']),
      node('Greater', ['keys', 'own'], ['hidden']),
      node('Transpose', ['present_key'], ['k3'], { perm: { ints: [0, 1, 3, 2] } }),
      node('MatMul', ['q2', 'k3'], ['s0']),
      node('Div', ['s0', 'root'], ['s1']),
      node('Where', ['hidden', 'low', 's1'], ['s2']),
      node('Softmax', ['s2'], ['p'], { axis: { int: -1 } }),
      node('MatMul', ['p', 'present_value'], ['o0']),
      node('Transpose', ['o0'], ['o1'], { perm: { ints: [0, 2, 1, 3] } }),
      node('Reshape', ['o1', 'flat'], ['o2']),
      node('MatMul', ['o2', 'wo'], ['o3']),
      node('Add', ['o3', 'x'], ['y']),
    ],
  },
  options: { dims: { queries: 6, past: ROOM }, least: { queries: 1, past: 0 } },
  runs: CALLS.map(([queries, past], seed) => ({
    x: noise([1, queries, WIDTH], seed),
    past_key: noise([1, HEADS, past, SIZE], seed + 100),
    past_value: noise([1, HEADS, past, SIZE], seed + 200),
  })),
};

export const DECODER_CASES: readonly RangeCase[] = [PACKED, WINDOW, LENGTHS_DIFFER, BIASED, JOINED];
