/**
 * Reductions over as many axes as data says, of every dtype, of empty tensors too: interpreted and
 * compiled on poisoned memory, as over the same axes as constants.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { memorySource } from 'hone-runtime/base/io';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';
import { rawModel } from '../onnx/raw-model.ts';
import { i64, node } from './cases.ts';
import { differs } from './survey.ts';

const SUMS = ['Sum', 'Mean', 'L1', 'L2', 'SumSquare', 'Prod', 'LogSum', 'LogSumExp'];
const SUMMED: readonly DType[] = ['f32', 'f16', 'bf16', 'f64', 'i32', 'i64', 'u32', 'u64'];
const COMPARED: readonly DType[] = [...SUMMED, 'i8', 'u8', 'bool'];

/** Axes, of which as many as a run says are meant. */
const AXES = [2, -3, 1] as const;

interface Case {
  readonly what: string;
  readonly graph: Graph;
  readonly x: Tensor;
  /** By the number of axes. */
  readonly wanted: readonly Tensor[];
}

function sample(dtype: DType, shape: readonly number[]): Tensor {
  const numbers = Array.from({ length: elementCount(shape) }, (_, i) =>
    dtype === 'bool' ? ((i * 5) % 3) % 2 : ((i * 7) % 5) + (isFloat(dtype) ? 0.25 : 0),
  );
  return fromNumbers(dtype, shape, numbers);
}

function graphOf(op: string, x: Tensor, noop: number, axes?: readonly number[]): Graph {
  const isOpen = axes === undefined;
  const bytes = rawModel({
    opset: 20,
    inputs: [
      { name: 'x', dtype: x.dtype, shape: x.shape },
      ...(isOpen
        ? ([
            { name: 'all', dtype: 'i64', shape: [AXES.length] },
            { name: 'n', dtype: 'i64', shape: [1] },
          ] as const)
        : []),
    ],
    initializers: { zero: i64(0), ...(isOpen ? {} : { axes: i64(...axes) }) },
    nodes: [
      ...(isOpen ? [node('Slice', ['all', 'zero', 'n'], ['axes'])] : []),
      node(op, ['x', 'axes'], ['y'], { noop_with_empty_axes: { int: noop } }),
    ],
    outputs: [{ name: 'y' }],
  });
  return verifyGraph(importOnnx(readOnnx(memorySource(bytes, 'dtypes.onnx'))).graph);
}

function cases(): readonly Case[] {
  const of = (op: string, dtype: DType, shape: readonly number[], noop: number): Case => {
    const x = sample(dtype, shape);
    const counts = Array.from({ length: AXES.length + 1 }, (_, n) => n);
    return {
      what: `${op} of ${dtype} [${shape}], noop ${noop}`,
      graph: graphOf(op, x, noop),
      x,
      wanted: counts.map(
        (n) => interpret(graphOf(op, x, noop, AXES.slice(0, n)), [x])[0] as Tensor,
      ),
    };
  };
  const all = [
    ...SUMS.flatMap((name) => SUMMED.map((dtype) => [`Reduce${name}`, dtype] as const)),
    ...['Max', 'Min'].flatMap((name) => COMPARED.map((dtype) => [`Reduce${name}`, dtype] as const)),
  ];
  return all.flatMap(([op, dtype]) => [
    of(op, dtype, [2, 3, 4], 0),
    ...(dtype === 'f32' || dtype === 'i64'
      ? [of(op, dtype, [2, 1, 3], 1), of(op, dtype, [2, 0, 3], 0)]
      : []),
  ]);
}

const CASES = cases();

test('interpreted', () => {
  for (const { what, graph, x, wanted } of CASES) {
    wanted.forEach((tensor, n) => {
      const [y] = interpret(graph, [x, i64(...AXES), i64(n)]);
      assert.equal(differs(y as Tensor, tensor), undefined, `${what}, ${n} axes`);
    });
  }
});

test('compiled', async () => {
  const library = await mergedLibrary(
    CASES.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (let n = 0; n <= AXES.length; n++) {
      const inputs = CASES.map(({ x }) => [x, i64(...AXES), i64(n)]);
      library.run(inputs, { threads: 2, poison: true }).forEach(({ outputs, damage }, g) => {
        const item = CASES[g] as Case;
        assert.equal(damage, undefined, item.what);
        const how = differs(outputs[0] as Tensor, item.wanted[n] as Tensor);
        assert.equal(how, undefined, `${item.what}, ${n} axes`);
      });
    }
  } finally {
    library.close();
  }
});
