/** PP-OCR in bf16 and int8 beside fp32: texts, calibrated on lines of a screenshot and judged on other pictures. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import type { Tensor } from 'hone-runtime/base/tensor';
import { NEEDS, SUBJECTS } from '../../bench/accuracy/subjects.ts';
import { compareTexts } from '../../bench/accuracy/texts.ts';
import type { Reading } from '../../bench/ocr/ctc.ts';
import { dataPath, missingData } from '../support/data.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-text-'));
const PAGE = 'page.png';

after(() => rmSync(folder, { recursive: true }));

test('PP-OCR in bf16 reads the page as in fp32, in int8 nearly all of it', {
  skip: missingData(NEEDS['ppocr-rec'] ?? ''),
}, async () => {
  const lines = await SUBJECTS['ppocr-rec']?.(dataPath(''));
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
  const texts = (from: { readonly readings: readonly Reading[] }) =>
    compareTexts(wide.readings, from.readings, judged);
  const [half, whole] = [texts(await readAll('bf16', { precision: 'bf16' })), texts(narrow)];
  assert.deepEqual(half.byPicture.get(PAGE), { same: 7, of: 7 }, JSON.stringify(half.others));
  const page = whole.byPicture.get(PAGE);
  assert.ok(page?.of === 7 && page.same >= 6, JSON.stringify(whole.others));
  assert.ok(whole.clear.of > 50 && whole.clear.same >= whole.clear.of * 0.7);
});
