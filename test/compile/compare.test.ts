/** `hone compare`: layers of the artifact as it runs, against the model; noise told from a bug. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readReport } from 'hone/cli/stored-report';
import type { Sample } from 'hone/compile/calibrate/run';
import { type Comparison, compareModel } from 'hone/compile/compare/index';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { opBuilder } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-compare-'));
after(() => rmSync(folder, { recursive: true }));

const SHAPE = [1, 3, 10, 10];

function noise(seed: number, shape: readonly number[], scale: number): Tensor {
  const random = seededRandom(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () => scale * random.normal());
  return fromNumbers('f32', shape, values);
}

/** Convolutions, a concatenation, pooling, a dense layer; `seed` decides the second one's weights. */
function writeModel(name: string, seed: number): string {
  const b = opBuilder('layers');
  const x = b.graph.input('x', { dtype: 'f32', shape: SHAPE });
  const named = (value: string) => ({ name: value, outputNames: [value] });
  const pads = { pads: [1, 1, 1, 1] };
  const weights = (own: number, ...shape: number[]) => b.constant(noise(own, shape, 0.3));
  const c1 = b.op('Conv', [x, weights(1, 20, 3, 3, 3)], pads, named('c1'));
  const r1 = b.op('Relu', [c1], {}, named('r1'));
  const c2 = b.op('Conv', [r1, weights(seed, 16, 20, 1, 1)], {}, named('c2'));
  const c3 = b.op('Conv', [r1, weights(3, 16, 20, 3, 3)], pads, named('c3'));
  const both = b.op('Concat', [c2, c3], { axis: 1 }, named('both'));
  const c4 = b.op('Conv', [both, weights(4, 24, 32, 3, 3)], pads, named('c4'));
  const r4 = b.op('Relu', [c4], {}, named('r4'));
  const mean = b.op('GlobalAveragePool', [r4], {}, named('mean'));
  const flat = b.op('Flatten', [mean], {}, named('flat'));
  const dense = b.op('Gemm', [flat, weights(5, 24, 10)], {}, named('dense'));
  const file = path.join(folder, name);
  writeFileSync(file, exportOnnx(b.graph.finish([b.op('Softmax', [dense], {}, named('y'))])));
  return file;
}

const MODEL = writeModel('model.onnx', 2);
const OTHER = writeModel('other.onnx', 22);

const samples: readonly Sample[] = Array.from({ length: 6 }, (_, i) => ({
  name: `${i}`,
  inputs: { x: noise(50 + i, SHAPE, 1) },
}));

async function compileTo(name: string, options: CompileOptions): Promise<string> {
  const directory = path.join(folder, name);
  await writeArtifact(await compileModel(MODEL, options), directory);
  return directory;
}

function compare(directory: string, model = MODEL, on = samples): Promise<Comparison> {
  const { stages } = readReport(openArtifact(directory));
  return compareModel(
    directory,
    model,
    () => on,
    () => stages,
  );
}

const INT8: CompileOptions = { precision: 'int8', calibration: { samples } };

test('fp32: every layer equals the model, whatever its layout', async () => {
  const { layers, outputs, worst } = await compare(await compileTo('wide.hone', {}));
  assert.ok(layers.length >= 5);
  for (const layer of layers) {
    assert.equal(layer.verdict, 'fine', layer.value);
    assert.ok(layer.snr === null || layer.snr > 100, `${layer.value}: ${layer.snr}`);
    assert.equal(layer.constant, false, `${layer.value} is alive`);
  }
  assert.equal(outputs[0]?.answers.agreement, 1);
  assert.deepEqual(worst, []);
});

test('int8: noise is what the emulation has, and answers agree', async () => {
  const { layers, outputs } = await compare(await compileTo('int8.hone', INT8));
  const narrow = layers.filter(({ dtype }) => dtype === 'u8');
  assert.ok(narrow.length >= 4, 'layers are kept in 8 bits');
  for (const layer of layers) {
    assert.notEqual(layer.verdict, 'bug', layer.value);
    assert.equal(layer.constant, false, `${layer.value} is alive`);
    assert.ok(layer.cosine > 0.99, `${layer.value}: ${layer.cosine}`);
    assert.ok((layer.saturated ?? 0) < 0.02, `${layer.value}: ${layer.saturated} saturated`);
  }
  for (const { value, snr, emulatedSnr } of narrow) {
    assert.ok(snr !== null && snr < 60 && emulatedSnr !== null, `${value} has noise`);
    assert.ok(Math.abs(snr - emulatedSnr) < 1, `${value}: ${snr} and ${emulatedSnr} dB`);
  }
  assert.equal(outputs[0]?.answers.agreement, 1);
  assert.ok((outputs[0]?.answers.meanKl ?? 1) < 0.01);
});

test('a layer that computes something else is a bug, not noise', async () => {
  const { layers, worst } = await compare(path.join(folder, 'int8.hone'), OTHER);
  const of = (value: string) => layers.filter((layer) => layer.value === value);
  assert.ok(
    of('r1').every(({ verdict }) => verdict !== 'bug'),
    'before it all is well',
  );
  const wrong = of('both').filter(({ verdict }) => verdict === 'bug');
  assert.equal(wrong.length, 1, 'one of the two parts of the concatenation');
  assert.match(wrong[0]?.layer ?? '', /c2/);
  assert.match(worst[0] ?? '', /c2/, 'it is named first');
});

test('watches beyond the working memory are refused', () => {
  const session = load(path.join(folder, 'int8.hone'));
  try {
    const input = samples[0]?.inputs ?? {};
    const run = (step: number, offset: number) => {
      try {
        session.runWatched(input, [{ step, offset, to: new Uint8Array(64) }]);
      } catch (error) {
        return error instanceof HoneError ? error.code : error;
      }
      return 'none';
    };
    assert.equal(run(0, 0), 'none');
    assert.equal(run(1000, 0), 'HONE-INPUT-007');
    assert.equal(run(0, 2 ** 40), 'HONE-INPUT-007');
    assert.ok(session.runSync(input)['y']);
  } finally {
    session.close();
  }
});

test('a model with another signature is refused', async () => {
  const b = opBuilder('other');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 3, 9, 9] });
  const file = path.join(folder, 'signature.onnx');
  writeFileSync(file, exportOnnx(b.graph.finish([b.op('Relu', [x])])));
  await assert.rejects(
    () => compare(path.join(folder, 'int8.hone'), file),
    (error) => error instanceof HoneError && error.code === 'HONE-ARTIFACT-044',
  );
});
