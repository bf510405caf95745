/** The wire reader and writer agree, read only what they must, and refuse what they cannot read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importOnnx, readOnnx, signatureOf } from 'hone/frontends/onnx/index';
import { GRAPH, MODEL, NODE, OPSET, TENSOR, VALUE_INFO } from 'hone/frontends/onnx/proto';
import type { Run } from 'hone/frontends/onnx/types';
import { WireReader } from 'hone/frontends/onnx/wire-reader';
import { WireWriter } from 'hone/frontends/onnx/wire-writer';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { type ByteSource, memorySource } from 'hone-runtime/base/io';

function readerOf(bytes: Uint8Array): WireReader {
  return new WireReader(memorySource(bytes, 'test.onnx'));
}

/** A source that counts the bytes it is asked for. */
function counting(source: ByteSource): ByteSource & { readonly bytesRead: () => number } {
  let total = 0;
  return {
    ...source,
    read(offset, length) {
      total += length;
      return source.read(offset, length);
    },
    bytesRead: () => total,
  };
}

test('fields come back as they were written', () => {
  const numbers = [0, 1, -1, 127, 128, -128, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1];
  const w = new WireWriter();
  for (const value of numbers) w.int(1, value);
  w.int(1, 2n ** 63n - 1n);
  w.int(1, -(2n ** 63n));
  w.float(2, 0.1);
  w.string(3, 'Größe ☃');
  w.message(4, (inner) => inner.message(4, (innermost) => innermost.string(3, 'deep')));
  w.packedInts(5, numbers);
  w.packedFloats(6, [1, -2, Number.POSITIVE_INFINITY]);
  w.bytes(100_000, new Uint8Array(50_000).fill(7));
  const bytes = w.finish();
  assert.equal(bytes.length, w.length);

  const ints: number[] = [];
  const packed: number[] = [];
  const floats: number[] = [];
  const texts: string[] = [];
  const r = readerOf(bytes);
  let payload = { offset: 0, length: 0 };
  const read = (end: number): void => {
    while (r.next(end)) {
      if (r.field === 1) ints.push(r.int());
      else if (r.field === 2) floats.push(r.float());
      else if (r.field === 3) texts.push(r.string());
      else if (r.field === 4) r.nested(read);
      else if (r.field === 5) r.ints(packed);
      else if (r.field === 6) r.floats(floats);
      else payload = r.range();
    }
  };
  read(bytes.length);
  // INT64_MAX becomes the largest double below it, so that it stays positive as an int64.
  assert.deepEqual(ints, [...numbers, 2 ** 63 - 1024, -(2 ** 63)]);
  assert.deepEqual(packed, numbers);
  assert.deepEqual(floats, [Math.fround(0.1), 1, -2, Number.POSITIVE_INFINITY]);
  assert.deepEqual(texts, ['Größe ☃', 'deep']);
  assert.equal(payload.length, 50_000);
  assert.equal(bytes[payload.offset], 7);
});

test('runs of unpacked elements are merged, packed ones are not read', () => {
  const w = new WireWriter();
  w.int(1, 5);
  w.int(1, 300);
  w.string(2, 'between');
  w.packedInts(1, [1, 2, 3]);
  const bytes = w.finish();
  const r = readerOf(bytes);
  const runs: Run[] = [];
  while (r.next(bytes.length)) {
    if (r.field === 1) r.run(runs, 0);
    else r.skip();
  }
  assert.deepEqual(runs, [
    { offset: 0, length: 5, packed: false },
    { offset: 16, length: 3, packed: true },
  ]);
});

test('damaged bytes give coded errors with the offset', () => {
  const refused = (bytes: number[], code: string, words: RegExp): void => {
    const r = readerOf(Uint8Array.from(bytes));
    const read = (end: number): void => {
      while (r.next(end)) {
        if (r.field === 1) r.int();
        else if (r.field === 4) r.nested(read);
        else r.skip();
      }
    };
    assert.throws(
      () => read(bytes.length),
      (error) => {
        assert.ok(error instanceof HoneError);
        assert.equal(error.code, code);
        assert.match(error.message, words);
        assert.match(error.message, /test\.onnx/);
        assert.ok(error.cure);
        return true;
      },
    );
  };
  refused([0x08], 'HONE-ONNX-002', /byte 0/);
  refused([0x12, 5, 1, 2], 'HONE-ONNX-002', /field 2 at byte 0 wants 5 bytes, but 2 are left/);
  refused([0x08, ...new Array<number>(10).fill(0x80), 1], 'HONE-ONNX-004', /10 bytes/);
  refused([0x0b, 0x0c], 'HONE-ONNX-003', /group at byte 0/);
  refused([0x00, 0x00], 'HONE-ONNX-003', /byte 0/);
  refused([0x0a, 0x00], 'HONE-ONNX-003', /field 1 at byte 0/);
  // A nested message that claims more than its parent holds.
  refused([0x22, 3, 0x12, 9, 0], 'HONE-ONNX-002', /byte 2/);
  let nested: number[] = [];
  for (let i = 0; i < 60; i++) nested = [0x22, nested.length, ...nested];
  for (let i = 0; i < 50; i++) {
    nested = [0x22, (nested.length & 0x7f) | 0x80, nested.length >> 7, ...nested];
  }
  refused(nested, 'HONE-ONNX-005', /nests/);
});

test('payloads are skipped, also beyond 2 GiB', () => {
  const payload = 3 * 2 ** 30;
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
  const field = (number: number, bytes: readonly number[]): number[] => [
    number * 8 + 2,
    ...varint(bytes.length),
    ...bytes,
  ];
  const w = [...Buffer.from('w')];
  const y = [...Buffer.from('y')];
  const relu = [...Buffer.from('Relu')];
  const node = field(GRAPH.node, [
    ...field(NODE.input, w),
    ...field(NODE.output, y),
    ...field(NODE.op, relu),
  ]);
  const output = field(GRAPH.output, field(VALUE_INFO.name, y));
  const tensor = [
    TENSOR.dims * 8,
    ...varint(payload / 4),
    TENSOR.dataType * 8,
    1,
    ...field(TENSOR.name, w),
    TENSOR.rawData * 8 + 2,
    ...varint(payload),
  ];
  const initializer = [GRAPH.initializer * 8 + 2, ...varint(tensor.length + payload), ...tensor];
  const graphHead = [...node, ...output, ...initializer];
  const head = Uint8Array.from([
    MODEL.irVersion * 8,
    9,
    MODEL.graph * 8 + 2,
    ...varint(graphHead.length + payload),
    ...graphHead,
  ]);
  const tail = Uint8Array.from(field(MODEL.opsetImport, [OPSET.version * 8, 17]));
  const source = counting({
    name: 'large.onnx',
    size: head.length + payload + tail.length,
    read(offset, length) {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) {
        const at = offset + i;
        const behind = at - head.length - payload;
        out[i] = at < head.length ? (head[at] ?? 0) : behind >= 0 ? (tail[behind] ?? 0) : 0;
      }
      return out;
    },
    close: () => {},
  });
  const model = readOnnx(source);
  assert.equal(signatureOf(model).parameterBytes, payload);
  const { graph } = importOnnx(model);
  const stored = graph.values.find((value) => value.name === 'w')?.constant;
  assert.ok(stored?.kind === 'file');
  assert.equal(stored.offset, head.length);
  assert.ok(source.bytesRead() < 64 * 1024, `${source.bytesRead()} bytes were read`);
});
