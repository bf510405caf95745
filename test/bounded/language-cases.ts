/** Decoders as exporters of language models write them, words and cached keys from none on. */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawNode, RawValue } from '../onnx/raw-model.ts';
import { f32, i64, node, noise, numbers } from './cases.ts';
import type { RangeCase } from './range-cases.ts';

const [HEADS, SIZE, ROOM, MOST] = [2, 8, 9, 5];
const WIDTH = HEADS * SIZE;

/** Words of a call, and cached ones before them. */
const CALLS = [
  [5, 0],
  [1, 5],
  [1, 6],
  [3, 7],
  [5, 9],
  [1, 0],
  [2, 1],
] as const;

const scalar64 = (value: number): Tensor => fromNumbers('i64', [], [value]);
const real = (name: string, ...shape: (number | string)[]): RawValue => ({
  name,
  dtype: 'f32',
  shape,
});
const whole = (name: string, ...shape: (number | string)[]): RawValue => ({
  name,
  dtype: 'i64',
  shape,
});

const CACHES = ['past_key', 'past_value'].map((name) => real(name, 'batch', HEADS, 'past', SIZE));
const given = (...names: readonly string[]): readonly RawValue[] =>
  names.map((name) => ({ name, dtype: 'f32' }));
const OUTPUTS = given('y', 'present_key', 'present_value');

const caches = (batch: number, past: number, seed: number): Record<string, Tensor> => ({
  past_key: noise([batch, HEADS, past, SIZE], seed + 100),
  past_value: noise([batch, HEADS, past, SIZE], seed + 200),
});

const OPTIONS: RangeCase['options'] = {
  dims: { batch: 3, queries: MOST, past: ROOM },
  least: { batch: 1, queries: 1, past: 0 },
};

const WEIGHTS = {
  wq: noise([WIDTH, WIDTH], 1),
  wk: noise([WIDTH, WIDTH], 2),
  wv: noise([WIDTH, WIDTH], 3),
  table: noise([20, WIDTH], 4),
};

const CONSTANTS = {
  heads: i64(0, 0, HEADS, SIZE),
  flat: i64(0, 0, WIDTH),
  zero: scalar64(0),
  one: scalar64(1),
  two: scalar64(2),
  first: i64(0),
  second: i64(1),
  third: i64(2),
  fourth: i64(3),
  last: i64(-1),
  root: f32([], [Math.sqrt(SIZE)]),
};

/** Embedded words as queries, keys and values [batch, heads, words, size]. */
const PROJECTED: readonly RawNode[] = [
  node('Gather', ['table', 'ids'], ['x']),
  ...['q', 'k', 'v'].flatMap((name) => [
    node('MatMul', ['x', `w${name}`], [`${name}0`]),
    node('Reshape', [`${name}0`, 'heads'], [`${name}1`]),
    node('Transpose', [`${name}1`], [`${name}2`], { perm: { ints: [0, 2, 1, 3] } }),
  ]),
];

/** Scores less what is hidden, as weights; what they mix as rows. */
const mixedBy = (hide: readonly RawNode[]): readonly RawNode[] => [
  node('Transpose', ['present_key'], ['kt'], { perm: { ints: [0, 1, 3, 2] } }),
  node('MatMul', ['q9', 'kt'], ['s0']),
  node('Div', ['s0', 'root'], ['s1']),
  ...hide,
  node('Softmax', ['s9'], ['p'], { axis: { int: -1 } }),
  node('MatMul', ['p', 'present_value'], ['o0']),
  node('Transpose', ['o0'], ['o1'], { perm: { ints: [0, 2, 1, 3] } }),
  node('Reshape', ['o1', 'flat'], ['o2']),
  node('Add', ['o2', 'x'], ['y']),
];

const joined = (key: string): readonly RawNode[] => [
  node('Concat', ['past_key', key], ['present_key'], { axis: { int: 2 } }),
  node('Concat', ['past_value', 'v2'], ['present_value'], { axis: { int: 2 } }),
];

const count = (x: string, at: string, to: string): readonly RawNode[] => [
  node('Shape', [x], [`${to}_shape`]),
  node('Gather', [`${to}_shape`, at], [to]),
];

const idsOf = (batch: number, queries: number, seed: number): Tensor =>
  numbers([batch, queries], 20, seed);

const batchOf = (i: number): number => 1 + (i % 3);

/** A triangle that is cut to the rows and columns of a call. */
const TRIANGLE: RangeCase = {
  name: 'a decoder, its causal mask cut from a triangle',
  model: {
    opset: 17,
    inputs: [whole('ids', 'batch', 'queries'), ...CACHES],
    outputs: OUTPUTS,
    initializers: {
      ...WEIGHTS,
      ...CONSTANTS,
      triangle: fromNumbers(
        'bool',
        [1, 1, 16, 16],
        Array.from({ length: 256 }, (_, p) => +(p % 16 <= Math.floor(p / 16))),
      ),
      low: f32([], [-3.4e38]),
    },
    nodes: [
      ...PROJECTED,
      ...joined('k2'),
      ...count('q2', 'two', 'words'),
      ...count('present_key', 'two', 'all'),
      node('Sub', ['all', 'words'], ['begin']),
      ...['begin', 'all'].map((name) => node('Unsqueeze', [name, 'first'], [`${name}1`])),
      node('Slice', ['triangle', 'begin1', 'all1', 'third', 'second'], ['rows']),
      node('Slice', ['rows', 'first', 'all1', 'fourth', 'second'], ['mask']),
      node('Identity', ['q2'], ['q9']),
      ...mixedBy([node('Where', ['mask', 's1', 'low'], ['s9'])]),
    ],
  },
  options: OPTIONS,
  runs: CALLS.map(([queries, past], i) => ({
    ids: idsOf(batchOf(i), queries, i),
    ...caches(batchOf(i), past, i),
  })),
};

/** Positions and masks from the attention mask, rotary halves written out: as transformers export Llama. */
const LLAMA: RangeCase = {
  name: 'a decoder with a padded batch and rotary halves, as transformers writes it',
  model: {
    opset: 17,
    inputs: [whole('ids', 'batch', 'queries'), whole('attention_mask', 'batch', 'keys'), ...CACHES],
    outputs: OUTPUTS,
    initializers: {
      ...WEIGHTS,
      ...CONSTANTS,
      frequencies: f32([1, SIZE / 2, 1], [1, 0.3, 0.1, 0.03]),
      middle: i64(SIZE / 2),
      end: i64(2 ** 40),
      minimum: f32([], [-3.4e38]),
      none: f32([], [0]),
    },
    nodes: [
      ...PROJECTED,
      ...count('past_key', 'two', 'before'),
      ...count('ids', 'one', 'words'),
      ...count('ids', 'zero', 'rows'),
      node('Add', ['before', 'words'], ['all']),
      // Positions: words of the mask before, of this call.
      node('CumSum', ['attention_mask', 'one'], ['counted']),
      node('Sub', ['counted', 'one'], ['places']),
      node('Unsqueeze', ['before', 'first'], ['before1']),
      node('Slice', ['places', 'before1', 'end', 'second'], ['positions0']),
      node('Cast', ['positions0'], ['positions'], { to: { int: 1 } }),
      node('Unsqueeze', ['positions', 'second'], ['positions1']),
      node('MatMul', ['frequencies', 'positions1'], ['angles0']),
      node('Transpose', ['angles0'], ['angles'], { perm: { ints: [0, 2, 1] } }),
      node('Concat', ['angles', 'angles'], ['turns'], { axis: { int: -1 } }),
      ...['Cos', 'Sin'].flatMap((op) => [
        node(op, ['turns'], [`${op}0`]),
        node('Unsqueeze', [`${op}0`, 'second'], [op]),
      ]),
      ...['q', 'k'].flatMap((name) => [
        node('Slice', [`${name}2`, 'first', 'middle', 'fourth'], [`${name}3`]),
        node('Slice', [`${name}2`, 'middle', 'end', 'fourth'], [`${name}4`]),
        node('Neg', [`${name}4`], [`${name}5`]),
        node('Concat', [`${name}5`, `${name}3`], [`${name}6`], { axis: { int: -1 } }),
        node('Mul', [`${name}2`, 'Cos'], [`${name}7`]),
        node('Mul', [`${name}6`, 'Sin'], [`${name}8`]),
        node('Add', [`${name}7`, `${name}8`], [`${name}9`]),
      ]),
      ...joined('k9'),
      // Hidden: keys behind the query, and padding.
      node('Range', ['before', 'all', 'one'], ['own0']),
      node('Unsqueeze', ['own0', 'second'], ['own']),
      node('Range', ['zero', 'all', 'one'], ['keys']),
      node('Greater', ['keys', 'own'], ['behind0']),
      node('Unsqueeze', ['words', 'first'], ['words1']),
      node('Unsqueeze', ['all', 'first'], ['all1']),
      node('Unsqueeze', ['rows', 'first'], ['rows1']),
      node('Concat', ['words1', 'all1'], ['square'], { axis: { int: 0 } }),
      node('ConstantOfShape', ['square'], ['full'], {
        value: { tensor: fromNumbers('f32', [1], [-3.4e38]) },
      }),
      node('Trilu', ['full', 'one'], ['upper'], { upper: { int: 1 } }),
      node('Cast', ['behind0'], ['behind1'], { to: { int: 1 } }),
      node('Mul', ['full', 'behind1'], ['behind']),
      node('Concat', ['rows1', 'second', 'words1', 'all1'], ['whole'], { axis: { int: 0 } }),
      node('Unsqueeze', ['behind', 'first'], ['behind3']),
      node('Unsqueeze', ['behind3', 'first'], ['behind4']),
      node('Expand', ['behind4', 'whole'], ['causal']),
      node('Unsqueeze', ['attention_mask', 'second'], ['mask3']),
      node('Unsqueeze', ['mask3', 'second'], ['mask4']),
      node('Cast', ['mask4'], ['mask'], { to: { int: 1 } }),
      node('Add', ['causal', 'mask'], ['sum']),
      node('Equal', ['sum', 'none'], ['isPadding']),
      node('Where', ['isPadding', 'minimum', 'causal'], ['bias0']),
      node('Slice', ['bias0', 'first', 'all1', 'fourth'], ['bias']),
      ...mixedBy([node('Add', ['s1', 'bias'], ['s9'])]),
    ],
  },
  options: {
    dims: { ...OPTIONS.dims, keys: MOST + ROOM },
    least: { ...OPTIONS.least, keys: 1 },
  },
  runs: CALLS.map(([queries, past], i) => {
    const batch = batchOf(i);
    const keys = past + queries;
    return {
      ids: idsOf(batch, queries, i),
      attention_mask: fromNumbers(
        'i64',
        [batch, keys],
        Array.from({ length: batch * keys }, (_, p) => +(p % keys >= Math.min(p / keys, 2) - 1)),
      ),
      ...caches(batch, past, i),
    };
  }),
};

/** Attention of ai.onnx, which joins its caches itself. */
const ATTENTION: RangeCase = {
  name: 'Attention with past and present',
  model: {
    opset: 23,
    inputs: [whole('ids', 'batch', 'queries'), ...CACHES],
    outputs: OUTPUTS,
    initializers: { ...WEIGHTS, ...CONSTANTS },
    nodes: [
      ...PROJECTED,
      node(
        'Attention',
        ['q2', 'k2', 'v2', '', 'past_key', 'past_value'],
        ['o0', 'present_key', 'present_value'],
        { is_causal: { int: 1 } },
      ),
      node('Transpose', ['o0'], ['o1'], { perm: { ints: [0, 2, 1, 3] } }),
      node('Reshape', ['o1', 'flat'], ['o2']),
      node('Add', ['o2', 'x'], ['y']),
    ],
  },
  options: OPTIONS,
  runs: TRIANGLE.runs,
};

/** MultiHeadAttention of com.microsoft. */
const MULTI_HEAD: RangeCase = {
  name: 'MultiHeadAttention with past and present',
  model: {
    opset: 17,
    domains: { 'com.microsoft': 1 },
    inputs: [whole('ids', 'batch', 'queries'), ...CACHES],
    outputs: OUTPUTS,
    initializers: { ...WEIGHTS, ...CONSTANTS },
    nodes: [
      ...PROJECTED.filter(({ outputs }) => /^(x|[qkv]0)$/.test(outputs[0] ?? '')),
      {
        ...node(
          'MultiHeadAttention',
          ['q0', 'k0', 'v0', '', '', '', 'past_key', 'past_value'],
          ['o2', 'present_key', 'present_value'],
          { num_heads: { int: HEADS }, unidirectional: { int: 1 } },
        ),
        domain: 'com.microsoft',
      },
      node('Add', ['o2', 'x'], ['y']),
    ],
  },
  options: OPTIONS,
  runs: TRIANGLE.runs,
};

/** Attention of com.microsoft with one tensor of keys and values. */
const STACKED: RangeCase = {
  name: 'com.microsoft:Attention, past keys and values in one tensor',
  model: {
    opset: 17,
    domains: { 'com.microsoft': 1 },
    inputs: [whole('ids', 'batch', 'queries'), real('past', 2, 'batch', HEADS, 'past', SIZE)],
    outputs: given('y', 'present'),
    initializers: {
      table: WEIGHTS.table,
      w: noise([WIDTH, 3 * WIDTH], 7),
      b: noise([3 * WIDTH], 8),
    },
    nodes: [
      node('Gather', ['table', 'ids'], ['x']),
      {
        ...node('Attention', ['x', 'w', 'b', '', 'past'], ['y', 'present'], {
          num_heads: { int: HEADS },
          unidirectional: { int: 1 },
        }),
        domain: 'com.microsoft',
      },
    ],
  },
  options: OPTIONS,
  runs: CALLS.map(([queries, past], i) => ({
    ids: idsOf(batchOf(i), queries, i),
    past: noise([2, batchOf(i), HEADS, past, SIZE], i),
  })),
};

/** The first call and later ones in one model: a flag says whether there is a cache. */
const MERGED: RangeCase = {
  name: 'a decoder whose branch joins the cache, or does not',
  model: {
    opset: 17,
    inputs: [
      whole('ids', 'batch', 'queries'),
      { name: 'use_cache', dtype: 'bool', shape: [] },
      ...CACHES,
    ],
    outputs: OUTPUTS,
    initializers: { ...WEIGHTS, ...CONSTANTS, low: f32([], [-3.4e38]) },
    nodes: [
      ...PROJECTED,
      node('If', ['use_cache'], ['present_key', 'present_value'], {
        then_branch: {
          graph: {
            nodes: [
              node('Concat', ['past_key', 'k2'], ['a'], { axis: { int: 2 } }),
              node('Concat', ['past_value', 'v2'], ['b'], { axis: { int: 2 } }),
            ],
            outputs: given('a', 'b'),
          },
        },
        else_branch: {
          graph: {
            nodes: [node('Identity', ['k2'], ['c']), node('Identity', ['v2'], ['d'])],
            outputs: given('c', 'd'),
          },
        },
      }),
      ...count('q2', 'two', 'words'),
      ...count('present_key', 'two', 'all'),
      node('Sub', ['all', 'words'], ['begin']),
      node('Range', ['begin', 'all', 'one'], ['own0']),
      node('Unsqueeze', ['own0', 'second'], ['own']),
      node('Range', ['zero', 'all', 'one'], ['keys']),
      node('LessOrEqual', ['keys', 'own'], ['mask']),
      node('Identity', ['q2'], ['q9']),
      ...mixedBy([node('Where', ['mask', 's1', 'low'], ['s9'])]),
    ],
  },
  options: OPTIONS,
  runs: TRIANGLE.runs.flatMap((inputs) =>
    [0, 1].map((flag) => ({ ...inputs, use_cache: fromNumbers('bool', [], [flag]) })),
  ),
};

/** A layer without attention: a convolution over the last words, then a state per head. */
const STATES: RangeCase = {
  name: 'CausalConvWithState and LinearAttention, words vary',
  model: {
    opset: 17,
    domains: { 'com.microsoft': 1 },
    inputs: [
      real('x', 'batch', WIDTH, 'queries'),
      real('past_words', 'batch', WIDTH, 3),
      real('past_state', 'batch', HEADS, SIZE, SIZE),
      real('decay', 'batch', 'queries', HEADS),
      real('beta', 'batch', 'queries', HEADS),
    ],
    outputs: given('y', 'words', 'state'),
    initializers: { ...WEIGHTS, filter: noise([WIDTH, 1, 4], 5), bias: noise([WIDTH], 6) },
    nodes: [
      {
        ...node('CausalConvWithState', ['x', 'filter', 'bias', 'past_words'], ['c', 'words'], {
          activation: { text: 'silu' },
        }),
        domain: 'com.microsoft',
      },
      node('Transpose', ['c'], ['rows'], { perm: { ints: [0, 2, 1] } }),
      ...['q', 'k', 'v'].map((name) => node('MatMul', ['rows', `w${name}`], [name])),
      {
        ...node('LinearAttention', ['q', 'k', 'v', 'past_state', 'decay', 'beta'], ['y', 'state'], {
          q_num_heads: { int: HEADS },
          kv_num_heads: { int: HEADS },
          update_rule: { text: 'gated_delta' },
        }),
        domain: 'com.microsoft',
      },
    ],
  },
  options: { dims: { batch: 3, queries: MOST }, least: { batch: 1, queries: 1 } },
  runs: [5, 1, 3, 4, 2].map((queries, i) => {
    const batch = batchOf(i);
    return {
      x: noise([batch, WIDTH, queries], i),
      past_words: noise([batch, WIDTH, 3], i + 10),
      past_state: noise([batch, HEADS, SIZE, SIZE], i + 20),
      decay: noise([batch, queries, HEADS], i + 30),
      beta: noise([batch, queries, HEADS], i + 40),
    };
  }),
};

export const LANGUAGE_CASES: readonly RangeCase[] = [
  TRIANGLE,
  LLAMA,
  ATTENTION,
  MULTI_HEAD,
  STACKED,
  MERGED,
  STATES,
];
