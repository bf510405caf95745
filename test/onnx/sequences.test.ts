/** Sequences and optionals: what the importer makes of them, and what it asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImportOptions, importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { type RawModel, type RawNode, rawModel } from './raw-model.ts';

function imported(model: RawModel, options: ImportOptions = {}) {
  const { graph, notes } = importOnnx(readOnnx(memorySource(rawModel(model), 'm.onnx')), options);
  return { graph: verifyGraph(graph), notes };
}

function outputs(graph: Graph, inputs: readonly Tensor[]): Record<string, number[]> {
  const tensors = interpret(graph, inputs);
  return Object.fromEntries(
    graph.outputs.map((id, i) => [valueById(graph, id).name, [...toNumbers(tensors[i] as Tensor)]]),
  );
}

function refused(model: RawModel, options: ImportOptions, code: string, cure: RegExp): void {
  assert.throws(
    () => imported(model, options),
    (error) => error instanceof HoneError && error.code === code && cure.test(error.cure ?? ''),
  );
}

const node = (
  op: string,
  inputs: string[],
  out: string[],
  attrs: RawNode['attrs'] = {},
): RawNode => ({
  op,
  inputs,
  outputs: out,
  attrs,
});
const floats = (...values: number[]): Tensor => fromNumbers('f32', [values.length], values);
const index = (value: number): Tensor => fromNumbers('i64', [], [value]);
const sequence = { container: 'sequence', shape: ['n'] } as const;

test('operators on sequences leave the tensors alone', () => {
  const { graph } = imported({
    inputs: [{ name: 'x', shape: [5] }],
    outputs: [
      { name: 'two', shape: [2] },
      { name: 'all', shape: [7] },
      { name: 'count', dtype: 'i64', shape: [] },
    ],
    initializers: { size: index(2), last: index(-1), first: index(0), more: floats(8, 9) },
    nodes: [
      node('SplitToSequence', ['x', 'size'], ['parts']),
      node('SequenceInsert', ['parts', 'more', 'first'], ['longer']),
      node('SequenceErase', ['parts', 'last'], ['shorter']),
      node('SequenceAt', ['shorter', 'last'], ['two']),
      node('ConcatFromSequence', ['longer'], ['all'], { axis: { int: 0 } }),
      node('SequenceLength', ['shorter'], ['count']),
    ],
  });
  assert.deepEqual(outputs(graph, [floats(1, 2, 3, 4, 5)]), {
    two: [3, 4],
    all: [8, 9, 1, 2, 3, 4, 5],
    count: [2],
  });
});

const mapped: RawModel = {
  opset: 18,
  inputs: [{ name: 'x', ...sequence }],
  outputs: [{ name: 'y', ...sequence }],
  nodes: [
    node('SequenceMap', ['x'], ['y'], {
      body: {
        graph: {
          nodes: [node('Neg', ['a'], ['b'])],
          inputs: [{ name: 'a', shape: ['n'] }],
          outputs: [{ name: 'b', shape: ['n'] }],
        },
      },
    }),
  ],
};

test('a sequence among the inputs is its tensors, whose shapes are given', () => {
  const shapes = { 'x.0': [1], 'x.1': [2] };
  const { graph, notes } = imported(mapped, { shapes });
  assert.deepEqual(outputs(graph, [floats(1), floats(2, 3)]), { 'y.0': [-1], 'y.1': [-2, -3] });
  assert.match(notes.join(), /output y is a sequence: it is given as y\.0, y\.1/);
  refused(mapped, {}, 'HONE-ONNX-019', /--shape x\.0=2x3/);
});

test('an optional is present when its shape is given', () => {
  const model: RawModel = {
    opset: 18,
    inputs: [{ name: 'x', container: 'optional', shape: ['n'] }],
    outputs: [{ name: 'has', dtype: 'bool', shape: [] }],
    nodes: [node('OptionalHasElement', ['x'], ['has'])],
  };
  assert.deepEqual(outputs(imported(model, { shapes: { x: [2] } }).graph, [floats(1, 2)]), {
    has: [1],
  });
  const { graph, notes } = imported(model);
  assert.deepEqual(outputs(graph, []), { has: [0] });
  assert.match(notes.join(), /x is optional and was taken as absent/);
});

/** Appends x[0 … i] for every iteration i. */
const growing = (trips: RawModel['initializers'] | undefined): RawModel => ({
  opset: 16,
  inputs: [
    { name: 'x', shape: [3] },
    ...(trips === undefined ? [{ name: 'trips', dtype: 'i64', shape: [] } as const] : []),
  ],
  outputs: [{ name: 'all', shape: [6] }],
  initializers: { ...trips, zero: fromNumbers('i64', [1], [0]), one: fromNumbers('i64', [1], [1]) },
  nodes: [
    node('SequenceEmpty', [], ['none']),
    node('Loop', ['trips', '', 'none'], ['list'], {
      body: {
        graph: {
          nodes: [
            node('Reshape', ['i', 'one'], ['row']),
            node('Add', ['row', 'one'], ['end']),
            node('Slice', ['x', 'zero', 'end'], ['part']),
            node('SequenceInsert', ['before', 'part'], ['after']),
            node('Identity', ['go'], ['on']),
          ],
          inputs: [
            { name: 'i', dtype: 'i64', shape: [] },
            { name: 'go', dtype: 'bool', shape: [] },
            { name: 'before', ...sequence },
          ],
          outputs: [
            { name: 'on', dtype: 'bool', shape: [] },
            { name: 'after', ...sequence },
          ],
        },
      },
    }),
    node('ConcatFromSequence', ['list'], ['all'], { axis: { int: 0 } }),
  ],
});

test('a loop over a sequence is written out where its length is known', () => {
  const { graph } = imported(growing({ trips: index(3) }));
  assert.deepEqual(outputs(graph, [floats(1, 2, 3)]), { all: [1, 1, 2, 1, 2, 3] });
  refused(growing(undefined), {}, 'HONE-SHAPE-002', /fixed number of iterations/);
});

test('positions that depend on data, and those outside, are refused', () => {
  const at = (position: RawModel['initializers'], inputs: RawModel['inputs'] = []): RawModel => ({
    inputs: [{ name: 'x', shape: [2] }, ...inputs],
    outputs: [{ name: 'y', shape: [1] }],
    initializers: { ...position },
    nodes: [
      node('SplitToSequence', ['x'], ['parts']),
      node('SequenceAt', ['parts', 'where'], ['y']),
    ],
  });
  refused(at({ where: index(2) }), {}, 'HONE-ONNX-016', /export/);
  refused(at({}, [{ name: 'where', dtype: 'i64', shape: [] }]), {}, 'HONE-SHAPE-002', /position/);
});
