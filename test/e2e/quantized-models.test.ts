/**
 * Models that come quantised (test/fixtures/quantized) against onnxruntime-node: within one step of
 * the output where the output is quantised, within a tolerance where it is real, for this machine
 * and for x86-64-v3; and the products that should be products of integers are.
 *
 * The peer runs without graph optimisations, which is what the nodes of the file mean. Its optimised
 * run of the transformer block is as far as four steps from that; no answer can be near to both.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileModel, writeArtifact } from 'hone/compile/index';
import type { Graph } from 'hone/graph/types';
import { constantTensor, producers, valueById } from 'hone/graph/walk';
import type { StageGraph } from 'hone/stages/types';
import { load } from 'hone-runtime';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { nativeTarget, resolveTarget, targetRunsOn } from 'hone-runtime/target/parse';
import * as ort from 'onnxruntime-node';

const FOLDER = fileURLToPath(new URL('../../../test/fixtures/quantized/', import.meta.url));
const ERRORS_ONLY = 3;
const RUNS = 4;

interface Expectation {
  /** Contractions that sum integers. */
  readonly integers: number;
  /** Where the output is real: largest error in parts of its largest value. */
  readonly tolerance?: number;
}

/** By the beginning of the file's name; the first that fits. */
const EXPECTED: readonly (readonly [string, Expectation])[] = [
  // Weights far from symmetric do not fit i8 around their zero point; with reduced range they do.
  ['cnn-qdq-u8u8', { integers: 0 }],
  // Written as products of integers they do: 8 of them, and what 7 of the data add under their kernels.
  ['cnn-dynamic-u8', { integers: 15, tolerance: 1e-4 }],
  ['cnn', { integers: 8 }],
  ['block-dynamic', { integers: 6, tolerance: 1e-4 }],
  ['block', { integers: 6 }],
  ['torch', { integers: 3 }],
  ['linear', { integers: 0, tolerance: 1e-5 }],
  // onnxruntime rounds the data to 8 bits at every step, Hone does not.
  ['lstm', { integers: 0, tolerance: 0.05 }],
];

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.onnx'))) {
  const expected = EXPECTED.find(([start]) => file.startsWith(start))?.[1];
  assert.ok(expected !== undefined, file);
  test(file, () => check(file, expected));
}

const V3 = 'x86-64-v3-linux-gnu';
const skip = targetRunsOn(resolveTarget(V3), nativeTarget())
  ? false
  : 'needs an x86-64-v3 processor';
for (const file of [
  'cnn-qdq-u8s8-channel.onnx',
  'cnn-qdq-u8s8-channel-reduced.onnx',
  'cnn-qop-s8s8.onnx',
  'block-qop-u8s8.onnx',
  'block-dynamic-s8-channel.onnx',
  'linear-nbits4-128-zero.onnx',
  'linear-nbits8-32.onnx',
]) {
  const expected = EXPECTED.find(([start]) => file.startsWith(start))?.[1];
  assert.ok(expected !== undefined, file);
  test(`${file} on x86-64-v3`, { skip }, () => check(file, expected, V3));
}

async function check(file: string, expected: Expectation, target?: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hone-quantized-'));
  try {
    const model = await compileModel(join(FOLDER, file), target === undefined ? {} : { target });
    assert.equal(integerContractions(model.stages), expected.integers, 'products of integers');
    const artifact = join(folder, 'model.hone');
    await writeArtifact(model, artifact);
    const session = load(artifact, { threads: 2, poison: true });
    const peer = await ort.InferenceSession.create(join(FOLDER, file), {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: ERRORS_ONLY,
    });
    const step = expected.tolerance === undefined ? outputStep(model.graph) : undefined;
    for (let seed = 1; seed <= RUNS; seed++) {
      const inputs = randomInputs(session.signature.inputs, seed);
      const wanted = await peer.run(
        Object.fromEntries(
          Object.entries(inputs).map(([name, { data, shape }]) => [
            name,
            new ort.Tensor('float32', data as Float32Array, shape),
          ]),
        ),
      );
      for (const [name, got] of Object.entries(session.runSync(inputs))) {
        const theirs = wanted[name]?.data as Float32Array;
        compare(toNumbers(got), theirs, step, expected.tolerance ?? 0, `${name}, inputs ${seed}`);
      }
    }
    await session.close();
    await peer.release();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compare(
  got: Float64Array,
  wanted: Float32Array,
  step: number | undefined,
  tolerance: number,
  what: string,
): void {
  assert.equal(got.length, wanted.length, `${what}: element count`);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assert.ok(scale > 0 && new Set(wanted).size > 2, `${what}: onnxruntime's output varies`);
  const limit = step === undefined ? tolerance * scale : step * 1.001;
  got.forEach((value, i) => {
    const error = Math.abs(value - (wanted[i] ?? Number.NaN));
    assert.ok(error <= limit, `${what}: element ${i} is ${value}, onnxruntime's ${wanted[i]}`);
  });
}

function randomInputs(
  inputs: readonly { readonly name: string; readonly shape: readonly number[] }[],
  seed: number,
): Record<string, Tensor> {
  const random = seededRandom(seed);
  return Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
      return [name, { dtype: 'f32', shape, data }];
    }),
  );
}

function integerContractions({ stages }: StageGraph): number {
  return stages.filter(({ body }) => body.kind === 'contract' && body.accDtype === 'i32').length;
}

/** The scale of the DequantizeLinear that makes the output. */
function outputStep(graph: Graph): number {
  const node = producers(graph).get(graph.outputs[0] ?? -1);
  const [, scale] = node?.inputs ?? [];
  assert.equal(node?.op, 'DequantizeLinear');
  assert.ok(scale !== null && scale !== undefined);
  return toNumbers(constantTensor(valueById(graph, scale)))[0] ?? Number.NaN;
}
