/** What ONNX's operators on texts compute, element by element. */
import { fail } from '../base/diagnostics.ts';

/** Texts next to each other, one from each list. */
export function concatTexts(a: readonly string[], b: readonly string[]): string[] {
  return a.map((text, i) => text + (b[i] ?? ''));
}

/**
 * The pieces of a text between delimiters; '' splits at white space and leaves out what is empty.
 * `most` limits the number of cuts; what follows the last stays whole. -1: no limit.
 */
export function splitText(text: string, delimiter: string, most: number): string[] {
  if (delimiter === '') return splitAtSpace(text, most);
  // An empty text has no pieces.
  if (text === '') return [];
  const pieces: string[] = [];
  let start = 0;
  while (most < 0 || pieces.length < most) {
    const at = text.indexOf(delimiter, start);
    if (at < 0) break;
    pieces.push(text.slice(start, at));
    start = at + delimiter.length;
  }
  return [...pieces, text.slice(start)];
}

function splitAtSpace(text: string, most: number): string[] {
  const pieces: string[] = [];
  let rest = text.trimStart();
  while (rest !== '' && (most < 0 || pieces.length < most)) {
    const space = rest.search(/\s/);
    if (space < 0) break;
    pieces.push(rest.slice(0, space));
    rest = rest.slice(space).trimStart();
  }
  return rest === '' ? pieces : [...pieces, rest];
}

/** Longer texts are refused: a pattern that tries every way would not end. */
const MAX_MATCHED = 1 << 16;

/** Does a regular expression match the whole text? Flags may lead the pattern, as in RE2: `(?i)…`. */
export function fullMatcher(pattern: string, node: string): (text: string) => boolean {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const body = flags === null ? pattern : pattern.slice(flags[0].length);
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${body.replace(/\\z$/, '')})$`, `u${flags?.[1] ?? ''}`);
  } catch (cause) {
    return fail(
      'HONE-OP-004',
      `node ${node} (RegexFullMatch): the pattern ${JSON.stringify(pattern)} is not understood`,
      node,
      `write it in the part that RE2 and JavaScript share (${(cause as Error).message})`,
    );
  }
  return (text) => text.length <= MAX_MATCHED && expression.test(text);
}

export interface Normalization {
  /** NONE, LOWER or UPPER. */
  readonly change: string;
  readonly isCaseSensitive: boolean;
  readonly stopwords: readonly string[];
}

/** Texts without the stop words, in the case asked for; one empty text where nothing is left. */
export function normalizeTexts(texts: readonly string[], how: Normalization): string[] {
  const fold = (text: string): string => (how.isCaseSensitive ? text : text.toLowerCase());
  const stops = new Set(how.stopwords.map(fold));
  const kept = texts.filter((text) => !stops.has(fold(text)));
  const changed = kept.map((text) => {
    if (how.change === 'LOWER') return text.toLowerCase();
    return how.change === 'UPPER' ? text.toUpperCase() : text;
  });
  return changed.length === 0 ? [''] : changed;
}
