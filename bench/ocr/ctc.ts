/** Text out of PP-OCR's recogniser, which gives a class per column ("connectionist temporal classification"). */
import { readFileSync } from 'node:fs';
import type { Tensor } from 'hone-runtime/base/tensor';
import { ocrCharacters } from '../npm-files.ts';

export interface LineText {
  readonly text: string;
  /** Mean probability of its characters, from 0 to 1. */
  readonly sure: number;
}

/** Characters by class; class 0 is "none", the last one a space. */
export function readCharacters(classes: number): readonly string[] {
  const lines = readFileSync(ocrCharacters(), 'utf8').split(/\r?\n/);
  return ['', ...lines.slice(0, classes - 2), ' '];
}

/** The surest class of each column of [1, columns, classes]; repetitions and "none" are left out. */
export function textOf({ shape, data }: Tensor, characters: readonly string[]): LineText {
  const classes = shape.at(-1) ?? 1;
  const values = data as Float32Array;
  let [text, sum, count, last] = ['', 0, 0, 0];
  for (let begin = 0; begin < values.length; begin += classes) {
    const row = values.subarray(begin, begin + classes);
    const best = row.reduce((top, value, i) => (value > (row[top] ?? 0) ? i : top), 0);
    if (best !== 0 && best !== last) {
      text += characters[best] ?? '';
      sum += row[best] ?? 0;
      count++;
    }
    last = best;
  }
  return { text: text.trim(), sure: count === 0 ? 0 : sum / count };
}
