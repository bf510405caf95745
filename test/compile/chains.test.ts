/**
 * Long chains and wide nodes: neither the time to compile nor the C may grow much faster than the model, and
 * nothing may be written twice at every level.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { kernelUnits } from 'hone/compile/units';
import type { Graph, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import { opBuilder } from 'hone/ops/registry';
import { fromNumbers } from 'hone-runtime/base/tensor';

const CPU_MS = 10_000;
const ROWS = 4;
const COLUMNS = 6;

/** Compiles to C within the limits of a case of the model fuzzer. */
function compiles(graph: Graph, bytesPerNode: number): void {
  const before = process.cpuUsage();
  const { kernels, routines } = compileGraph(graph, { target: 'x86-64-v4-linux-gnu' });
  const units = kernelUnits(kernels, routines, 'chain');
  const { user, system } = process.cpuUsage(before);
  const bytes = units.reduce((sum, { text }) => sum + text.length, 0);
  const nodes = graph.nodes.length;
  assert.ok(bytes < 2000 + nodes * bytesPerNode, `${bytes} bytes of C for ${nodes} nodes`);
  const milliseconds = (user + system) / 1000;
  assert.ok(milliseconds < CPU_MS, `took ${milliseconds.toFixed(0)} ms of processor time`);
}

type Step = (b: OpBuilder, x: ValueId, i: number) => ValueId;

function matrix(b: OpBuilder): ValueId {
  return b.graph.input('x', { dtype: 'f32', shape: [ROWS, COLUMNS] });
}

function chain(length: number, step: Step, start: (b: OpBuilder) => ValueId = matrix): Graph {
  const b = opBuilder('chain');
  let x = start(b);
  for (let i = 0; i < length; i++) x = step(b, x, i);
  return b.graph.finish([x]);
}

const STARTS: Readonly<Record<string, (b: OpBuilder) => ValueId>> = {
  'an input': matrix,
  'a contraction': (b) => {
    const weights = Array.from({ length: COLUMNS * COLUMNS }, (_, i) => i / 36);
    const w = b.constant(fromNumbers('f32', [COLUMNS, COLUMNS], weights));
    return b.op('MatMul', [matrix(b), w]);
  },
  'a reduction': (b) => b.op('ReduceSum', [matrix(b), b.ints([1])]),
};

const STEPS: Readonly<Record<string, Step>> = {
  'a product with itself': (b, x) => b.op('Mul', [x, x]),
  SiLU: (b, x) => b.op('Mul', [x, b.op('Sigmoid', [x])]),
  GELU: (b, x) => b.op('Gelu', [x]),
  Where: (b, x, i) => b.op('Where', [b.op('Less', [x, b.scalar(i)]), x, b.op('Neg', [x])]),
  'the largest of three': (b, x) => b.op('Max', [x, b.op('Neg', [x]), b.scalar(0)]),
};

for (const [from, start] of Object.entries(STARTS)) {
  for (const [what, step] of Object.entries(STEPS)) {
    test(`200 times ${what} behind ${from}`, () => compiles(chain(200, step, start), 1000));
  }
}

const MOVES: Readonly<Record<string, Step>> = {
  'Gather by an input': (b, x, i) =>
    b.op('Gather', [x, b.graph.input(`i${i}`, { dtype: 'i64', shape: [ROWS] })]),
  'Gather by its own column': (b, x) => {
    const column = b.op('Gather', [x, b.scalar(0, 'i64')], { axis: 1 });
    return b.op('Gather', [x, b.op('Cast', [column], { to: 7 })]);
  },
  'Pad and Slice': (b, x) =>
    b.op('Slice', [
      b.op('Pad', [x, b.ints([0, 0, 1, 1])]),
      b.ints([0, 0]),
      b.ints([ROWS, COLUMNS]),
    ]),
  'Concat and Slice': (b, x) =>
    b.op('Slice', [b.op('Concat', [x, x], { axis: 0 }), b.ints([1]), b.ints([5]), b.ints([0])]),
};

for (const [what, step] of Object.entries(MOVES)) {
  test(`200 times ${what}`, () => compiles(chain(200, step), 1000));
}

test('indices behind indices, each read twice', () => {
  const b = opBuilder('indices');
  const list = (name: string): ValueId => b.graph.input(name, { dtype: 'i64', shape: [ROWS] });
  const table = matrix(b);
  let [sum, index, own] = [table, list('first'), list('own')];
  for (let i = 0; i < 100; i++) {
    index = b.op('Gather', [index, list(`i${i}`)]);
    own = b.op('Gather', [own, own]);
    sum = b.op('Add', [sum, b.op('Gather', [table, b.op('Add', [index, own])])]);
  }
  compiles(b.graph.finish([sum]), 2000);
});

test('a chain of 2,000 nodes and a node of 2,000 inputs', () => {
  compiles(
    chain(2000, (b, x, i) => b.op(i % 2 === 0 ? 'Relu' : 'Tanh', [x])),
    100,
  );
  for (const op of ['Concat', 'Sum', 'Max']) {
    const b = opBuilder(op);
    const inputs = Array.from({ length: 2000 }, (_, i) =>
      b.graph.input(`x${i}`, { dtype: 'f32', shape: [1, COLUMNS] }),
    );
    const out = b.op(op, inputs, op === 'Concat' ? { axis: 0 } : {});
    compiles(b.graph.finish([out]), 2_000_000);
  }
});
