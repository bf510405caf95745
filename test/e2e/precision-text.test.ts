/** PP-OCR in int8 reads the same text, calibrated on lines of a screenshot and judged on a scanned page. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import type { Tensor } from 'hone-runtime/base/tensor';
import { NEEDS, SUBJECTS } from '../../bench/accuracy/subjects.ts';
import { dataPath, missingData } from '../support/data.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-text-'));
after(() => rmSync(folder, { recursive: true }));

/** Probability between the best two characters below which a reading is a toss in fp32 too. */
const NEAR_TIE = 0.05;

test('PP-OCR in int8 reads the same text wherever fp32 is not near a tie', {
  skip: missingData(NEEDS['ppocr-rec'] ?? ''),
}, async () => {
  const lines = SUBJECTS['ppocr-rec']?.(dataPath(''));
  assert.ok(lines?.shapes !== undefined && lines.read !== undefined);
  const { onnx, shapes, read, judged } = lines;
  const readAll = async (name: string, options: CompileOptions) => {
    const artifact = path.join(folder, `${name}.hone`);
    const model = await compileModel(onnx, { shapes, ...options });
    await writeArtifact(model, artifact);
    const session = load(artifact);
    const output = session.signature.outputs[0]?.name ?? '';
    const readings = judged.map(({ inputs }) => read(session.runSync(inputs)[output] as Tensor));
    session.close();
    return { model, readings };
  };
  const wide = await readAll('wide', {});
  const calibration = { samples: lines.calibration };
  const narrow = await readAll('int8', { precision: 'int8', calibration });
  const kinds = [...(narrow.model.plan?.contractions.values() ?? [])];
  assert.ok(kinds.filter((kind) => kind === 'int8').length > kinds.length / 2, kinds.join());
  const clear = wide.readings.map(({ margin }) => margin >= NEAR_TIE);
  assert.ok(clear.filter(Boolean).length >= 6, 'lines are read clearly in fp32');
  wide.readings.forEach(({ text }, i) => {
    if (clear[i]) assert.equal(narrow.readings[i]?.text, text);
  });
});
