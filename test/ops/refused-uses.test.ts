/** Uses that the operator fuzzer found accepted, and then wrong or without an answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from 'hone/graph/build';
import type { Attrs, Graph, ValueId } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';

interface Use {
  readonly op: string;
  readonly domain?: string;
  readonly types: readonly (readonly [DType, readonly number[]] | null)[];
  readonly attrs?: Attrs;
  /** What every element of every input is. */
  readonly value?: number;
}

const TRAINING = 'ai.onnx.preview.training';
const USES: readonly Use[] = [
  {
    op: 'UnfoldTensor',
    domain: 'com.microsoft',
    types: [['f32', []]],
    attrs: { dim: 0, size: 1, step: 1 },
  },
  {
    op: 'CumSum',
    types: [
      ['f32', []],
      ['i64', []],
    ],
  },
  {
    op: 'GroupNorm',
    domain: 'com.microsoft',
    types: [
      ['f32', [1, 2]],
      ['f32', [2]],
      ['f32', [2]],
    ],
    attrs: { activation: 0, groups: 1 },
  },
  {
    op: 'MultiHeadAttention',
    domain: 'com.microsoft',
    types: [
      ['f32', [1, 1, 2]],
      ['f32', [1]],
      ['f32', [1, 1, 2]],
    ],
    attrs: { num_heads: 1 },
  },
  {
    op: 'MultiHeadAttention',
    domain: 'com.microsoft',
    types: [
      ['f32', [1, 1, 4]],
      ['f32', [1, 1, 4]],
      ['f32', [1, 1, 5]],
    ],
    attrs: { num_heads: 2 },
  },
  {
    op: 'Trilu',
    types: [
      ['f32', [2, 2]],
      ['i64', [0]],
    ],
  },
  {
    op: 'CumSum',
    types: [
      ['f32', [2, 2]],
      ['i64', [2]],
    ],
  },
  {
    op: 'ArrayFeatureExtractor',
    domain: 'ai.onnx.ml',
    types: [
      ['f32', []],
      ['i64', [1]],
    ],
  },
  {
    // Its only node leads to itself where the answer is yes.
    op: 'TreeEnsemble',
    domain: 'ai.onnx.ml',
    types: [['f32', [1, 1]]],
    attrs: {
      n_targets: 1,
      nodes_featureids: [0],
      nodes_modes: fromNumbers('u8', [1], [0]),
      nodes_splits: fromNumbers('f32', [1], [0.5]),
      nodes_truenodeids: [0],
      nodes_falsenodeids: [0],
      nodes_trueleafs: [0],
      nodes_falseleafs: [1],
      tree_roots: [0],
      leaf_targetids: [0],
      leaf_weights: fromNumbers('f32', [1], [1]),
    },
  },
  { op: 'GlobalLpPool', types: [['f32', [1, 1, 1]]], attrs: { p: 0 } },
  { op: 'LpPool', types: [['f32', [1, 1, 1]]], attrs: { p: -1, kernel_shape: [1] } },
  {
    op: 'RoiAlign',
    types: [
      ['f32', [1, 1, 0, 1]],
      ['f32', [1, 4]],
      ['i64', [1]],
    ],
    attrs: { sampling_ratio: 2 },
  },
  {
    op: 'QLinearConv',
    types: [
      ['u8', [1, 2, 2, 2]],
      ['f32', [1]],
      ['u8', [1]],
      ['u8', [1, 2, 2, 2]],
      ['f32', [1]],
      ['u8', [1]],
      ['f32', [1]],
      ['u8', [2]],
    ],
  },
  {
    op: 'ReverseSequence',
    types: [
      ['f32', [2, 1]],
      ['i64', [1]],
    ],
    value: 3,
  },
  {
    op: 'NegativeLogLikelihoodLoss',
    types: [
      ['f32', [1, 2]],
      ['i64', [1]],
    ],
    value: 2,
  },
  {
    op: 'RotaryEmbedding',
    types: [
      ['f32', [1, 1, 1, 2]],
      ['f32', [4, 1]],
      ['f32', [1, 1]],
      ['i64', [1, 1]],
    ],
  },
  {
    op: 'Dropout',
    types: [
      ['f32', [1]],
      ['f32', []],
      ['i64', []],
    ],
  },
  {
    op: 'QLinearConv',
    types: [
      ['i8', [1, 1, 1, 1]],
      ['f32', []],
      ['i8', []],
      ['i8', [1, 1, 1, 1]],
      ['f32', [1]],
      ['i8', []],
      ['f32', []],
      ['i8', []],
      ['i32', [0]],
    ],
  },
  {
    op: 'MatMulNBits',
    domain: 'com.microsoft',
    types: [['f32', [1, 16]], ['u8', [2, 1, 8]], ['f32', [2]], null, null, ['f32', [1, 2]]],
    attrs: { K: 16, N: 2, block_size: 16 },
  },
  {
    op: 'FusedGemm',
    domain: 'com.microsoft',
    types: [
      ['i64', [1, 1]],
      ['i64', [1, 1]],
    ],
    attrs: { activation: 'LeakyRelu' },
  },
  {
    op: 'LinearRegressor',
    domain: 'ai.onnx.ml',
    types: [['f32', [1, 1]]],
    attrs: { coefficients: [1, -2, 3, 4] },
  },
  {
    op: 'MaxUnpool',
    types: [
      ['f32', [1, 1, 2, 2]],
      ['i8', [1, 1, 2, 2]],
    ],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'QGemm',
    domain: 'com.microsoft',
    types: [
      ['u8', [1, 1]],
      ['f32', []],
      ['u8', []],
      ['i8', [1, 1]],
      ['f32', []],
      ['i8', []],
      ['i32', [0]],
    ],
  },
  {
    op: 'LinearRegressor',
    domain: 'ai.onnx.ml',
    types: [['f32', [1, 0]]],
    attrs: { coefficients: [1, -2, 3, 4] },
  },
  {
    op: 'ArrayFeatureExtractor',
    domain: 'ai.onnx.ml',
    types: [
      ['f32', [1, 2]],
      ['i64', [1, 1]],
    ],
    value: 5,
  },
  {
    op: 'CausalConvWithState',
    types: [
      ['f32', [1, 3, 2]],
      ['f32', [3, 1, 0]],
    ],
  },
  {
    op: 'Adagrad',
    domain: TRAINING,
    types: [['f32', []], null, ['f32', [2]], ['f32', [2]], ['f32', [2]]],
  },
  {
    op: 'Momentum',
    domain: TRAINING,
    types: [
      ['f32', [0]],
      ['i64', []],
      ['f32', [1]],
      ['f32', [1]],
      ['f32', [1]],
    ],
    attrs: { alpha: 0.9, beta: 0.8, norm_coefficient: 0.1, mode: 'standard' },
  },
  {
    op: 'DynamicQuantizeMatMul',
    domain: 'com.microsoft',
    types: [
      ['f32', [1, 2, 1]],
      ['u8', [1, 1]],
      ['f32', [1]],
      ['u8', [1]],
      ['f32', [2]],
    ],
  },
  {
    op: 'RNN',
    types: [['f32', [2, 1, 1]], ['f32', [1, 1, 1]], ['f32', [1, 1, 1]], null, ['i32', [1]]],
    value: 3,
  },
];

for (const { op, domain = '', types, attrs = {}, value = 0 } of USES) {
  test(`${op}: refused with a code`, () => {
    const isCoded = (error: unknown): boolean =>
      error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL');
    assert.throws(() => {
      const b = opBuilder(op);
      const tensors = types.map((type) => {
        if (type === null) return null;
        const values = new Float64Array(elementCount(type[1])).fill(value);
        return fromNumbers(type[0], type[1], values);
      });
      const ids = tensors.map(
        (tensor, i): ValueId | null =>
          tensor && b.graph.input(`x${i}`, { dtype: tensor.dtype, shape: tensor.shape }),
      );
      const graph = b.graph.finish([b.op(op, ids, attrs, { domain })]);
      interpret(
        graph,
        tensors.flatMap((tensor) => tensor ?? []),
      );
    }, isCoded);
  });
}

test('If whose branch has an input of its own is refused', () => {
  const branch = (own: boolean): Graph => {
    const b = new GraphBuilder('branch');
    const x = b.input('x', { dtype: 'f32', shape: [2] });
    if (own) b.input('own', { dtype: 'f32', shape: [2] });
    return b.finish([x]);
  };
  for (const own of ['then_branch', 'else_branch']) {
    const b = opBuilder('refused');
    const condition = b.graph.input('condition', { dtype: 'bool', shape: [] });
    const x = b.graph.input('x', { dtype: 'f32', shape: [2] });
    const attrs = {
      captures: 1,
      then_branch: branch(own === 'then_branch'),
      else_branch: branch(own === 'else_branch'),
    };
    assert.throws(
      () => b.op('If', [condition, x], attrs),
      (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-001',
    );
  }
});

test('Scan whose body changes the shape of its state is refused', () => {
  const inner = new GraphBuilder('body');
  inner.input('state', { dtype: 'f32', shape: [3] });
  const slice = inner.input('slice', { dtype: 'f32', shape: [2] });
  const b = opBuilder('refused');
  const state = b.graph.input('state', { dtype: 'f32', shape: [3] });
  const rows = b.graph.input('rows', { dtype: 'f32', shape: [4, 2] });
  const attrs = { captures: 0, num_scan_inputs: 1, body: inner.finish([slice]) };
  assert.throws(
    () => b.op('Scan', [state, rows], attrs),
    (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-001',
  );
});

test('FlexAttention whose sub-graph takes or gives other than scores is refused', () => {
  const scores = [1, 2, 3, 5];
  const modifier = (inputs: readonly (readonly number[])[], outputs = 1): Graph => {
    const b = new GraphBuilder('modifier');
    const own = inputs.map((shape, i) => b.input(`own${i}`, { dtype: 'f32', shape }));
    return b.finish(own.slice(0, outputs));
  };
  const use = (graph: Graph): void => {
    const b = opBuilder('refused');
    const [q, k, v] = [
      [1, 2, 3, 4],
      [1, 2, 5, 4],
      [1, 2, 5, 6],
    ].map((shape, i) => b.graph.input(`x${i}`, { dtype: 'f32', shape }));
    const attrs = { score_mod: graph };
    b.op('FlexAttention', [q ?? null, k ?? null, v ?? null], attrs, {
      domain: 'ai.onnx.preview',
    });
  };
  use(modifier([scores]));
  for (const graph of [
    modifier([]),
    modifier([scores, scores]),
    modifier([scores], 0),
    modifier([[1, 2, 3, 4]]),
  ]) {
    assert.throws(
      () => use(graph),
      (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-001',
    );
  }
});
