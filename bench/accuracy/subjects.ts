/**
 * Trained models with inputs to calibrate with and others to be judged on. Those that need
 * HONE_TEST_DATA are left out where it is not set.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readSamples } from 'hone/cli/input/samples';
import type { Sample } from 'hone/compile/calibrate/run';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { npmFile } from '../npm-files.ts';
import type { Reading } from '../ocr/ctc.ts';
import { textLinesOf } from './text-subject.ts';

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

export const SUBJECTS: Readonly<Record<string, (data: string) => Subject | Promise<Subject>>> = {
  squeezenet,
  mnist,
  'ppocr-rec': textLinesOf,
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

/** Names of the subjects whose data is here, and of the others. */
export function availableSubjects(data: string): { here: string[]; missing: string[] } {
  const names = Object.keys(SUBJECTS);
  const here = names.filter((name) => existsSync(path.join(data, NEEDS[name] ?? '')));
  return { here, missing: names.filter((name) => !here.includes(name)) };
}
