/**
 * Loops that count have the number of iterations that onnxruntime runs, found while they are imported, and
 * exact shapes; those that data ends stay what they are.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { subgraphs } from 'hone/graph/verify';
import type { Graph } from 'hone/graph/types';
import { inputOf } from 'hone/ops/builder';
import { knownTrips } from 'hone/ops/control/loop';
import { interpret } from 'hone/ops/interpret';
import { memorySource } from 'hone-runtime/base/io';
import { type RawGraph, rawModel } from '../onnx/raw-model.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { f32, node, scalar, truth } from './cases.ts';
import { COUNTED_CASES } from './counted-cases.ts';
import { check, open, type Opened } from './peer.ts';

/** Of the loops of a graph, outer ones first; null: not known. */
function tripsIn(graph: Graph): readonly (number | null)[] {
  return graph.nodes.flatMap((item) => {
    const bodies = Object.values(item.attrs).flatMap(subgraphs);
    const [body] = bodies;
    const inner = bodies.flatMap(tripsIn);
    if (item.op !== 'Loop' || body === undefined) return inner;
    const ends = item.inputs
      .slice(0, 2)
      .map((id) => (id === null ? null : inputOf(graph.values[id] ?? assert.fail('no value'))));
    return [knownTrips(ends, body) ?? null, ...inner];
  });
}

const opened: Opened[] = [];
for (const item of COUNTED_CASES) {
  test(`${item.name}: as onnxruntime computes it`, async () => {
    const found = await open(item);
    assert.deepEqual(tripsIn(found.graph), item.trips);
    const isStatic = !item.trips.includes(null);
    assert.equal(found.graph.extents === undefined, isStatic, 'exact sizes');
    item.runs.forEach((inputs, run) => {
      check(`run ${run}`, interpret(found.graph, inputs), found.wanted[run] ?? []);
    });
    opened.push(found);
  });
}

test('compiled: the same, on poisoned memory', async () => {
  const library = await mergedLibrary(opened.map(({ graph }) => compileGraph(graph)));
  try {
    for (const run of [0, 1, 2]) {
      const inputs = opened.map(({ item }) => item.runs[run % item.runs.length] ?? []);
      library.run(inputs, { threads: 2, poison: true }).forEach(({ outputs, damage }, g) => {
        const { item, wanted } = opened[g] ?? assert.fail('no such model');
        assert.equal(damage, undefined, item.name);
        check(`${item.name}, run ${run}`, outputs, wanted[run % item.runs.length] ?? []);
      });
    }
  } finally {
    library.close();
  }
});

/** Counts to `limit` by `step`, and stacks its numbers. */
function counting(limit: number, step: number): Graph {
  const body: RawGraph = {
    inputs: [{ name: 'i', dtype: 'i64', shape: [] }, truth('on'), { name: 'n', shape: [] }],
    nodes: [
      node('Add', ['n', 'step'], ['next']),
      node('Less', ['next', 'limit'], ['again']),
      node('Mul', ['next', 'x'], ['row']),
    ],
    outputs: [truth('again'), { name: 'next', shape: [] }, { name: 'row', shape: [] }],
  };
  const bytes = rawModel({
    opset: 18,
    inputs: [{ name: 'x', shape: [] }],
    outputs: [{ name: 'rows', shape: [null] }],
    initializers: {
      zero: f32([], [0]),
      step: f32([], [step]),
      limit: f32([], [limit]),
      yes: scalar(1, 'bool'),
    },
    nodes: [node('Loop', ['', 'yes', 'zero'], ['last', 'rows'], { body: { graph: body } })],
  });
  return importOnnx(readOnnx(memorySource(bytes, 'counting.onnx'))).graph;
}

test('counters of floats are those of f32; what does not end soon stays as it is', () => {
  // In f32 ten tenths are more than 1.
  let [sum, count] = [0, 0];
  do {
    sum = Math.fround(sum + Math.fround(0.1));
    count++;
  } while (sum < 1);
  assert.deepEqual(tripsIn(counting(1, 0.1)), [count]);
  assert.deepEqual(tripsIn(counting(9000, 1)), [9000]);
  assert.deepEqual(tripsIn(counting(1, 0)), [null]);
});
