/** What the importer makes of a model: shapes, names, folding, functions, branches, errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  analyzeOnnx,
  exportOnnx,
  type ImportOptions,
  importOnnx,
  readOnnx,
} from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { type RawModel, type RawNode, rawModel } from './raw-model.ts';
import { classifier, control, functions } from './sample-models.ts';

function read(bytes: Uint8Array) {
  return readOnnx(memorySource(bytes, 'm.onnx'));
}

function imported(model: RawModel | Uint8Array, options: ImportOptions = {}): Graph {
  const bytes = model instanceof Uint8Array ? model : rawModel(model);
  return verifyGraph(importOnnx(read(bytes), options).graph);
}

function refused(action: () => unknown, code: string, words: RegExp, cure = /./): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof HoneError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    assert.match(error.cure ?? '', cure);
    return true;
  });
}

const opsOf = (graph: Graph): string[] => graph.nodes.map((node) => node.op);
const outputName = (graph: Graph, i = 0): string | undefined =>
  graph.values[graph.outputs[i] ?? -1]?.name;
const relu = (input: string, output: string): RawNode => ({
  op: 'Relu',
  inputs: [input],
  outputs: [output],
});

test('shape arithmetic folds, pass-through nodes vanish, names stay', () => {
  const graph = imported(classifier());
  assert.deepEqual(opsOf(graph), [
    'Conv',
    'Relu',
    'GlobalAveragePool',
    'Reshape',
    'MatMul',
    'Softmax',
  ]);
  assert.deepEqual(
    graph.nodes.map((node) => node.name),
    ['Conv_0', 'relu', 'GlobalAveragePool_2', 'Reshape_7', 'MatMul_9', 'Softmax_10'],
  );
  assert.equal(outputName(graph), 'y');
  assert.equal(graph.inputs.length, 1);
});

test('open sizes: the leading one becomes 1 with a note, others need --shape', () => {
  const model = (shape: readonly (string | number | null)[]) =>
    rawModel({
      inputs: [{ name: 'x', shape }],
      outputs: [{ name: 'y' }],
      nodes: [relu('x', 'y')],
    });
  const result = importOnnx(read(model(['N', 3])));
  assert.deepEqual(result.graph.values[0]?.type.shape, [1, 3]);
  assert.equal(result.notes.length, 1);
  assert.match(result.notes[0] ?? '', /input x.*\(N\).*taken as 1/);
  assert.deepEqual(importOnnx(read(model([null, 3]))).graph.values[0]?.type.shape, [1, 3]);
  for (const first of ['N', null]) {
    const batch = importOnnx(read(model([first, 3])), { batch: 8 });
    assert.deepEqual(batch.graph.values[0]?.type.shape, [8, 3]);
    assert.deepEqual(batch.notes, []);
  }
  assert.deepEqual(imported(model([4, 3]), { batch: 4 }).values[0]?.type.shape, [4, 3]);
  assert.deepEqual(imported(model([4, 3]), { batch: 1 }).values[0]?.type.shape, [4, 3]);
  refused(() => imported(model([4, 3]), { batch: 8 }), 'HONE-SHAPE-016', /batch of 8.* are 4/);

  const image = model(['N', 3, 'H', null]);
  refused(() => imported(image), 'HONE-SHAPE-010', /x \[1,3,H,\?\]/, /--shape x=1x3x224x224/);
  const shape = (options: ImportOptions) => imported(image, options).values[0]?.type.shape;
  assert.deepEqual(shape({ shapes: { x: [2, 3, 8, 9] } }), [2, 3, 8, 9]);
  const square = model(['N', 3, 'H', 'H']);
  assert.deepEqual(imported(square, { dims: { H: 7 } }).values[0]?.type.shape, [1, 3, 7, 7]);
  const same = { shapes: { x: [1, 3, 7, 8] } };
  refused(() => imported(square, same), 'HONE-SHAPE-014', /H is 8 .* but 7/);
  const channels = { shapes: { x: [1, 4, 8, 8] } };
  refused(() => imported(image, channels), 'HONE-SHAPE-012', /does not fit/, /--shape x=/);
  refused(() => imported(image, { shapes: { x: [1, 3] } }), 'HONE-SHAPE-012', /1x3/);
  refused(() => imported(image, { shapes: { y: [1] } }), 'HONE-SHAPE-013', /named y/, /are x/);
  refused(() => imported(image, { dims: { W: 1 } }), 'HONE-SHAPE-013', /W/, /N, H/);
  const negative = { shapes: { x: [1, 3, -8, 8] } };
  refused(() => imported(image, negative), 'HONE-SHAPE-014', /-8/);
  const huge = { shapes: { x: [2 ** 30, 3, 2 ** 20, 8] } };
  refused(() => imported(image, huge), 'HONE-SHAPE-011', /too large/);
  const unknown = rawModel({
    inputs: [{ name: 'x' }],
    outputs: [{ name: 'y' }],
    nodes: [relu('x', 'y')],
  });
  refused(() => imported(unknown), 'HONE-SHAPE-015', /no shape/, /--shape x=/);
  assert.deepEqual(imported(unknown, { shapes: { x: [5] } }).values[0]?.type.shape, [5]);
});

test('symbols are shared between inputs', () => {
  const graph = imported({
    inputs: [
      { name: 'a', shape: ['N', 4] },
      { name: 'b', shape: [3, 'N'] },
    ],
    outputs: [{ name: 'y' }],
    nodes: [{ op: 'MatMul', inputs: ['b', 'a'], outputs: ['y'] }],
  });
  assert.deepEqual(graph.values[graph.outputs[0] ?? -1]?.type.shape, [3, 4]);
  assert.deepEqual(graph.values[graph.inputs[1] ?? -1]?.type.shape, [3, 1]);
});

test('outputs keep their names behind any chain of vanished nodes', () => {
  const identity = (input: string, output: string): RawNode => ({
    op: 'Identity',
    inputs: [input],
    outputs: [output],
  });
  const graph = imported({
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'k2' }],
    initializers: { k: fromNumbers('f32', [2], [1, 2]) },
    nodes: [
      relu('x', 'r'),
      identity('r', 's'),
      identity('s', 'a'),
      identity('a', 'b'),
      identity('x', 'c'),
      identity('k', 'k2'),
    ],
  });
  assert.deepEqual(opsOf(graph), ['Relu', 'Identity', 'Identity']);
  assert.deepEqual(
    graph.outputs.map((_, i) => outputName(graph, i)),
    ['a', 'b', 'c', 'k2'],
  );
  const result = interpret(graph, [fromNumbers('f32', [2], [-1, 5])]);
  assert.deepEqual(
    result.map((tensor) => [...tensor.data]),
    [
      [0, 5],
      [0, 5],
      [-1, 5],
      [1, 2],
    ],
  );
});

test('inputs with an initializer, and inputs given as constants, are constants', () => {
  const model: RawModel = {
    inputs: [
      { name: 'x', shape: [2, 2] },
      { name: 'target', dtype: 'i64', shape: [1] },
      { name: 'w', shape: [4] },
    ],
    outputs: [{ name: 'y' }],
    initializers: { w: fromNumbers('f32', [4], [1, 2, 3, 4]) },
    nodes: [
      { op: 'Reshape', inputs: ['x', 'target'], outputs: ['flat'] },
      { op: 'Add', inputs: ['flat', 'w'], outputs: ['y'] },
    ],
  };
  assert.equal(imported(model).inputs.length, 2);
  const graph = imported(model, { constants: { target: fromNumbers('i64', [1], [-1]) } });
  assert.equal(graph.inputs.length, 1);
  assert.deepEqual(graph.values[graph.outputs[0] ?? -1]?.type.shape, [4]);
  const wrong = { constants: { target: fromNumbers('f32', [1], [-1]) } };
  refused(() => imported(model, wrong), 'HONE-INPUT-002', /target is i64/);
});

test('large results, random and quantised values are not folded', () => {
  const constants = {
    shape: fromNumbers('i64', [2], [8192, 8192]),
    q: fromNumbers('i8', [2], [1, 2]),
    scale: fromNumbers('f32', [], [0.5]),
    small: fromNumbers('i64', [1], [3]),
  };
  const graph = imported({
    outputs: [{ name: 'big' }, { name: 'weights' }, { name: 'ones' }],
    initializers: constants,
    nodes: [
      { op: 'ConstantOfShape', inputs: ['shape'], outputs: ['big'] },
      { op: 'DequantizeLinear', inputs: ['q', 'scale'], outputs: ['weights'] },
      { op: 'ConstantOfShape', inputs: ['small'], outputs: ['ones'] },
    ],
  });
  assert.deepEqual(opsOf(graph), ['ConstantOfShape', 'DequantizeLinear']);
  assert.ok(graph.values[graph.outputs[2] ?? -1]?.constant);
});

test('functions are inlined with their attributes and absent arguments', () => {
  const graph = imported(functions());
  assert.deepEqual(opsOf(graph), ['LeakyRelu', 'Clip', 'Softmax', 'LeakyRelu', 'Clip', 'Softmax']);
  const [first, clip, softmax, second, , last] = graph.nodes;
  assert.equal(first?.attrs['alpha'], 0.25);
  assert.equal(first?.name, 'Scaled_0/LeakyRelu_0');
  assert.equal(clip?.inputs.length, 3);
  assert.equal(softmax?.attrs['axis'], 1);
  // The second call gives no slope: the operator's own default holds.
  assert.ok(Math.abs(Number(second?.attrs['alpha']) - 0.01) < 1e-6);
  assert.equal(last?.attrs['axis'], 0);
  assert.equal(outputName(graph), 'y');
});

test('functions that call themselves, or multiply without bound, are refused', () => {
  const call = (name: string, input: string, output: string): RawNode => ({
    op: name,
    domain: 'f',
    inputs: [input],
    outputs: [output],
  });
  const fn = (name: string, nodes: readonly RawNode[]) => ({
    name,
    domain: 'f',
    inputs: ['a'],
    outputs: ['o'],
    nodes,
  });
  const model = (list: RawModel['functions'], start: string): RawModel => ({
    inputs: [{ name: 'x', shape: [1] }],
    outputs: [{ name: 'y' }],
    domains: { f: 1 },
    functions: list ?? [],
    nodes: [call(start, 'x', 'y')],
  });
  const loop = model([fn('Self', [call('Self', 'a', 'o')])], 'Self');
  refused(() => imported(loop), 'HONE-ONNX-022', /deep/);
  const levels = Array.from({ length: 20 }, (_, i) =>
    fn(
      `L${i}`,
      Array.from({ length: 8 }, (_, k) => {
        const [from, to] = [k === 0 ? 'a' : `t${k}`, k === 7 ? 'o' : `t${k + 1}`];
        return i === 0 ? relu(from, to) : call(`L${i - 1}`, from, to);
      }),
    ),
  );
  refused(() => imported(model(levels, 'L19')), 'HONE-ONNX-022', /too many nodes/);
});

test('constant branches are inlined, others keep their graphs with captured values', () => {
  const graph = imported(control());
  assert.deepEqual(opsOf(graph), ['Add', 'If', 'Add']);
  const branch = graph.nodes[1];
  assert.equal(branch?.inputs.length, 2);
  assert.equal(branch?.attrs['captures'], 1);
  const x = fromNumbers('f32', [4], [1, 2, 3, 4]);
  const yes = fromNumbers('bool', [], [1]);
  const no = fromNumbers('bool', [], [0]);
  const taken = interpret(graph, [x, yes])[0];
  assert.deepEqual([...(taken?.data ?? [])], [4, 8, 12, 16]);
  const other = interpret(graph, [x, no])[0];
  assert.deepEqual([...(other?.data ?? [])], [3, 8, 15, 24]);
  // And the exporter gives the captured values their outer names back.
  const again = imported(exportOnnx(graph));
  assert.deepEqual(opsOf(again), opsOf(graph));
  assert.deepEqual(interpret(again, [x, no])[0]?.data, other?.data);
});

test('all unsupported operators are listed at once', () => {
  const node = (op: string, output: string, more: Partial<RawNode> = {}): RawNode => ({
    op,
    inputs: ['x'],
    outputs: [output],
    ...more,
  });
  const bytes = rawModel({
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [{ name: 'a' }],
    domains: { 'com.acme': 1 },
    nodes: [
      node('Frobnicate', 'a', { name: 'first' }),
      node('Frobnicate', 'b'),
      node('FancyNorm', 'c', { domain: 'com.acme' }),
      node('Relu', 'd'),
    ],
  });
  const words =
    /operators not supported: Frobnicate \(2 nodes: first, Frobnicate_1\); com\.acme:FancyNorm \(1 node: FancyNorm_2\)$/;
  refused(() => imported(bytes), 'HONE-ONNX-020', words);
  const analysis = analyzeOnnx(read(bytes));
  assert.equal(analysis.nodeCount, 4);
  assert.deepEqual(
    analysis.unsupported.map((use) => use.op),
    ['Frobnicate', 'FancyNorm'],
  );
  assert.notEqual(analysis.operators.find((use) => use.op === 'Relu')?.support, 'none');
});

test('invalid nodes are named', () => {
  const model = (node: RawNode, extra: readonly RawNode[] = []): RawModel => ({
    inputs: [{ name: 'x', shape: [2, 3] }],
    outputs: [{ name: 'y' }],
    nodes: [node, ...extra],
  });
  refused(() => imported(model(relu('nowhere', 'y'))), 'HONE-ONNX-018', /Relu_0.*"nowhere"/);
  refused(() => imported(model(relu('x', 'y'), [relu('x', 'y')])), 'HONE-ONNX-017', /y is made/);
  refused(() => imported(model(relu('x', 'z'))), 'HONE-ONNX-018', /output/);
  const softmax = (attrs: NonNullable<RawNode['attrs']>): RawModel =>
    model({ op: 'Softmax', inputs: ['x'], outputs: ['y'], attrs });
  refused(() => imported(softmax({ axis: { text: 'last' } })), 'HONE-ONNX-014', /axis.*int/);
  refused(() => imported(softmax({ axes: { int: 1 } })), 'HONE-OP-003', /axes/);
  const reference = { axis: { reference: 'a', type: 'int' as const } };
  refused(() => imported(softmax(reference)), 'HONE-ONNX-015', /not in a function/);
});

test('nodes may come in any order', () => {
  const chain = Array.from({ length: 20_000 }, (_, i) => ({
    op: i % 2 === 0 ? 'Neg' : 'Abs',
    inputs: [i === 0 ? 'x' : `v${i - 1}`],
    outputs: [i === 19_999 ? 'y' : `v${i}`],
  }));
  const model = (nodes: readonly RawNode[], extra: Partial<RawModel> = {}): RawModel => ({
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [{ name: 'y' }],
    nodes,
    ...extra,
  });
  const longest = read(rawModel(model([...chain].reverse())));
  assert.deepEqual(longest.graph.nodes.at(0)?.inputs, ['x']);
  assert.equal(longest.graph.positions?.[0], 19_999);

  const appended = [relu('b', 'c'), relu('a', 'y'), relu('x', 'a'), relu('a', 'b')];
  const graph = read(rawModel(model(appended))).graph;
  assert.deepEqual(graph.positions, [2, 3, 0, 1]);
  assert.equal(opsOf(imported(model(appended))).length, 4);
  assert.equal(read(rawModel(model([relu('x', 'a'), relu('a', 'y')]))).graph.positions, undefined);

  const twice = {
    name: 'Twice',
    domain: 'local',
    inputs: ['p'],
    outputs: ['q'],
    nodes: [
      { op: 'Neg', inputs: ['r'], outputs: ['q'] },
      { op: 'Abs', inputs: ['p'], outputs: ['r'] },
    ],
  };
  const call = { op: 'Twice', domain: 'local', inputs: ['x'], outputs: ['y'] };
  const called = imported(model([call], { domains: { local: 1 }, functions: [twice] }));
  assert.deepEqual(opsOf(called), ['Abs', 'Neg']);

  // What a branch reads of the graph around it counts as read by the node.
  const branch = (op: string): RawNode['attrs'] => ({
    graph: { graph: { nodes: [{ op, inputs: ['a'], outputs: ['z'] }], outputs: [{ name: 'z' }] } },
  });
  const choice: RawNode = {
    op: 'If',
    inputs: ['flag'],
    outputs: ['y'],
    attrs: {
      ['then_branch']: branch('Neg')?.['graph'] ?? { int: 0 },
      ['else_branch']: branch('Abs')?.['graph'] ?? { int: 0 },
    },
  };
  const inputs = [
    { name: 'x', shape: [2] },
    { name: 'flag', dtype: 'bool' as const, shape: [] },
  ];
  assert.deepEqual(opsOf(imported(model([choice, relu('x', 'a')], { inputs }))), ['Relu', 'If']);
});

test('nodes that read each other in a circle are named', () => {
  const circle: RawModel = {
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [{ name: 'y' }],
    nodes: [
      { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
      { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      relu('a', 'y'),
    ],
  };
  refused(() => imported(circle), 'HONE-ONNX-018', /"a"|"b"/, /reads what comes of it/);
});

test('old forms are upgraded', () => {
  const graph = imported({
    opset: 6,
    inputs: [{ name: 'x', shape: [2, 6] }],
    outputs: [{ name: 'y' }],
    nodes: [
      {
        op: 'Dropout',
        inputs: ['x'],
        outputs: ['d'],
        attrs: { is_test: { int: 1 }, ratio: { float: 0.5 } },
      },
      {
        op: 'Slice',
        inputs: ['d'],
        outputs: ['s'],
        attrs: { starts: { ints: [2] }, ends: { ints: [2 ** 63] }, axes: { ints: [1] } },
      },
      {
        op: 'Clip',
        inputs: ['s'],
        outputs: ['y'],
        attrs: { min: { float: 0 }, max: { float: 4 } },
      },
    ],
  });
  assert.deepEqual(opsOf(graph), ['Slice', 'Clip']);
  const x = fromNumbers(
    'f32',
    [2, 6],
    Array.from({ length: 12 }, (_, i) => i - 4),
  );
  const [y] = interpret(graph, [x]);
  assert.ok(y);
  assert.deepEqual([...toNumbers(y)], [0, 0, 0, 1, 4, 4, 4, 4]);
});
