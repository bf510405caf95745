/**
 * PP-OCR's recogniser with lines of text to judge it by, cut out of pictures as PP-OCR cuts them: by its
 * detector's map, each line by its own rotated rectangle, straightened.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cropPicture, decodePicture, type Picture } from 'hone/cli/input/picture';
import type { Sample } from 'hone/compile/calibrate/run';
import { LINE_SHAPE, lineInput } from '../demo/text-direction.ts';
import { npmModel, npmPicture } from '../npm-files.ts';
import { readCharacters, readingOf } from '../ocr/ctc.ts';
import { openModel } from '../ocr/open-model.ts';
import { cutLine } from '../ocr/straighten.ts';
import { detectionInput, detectionSize, textLines } from '../ocr/text-boxes.ts';
import type { Subject } from './subjects.ts';

const LINE_WIDTH = 1088;
/** Classes that the recogniser tells apart. */
const CLASSES = 6625;
const LINE = [1, 3, LINE_SHAPE[2], LINE_WIDTH] as const;

export async function textLinesOf(data: string): Promise<Subject> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-lines-'));
  try {
    const page = await linesOf(path.join(data, 'text/page.png'), folder);
    const captions = await linesOf(npmPicture('captions'), folder);
    const calibration = await linesOf(npmPicture('screenshot'), folder);
    const characters = readCharacters(CLASSES);
    return {
      name: 'PP-OCRv4 recognition',
      about:
        'Lines of a scanned page and of a screenshot with captions on photos, as the detector finds them, read as text (spaces left out); calibrated on lines of another screenshot. Lines wider than the model are cut in equal parts; what fp32 finds no text in is left out.',
      onnx: npmModel('ppocr-rec'),
      shapes: { x: LINE },
      calibration,
      judged: [...page, ...captions],
      read: (output) => readingOf(output, characters),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function linesOf(file: string, folder: string): Promise<Sample[]> {
  const picture = decodePicture(readFileSync(file), file);
  const [height, width] = detectionSize(picture);
  const detector = await openModel('ppocr-det', [1, 3, height, width], folder);
  try {
    const map = await detector.run(detectionInput(picture, height, width));
    return textLines(map, picture).flatMap((corners, i) =>
      parts(cutLine(picture, corners)).map((part, k) => ({
        name: `${path.basename(file)}, line ${i + 1}${k === 0 ? '' : `, part ${k + 1}`}`,
        inputs: { x: lineInput(part, LINE_WIDTH) },
      })),
    );
  } finally {
    detector.close();
  }
}

/** A line in as few equal parts as the model's width takes. */
function parts(line: Picture): Picture[] {
  const most = (line.height * LINE_WIDTH) / LINE_SHAPE[2];
  const count = Math.ceil(line.width / most);
  const edge = (i: number): number => Math.round((line.width * i) / count);
  return Array.from({ length: count }, (_, i) =>
    cropPicture(line, edge(i), 0, edge(i + 1) - edge(i), line.height),
  );
}
