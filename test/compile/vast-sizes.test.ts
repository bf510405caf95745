/**
 * Extents of a model are no reason to allocate: what a decomposition fills or counts by rule is made when the
 * model runs, so that a few bytes of a file never make the compiler ask for gigabytes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { exportOnnx, importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Attrs } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

const MOST_BYTES = 400e6;
/** Of elements: 2 TB in f64. */
const VAST = 2 ** 28;

type Input = Tensor | readonly [DType, readonly number[]] | null;

interface Use {
  readonly op: string;
  readonly inputs: readonly Input[];
  readonly attrs?: Attrs;
  readonly domain?: string;
  readonly outputs?: number;
}

const int = (value: number): Tensor => fromNumbers('i32', [], [value]);
const MICROSOFT = 'com.microsoft';

const USES: readonly Use[] = [
  {
    op: 'GroupQueryAttention',
    domain: MICROSOFT,
    inputs: [
      ['f32', [2, 3, 8]],
      ['f32', [2, 3, 4]],
      ['f32', [2, 3, 4]],
      null,
      null,
      ['i32', [2]],
      int(VAST),
    ],
    attrs: { num_heads: 2, kv_num_heads: 1 },
    outputs: 3,
  },
  {
    op: 'Attention',
    inputs: [
      ['f32', [1, 1, 2 ** 15, 4]],
      ['f32', [1, 1, 2 ** 15, 4]],
      ['f32', [1, 1, 2 ** 15, 4]],
    ],
    attrs: { is_causal: 1 },
  },
  {
    op: 'MaxUnpool',
    inputs: [
      ['f32', [1, 1, 2 ** 14, 2 ** 13]],
      ['i64', [1, 1, 2 ** 14, 2 ** 13]],
    ],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'LSTM',
    inputs: [
      ['f32', [2, VAST / 8, 1]],
      ['f32', [1, 32, 1]],
      ['f32', [1, 32, 8]],
    ],
    attrs: { hidden_size: 8 },
  },
  {
    op: 'Einsum',
    inputs: [['f32', [2 ** 14, 2 ** 14]]],
    attrs: { equation: 'ii->i' },
  },
];

for (const { op, inputs, attrs = {}, domain = '', outputs = 1 } of USES) {
  test(`${op} of vast extents`, () => {
    const b = opBuilder('vast');
    const ids = inputs.map((input, i) => {
      if (input === null) return null;
      if ('data' in input) return b.constant(input);
      const [dtype, shape] = input;
      return b.graph.input(`x${i}`, { dtype, shape });
    });
    const results = b.ops(op, ids, attrs, { domain, outputs });
    const graph = b.graph.finish(results);
    const before = process.memoryUsage();
    try {
      compileGraph(graph, { target: 'x86-64-v4-linux-gnu' });
    } catch (error) {
      // More memory than any machine has is refused with its sizes, not met by the compiler.
      if (!(error instanceof HoneError && error.code === 'HONE-COMPILE-050')) throw error;
    }
    const after = process.memoryUsage();
    const grown = after.rss + after.external - before.rss - before.external;
    assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
  });
}

test('n-grams that begin behind their pool are refused, however far', () => {
  const b = opBuilder('n-grams');
  const x = b.graph.input('x', { dtype: 'i64', shape: [2, 6] });
  const lists = { ngram_counts: [0, 2 ** 40], ngram_indexes: [0], pool_int64s: [1, 2] };
  const rest = { max_gram_length: 2, max_skip_count: 2 ** 31, min_gram_length: 1, mode: 'TF' };
  assert.throws(
    () => b.op('TfIdfVectorizer', [x], { ...lists, ...rest }),
    (error) => error instanceof HoneError && error.code === 'HONE-OP-004',
  );
});

test('a constant that grows sixteen million times is not computed by the importer', () => {
  const b = opBuilder('pad');
  const padded = b.op('Pad', [
    b.constant(fromNumbers('u8', [1, 1], [1])),
    b.ints([0, 0, 2 ** 12, 2 ** 12]),
  ]);
  const x = b.graph.input('x', { dtype: 'u8', shape: [1, 1] });
  const bytes = exportOnnx(b.graph.finish([b.op('Add', [x, padded])]));
  const { graph } = importOnnx(readOnnx(memorySource(bytes), {}));
  assert.ok(graph.nodes.some(({ op }) => op === 'Pad'));
});

test('axes that double with every node are refused', () => {
  const b = opBuilder('axes');
  let x = b.graph.input('x', { dtype: 'i64', shape: [1, 1] });
  for (let i = 0; i < 8; i++) x = b.op('Gather', [x, x]);
  const bytes = exportOnnx(b.graph.finish([b.op('ReduceSum', [x])]));
  assert.throws(
    () => importOnnx(readOnnx(memorySource(bytes), {})),
    (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-011',
  );
});

test('a reflection far wider than what is reflected takes no longer than any other', () => {
  const b = opBuilder('reflection');
  const half = 2 ** 19;
  const pads = b.ints([half, half]);
  const padded = b.op('Pad', [b.constant(fromNumbers('u8', [2], [1, 2])), pads], {
    mode: 'reflect',
  });
  const x = b.graph.input('x', { dtype: 'u8', shape: [1] });
  const bytes = exportOnnx(b.graph.finish([b.op('Add', [x, padded])]));
  const before = process.cpuUsage().user;
  importOnnx(readOnnx(memorySource(bytes), {}));
  const seconds = (process.cpuUsage().user - before) / 1e6;
  assert.ok(seconds < 5, `${seconds.toFixed(1)} s of processor time`);
});

test('leaves of trees with more targets than a model can mean', () => {
  const b = opBuilder('trees');
  const x = b.graph.input('x', { dtype: 'f32', shape: [2, 3] });
  const attrs = {
    n_targets: 2 ** 31,
    nodes_treeids: [0],
    nodes_nodeids: [0],
    nodes_featureids: [0],
    nodes_modes: ['LEAF'],
    nodes_values: [0],
    nodes_truenodeids: [0],
    nodes_falsenodeids: [0],
    target_treeids: [0],
    target_nodeids: [0],
    target_ids: [0],
    target_weights: [1],
  };
  assert.throws(
    () => {
      const y = b.op('TreeEnsembleRegressor', [x], attrs, { domain: 'ai.onnx.ml' });
      compileGraph(b.graph.finish([y]));
    },
    (error) => error instanceof HoneError && error.code === 'HONE-OP-004',
  );
});
