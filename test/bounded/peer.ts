/** Bounded cases as onnxruntime computes them, and the comparison with it. */
import assert from 'node:assert/strict';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { BoundOptions } from 'hone/frontends/onnx/bounded/bounds';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { memorySource } from 'hone-runtime/base/io';
import { type Tensor, toNumbers, viewBytes } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { rawModel } from '../onnx/raw-model.ts';
import type { BoundedCase } from './cases.ts';

const TYPES = {
  f32: 'float32',
  i64: 'int64',
  i32: 'int32',
  bool: 'bool',
  f64: 'float64',
  u8: 'uint8',
} as const;
type Known = keyof typeof TYPES;

export interface Opened<T extends BoundedCase = BoundedCase> {
  readonly item: T;
  readonly graph: Graph;
  /** Of each run, onnxruntime's. */
  readonly wanted: readonly (readonly Tensor[])[];
}

export async function open<T extends BoundedCase & { readonly bounds?: BoundOptions }>(
  item: T,
): Promise<Opened<T>> {
  const bytes = rawModel(item.model);
  const { graph } = importOnnx(readOnnx(memorySource(bytes, `${item.name}.onnx`)), {
    ...(item.bounds === undefined ? {} : { bounds: item.bounds }),
  });
  verifyGraph(graph);
  const names = (item.model.inputs ?? []).map(({ name }) => name);
  const runs = item.runs.map((inputs) =>
    Object.fromEntries(inputs.map((tensor, i) => [names[i] ?? '', tensor])),
  );
  const outputs = item.model.outputs.map(({ name }) => name);
  const wanted = await onnxruntimeOn(bytes, runs, outputs);
  return { item, graph, wanted };
}

/** What onnxruntime gives for each of several runs. */
export async function onnxruntimeOn(
  model: Uint8Array,
  runs: readonly Readonly<Record<string, Tensor>>[],
  outputs: readonly string[],
): Promise<(readonly Tensor[])[]> {
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const wanted: (readonly Tensor[])[] = [];
  for (const inputs of runs) {
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
        name,
        new ort.Tensor(TYPES[dtype as Known], data as Float32Array, [...shape]),
      ]),
    );
    const results = await session.run(feeds);
    wanted.push(outputs.map((name) => ours(results[name])));
  }
  await session.release();
  return wanted;
}

function ours(tensor: ort.Tensor | undefined): Tensor {
  assert.ok(tensor);
  const dtype = (Object.keys(TYPES) as Known[]).find((name) => TYPES[name] === tensor.type);
  assert.ok(dtype, tensor.type);
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  const data = viewBytes(dtype, new Uint8Array(buffer, byteOffset, byteLength).slice());
  return { dtype, shape: [...tensor.dims], data };
}

export function check(what: string, got: readonly Tensor[], wanted: readonly Tensor[]): void {
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
