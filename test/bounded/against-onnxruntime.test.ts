/**
 * Sizes that depend on data: the interpreter and compiled code, with one worker and with two and their
 * memory poisoned, give what onnxruntime gives, at the sizes that it gives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { bytesOf, type Tensor, toNumbers, viewBytes } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { rawModel } from '../onnx/raw-model.ts';
import { type MergedResult, mergedLibrary } from '../support/merged-library.ts';
import type { BoundedCase } from './cases.ts';
import { CHAIN_CASES } from './chain-cases.ts';
import { CONTROL_CASES } from './control-cases.ts';
import { DETECTION_CASES } from './detection-cases.ts';
import { ENDLESS, LOOP_CASES } from './loop-cases.ts';
import { OPTIONAL_CASES } from './optional-cases.ts';
import { PRODUCER_CASES } from './producer-cases.ts';
import { SEQUENCE_CASES } from './sequence-cases.ts';

const CASES: readonly BoundedCase[] = [
  ...PRODUCER_CASES,
  ...CHAIN_CASES,
  ...DETECTION_CASES,
  ...LOOP_CASES,
  ...CONTROL_CASES,
  ...SEQUENCE_CASES,
  ...OPTIONAL_CASES,
];

const TYPES = {
  f32: 'float32',
  i64: 'int64',
  i32: 'int32',
  bool: 'bool',
  f64: 'float64',
  u8: 'uint8',
} as const;
type Known = keyof typeof TYPES;

interface Opened {
  readonly item: BoundedCase;
  readonly graph: Graph;
  /** Of each run, onnxruntime's. */
  readonly wanted: readonly (readonly Tensor[])[];
}

async function open(item: BoundedCase): Promise<Opened> {
  const bytes = rawModel(item.model);
  const { graph } = importOnnx(readOnnx(memorySource(bytes, `${item.name}.onnx`)));
  verifyGraph(graph);
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const names = (item.model.inputs ?? []).map(({ name }) => name);
  const wanted: (readonly Tensor[])[] = [];
  for (const inputs of item.runs) {
    const feeds = Object.fromEntries(
      inputs.map(({ dtype, shape, data }, i) => [
        names[i] ?? '',
        new ort.Tensor(TYPES[dtype as Known], data as Float32Array, [...shape]),
      ]),
    );
    const results = await session.run(feeds);
    wanted.push(item.model.outputs.map(({ name }) => ours(results[name])));
  }
  await session.release();
  return { item, graph, wanted };
}

function ours(tensor: ort.Tensor | undefined): Tensor {
  assert.ok(tensor);
  const dtype = (Object.keys(TYPES) as Known[]).find((name) => TYPES[name] === tensor.type);
  assert.ok(dtype, tensor.type);
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  const data = viewBytes(dtype, new Uint8Array(buffer, byteOffset, byteLength).slice());
  return { dtype, shape: [...tensor.dims], data };
}

function check(what: string, got: readonly Tensor[], wanted: readonly Tensor[]): void {
  assert.equal(got.length, wanted.length, `${what}: outputs`);
  wanted.forEach((expected, i) => {
    const actual = got[i] as Tensor;
    const label = `${what}, output ${i}`;
    assert.equal(actual.dtype, expected.dtype, `${label}: dtype`);
    assert.deepEqual([...actual.shape], [...expected.shape], `${label}: shape`);
    const [a, b] = [toNumbers(actual), toNumbers(expected)];
    assert.equal(a.length, b.length, `${label}: elements`);
    for (let k = 0; k < b.length; k++) {
      const [x, y] = [a[k] ?? 0, b[k] ?? 0];
      const isSame = Object.is(x, y) || x === y || Math.abs(x - y) <= 1e-5 + 1e-4 * Math.abs(y);
      assert.ok(isSame, `${label}: element ${k} is ${x}, onnxruntime's ${y}`);
    }
  });
}

const opened: Opened[] = [];
for (const item of CASES) {
  test(`${item.name}: interpreted as onnxruntime computes it`, async () => {
    const found = await open(item);
    const text = printGraph(found.graph, { constants: 'full' });
    assert.deepEqual(parseGraph(text), found.graph);
    item.runs.forEach((inputs, run) => {
      check(`run ${run}`, interpret(found.graph, inputs), found.wanted[run] ?? []);
    });
    opened.push(found);
  });
}

test('a loop that stacks, and nothing bounds how often, is refused', () => {
  const source = memorySource(rawModel(ENDLESS.model), 'endless.onnx');
  const isRefused = ({ code, message }: HoneError): boolean =>
    code === 'HONE-SHAPE-002' && /number of iterations .* nothing bounds it/.test(message);
  assert.throws(() => importOnnx(readOnnx(source)), isRefused);
});

test('compiled: the same at any number of workers, on poisoned memory', async () => {
  const library = await mergedLibrary(opened.map(({ graph }) => compileGraph(graph)));
  try {
    const most = Math.max(...opened.map(({ item }) => item.runs.length));
    for (let run = 0; run < most; run++) {
      const pick = <T>(list: readonly T[]): T => list[run % list.length] as T;
      const inputs = opened.map(({ item }) => pick(item.runs));
      let first: readonly MergedResult[] | undefined;
      for (const threads of [1, 2]) {
        const results = library.run(inputs, { threads, poison: true });
        results.forEach(({ outputs, damage }, g) => {
          const what = `${opened[g]?.item.name}, run ${run}, ${threads} workers`;
          assert.equal(damage, undefined, what);
          check(what, outputs, pick(opened[g]?.wanted ?? []));
          outputs.forEach((tensor, i) => {
            const before = first?.[g]?.outputs[i];
            if (before !== undefined)
              assert.deepEqual(bytesOf(tensor), bytesOf(before), `${what}: other bytes`);
          });
        });
        first ??= results;
      }
    }
  } finally {
    library.close();
  }
});
