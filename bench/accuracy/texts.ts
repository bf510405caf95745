/** What is read out of a model's outputs beside what fp32 reads: how many lines alike, and which not. */
import type { Sample } from 'hone/compile/calibrate/run';
import { at } from 'hone-runtime/base/diagnostics';
import type { Reading } from '../ocr/ctc.ts';
import { SURE_TEXT } from '../ocr/read-page.ts';

/** Probability between a reading and the nearest other one from which fp32 is taken to be clear. */
export const CLEAR = 0.1;

export interface Share {
  readonly same: number;
  readonly of: number;
}

export interface OtherText {
  readonly sample: string;
  readonly wide: string;
  readonly narrow: string;
  /** How near fp32 was to another text, as a probability. */
  readonly margin: number;
}

export interface ComparedTexts {
  /** Lines read alike, by the picture they are of. */
  readonly byPicture: ReadonlyMap<string, Share>;
  /** Of those that fp32 reads clearly. */
  readonly clear: Share;
  readonly others: readonly OtherText[];
}

/** Readings of fp32 and of another precision, of the same samples; what fp32 finds no text in is left out. */
export function compareTexts(
  wide: readonly Reading[],
  narrow: readonly Reading[],
  samples: readonly Pick<Sample, 'name'>[],
): ComparedTexts {
  const byPicture = new Map<string, Share>();
  let clear: Share = { same: 0, of: 0 };
  const others: OtherText[] = [];
  samples.forEach(({ name }, i) => {
    const wanted = at(wide, i);
    if (wanted.sure < SURE_TEXT) return;
    const { text } = at(narrow, i);
    const isSame = text === wanted.text;
    const picture = name.replace(/,.*$/, '');
    byPicture.set(picture, counted(byPicture.get(picture) ?? { same: 0, of: 0 }, isSame));
    if (wanted.margin >= CLEAR) clear = counted(clear, isSame);
    if (isSame) return;
    others.push({ sample: name, wide: wanted.text, narrow: text, margin: wanted.margin });
  });
  return { byPicture, clear, others };
}

function counted({ same, of }: Share, isSame: boolean): Share {
  return { same: same + (isSame ? 1 : 0), of: of + 1 };
}
