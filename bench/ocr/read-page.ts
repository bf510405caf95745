/**
 * A page read with PP-OCR's three models: where lines are (det), which way up each is (cls), what it
 * says (rec). The recogniser is there at several widths: a line takes the narrowest that holds it.
 * How a model is run is the caller's.
 */
import { cropPicture, type Picture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { upsideDown } from '../demo/drawing.ts';
import { LINE_SHAPE, lineInput, readDirection } from '../demo/text-direction.ts';
import { type LineText, readCharacters, textOf } from './ctc.ts';
import type { Quad } from './geometry.ts';
import { cutLine } from './straighten.ts';
import { detectionInput, textLines } from './text-boxes.ts';

/** Widths that lines are recognised at, in pixels. */
export const LINE_WIDTHS = [160, 320, 480, 640, 960] as const;

/** The one output of a model for its one input. */
export type RunModel = (x: Tensor) => Promise<Tensor>;

export interface PageModels {
  readonly detect: RunModel;
  /** Height and width that `detect` takes. */
  readonly page: readonly [number, number];
  readonly direction: RunModel;
  readonly recognise: ReadonlyMap<number, RunModel>;
}

export interface PageLine extends LineText {
  /** Where it stands on the picture. */
  readonly corners: Quad;
  /** Width it was recognised at. */
  readonly width: number;
}

export interface PageText {
  /** How the page lies. */
  readonly degrees: 0 | 180;
  /** Lines of text from the top of the picture down, as they are read when it is turned upright. */
  readonly lines: readonly PageLine[];
}

/** Mean probability of a line's characters below which it is no text. */
export const SURE_TEXT = 0.5;

/**
 * The lines of text on a picture. How the page lies they say together: the classifier errs on single
 * lines.
 */
export async function readPage(picture: Picture, models: PageModels): Promise<PageText> {
  const [height, width] = models.page;
  const map = await models.detect(detectionInput(picture, height, width));
  const found = textLines(map, picture);
  const cuts = found.map((corners) => cutLine(picture, corners));
  let votes = 0;
  for (const cut of cuts) {
    const { data } = await models.direction(lineInput(beginningOf(cut)));
    const { degrees, sure } = readDirection(data as Float32Array);
    votes += degrees === 0 ? sure : -sure;
  }
  const lines: PageLine[] = [];
  for (const [i, corners] of found.entries()) {
    const cut = cuts[i];
    if (cut === undefined) continue;
    const line = await readLine(votes >= 0 ? cut : upsideDown(cut), models.recognise);
    if (line.sure >= SURE_TEXT) lines.push({ ...line, corners });
  }
  return { degrees: votes >= 0 ? 0 : 180, lines };
}

/** One upright line, recognised at the width that fits it. */
async function readLine(
  line: Picture,
  recognise: PageModels['recognise'],
): Promise<Omit<PageLine, 'corners'>> {
  const width = lineWidth(line, [...recognise.keys()]);
  const output = await recognise.get(width)?.(lineInput(line, width));
  if (output === undefined) throw new RangeError(`no recogniser of width ${width}`);
  return { ...textOf(output, readCharacters(output.shape.at(-1) ?? 2)), width };
}

/** As much of a line as the classifier sees unsqueezed: squeezed letters mislead it. */
function beginningOf(line: Picture): Picture {
  const width = Math.round((line.height * LINE_SHAPE[3]) / LINE_SHAPE[2]);
  return width < line.width ? cropPicture(line, 0, 0, width, line.height) : line;
}

/** The narrowest of `widths` that holds a line at the models' height; else the widest. */
export function lineWidth({ width, height }: Picture, widths: readonly number[]): number {
  const wanted = (width * LINE_SHAPE[2]) / height;
  const sorted = [...widths].sort((a, b) => a - b);
  return sorted.find((candidate) => candidate >= wanted) ?? sorted.at(-1) ?? LINE_SHAPE[3];
}
