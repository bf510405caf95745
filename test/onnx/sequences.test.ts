/** Sequences and optionals: what the importer makes of them, and what it asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImportOptions, importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { sequenceOf } from 'hone-runtime';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { type RawGraph, type RawModel, type RawNode, rawModel } from './raw-model.ts';

function imported(model: RawModel, options: ImportOptions = {}) {
  const made = importOnnx(readOnnx(memorySource(rawModel(model), 'm.onnx')), options);
  return { ...made, graph: verifyGraph(made.graph) };
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
const appending: RawGraph = {
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
};

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
      body: { graph: appending },
    }),
    node('ConcatFromSequence', ['list'], ['all'], { axis: { int: 0 } }),
  ],
});

test('a loop over a sequence is written out where its length is known', () => {
  const { graph } = imported(growing({ trips: index(3) }));
  assert.deepEqual(outputs(graph, [floats(1, 2, 3)]), { all: [1, 1, 2, 1, 2, 3] });
});

test('a loop over a sequence that nothing bounds is planned for an assumed number of iterations', () => {
  const { graph, bounds } = imported(growing(undefined), { bounds: { trips: 5 } });
  assert.deepEqual(bounds, [
    { tensor: 'trips', most: [5], assumed: false, node: '', option: 'trips=5' },
  ]);
  const x = floats(1, 2, 3);
  const { all } = run(graph, [x, index(3)]);
  assert.deepEqual([...toNumbers(all as Tensor)], [1, 1, 2, 1, 2, 3]);
  assert.throws(() => run(graph, [x, index(6)]), { code: 'HONE-RUN-010' });
  const { notes } = imported(growing(undefined));
  assert.match(notes.join(), /ASSUMED: nothing bounds the size of list .* --bound trips=1024/);
});

/** The same, at most three times, with the sequence among the outputs. */
function given(element: readonly (number | string)[], row: readonly RawNode[]): RawModel {
  const model = growing(undefined);
  const [empty, loop] = model.nodes as [RawNode, RawNode];
  const graph: RawGraph = {
    ...appending,
    nodes: [...appending.nodes.slice(0, 2), ...row, ...appending.nodes.slice(3)],
  };
  return {
    ...model,
    outputs: [{ name: 'list', container: 'sequence', shape: element }],
    initializers: { ...model.initializers, most: index(3) },
    nodes: [
      node('Min', ['trips', 'most'], ['limit']),
      empty,
      { ...loop, inputs: ['limit', '', 'none'], attrs: { body: { graph } } },
    ],
  };
}

function run(graph: Graph, inputs: readonly Tensor[]): Record<string, Tensor> {
  const tensors = interpret(graph, inputs);
  return Object.fromEntries(
    tensors.map((tensor, i) => [valueById(graph, graph.outputs[i] ?? -1).name, tensor]),
  );
}

test('a sequence whose length depends on data is rows, and the shape of each', () => {
  const part = node('Slice', ['x', 'zero', 'end'], ['part']);
  const { graph, notes } = imported(given(['n'], [part]));
  assert.match(notes.join('; '), /list is a sequence whose length .* given as list, list\.sizes/);
  for (const trips of [0, 1, 2, 7]) {
    const made = run(graph, [floats(1, 2, 3), index(trips)]);
    const count = Math.min(trips, 3);
    assert.deepEqual(made['list']?.shape, [count, 3]);
    assert.deepEqual(made['list.sizes']?.shape, [count, 1]);
    const lists = sequenceOf(made, 'list').map((tensor) => [...toNumbers(tensor)]);
    assert.deepEqual(lists, [[1], [1, 2], [1, 2, 3]].slice(0, count));
  }
});

test('of elements of one shape, such a sequence is its rows', () => {
  const twice = node('Concat', ['x', 'x'], ['part'], { axis: { int: 0 } });
  const { graph } = imported(given([6], [twice]));
  for (const trips of [0, 2]) {
    const made = run(graph, [floats(1, 2, 3), index(trips)]);
    assert.deepEqual(Object.keys(made), ['list']);
    const lists = sequenceOf(made, 'list').map((tensor) => [...toNumbers(tensor)]);
    assert.deepEqual(lists, new Array(trips).fill([1, 2, 3, 1, 2, 3]));
  }
});

test('of a known length, a sequence is its tensors', () => {
  const { graph } = imported(mapped, { shapes: { 'x.0': [1], 'x.1': [2] } });
  const made = run(graph, [floats(1), floats(2, 3)]);
  assert.deepEqual(
    sequenceOf(made, 'y').map(({ shape }) => shape),
    [[1], [2]],
  );
  assert.deepEqual(sequenceOf(made, 'z'), []);
});

/** Positions that are data are checked when the model runs. */
const changed: Readonly<Record<string, RawNode[]>> = {
  SequenceAt: [node('SequenceAt', ['parts', 'where'], ['y'])],
  SequenceErase: [
    node('SequenceErase', ['parts', 'where'], ['rest']),
    node('ConcatFromSequence', ['rest'], ['y'], { axis: { int: 0 } }),
  ],
  SequenceInsert: [
    node('SequenceInsert', ['parts', 'x', 'where'], ['rest']),
    node('ConcatFromSequence', ['rest'], ['y'], { axis: { int: 0 } }),
  ],
};

for (const [op, nodes] of Object.entries(changed)) {
  test(`${op} at a position outside is refused, or a fault of the run`, () => {
    const model: RawModel = {
      inputs: [{ name: 'x', shape: [2] }],
      outputs: [{ name: 'y', shape: [null] }],
      nodes: [node('SplitToSequence', ['x'], ['parts']), ...nodes],
    };
    refused({ ...model, initializers: { where: index(3) } }, {}, 'HONE-ONNX-016', /export/);
    const where = { name: 'where', dtype: 'i64', shape: [] } as const;
    const { graph } = imported({ ...model, inputs: [...(model.inputs ?? []), where] });
    for (const outside of [3, -3]) {
      assert.throws(() => run(graph, [floats(1, 2), index(outside)]), { code: 'HONE-RUN-010' });
    }
    for (const inside of [0, 1, -1, -2]) run(graph, [floats(1, 2), index(inside)]);
  });
}

test('an optional without a value is a fault of the run where it is read', () => {
  const float = { valueType: { shape: [2] } } as const;
  const model: RawModel = {
    opset: 18,
    inputs: [
      { name: 'x', shape: [2] },
      { name: 'which', dtype: 'bool', shape: [] },
    ],
    outputs: [
      { name: 'maybe', container: 'optional', shape: [2] },
      { name: 'y', shape: [2] },
    ],
    nodes: [
      node('If', ['which'], ['maybe'], {
        then_branch: {
          graph: {
            nodes: [node('Optional', ['x'], ['some'])],
            outputs: [{ name: 'some', container: 'optional', shape: [2] }],
          },
        },
        else_branch: {
          graph: {
            nodes: [node('Optional', [], ['none'], { type: float })],
            outputs: [{ name: 'none', container: 'optional', shape: [2] }],
          },
        },
      }),
      node('OptionalGetElement', ['maybe'], ['y']),
    ],
  };
  const { graph } = imported(model);
  const which = (value: number): Tensor => fromNumbers('bool', [], [value]);
  const made = run(graph, [floats(1, 2), which(1)]);
  assert.deepEqual(Object.keys(made), ['maybe', 'maybe.present', 'y']);
  assert.deepEqual([...toNumbers(made['maybe'] as Tensor)], [1, 2]);
  assert.deepEqual([...toNumbers(made['maybe.present'] as Tensor)], [1]);
  assert.throws(() => run(graph, [floats(1, 2), which(0)]), { code: 'HONE-RUN-010' });
});
