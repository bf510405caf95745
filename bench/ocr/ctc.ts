/** Text out of PP-OCR's recogniser, which gives a class per column ("connectionist temporal classification"). */
import { readFileSync } from 'node:fs';
import type { Tensor } from 'hone-runtime/base/tensor';
import { ocrCharacters } from '../npm-files.ts';

export interface LineText {
  readonly text: string;
  /** Mean probability of its characters, from 0 to 1. */
  readonly sure: number;
}

/** A line without its spaces, which the recogniser leaves out as often as not. */
export interface Reading extends LineText {
  /**
   * How near another text is: the least distance, over all columns, of the surest class from the next
   * one that would change the text. 0 is a tie.
   */
  readonly margin: number;
}

/** Characters by class; class 0 is "none", the last one a space. */
export function readCharacters(classes: number): readonly string[] {
  const lines = readFileSync(ocrCharacters(), 'utf8').split(/\r?\n/);
  return ['', ...lines.slice(0, classes - 2), ' '];
}

/** The surest class of each column of [1, columns, classes]; repetitions and "none" are left out. */
export function textOf(output: Tensor, characters: readonly string[]): LineText {
  const columns = columnsOf(output);
  const written = columns.filter(({ best }, i) => best !== 0 && best !== columns[i - 1]?.best);
  const text = written.map(({ best }) => characters[best] ?? '').join('');
  const sum = written.reduce((total, { sure }) => total + sure, 0);
  return { text: text.trim(), sure: written.length === 0 ? 0 : sum / written.length };
}

/** The text without spaces, and how near the recogniser was to another one. */
export function readingOf(output: Tensor, characters: readonly string[]): Reading {
  const columns = columnsOf(output);
  const letter = (kind: number): string => characters[kind]?.trim() ?? '';
  /** What columns i - 1 to i + 1 write where column i has a class. */
  const around = (i: number, kind: number): string => {
    const [before = 0, after = 0] = [columns[i - 1]?.best, columns[i + 1]?.best];
    return (kind === before ? '' : letter(kind)) + (after === kind ? '' : letter(after));
  };
  const margin = columns.reduce(
    (least, { best, next, lead }, i) =>
      lead < least && around(i, best) !== around(i, next) ? lead : least,
    1,
  );
  const { text, sure } = textOf(output, characters);
  return { text: text.replaceAll(/\s/g, ''), sure, margin };
}

interface Column {
  /** The surest class, and the one after it. */
  readonly best: number;
  readonly next: number;
  /** Probability of the surest one, and how much more that is than the next one's. */
  readonly sure: number;
  readonly lead: number;
}

function columnsOf({ shape, data }: Tensor): Column[] {
  const classes = shape.at(-1) ?? 1;
  const values = data as Float32Array;
  return Array.from({ length: values.length / classes }, (_, column) => {
    const row = values.subarray(column * classes, (column + 1) * classes);
    const value = (kind: number): number => row[kind] ?? Number.NEGATIVE_INFINITY;
    let [best, next] = [0, -1];
    for (let kind = 1; kind < classes; kind++) {
      if (value(kind) > value(best)) [next, best] = [best, kind];
      else if (value(kind) > value(next)) next = kind;
    }
    return { best, next, sure: value(best), lead: value(best) - value(next) };
  });
}
