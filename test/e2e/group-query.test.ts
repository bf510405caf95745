/**
 * A decoder layer as exporters of language models write it: GroupQueryAttention with rotary positions, lengths
 * from the attention mask, a cache. A first call of several words, then one word at a time on what it left, as
 * onnxruntime-node.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { type RawModel, rawModel } from '../onnx/raw-model.ts';
import { openPair, type Tensors } from '../support/against-onnxruntime.ts';

const [HEADS, KV_HEADS, SIZE, POSITIONS] = [4, 2, 16, 16];
const WIDTH = HEADS * SIZE;
const random = seededRandom(7);

function reals(...shape: number[]): Tensor {
  const values = Array.from({ length: elementCount(shape) }, () => random.next() * 2 - 1);
  return fromNumbers('f32', shape, values);
}

const layer: RawModel = {
  domains: { 'com.microsoft': 1 },
  nodes: [
    {
      op: 'ReduceSum',
      inputs: ['mask', 'one'],
      outputs: ['counts'],
      attrs: { keepdims: { int: 0 } },
    },
    { op: 'Sub', inputs: ['counts', 'one64'], outputs: ['last'] },
    { op: 'Cast', inputs: ['last'], outputs: ['seqlens'], attrs: { to: { int: 6 } } },
    { op: 'Shape', inputs: ['mask'], outputs: ['sizes'] },
    { op: 'Gather', inputs: ['sizes', 'one'], outputs: ['length'] },
    { op: 'Cast', inputs: ['length'], outputs: ['total'], attrs: { to: { int: 6 } } },
    {
      op: 'SimplifiedLayerNormalization',
      inputs: ['x', 'gamma'],
      outputs: ['normed'],
      attrs: { epsilon: { float: 1e-5 } },
    },
    { op: 'MatMul', inputs: ['normed', 'wqkv'], outputs: ['qkv'] },
    {
      op: 'GroupQueryAttention',
      domain: 'com.microsoft',
      name: 'attention',
      inputs: ['qkv', '', '', 'past_key', 'past_value', 'seqlens', 'total', 'cos', 'sin'],
      outputs: ['mixed', 'present_key', 'present_value'],
      attrs: {
        num_heads: { int: HEADS },
        kv_num_heads: { int: KV_HEADS },
        do_rotary: { int: 1 },
        local_window_size: { int: 6 },
      },
    },
    { op: 'MatMul', inputs: ['mixed', 'wo'], outputs: ['projected'] },
    {
      op: 'SkipSimplifiedLayerNormalization',
      domain: 'com.microsoft',
      inputs: ['x', 'projected', 'gamma'],
      outputs: ['y'],
      attrs: { epsilon: { float: 1e-5 } },
    },
  ],
  inputs: [
    { name: 'x', shape: ['batch', 'queries', WIDTH] },
    { name: 'mask', dtype: 'i64', shape: ['batch', 'keys'] },
    { name: 'past_key', shape: ['batch', KV_HEADS, 'past', SIZE] },
    { name: 'past_value', shape: ['batch', KV_HEADS, 'past', SIZE] },
  ],
  outputs: [
    { name: 'y', shape: ['batch', 'queries', WIDTH] },
    { name: 'present_key', shape: ['batch', KV_HEADS, 'keys', SIZE] },
    { name: 'present_value', shape: ['batch', KV_HEADS, 'keys', SIZE] },
  ],
  initializers: {
    one: fromNumbers('i64', [1], [1]),
    one64: fromNumbers('i64', [], [1]),
    gamma: reals(WIDTH),
    wqkv: reals(WIDTH, (HEADS + 2 * KV_HEADS) * SIZE),
    wo: reals(WIDTH, WIDTH),
    cos: reals(POSITIONS, SIZE / 2),
    sin: reals(POSITIONS, SIZE / 2),
  },
};

test('a first call, then words one by one on its cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hone-gqa-'));
  try {
    const file = join(folder, 'layer.onnx');
    writeFileSync(file, rawModel(layer));
    let cache = [reals(1, KV_HEADS, 0, SIZE), reals(1, KV_HEADS, 0, SIZE)];
    let keys = 0;
    for (const queries of [5, 1, 1, 1]) {
      const dims = { batch: 1, queries, keys: keys + queries, past: keys };
      const pair = await openPair(file, { dims });
      try {
        const [past_key, past_value] = cache as [Tensor, Tensor];
        keys += queries;
        const mask = fromNumbers('i64', [1, keys], new Array<number>(keys).fill(1));
        const inputs: Tensors = { x: reals(1, queries, WIDTH), mask, past_key, past_value };
        const out = await pair.check(inputs, `${keys} keys`);
        cache = [out['present_key'], out['present_value']].flatMap((tensor) => tensor ?? []);
        assert.deepEqual(cache[0]?.shape, [1, KV_HEADS, keys, SIZE]);
      } finally {
        await pair.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
