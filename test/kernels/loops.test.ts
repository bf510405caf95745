/**
 * Kernels as programs: every kernel of a few graphs is well formed, survives print and parse, and,
 * executed by the loop interpreter, gives what the operators' references give. No compiler, no
 * hardware: this holds for targets that are not here too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/pipeline';
import { joinWeights } from 'hone/compile/weights';
import type { Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpretLoop } from 'hone/loop/interpret';
import { parseLoop } from 'hone/loop/parse';
import { printLoop } from 'hone/loop/print';
import { verifyLoop } from 'hone/loop/verify';
import { interpret } from 'hone/ops/interpret';
import { opBuilder } from 'hone/ops/registry';
import type { BufferRef } from 'hone-runtime/artifact/program';
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBytes, type TypedArray } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import {
  allocateData,
  bytesOf,
  elementCount,
  fromNumbers,
  type Tensor,
  viewBytes,
} from 'hone-runtime/base/tensor';
import { randomInputs, relativeError } from '../support/compiled-graph.ts';
import { doubleMatMulGraph } from '../support/contraction-graphs.ts';

function smallNetwork(): Graph {
  const b = opBuilder('small');
  const random = seededRandom(3);
  const weights = (...shape: number[]): ValueId =>
    b.constant(
      fromNumbers(
        'f32',
        shape,
        Float64Array.from({ length: elementCount(shape) }, () => random.next() - 0.5),
      ),
    );
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 3, 12, 12] });
  const pads = [1, 1, 1, 1];
  const stem = b.op('Relu', [b.op('Conv', [x, weights(33, 3, 3, 3), weights(33)], { pads })]);
  const wide = b.op('Conv', [stem, weights(32, 33, 1, 1), weights(32)]);
  const fast = b.op('Relu', [
    b.op('Add', [b.op('Conv', [wide, weights(32, 32, 3, 3)], { pads }), wide]),
  ]);
  const deep = b.op('Conv', [fast, weights(32, 1, 3, 3), weights(32)], {
    pads,
    group: 32,
    strides: [2, 2],
  });
  const pool = b.op('MaxPool', [b.op('Concat', [deep, deep], { axis: 1 })], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  const flat = b.op('Flatten', [b.op('GlobalAveragePool', [pool])]);
  const out = b.op('Softmax', [b.op('Gemm', [flat, weights(64, 21), weights(21)])]);
  return b.graph.finish([out]);
}

/** The program's memory as one array of bytes per space. */
interface Memory {
  readonly arena: Uint8Array;
  readonly weights: Uint8Array;
  readonly inputs: readonly TypedArray[];
  readonly outputs: readonly TypedArray[];
}

function bufferOf(memory: Memory, ref: BufferRef, dtype: DType): TypedArray {
  const from = (bytes: Uint8Array, offset: number): TypedArray => {
    const whole = Math.floor((bytes.length - offset) / dtypeBytes(dtype)) * dtypeBytes(dtype);
    return viewBytes(dtype, bytes.subarray(offset, offset + whole));
  };
  switch (ref.space) {
    case 'arena':
      return from(memory.arena, ref.offset);
    case 'weights':
      return from(memory.weights, ref.offset);
    case 'input':
      return at(memory.inputs, ref.index);
    case 'output':
      return at(memory.outputs, ref.index);
    case 'moved':
      throw new TypeError('there are no loops');
    default:
      return ref satisfies never;
  }
}

const GRAPHS = [
  { name: "a network's kernels", make: smallNetwork, tolerance: 1e-5 },
  { name: 'products in f64', make: () => doubleMatMulGraph('f64', 1e5), tolerance: 1e-14 },
] as const;

const TARGETS = ['x86-64-v4-linux-gnu', 'x86-64-v3-linux-gnu', 'arm64-linux-gnu'];

for (const [target, { name, make, tolerance }] of TARGETS.flatMap((target) =>
  GRAPHS.map((graph) => [target, graph] as const),
)) {
  test(`${name}, interpreted for ${target}`, () => {
    const graph = make();
    const compiled = compileGraph(graph, { target });
    const { program, kernels } = compiled;
    const inputs: readonly Tensor[] = randomInputs(graph);
    const blob = joinWeights(compiled.weights);
    const memory: Memory = {
      arena: new Uint8Array(program.arenaBytes).fill(0xff),
      weights: blob,
      inputs: inputs.map((tensor) => viewBytes(tensor.dtype, bytesOf(tensor))),
      outputs: program.outputs.map((spec) => allocateData(spec.dtype, elementCount(spec.shape))),
    };
    for (const fn of kernels) {
      verifyLoop(fn);
      assert.deepEqual(parseLoop(printLoop(fn)), fn, `${fn.name} survives print and parse`);
    }
    for (const step of program.steps) {
      assert.ok(step.kind === 'kernel');
      const fn = at(
        kernels.filter((kernel) => kernel.name === step.kernel),
        0,
      );
      const buffers = Object.fromEntries(
        fn.buffers.map((param, i) => [
          param.name,
          bufferOf(memory, at(step.buffers, i), param.dtype),
        ]),
      );
      interpretLoop(fn, buffers, {}, { workers: 2 });
    }
    const wanted = interpret(graph, inputs);
    graph.outputs.forEach((id, i) => {
      const { dtype, shape } = valueById(graph, id).type;
      const got: Tensor = { dtype, shape, data: at(memory.outputs, i) };
      const error = relativeError(got, at(wanted, i));
      assert.ok(error < tolerance, `relative error ${error}`);
    });
  });
}
