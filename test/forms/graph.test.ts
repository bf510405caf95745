/** Graph text: exact round trips, what is refused; the verifier. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from 'hone-runtime/base/io';
import { seededRandom } from 'hone-runtime/base/random';
import { type DType, DTYPES } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { GraphBuilder } from 'hone/graph/build';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import { printTensor, readTensor, tensorDigest } from 'hone/graph/tensor-text';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { Scanner } from 'hone/expr/scanner';

const F32 = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;

function rich(): Graph {
  const inner = new GraphBuilder('then branch');
  const t = inner.input('t', F32(2));
  const branch = inner.finish(inner.node({ op: 'Neg', inputs: [t], attrs: {}, types: [F32(2)] }));
  const b = new GraphBuilder('main');
  const early = b.constant(fromNumbers('f32', [2], [0.1, -0]), 'early');
  const x = b.input('x', F32(1, 4));
  const weird = b.input('in "put"', F32(2));
  const [a, z] = b.node({
    op: 'Split',
    name: '/model/Split',
    inputs: [x, null],
    attrs: { axis: 1, mode: 'a "b"', ratio: 0.5, list: [1, -2], words: ['p', 'q'], none: [] },
    types: [F32(1, 2), F32(1, 2)],
    outputNames: ['/model/Split_output_0', 'z'],
  });
  b.constant(fromNumbers('i64', [], [7]), 'unused');
  const [c] = b.node({
    op: 'Fused',
    domain: 'com.example',
    name: 'f',
    inputs: [a as number, z as number, early, weird],
    attrs: {
      value: fromNumbers('f16', [2], [1.5, Number.NaN]),
      body: branch,
      branches: [branch, branch],
    },
    types: [{ dtype: 'i8', shape: [] }],
  });
  const source = memorySource(new Uint8Array(64), 'model.onnx');
  b.storedConstant({ kind: 'file', source, offset: 16 }, F32(8), 'stored');
  b.node({ op: 'Sink', inputs: [c as number], attrs: {}, types: [] });
  return b.finish([c as number, x, c as number]);
}

function sourcesOf(graph: Graph) {
  return (name: string) =>
    graph.values
      .map((value) => value.constant)
      .flatMap((constant) => (constant?.kind === 'file' ? [constant.source] : []))
      .find((source) => source.name === name);
}

test('a graph reads back equal', () => {
  const graph = verifyGraph(rich());
  const text = printGraph(graph, { constants: 'full' });
  const again = parseGraph(text, { sourceOf: sourcesOf(graph) });
  assert.deepEqual(again, graph);
  assert.equal(printGraph(again, { constants: 'full' }), text);
});

test('the text is what the documentation shows', () => {
  const b = new GraphBuilder();
  const x = b.input('x', F32(1, 4, 4, 8));
  const w = b.constant(fromNumbers('f32', [8], new Array(8).fill(1)), 'b');
  const y = b.node({ op: 'Add', name: 'y', inputs: [x, w], attrs: {}, types: [F32(1, 4, 4, 8)] });
  const expected = `graph main(%x: f32[1,4,4,8]) {
  %b = const f32[8] splat 1
  %y: f32[1,4,4,8] = Add(%x, %b)
  return %y
}
`;
  assert.equal(printGraph(b.finish(y)), expected);
});

test('tensors of every dtype read back bit for bit', () => {
  const random = seededRandom(5);
  const read = (text: string): Tensor => readTensor(new Scanner(text));
  for (const dtype of DTYPES) {
    for (const count of [0, 1, 3, 40]) {
      const tensor = sample(dtype, count, () => random.normal() * 40);
      assert.deepEqual(read(printTensor(tensor, { constants: 'full' })), tensor, dtype);
    }
  }
  const odd = { dtype: 'f16', shape: [2], data: Uint16Array.of(0x7e01, 0x3c00) } as const;
  assert.deepEqual(read(printTensor(odd)), odd);
});

function sample(dtype: DType, count: number, next: () => number): Tensor {
  const numbers = Array.from({ length: count }, next);
  if (dtype === 'string') return { dtype, shape: [count], data: numbers.map((n) => `"${n}`) };
  return fromNumbers(dtype, [count], numbers);
}

test('large constants are digests, found again by digest', () => {
  const big = fromNumbers(
    'f32',
    [100],
    Array.from({ length: 100 }, (_, i) => i / 3),
  );
  const b = new GraphBuilder();
  const graph = b.finish([b.constant(big, 'big')]);
  const text = printGraph(graph);
  assert.match(text, /digest "[0-9a-f]{32}"/);
  const tensorOf = (digest: string) => (digest === tensorDigest(big) ? big : undefined);
  assert.deepEqual(parseGraph(text, { tensorOf }), graph);
  assert.throws(() => parseGraph(text), { code: 'HONE-PARSE-001' });
});

test('bad text is refused', () => {
  const texts = [
    'graph g(%x: f32[1]) { return %y }',
    'graph g(%x) { return %x }',
    'graph g(%x: f32[1]) { %x: f32[1] = Neg(%x) return %x }',
    'graph g(%x: f32[1]) { %y = Neg(%x) return %y }',
    'graph g() { %c = const u8[1] {300} return %c }',
    'graph g() { %c = const f32[2] {1} return %c }',
    'graph g() { %c = const f32[1] file 0 "a" return %c }',
    'graph g(%x@3: f32[1]) { return %x }',
    'graph g() { return',
  ];
  for (const text of texts) assert.throws(() => parseGraph(text), { code: 'HONE-PARSE-001' }, text);
});

test('the verifier names what is wrong', () => {
  const good = rich();
  const cases: readonly (readonly [Graph, string])[] = [
    [{ ...good, values: good.values.slice(1) }, 'HONE-GRAPH-001'],
    [{ ...good, values: good.values.map((v) => ({ ...v, name: 'same' })) }, 'HONE-GRAPH-002'],
    [{ ...good, inputs: [...good.inputs, 99] }, 'HONE-GRAPH-003'],
    [{ ...good, inputs: [...good.inputs, ...good.inputs] }, 'HONE-GRAPH-004'],
    [{ ...good, nodes: [...good.nodes].reverse() }, 'HONE-GRAPH-005'],
    [{ ...good, nodes: good.nodes.slice(1, 1) }, 'HONE-GRAPH-006'],
    [{ ...good, outputs: [99] }, 'HONE-GRAPH-007'],
  ];
  for (const [graph, code] of cases) assert.throws(() => verifyGraph(graph), { code });
});
