/** Tensors in every storage ONNX has, in models and in files of their own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  importOnnx,
  openOnnx,
  readOnnx,
  readTensorProto,
  writeTensorProto,
} from 'hone/frontends/onnx/index';
import type { WireWriter } from 'hone/frontends/onnx/wire-writer';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { DTYPES } from 'hone-runtime/base/dtype';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { external, rawModel, rawTensor } from './raw-model.ts';
import { tensors } from './sample-models.ts';

function refused(action: () => unknown, code: string, words: RegExp): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof HoneError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.ok(error.cure);
    return true;
  });
}

function typed(type: number, dims: readonly number[], payload: (w: WireWriter) => void): Tensor {
  return readTensorProto(rawTensor('t', type, dims, payload));
}

test('tensor files of every dtype come back', () => {
  for (const dtype of DTYPES) {
    const tensor: Tensor =
      dtype === 'string'
        ? { dtype, shape: [2, 1], data: ['', 'ä\u0000b'] }
        : fromNumbers(dtype, [2, 3], [0, 1, 1, 0, 1, 1]);
    assert.deepEqual(readTensorProto(writeTensorProto(tensor, 'name')), tensor);
    const empty: Tensor = { ...tensor, shape: [0], data: tensor.data.slice(0, 0) };
    assert.deepEqual(readTensorProto(writeTensorProto(empty)), empty);
  }
});

test('typed fields, packed and one by one', () => {
  const halves = typed(10, [2], (w) => w.packedInts(5, [0x3c00, 0xc000]));
  assert.deepEqual(halves, fromNumbers('f16', [2], [1, -2]));
  const bf16 = typed(16, [2], (w) => w.packedInts(5, [0x3f80, 0xc000]));
  assert.deepEqual(bf16, fromNumbers('bf16', [2], [1, -2]));
  const bools = typed(9, [3], (w) => w.packedInts(5, [0, 1, 2]));
  assert.deepEqual(bools, fromNumbers('bool', [3], [0, 1, 1]));
  const bytes = typed(3, [3], (w) => w.packedInts(5, [-128, -1, 127]));
  assert.deepEqual(bytes, fromNumbers('i8', [3], [-128, -1, 127]));
  const longs = typed(7, [3], (w) => {
    for (const value of [2n ** 63n - 1n, -(2n ** 63n), -5n]) w.int(7, value);
  });
  assert.deepEqual(longs.data, BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), -5n));
  const unsigned = typed(12, [2], (w) => w.packedInts(11, [2 ** 32 - 1, 7]));
  assert.deepEqual(unsigned, fromNumbers('u32', [2], [2 ** 32 - 1, 7]));
  const big = typed(13, [1], (w) => w.packedInts(11, [2n ** 64n - 1n]));
  assert.deepEqual(big.data, BigUint64Array.of(2n ** 64n - 1n));
  const floats = typed(1, [2], (w) => {
    w.float(4, 1.5);
    w.float(4, -2);
  });
  assert.deepEqual(floats, fromNumbers('f32', [2], [1.5, -2]));
  const doubles = typed(11, [1], (w) => w.bytes(10, new Uint8Array(Float64Array.of(0.1).buffer)));
  assert.deepEqual(doubles, fromNumbers('f64', [1], [0.1]));
  const texts = typed(8, [2], (w) => {
    w.string(6, 'a');
    w.string(6, 'b');
  });
  assert.deepEqual(texts, { dtype: 'string', shape: [2], data: ['a', 'b'] });
});

test('elements of 2 and 4 bits are packed, the first in the low bits', () => {
  const nibbles = typed(22, [3], (w) => w.bytes(9, Uint8Array.of(0x7f, 0x08)));
  assert.deepEqual(nibbles, fromNumbers('i4', [3], [-1, 7, -8]));
  const listed = typed(21, [3], (w) => w.packedInts(5, [0x7f, 0x08]));
  assert.deepEqual(listed, fromNumbers('u4', [3], [15, 7, 8]));
  const pairs = typed(26, [5], (w) => w.bytes(9, Uint8Array.of(0b11100100, 1)));
  assert.deepEqual(pairs, fromNumbers('i2', [5], [0, 1, -2, -1, 1]));
  const floats = typed(23, [2], (w) => w.bytes(9, Uint8Array.of(0xd7)));
  assert.deepEqual(floats, fromNumbers('f4e2m1', [2], [6, -3]));
});

test('payloads that do not fit are refused before anything is allocated', () => {
  const raw = (bytes: number) => (w: WireWriter) => w.bytes(9, new Uint8Array(bytes));
  refused(() => typed(1, [4], raw(15)), 'HONE-ONNX-010', /takes 16 bytes, but 15/);
  refused(() => typed(1, [2 ** 40], raw(16)), 'HONE-ONNX-010', /takes/);
  refused(() => typed(1, [2 ** 40, 2 ** 40], raw(16)), 'HONE-ONNX-010', /elements/);
  refused(() => typed(1, [-1], raw(16)), 'HONE-ONNX-010', /dimension of -1/);
  refused(() => typed(7, [2 ** 40], (w) => w.int(7, 1)), 'HONE-ONNX-010', /elements/);
  refused(() => typed(7, [2], (w) => w.packedInts(7, [1, 2, 3])), 'HONE-ONNX-010', /elements/);
  refused(() => typed(1, [2], (w) => w.packedInts(7, [1, 2])), 'HONE-ONNX-010', /f32/);
  refused(() => typed(14, [2], raw(16)), 'HONE-ONNX-012', /COMPLEX64/);
  refused(() => typed(22, [3], raw(1)), 'HONE-ONNX-010', /takes 2 bytes, but 1 are stored/);
});

test('sequences and empty files are not tensors', () => {
  const inner = rawTensor('a', 1, [], (w) => w.float(4, 1));
  const sequence = Buffer.concat([Buffer.from([0x10, 1, 0x1a, inner.length]), inner]);
  refused(() => readTensorProto(sequence, 'input_0.pb'), 'HONE-ONNX-040', /input_0\.pb/);
  refused(() => readTensorProto(new Uint8Array(0)), 'HONE-ONNX-040', /does not hold a tensor/);
});

test('every storage works inside a model, external data in a folder included', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hone-onnx-'));
  try {
    writeFileSync(join(folder, 'model.onnx'), tensors());
    const outside = Float32Array.of(100, 200, 300, 400);
    writeFileSync(join(folder, 'weights.bin'), new Uint8Array(outside.buffer));
    const model = openOnnx(join(folder, 'model.onnx'));
    const { graph } = importOnnx(model);
    const [sum] = interpret(graph, [fromNumbers('f32', [4], [0.5, 0.5, 0.5, 0.5])]);
    const wanted = [1, 2, 3, 4].map((_, i) => {
      const halves = [1, 2, 0, -1];
      const longs = [1, -1, 2 ** 40, -(2 ** 40)];
      const parts = [2 * (i + 1), i % 2 ? -(i + 1) : i + 1, halves, [0, 1, 1, 0], longs];
      const flat = parts.map((part) => (typeof part === 'number' ? part : (part[i] ?? 0)));
      return Math.fround(flat.reduce((a, b) => a + b, 0.5) + 100 * (i + 1));
    });
    assert.deepEqual([...((sum as Tensor).data as Float32Array)], wanted);
    model.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('external data outside the folder or the file is refused', () => {
  const model = (entries: Record<string, string>) => {
    const w = rawTensor('w', 1, [4], external(entries));
    const bytes = rawModel({
      nodes: [{ op: 'Relu', inputs: ['w'], outputs: ['y'] }],
      outputs: [{ name: 'y' }],
      initializers: { w },
    });
    const file = memorySource(new Uint8Array(16), 'w.bin');
    return importOnnx(readOnnx(memorySource(bytes), { 'w.bin': file }));
  };
  for (const location of ['../w.bin', '/w.bin', 'a/../../w.bin', 'C:w.bin', 'a\\w.bin', '']) {
    refused(() => model({ location }), 'HONE-ONNX-011', /only files below/);
  }
  refused(() => model({ location: 'other.bin' }), 'HONE-ONNX-011', /other\.bin/);
  refused(() => model({ location: 'w.bin', offset: '8' }), 'HONE-ONNX-010', /16 bytes, but 8/);
  refused(
    () => model({ location: 'w.bin', offset: '8', length: '16' }),
    'HONE-ONNX-013',
    /ends at 16/,
  );
  refused(() => model({ location: 'w.bin', offset: '-1' }), 'HONE-ONNX-011', /offset/);
  refused(() => model({ location: 'w.bin', length: '1e3' }), 'HONE-ONNX-011', /length/);
  assert.equal(model({ location: 'w.bin' }).graph.outputs.length, 1);
});
