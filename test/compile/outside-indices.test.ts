/** Indices that are data are checked in every axis, one of length 1 too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import type { Attrs } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';

const USES = [
  { op: 'Gather', shape: [1, 4], chosen: [2], attrs: {} },
  { op: 'Gather', shape: [3, 1], chosen: [], attrs: { axis: 1 } },
  { op: 'Gather', shape: [1], chosen: [], attrs: {} },
  { op: 'GatherElements', shape: [1, 4], chosen: [2, 4], attrs: {} },
  { op: 'GatherND', shape: [1, 4], chosen: [1, 1], attrs: {} },
] as const;

interface Chosen {
  readonly op: string;
  readonly inputs: readonly (Tensor | null)[];
  /** Which input is given when the library runs, and what it may and may not hold. */
  readonly place: number;
  readonly allowed: readonly number[];
  readonly outside: readonly number[];
  readonly attrs?: Attrs;
}

const ones = (dtype: DType, shape: readonly number[]): Tensor =>
  fromNumbers(dtype, shape, new Float64Array(elementCount(shape)).fill(1));

const LENGTHS: readonly Chosen[] = [
  ...['RNN', 'GRU', 'LSTM'].map((op, i): Chosen => {
    const rows = [1, 3, 4][i] ?? 1;
    const weights = [ones('f32', [1, rows, 1]), ones('f32', [1, rows, 1])];
    const inputs = [ones('f32', [3, 2, 1]), ...weights, null, ones('i32', [2])];
    return { op, inputs, place: 4, allowed: [0, 3], outside: [4, -1] };
  }),
  {
    op: 'ReverseSequence',
    inputs: [ones('f32', [3, 2]), ones('i64', [2])],
    place: 1,
    allowed: [0, 3],
    outside: [4, -1],
  },
  {
    op: 'TensorScatter',
    inputs: [ones('f32', [1, 3, 1]), ones('f32', [1, 2, 1]), ones('i64', [1])],
    place: 2,
    allowed: [0, 1],
    outside: [2, -1],
  },
  {
    op: 'TensorScatter',
    inputs: [ones('f32', [1, 3, 1]), ones('f32', [1, 2, 1]), ones('i64', [1])],
    place: 2,
    allowed: [0, 7],
    outside: [-1],
    attrs: { mode: 'circular' },
  },
];

test('a length or place that is data is checked', async () => {
  for (const { op, inputs, place, allowed, outside, attrs } of LENGTHS) {
    const b = opBuilder(op);
    const ids = inputs.map((tensor, i) => {
      if (tensor === null) return null;
      return i === place
        ? b.graph.input('at', { dtype: tensor.dtype, shape: tensor.shape })
        : b.constant(tensor);
    });
    const graph = b.graph.finish([b.op(op, ids, attrs)]);
    const library = await mergedLibrary([compileGraph(graph, {})]);
    try {
      const { dtype, shape } = inputs[place] as Tensor;
      const run = (value: number): unknown => {
        const given = fromNumbers(dtype, shape, new Float64Array(elementCount(shape)).fill(value));
        return library.run([[given]], { threads: 1 });
      };
      for (const value of allowed) run(value);
      for (const value of outside) {
        const isOutside = (error: unknown): boolean =>
          error instanceof HoneError && error.code === 'HONE-RUN-010';
        assert.throws(() => run(value), isOutside, `${op} ${value}`);
      }
    } finally {
      library.close();
    }
  }
});

test('an index outside an axis of length 1 is an error, inside it is none', async () => {
  for (const { op, shape, chosen, attrs } of USES) {
    const b = opBuilder(op);
    const table = fromNumbers('f32', shape, new Float64Array(elementCount(shape)));
    const x = b.graph.input('x', { dtype: 'f32', shape });
    const at = b.graph.input('at', { dtype: 'i64', shape: chosen });
    const graph = b.graph.finish([b.op(op, [x, at], attrs)]);
    const library = await mergedLibrary([compileGraph(graph, {})]);
    try {
      const count = elementCount(chosen);
      const run = (value: number): unknown =>
        library.run([[table, fromNumbers('i64', chosen, new Float64Array(count).fill(value))]], {
          threads: 1,
        });
      run(0);
      run(-1);
      const isOutside = (error: unknown): boolean =>
        error instanceof HoneError && error.code === 'HONE-RUN-010';
      assert.throws(() => run(1), isOutside, `${op} [${shape.join()}]`);
      assert.throws(() => run(-2), isOutside, `${op} [${shape.join()}]`);
    } finally {
      library.close();
    }
  }
});
