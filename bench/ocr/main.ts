/**
 * `npm run read -- PICTURE…`: compiles PP-OCR's three models for this machine, the recogniser at five
 * widths, and prints what stands on pictures, line by line. Artifacts go to demo-out/ocr.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodePicture } from 'hone/cli/input/picture';
import { HoneError } from 'hone-runtime';
import { fail } from 'hone-runtime/base/diagnostics';
import { LINE_SHAPE } from '../demo/text-direction.ts';
import { type OpenModel, openModel } from './open-model.ts';
import { LINE_WIDTHS, readPage, type RunModel } from './read-page.ts';
import { detectionSize } from './text-boxes.ts';

const OUT = fileURLToPath(new URL('../../../demo-out/ocr/', import.meta.url));

const opened: OpenModel[] = [];

async function open(
  model: 'ppocr-det' | 'ppocr-cls' | 'ppocr-rec',
  shape: readonly number[],
): Promise<RunModel> {
  const found = await openModel(model, shape, OUT);
  opened.push(found);
  return found.run;
}

async function main(files: readonly string[]): Promise<void> {
  if (files.length === 0) {
    fail('HONE-BENCH-009', 'no picture to read', undefined, 'npm run read -- PICTURE…');
  }
  mkdirSync(OUT, { recursive: true });
  console.error('compiling: one direction classifier, recognisers of five widths');
  const direction = await open('ppocr-cls', LINE_SHAPE);
  const recognise = new Map<number, RunModel>();
  for (const width of LINE_WIDTHS) {
    recognise.set(width, await open('ppocr-rec', [1, 3, LINE_SHAPE[2], width]));
  }
  for (const file of files) {
    const picture = decodePicture(readFileSync(file), file);
    const page = detectionSize(picture);
    const detect = await open('ppocr-det', [1, 3, ...page]);
    const begin = performance.now();
    const { degrees, lines } = await readPage(picture, { detect, page, direction, recognise });
    const ms = Math.round(performance.now() - begin);
    const turned = degrees === 180 ? ', upside down' : '';
    console.error(`${file}: ${lines.length} lines in ${ms} ms${turned}`);
    for (const { text } of degrees === 180 ? lines.toReversed() : lines) console.log(text);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof HoneError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (error.cure !== undefined) console.error(`  cure: ${error.cure}`);
  process.exitCode = error.exitCode;
} finally {
  for (const model of opened) model.close();
}
