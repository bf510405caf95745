/** Uses at which the operator fuzzer found the compiled form and the reference apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { standardRegistry } from 'hone/ops/registry';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { DType } from 'hone-runtime/base/dtype';
import { checkCases } from '../fuzz/operators/check-cases.ts';
import type { OpCase } from '../fuzz/operators/op-case.ts';

interface Use {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly Tensor[];
  readonly attrs?: Attrs;
  /** Inputs that are constants. */
  readonly constant?: readonly number[];
}

/** A tensor of one value. */
function full(dtype: DType, shape: readonly number[], value = 0): Tensor {
  return fromNumbers(dtype, shape, new Float64Array(elementCount(shape)).fill(value));
}

/** No index is read, so none is out of range. */
const UNREAD: readonly Use[] = [
  { op: 'Gather', inputs: [full('f32', [0, 0]), full('i64', [1], 7)], constant: [1] },
  { op: 'Gather', inputs: [full('f32', [0, 0]), full('i64', [1], 7)] },
  {
    op: 'MaxRoiPool',
    inputs: [full('f32', [1, 0, 3, 3]), full('f32', [1, 5], 7)],
    attrs: { pooled_shape: [1, 1] },
  },
  {
    op: 'CropAndResize',
    domain: 'com.microsoft',
    inputs: [
      ...[full('f32', [1, 0, 3, 3]), full('f32', [1, 4], 0.5)],
      ...[full('i32', [1], 7), full('i32', [2], 2)],
    ],
    constant: [3],
  },
  {
    op: 'ArrayFeatureExtractor',
    domain: 'ai.onnx.ml',
    inputs: [full('f32', [0, 2]), full('i64', [1], 7)],
  },
  { op: 'ReverseSequence', inputs: [full('f32', [2, 1, 0]), full('i64', [1], 7)] },
  {
    op: 'ScatterND',
    inputs: [full('f32', [2, 0]), full('i64', [1, 1], 7), full('f32', [1, 0])],
  },
  {
    op: 'EmbedLayerNormalization',
    domain: 'com.microsoft',
    inputs: [
      ...[full('i32', [1, 1], 7), full('i32', [1, 1]), full('f32', [1, 0]), full('f32', [1, 0])],
      ...[full('f32', [2, 0]), full('f32', [0]), full('f32', [0])],
    ],
  },
  {
    op: 'RoiAlign',
    inputs: [
      ...[full('f32', [1, 1, 2, 2], 1), fromNumbers('f32', [1, 4], [-9, -9, -7, -7])],
      full('i64', [1], 7),
    ],
    attrs: { sampling_ratio: 2 },
  },
];

test('what nothing reads is not checked, neither compiled nor by the reference', async () => {
  const items = UNREAD.map(({ op, domain = '', inputs, attrs = {}, constant = [] }): OpCase => {
    const def = standardRegistry.find(op, domain);
    assert.ok(def, op);
    const known = inputs.map((_, i) => constant.includes(i));
    return { op: def, inputs, constant: known, attrs, outputs: 1 };
  });
  const options = { target: 'native', quick: true } as const;
  const seeds = items.map((_, i) => i);
  const { problems, refused, faulty } = await checkCases(items, seeds, 'compiled', options);
  assert.deepEqual(
    problems.filter((problem) => problem !== undefined),
    [],
  );
  assert.deepEqual([refused, faulty], [0, 0]);
});
