/**
 * PP-OCR's direction classifier: is a line of text upright or upside down? It takes 48x192 pixels
 * in the order blue, green, red, values from -1 to 1; a short line is padded on its right.
 */
import { type Picture, resizePicture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';

export const LINE_SHAPE = [1, 3, 48, 192] as const;

export interface Direction {
  readonly degrees: 0 | 180;
  /** From 0.5 to 1. */
  readonly sure: number;
}

/** A picture of one line of text as input of PP-OCR's line models, `width` pixels wide. */
export function lineInput(line: Picture, width: number = LINE_SHAPE[3]): Tensor {
  const height = LINE_SHAPE[2];
  const filled = Math.min(width, Math.round((line.width * height) / line.height));
  const { rgb } = resizePicture(line, filled, height);
  const data = new Float32Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < filled; x++) {
        const value = rgb[(y * filled + x) * 3 + 2 - channel] ?? 0;
        data[(channel * height + y) * width + x] = value / 127.5 - 1;
      }
    }
  }
  return { dtype: 'f32', shape: [1, 3, height, width], data };
}

/** What the two probabilities say. */
export function readDirection(probabilities: ArrayLike<number>): Direction {
  const [upright = 0, turned = 0] = Array.from(probabilities);
  return upright >= turned ? { degrees: 0, sure: upright } : { degrees: 180, sure: turned };
}
