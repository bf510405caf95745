/** Uses at which the operator fuzzer found the compiled form and the reference apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { standardRegistry } from 'hone/ops/registry';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { checkCases } from '../fuzz/operators/check-cases.ts';
import { graphOf, type OpCase } from '../fuzz/operators/op-case.ts';

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

/** Pictures with room whose extents are less than a pixel, or more than the room. */
const OF_NO_PIXEL: readonly Use[] = [
  [0, 0],
  [-3, 9],
].flatMap((extents): Use[] => [
  {
    op: 'SizedGridSample',
    domain: 'hone',
    inputs: [
      ...[full('f32', [1, 2, 2, 2], 5), full('f32', [1, 1, 2, 2])],
      fromNumbers('i64', [2], extents),
    ],
  },
  {
    op: 'SizedRoiAlign',
    domain: 'hone',
    inputs: [
      ...[full('f32', [1, 1, 2, 2], 1), fromNumbers('f32', [1, 4], [0, 0, 2, 2])],
      ...[full('i64', [1]), fromNumbers('i64', [2], extents)],
    ],
    attrs: { sampling_ratio: 2 },
  },
]);

/** No index is read, so none is out of range. */
const UNREAD: readonly Use[] = [
  {
    op: 'Resize',
    inputs: [
      ...[full('f32', [1, 1, 4, 1]), full('f32', [0]), full('f32', [0])],
      full('i64', [4], 0),
    ],
    attrs: { mode: 'linear', antialias: 1 },
    constant: [1, 2, 3],
  },
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

const NAN = Number.NaN;
const INF = Number.POSITIVE_INFINITY;
const f32 = (shape: readonly number[], ...values: number[]): Tensor =>
  fromNumbers('f32', shape, values);
const ROW = f32([1, 1, 2, 1], 1, 2);
const WITH_NAN = f32([1, 1, 2, 1], 1, NAN);
const GROUPED = { num_heads: 1, kv_num_heads: 1 };
const wide = (shape: readonly number[], last: number): Tensor => {
  const ones = full('f32', shape, 1);
  (ones.data as Float32Array)[ones.data.length - 1] = last;
  return ones;
};

/** Floats that are not finite, and the ends of integers. */
const EXTREME: readonly Use[] = [
  ...['ArgMin', 'ArgMax'].map((op) => ({
    op,
    inputs: [f32([3, 2], NAN, 1, 2, NAN, 2, 1)],
    attrs: { select_last_index: 1 },
  })),
  // What a mask hides is added to, so that NaN stays; in com.microsoft's it is replaced.
  { op: 'Attention', inputs: [ROW, WITH_NAN, ROW], attrs: { is_causal: 1 } },
  { op: 'Attention', inputs: [ROW, f32([1, 1, 2, 1], 1, INF), ROW], attrs: { is_causal: 1 } },
  {
    op: 'Attention',
    inputs: [ROW, WITH_NAN, ROW, fromNumbers('bool', [2, 2], [1, 0, 1, 1])],
  },
  {
    op: 'GroupQueryAttention',
    domain: 'com.microsoft',
    inputs: [
      ...[full('f32', [1, 2, 16], 1), wide([1, 2, 16], NAN), full('f32', [1, 2, 16], 1)],
      ...[full('f32', [1, 1, 0, 16]), full('f32', [1, 1, 0, 16])],
      ...[fromNumbers('i32', [1], [1]), fromNumbers('i32', [], [2])],
    ],
    constant: [5, 6],
    attrs: GROUPED,
  },
  // (1 − z)·candidate + z·h of an infinite candidate.
  {
    op: 'GRU',
    inputs: [f32([1, 1, 1], INF), f32([1, 3, 1], 0, 0, 1), full('f32', [1, 3, 1], 1)],
    attrs: { activations: ['HardSigmoid', 'Affine'] },
  },
  // No peepholes are none, not peepholes of 0.
  {
    op: 'LSTM',
    inputs: [
      ...[f32([1, 1, 1], 1), full('f32', [1, 4, 1], 1), full('f32', [1, 4, 1], 1)],
      ...[
        full('f32', [1, 8]),
        fromNumbers('i32', [1], [1]),
        f32([1, 1, 1], 1),
        f32([1, 1, 1], INF),
      ],
    ],
  },
  // What is cut off does not count.
  {
    op: 'DFT',
    inputs: [f32([1, 5, 1], 1, 2, 3, 4, NAN), fromNumbers('i64', [], [3])],
    constant: [1],
  },
  { op: 'DFT', inputs: [f32([1, 4, 1], 1, 2, 3, INF)] },
  // An input next to a tap that is not there.
  {
    op: 'ConvTranspose',
    inputs: [f32([1, 1, 1, 2], NAN, 1), full('f32', [1, 1, 1, 1])],
    attrs: { strides: [3, 2] },
  },
  {
    op: 'Shrink',
    inputs: [fromNumbers('i32', [4], [2 ** 31 - 1, -(2 ** 31), 3, -3])],
    attrs: { bias: -2.5 },
  },
  {
    op: 'Shrink',
    inputs: [{ dtype: 'i64', shape: [2], data: BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)) }],
  },
];

test('what nothing reads is not checked, neither compiled nor by the reference', async () => {
  await agree(UNREAD);
});

test('pictures of no pixel, and of more than their room, compiled are what the reference gives', async () => {
  await agree(OF_NO_PIXEL);
});

/** As models that have what decides sizes as inputs. */
const FREE: readonly Use[] = [
  // In f64 0.3 is another number than the f32 that a model holds.
  {
    op: 'RNN',
    inputs: [
      ...[full('f64', [4, 1, 1], 1), full('f64', [1, 5, 1], 1), full('f64', [1, 5, 5])],
      ...[full('f64', [1, 10]), fromNumbers('i32', [1], [4])],
    ],
    attrs: { activations: ['HardSigmoid'], activation_alpha: [0.3], hidden_size: 5 },
  },
  // Caches of no columns rotate nothing.
  {
    op: 'GroupQueryAttention',
    domain: 'com.microsoft',
    inputs: [
      ...[full('f32', [1, 1, 16], 1), full('f32', [1, 1, 16], 1), full('f32', [1, 1, 16], 1)],
      ...[full('f32', [1, 1, 1, 16], 2), full('f32', [1, 1, 1, 16], 2)],
      ...[fromNumbers('i32', [1], [1]), fromNumbers('i32', [1], [2])],
      ...[full('f32', [1, 0]), full('f32', [0, 0])],
    ],
    constant: [5, 6],
    attrs: { ...GROUPED, do_rotary: 1 },
  },
  // Where an extent is asked for, paddings count for nothing.
  ...[{ output_shape: [5, 4] }, { auto_pad: 'SAME_UPPER' }].map((attrs) => ({
    op: 'ConvTransposeWithDynamicPads',
    domain: 'com.microsoft',
    inputs: [
      ...[full('f32', [1, 1, 4, 4], 1), full('f32', [1, 1, 2, 2], 1)],
      fromNumbers('i64', [4], [1, 0, 1, 0]),
    ],
    constant: [2],
    attrs,
  })),
  // NaN is behind all numbers, and by itself.
  {
    op: 'Unique',
    inputs: [fromNumbers('f16', [6], [2, NAN, -1, -3, NAN, 2])],
    constant: [0],
  },
];

test('with what decides sizes as inputs, operators give what they give with constants', async () => {
  const items = FREE.map(caseOf);
  const options = { target: 'native', quick: true } as const;
  const seeds = items.map((_, i) => i);
  const { problems, peers } = await checkCases(items, seeds, 'free', options);
  assert.deepEqual(
    problems.filter((problem) => problem !== undefined),
    [],
  );
  assert.equal(peers, items.length);
});

test('what is not finite, and the ends of integers, compiled are what the reference gives', async () => {
  await agree(EXTREME);
});

test('what has no meaning is refused with a code', () => {
  const cropped = fromNumbers('f32', [8], [0, 0, INF, 0.5, 1, 1, 1, 1]);
  const refused: readonly (readonly [Use, RegExp])[] = [
    [
      {
        op: 'Resize',
        inputs: [full('f32', [1, 1, 4, 4]), cropped, full('f32', [0]), full('i64', [4], 3)],
        attrs: { coordinate_transformation_mode: 'tf_crop_and_resize', mode: 'linear' },
        constant: [1, 2, 3],
      },
      /axis 2 would be sampled from Infinity to 1 of it/,
    ],
    [
      {
        op: 'ConvTranspose',
        inputs: [full('f32', [1, 1, 4, 4]), full('f32', [1, 1, 2, 2])],
        attrs: { output_shape: [3] },
      },
      /output_shape has 1 entries for 2 spatial axes/,
    ],
    [
      {
        op: 'CenterCropPad',
        inputs: [full('f32', []), full('i64', [1])],
        attrs: { axes: [0] },
        constant: [1],
      },
      /a scalar has no axes/,
    ],
    [
      { op: 'DequantizeLinear', inputs: [full('u8', []), full('f32', [0])], constant: [1] },
      /a scalar takes one scale/,
    ],
  ];
  // A node that leads to another and back, one beyond the table, a feature that is not there.
  const walks: readonly (readonly [readonly number[], RegExp])[] = [
    [[0, 1, 1, 0, 0, 0, 1, 0], /node 0 of its trees leads back to itself/],
    [[0, 1, 2, 0, 0, 1, 1, 0], /node 0 of its trees leads to 1 and 2 of 2/],
    [[2, 1, 1, 0, 0, 1, 1, 0], /node 0 of its trees reads feature 2 of 2/],
    [[0, 1, 1, 6, 0, 1, 1, 0], /node 0 of its trees has the code 6/],
  ];
  const trees = walks.map(([nodes, message]): readonly [Use, RegExp] => {
    const table = fromNumbers('i32', [2, 4], nodes);
    const inputs = [full('f32', [3, 2]), table, full('f32', [2]), full('i32', [1])];
    return [{ op: 'TreeLeaves', domain: 'hone', inputs, constant: [1, 2, 3] }, message];
  });
  for (const [use, message] of [...refused, ...trees]) {
    assert.throws(
      () => graphOf(caseOf(use)),
      (error) => error instanceof HoneError && message.test(error.message),
      use.op,
    );
  }
});

async function agree(uses: readonly Use[]): Promise<void> {
  const items = uses.map(caseOf);
  const options = { target: 'native', quick: true } as const;
  const seeds = items.map((_, i) => i);
  const { problems, refused, faulty } = await checkCases(items, seeds, 'compiled', options);
  assert.deepEqual(
    problems.filter((problem) => problem !== undefined),
    [],
  );
  assert.deepEqual([refused, faulty], [0, 0]);
}

function caseOf({ op, domain = '', inputs, attrs = {}, constant = [] }: Use): OpCase {
  const def = standardRegistry.find(op, domain);
  assert.ok(def, op);
  const known = inputs.map((_, i) => constant.includes(i));
  return { op: def, inputs, constant: known, attrs, outputs: 1 };
}
