/** The batched Scan of opset 8: a running sum over the sequences of a batch, forwards and backwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { type RawGraph, type RawModel, rawModel } from './raw-model.ts';

const BODY: RawGraph = {
  nodes: [
    { op: 'Add', inputs: ['sum', 'item'], outputs: ['next'] },
    { op: 'Identity', inputs: ['next'], outputs: ['shown'] },
  ],
  inputs: [
    { name: 'sum', shape: [2] },
    { name: 'item', shape: [2] },
  ],
  outputs: [
    { name: 'next', shape: [2] },
    { name: 'shown', shape: [2] },
  ],
};

function model(direction: number, lengths: string): RawModel {
  return {
    opset: 8,
    nodes: [
      {
        op: 'Scan',
        name: 'scan',
        inputs: [lengths, 'start', 'x'],
        outputs: ['end', 'sums'],
        attrs: {
          body: { graph: BODY },
          num_scan_inputs: { int: 1 },
          directions: { ints: [direction] },
        },
      },
    ],
    inputs: [
      { name: 'start', shape: [2, 2] },
      { name: 'x', shape: [2, 3, 2] },
      ...(lengths === '' ? [] : [{ name: lengths, dtype: 'i64', shape: [2] } as const]),
    ],
    outputs: [
      { name: 'end', shape: [2, 2] },
      { name: 'sums', shape: [2, 3, 2] },
    ],
  };
}

const start = fromNumbers('f32', [2, 2], [0, 0, 100, 200]);
const x = fromNumbers('f32', [2, 3, 2], [1, 2, 3, 4, 5, 6, 1, 1, 2, 2, 3, 3]);

for (const [direction, sums] of [
  [0, [1, 2, 4, 6, 9, 12, 101, 201, 103, 203, 106, 206]],
  [1, [5, 6, 8, 10, 9, 12, 103, 203, 105, 205, 106, 206]],
] as const) {
  test(`every entry of a batch is scanned, direction ${direction}`, () => {
    const opened = readOnnx(memorySource(rawModel(model(direction, ''))));
    const { graph } = importOnnx(opened);
    const [end, all] = interpret(graph, [start, x]);
    assert.deepEqual([...toNumbers(end ?? start)], [9, 12, 106, 206]);
    assert.deepEqual(all?.shape, [2, 3, 2]);
    assert.deepEqual([...toNumbers(all ?? start)], sums);
  });
}

test('sequences with lengths of their own are refused by name', () => {
  const opened = readOnnx(memorySource(rawModel(model(0, 'lengths'))));
  assert.throws(
    () => importOnnx(opened),
    (error) =>
      error instanceof HoneError && /node scan \(Scan\).*sequence_lens/.test(error.message),
  );
});
