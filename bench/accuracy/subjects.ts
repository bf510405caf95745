/**
 * Trained models with inputs to calibrate with and others to be judged on. Those that need
 * HONE_TEST_DATA are left out where it is not set.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cropPicture, decodePicture, type Picture } from 'hone/cli/input/picture';
import { readSamples } from 'hone/cli/input/samples';
import type { Sample } from 'hone/compile/calibrate/run';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { lineInput } from '../demo/text-direction.ts';
import { npmFile, npmModel, npmPicture, ocrCharacters } from '../npm-files.ts';

export interface Subject {
  readonly name: string;
  /** What is judged, in a sentence. */
  readonly about: string;
  readonly onnx: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly calibration: readonly Sample[];
  readonly judged: readonly Sample[];
  /** The right class of each judged sample, where one is known. */
  readonly labels?: readonly number[];
  /** Reads an output as text, where that is what the model is for. */
  readonly read?: (output: Tensor) => Reading;
}

export interface Reading {
  readonly text: string;
  /** Least distance, over all places, of the best character to the next one: 0 is a tie. */
  readonly margin: number;
}

export const SUBJECTS: Readonly<Record<string, (data: string) => Subject>> = {
  squeezenet,
  mnist,
  'ppocr-rec': recognition,
};

/** Data that a subject needs below HONE_TEST_DATA. */
export const NEEDS: Readonly<Record<string, string>> = {
  squeezenet: 'photos/evaluate',
  mnist: 'mnist/t10k-images-idx3-ubyte.gz',
  'ppocr-rec': 'text/page.png',
};

const PHOTO = 'order=bgr,range=0-255,mean=103.94,116.78,123.68,resize=short:256,crop=224x224';

function squeezenet(data: string): Subject {
  const spec = [{ name: 'data_0', dtype: 'f16', shape: [1, 3, 224, 224] }] as const;
  const read = (folder: string): Sample[] => [
    ...readSamples(path.join(data, 'photos', folder), spec, PHOTO),
  ];
  const judged = read('evaluate');
  return {
    name: 'SqueezeNet 1.1',
    about:
      'ImageNet classes of 100 photos; calibrated on 100 other photos. The number before a file name is its class.',
    onnx: path.join(data, 'models/squeezenet/SqueezeNet_fp16.onnx'),
    calibration: read('calibrate'),
    judged,
    labels: judged.map(({ name }) => Number.parseInt(path.basename(name), 10)),
  };
}

const DIGIT = 28 * 28;

function mnist(data: string): Subject {
  const file = (name: string) => gunzipSync(readFileSync(path.join(data, 'mnist', name)));
  const pixels = file('t10k-images-idx3-ubyte.gz').subarray(16);
  const labels = [...file('t10k-labels-idx1-ubyte.gz').subarray(8)];
  const digit = (values: ArrayLike<number>, name: string): Sample => ({
    name,
    inputs: { Input3: fromNumbers('f32', [1, 1, 28, 28], values) },
  });
  // Of the training set: the first ten of every digit.
  const calibration = Array.from({ length: 10 }, (_, figure) => {
    const stored = JSON.parse(readFileSync(npmFile('mnist', `src/digits/${figure}.json`), 'utf8'));
    const all = (stored as { readonly data: readonly number[] }).data;
    return Array.from({ length: 10 }, (_unused, i) => {
      const part = all.slice(i * DIGIT, (i + 1) * DIGIT).map((value) => value * 255);
      return digit(part, `training ${figure}.${i}`);
    });
  }).flat();
  return {
    name: 'MNIST CNN',
    about: 'The 10,000 test digits; calibrated on 100 digits of the training set.',
    onnx: path.join(data, 'models/mnist/mnist.onnx'),
    calibration,
    judged: labels.map((_, i) => digit(pixels.subarray(i * DIGIT, (i + 1) * DIGIT), `test ${i}`)),
    labels,
  };
}

const LINE_WIDTH = 1088;

function recognition(data: string): Subject {
  const lines = (file: string): Sample[] =>
    linesOf(decodePicture(readFileSync(file), file)).map((line, i) => ({
      name: `${path.basename(file)}, line ${i + 1}`,
      inputs: { x: lineInput(line, LINE_WIDTH) },
    }));
  const page = lines(path.join(data, 'text/page.png'));
  const characters = readFileSync(ocrCharacters(), 'utf8').split(/\r?\n/);
  return {
    name: 'PP-OCRv4 recognition',
    about:
      'Lines of a scanned page, read as text (spaces left out); calibrated on lines of a screenshot. The page is curved: what is cut out as line 7 begins with the head of the line below it, and what fp32 reads there is near ties.',
    onnx: npmModel('ppocr-rec'),
    shapes: { x: [1, 3, 48, LINE_WIDTH] },
    calibration: lines(npmPicture('screenshot')),
    judged: page,
    read: (output) => readText(output, characters),
  };
}

/** Classes of each position, repeated ones once, "none" left out. */
function readText({ shape, data }: Tensor, characters: readonly string[]): Reading {
  const classes = shape.at(-1) ?? 1;
  const values = data as Float32Array;
  const isCharacter = (c: number): boolean => c !== 0 && (characters[c - 1]?.trim() ?? '') !== '';
  let text = '';
  let margin = 1;
  let last = 0;
  for (let begin = 0; begin < values.length; begin += classes) {
    const row = values.subarray(begin, begin + classes);
    const best = row.reduce((top, value, i) => (value > (row[top] ?? 0) ? i : top), 0);
    if (best !== last && best !== 0) text += characters[best - 1]?.trim() ?? '';
    if (isCharacter(best)) {
      const next = row.reduce(
        (p, value, c) => (c !== best && isCharacter(c) && value > p ? value : p),
        0,
      );
      margin = Math.min(margin, (row[best] ?? 0) - next);
    }
    last = best;
  }
  return { text, margin };
}

/** Lines of dark text on a light ground, by rows that hold ink. */
export function linesOf(page: Picture): Picture[] {
  const lines: Picture[] = [];
  const dark = (y: number): boolean => {
    let count = 0;
    for (let x = 0; x < page.width; x++) if (isInk(page, x, y)) count++;
    return count >= page.width / 20;
  };
  for (let y = 0; y < page.height; y++) {
    if (!dark(y)) continue;
    const top = y;
    while (y < page.height && dark(y)) y++;
    if (y - top < 8 || y - top > 48) continue;
    const from = Math.max(0, top - 2);
    const height = Math.min(page.height, y + 2) - from;
    const inked = Array.from({ length: page.width }, (_, x) => x).filter((x) => {
      let count = 0;
      for (let row = top + 2; row < y - 2; row++) if (isInk(page, x, row)) count++;
      return count >= 3;
    });
    const left = Math.max(0, (inked[0] ?? 0) - 4);
    const right = Math.min(page.width, (inked.at(-1) ?? page.width) + 5);
    lines.push(cropPicture(page, left, from, right - left, height));
  }
  return lines;
}

/** Darker than what is around it: scans are not evenly lit. */
function isInk({ rgb, width, height }: Picture, x: number, y: number): boolean {
  const at = (px: number, py: number): number => rgb[(py * width + px) * 3 + 1] ?? 255;
  let around = 0;
  for (const [dx, dy] of [
    [-24, 0],
    [24, 0],
    [0, -24],
    [0, 24],
  ] as const) {
    const px = Math.min(width - 1, Math.max(0, x + dx));
    const py = Math.min(height - 1, Math.max(0, y + dy));
    around = Math.max(around, at(px, py));
  }
  return at(x, y) < around * 0.6;
}

/** Names of the subjects whose data is here, and of the others. */
export function availableSubjects(data: string): { here: string[]; missing: string[] } {
  const names = Object.keys(SUBJECTS);
  const here = names.filter((name) => existsSync(path.join(data, NEEDS[name] ?? '')));
  return { here, missing: names.filter((name) => !here.includes(name)) };
}
