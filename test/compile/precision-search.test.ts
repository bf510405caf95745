/** `--precision auto`: within its budget, explained, repeatable; budgets and metrics that fail. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { weightBits } from 'hone/compile/choose-precision';
import {
  type CompiledModel,
  type CompileOptions,
  compileModel,
  rebuildArtifact,
  writeArtifact,
} from 'hone/compile/index';
import type { Sample } from 'hone/compile/calibrate/run';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { opBuilder } from 'hone/ops/registry';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { nativeTarget } from 'hone-runtime/target/parse';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-auto-'));
after(() => rmSync(folder, { recursive: true }));

const SHAPE = [1, 32, 28, 28];
const random = seededRandom(21);

function noise(shape: readonly number[], scale: number): Tensor {
  const values = Float64Array.from({ length: elementCount(shape) }, () => scale * random.normal());
  return fromNumbers('f32', shape, values);
}

const MODEL = path.join(folder, 'model.onnx');
{
  const b = opBuilder('mixed');
  const x = b.graph.input('x', { dtype: 'f32', shape: SHAPE });
  const named = (value: string) => ({ name: value, outputNames: [value] });
  const conv = (from: number, name: string, ic: number, oc: number, kernel: number): number => {
    const pad = kernel >> 1;
    const weights = b.constant(noise([oc, ic, kernel, kernel], 1 / Math.sqrt(ic * kernel)));
    const made = b.op('Conv', [from, weights], { pads: [pad, pad, pad, pad] }, named(name));
    return b.op('Relu', [made], {}, named(`${name}.relu`));
  };
  const last = conv(conv(conv(x, 'c1', 32, 64, 5), 'c2', 64, 64, 1), 'c3', 64, 64, 5);
  const mean = b.op('GlobalAveragePool', [last], {}, named('mean'));
  const flat = b.op('Flatten', [mean], {}, named('flat'));
  const dense = b.op('Gemm', [flat, b.constant(noise([64, 10], 0.3))], {}, named('dense'));
  writeFileSync(MODEL, exportOnnx(b.graph.finish([b.op('Softmax', [dense], {}, named('y'))])));
}

const samples: readonly Sample[] = Array.from({ length: 8 }, (_, i) => ({
  name: `${i}`,
  inputs: { x: noise(SHAPE, 1 + i / 4) },
}));

function auto(search?: CompileOptions['search']): Promise<CompiledModel> {
  const settings = search === undefined ? {} : { search };
  return compileModel(MODEL, { precision: 'auto', calibration: { samples }, ...settings });
}

async function errorOf(work: Promise<unknown>): Promise<HoneError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HoneError) return error;
    throw error;
  }
  return assert.fail('it should have been refused');
}

const fast = weightBits([nativeTarget()]) === 8 && nativeTarget().features.includes('vnni');

test('the mix keeps its budget, says why, and rebuilds from its choices', async () => {
  const model = await auto({ metric: 'kl', maxDrop: 0.02 });
  const { searched, plan, reasons } = model;
  assert.ok(searched !== undefined && plan !== undefined && reasons !== undefined);
  assert.ok(searched.drop <= 0.02 && searched.meanKl <= searched.klBound);
  const { judged, heldOut } = searched;
  assert.deepEqual([judged, heldOut?.samples], [6, 2]);
  assert.ok((heldOut?.meanKl ?? 1) <= searched.klBound && heldOut?.drop === heldOut?.meanKl);
  assert.deepEqual([...plan.contractions.keys()], ['c1', 'c2', 'c3', 'dense']);
  for (const name of plan.contractions.keys()) assert.match(reasons.get(name) ?? '', /int8 .* us/);
  const directory = path.join(folder, 'auto.hone');
  await writeArtifact(model, directory);
  const { files } = await rebuildArtifact(openArtifact(directory), MODEL);
  assert.ok(files > 5);
});

test('a budget that nothing narrow keeps names the layers', { skip: !fast }, async () => {
  const metric = path.join(folder, 'exact.mjs');
  writeFileSync(
    metric,
    `export function drop(reference, outputs) {
      const same = reference.every((one, i) => one.y.data.every((v, k) => v === outputs[i].y.data[k]));
      return same ? 0 : 1;
    }`,
  );
  const error = await errorOf(auto({ metric, maxDrop: 0.5 }));
  assert.equal(error.code, 'HONE-CALIBRATE-011');
  assert.match(error.message, /c1|c2|c3|dense/);
  assert.match(error.cure ?? '', /--max-drop/);
});

test('metrics that fail are refused, with what to do', async () => {
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const cases = [
    path.join(folder, 'nowhere.mjs'),
    file('syntax.mjs', 'export function ('),
    file('other.mjs', 'export const other = 1;'),
    file('throws.mjs', 'export function drop() { throw new Error("no disk"); }'),
    file('text.mjs', 'export function drop() { return "much"; }'),
    file('nan.mjs', 'export function drop() { return Number.NaN; }'),
  ];
  for (const metric of cases) {
    const error = await errorOf(auto({ metric, maxDrop: 0.01 }));
    assert.equal(error.code, 'HONE-CALIBRATE-012', metric);
    assert.match(error.cure ?? '', /drop\(reference, outputs\)/);
  }
});

test('weights that are not finite are refused before anything runs', async () => {
  for (const odd of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const b = opBuilder('broken');
    const x = b.graph.input('x', { dtype: 'f32', shape: [1, 4] });
    const weights = fromNumbers('f32', [4, 2], [1, 2, 3, odd, 5, 6, 7, 8]);
    const y = b.op('MatMul', [x, b.constant(weights, 'w')], {}, { name: 'dense' });
    const file = path.join(folder, 'broken.onnx');
    writeFileSync(file, exportOnnx(b.graph.finish([y])));
    const calibration = { samples: [{ name: '0', inputs: { x: noise([1, 4], 1) } }] };
    const error = await errorOf(compileModel(file, { precision: 'int8', calibration }));
    assert.equal(error.code, 'HONE-CALIBRATE-010');
    assert.match(error.message, /dense.* w /);
  }
});
