/** Lists of unknown length that decide a rank: where it is found, and what is refused with which cure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { toNumbers } from 'hone-runtime/base/tensor';
import { type RawModel, rawModel, type RawValue } from '../onnx/raw-model.ts';
import { branch, f32, i64, node, scalar } from './cases.ts';

const X: RawValue = { name: 'x', dtype: 'f32', shape: [2, 3] };
const INPUTS: readonly RawValue[] = [
  X,
  { name: 'all', dtype: 'i64', shape: [2] },
  { name: 'n', dtype: 'i64', shape: [1] },
];
const CUT = node('Slice', ['all', 'zero', 'n'], ['axes']);
const SUM = node('ReduceSum', ['x', 'axes'], ['sum'], { keepdims: { int: 0 } });
const STATED: RawValue = { name: 'sum', dtype: 'f32', shape: [null] };

function model(rest: Pick<RawModel, 'nodes' | 'outputs'> & Partial<RawModel>): RawModel {
  return { opset: 18, inputs: INPUTS, initializers: { zero: i64(0) }, ...rest };
}

function graphOf(source: RawModel, bounds = {}): Graph {
  const bytes = rawModel(source);
  const { graph } = importOnnx(readOnnx(memorySource(bytes, 'lists.onnx')), { bounds });
  return verifyGraph(graph);
}

const VALUES = f32([2, 3], [1, 2, 3, 4, 5, 6]);

function sums(graph: Graph, ...more: Parameters<typeof interpret>[1]): void {
  for (const [axis, wanted] of [
    [0, [5, 7, 9]],
    [-1, [6, 15]],
  ] as const) {
    const [y] = interpret(graph, [VALUES, i64(axis, 9), i64(1), ...more]);
    assert.ok(y);
    assert.deepEqual(y.shape, [wanted.length]);
    assert.deepEqual([...toNumbers(y)], wanted);
  }
  assert.throws(
    () => interpret(graph, [VALUES, i64(0, 1), i64(2), ...more]),
    (error) => error instanceof HoneError && error.code === 'HONE-RUN-010',
  );
}

test('stated of a value inside, and through nodes that vanish', () => {
  const relu = node('Relu', ['sum'], ['y']);
  sums(graphOf(model({ nodes: [CUT, SUM, relu], outputs: [{ name: 'y' }], valueInfo: [STATED] })));
  const same = node('Identity', ['sum'], ['y']);
  sums(graphOf(model({ nodes: [CUT, SUM, same], outputs: [{ ...STATED, name: 'y' }] })));
});

test('stated in a function, or of what a function gives', () => {
  const call = { ...node('Sum1', ['x', 'axes'], ['y']), domain: 'local' };
  const relu = node('Relu', ['sum'], ['relu']);
  const made = { name: 'Sum1', domain: 'local', inputs: ['x', 'axes'], opset: 18 };
  const domains = { local: 1 };
  const nodes = [CUT, call];
  const outputs = [{ name: 'y' }];
  const inside = { ...made, outputs: ['relu'], nodes: [SUM, relu], valueInfo: [STATED] };
  sums(graphOf(model({ nodes, outputs, domains, functions: [inside] })));
  const outside = { ...made, outputs: ['sum'], nodes: [SUM] };
  const stated = [{ ...STATED, name: 'y' }];
  sums(graphOf(model({ nodes, outputs: stated, domains, functions: [outside] })));
});

test('stated in a branch, or of what an If gives', () => {
  const inputs = [...INPUTS, { name: 'yes', dtype: 'bool', shape: [] } as const];
  const initializers = { zero: i64(0), flat: i64(-1) };
  const yes = { nodes: [SUM], outputs: [STATED] };
  const no = {
    nodes: [node('Reshape', ['x', 'flat'], ['whole'])],
    outputs: [{ ...STATED, name: 'whole' }],
  };
  const nodes = [CUT, branch('yes', ['y'], yes, no)];
  const isYes = scalar(1, 'bool');
  sums(graphOf(model({ inputs, initializers, nodes, outputs: [{ name: 'y' }] })), isYes);
  const bare = { ...yes, outputs: [{ name: 'sum' }] };
  const given = [CUT, branch('yes', ['y'], bare, no)];
  const stated = [{ ...STATED, name: 'y' }];
  sums(graphOf(model({ inputs, initializers, nodes: given, outputs: stated })), isYes);
});

test('stated in the body of a loop', () => {
  const inputs = [...INPUTS, { name: 'trips', dtype: 'i64', shape: [] } as const];
  const body = {
    inputs: [
      { name: 'i', dtype: 'i64', shape: [] },
      { name: 'on', dtype: 'bool', shape: [] },
      { name: 'before', dtype: 'f32', shape: [] },
    ] as const,
    nodes: [
      SUM,
      node('ReduceMax', ['sum'], ['most'], { keepdims: { int: 0 } }),
      node('Add', ['before', 'most'], ['now']),
      node('Identity', ['on'], ['still']),
    ],
    outputs: [
      { name: 'still', dtype: 'bool', shape: [] },
      { name: 'now', dtype: 'f32', shape: [] },
    ] as const,
    valueInfo: [STATED],
  };
  const graph = graphOf(
    model({
      inputs,
      initializers: { zero: i64(0), none: f32([], [0]) },
      nodes: [CUT, node('Loop', ['trips', '', 'none'], ['y'], { body: { graph: body } })],
      outputs: [{ name: 'y', dtype: 'f32', shape: [] }],
    }),
  );
  for (const [axis, most] of [
    [0, 9],
    [1, 15],
  ] as const) {
    const [y] = interpret(graph, [VALUES, i64(axis, 9), i64(1), scalar(3)]);
    assert.ok(y);
    assert.deepEqual([...toNumbers(y)], [3 * most]);
  }
});

test('given by a bound whose ends meet', () => {
  const source = model({ nodes: [CUT, SUM], outputs: [{ name: 'sum' }] });
  const graph = graphOf(source, { 'axes[0]': { min: 1, max: 1 } });
  sums(graph);
});

test('refused with the cures', () => {
  for (const [op, output] of [
    [SUM, 'sum'],
    [node('Squeeze', ['x', 'axes'], ['y']), 'y'],
    [node('Unsqueeze', ['x', 'axes'], ['y']), 'y'],
    [node('Reshape', ['x', 'axes'], ['y']), 'y'],
    [node('ConstantOfShape', ['axes'], ['y']), 'y'],
  ] as const) {
    assert.throws(
      () => graphOf(model({ nodes: [CUT, op], outputs: [{ name: output }] })),
      (error) => {
        assert.ok(error instanceof HoneError);
        assert.equal(error.code, 'HONE-SHAPE-002');
        assert.match(error.message, /the rank of the result follows from the (axes|shape), whose/);
        assert.ok(error.cure?.includes(`state a shape for ${output} in the model`), error.cure);
        assert.ok(error.cure?.includes('--bound axes[0]=N..N'), error.cure);
        return true;
      },
    );
  }
});

test('a stated rank that cannot be is an error of the model', () => {
  const outputs = [{ name: 'sum', dtype: 'f32', shape: [1, 2, 3, 4] } as const];
  assert.throws(
    () => graphOf(model({ nodes: [CUT, SUM], outputs })),
    (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-001',
  );
});
