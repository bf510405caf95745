/** Marks on pictures, and pictures as PNG files. */
import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import type { Picture } from 'hone/cli/input/picture';
import type { Face } from './blazeface.ts';

type Colour = readonly [number, number, number];

const BOX: Colour = [80, 255, 120];
const POINT: Colour = [255, 220, 60];
const LINE = 4;

/** A copy of the picture with a box around each face and dots on its points. */
export function drawFaces(picture: Picture, faces: readonly Face[]): Picture {
  const rgb = Float32Array.from(picture.rgb);
  const out: Picture = { width: picture.width, height: picture.height, rgb };
  for (const { left, top, width, height, points } of faces) {
    fill(out, left, top, width, LINE, BOX);
    fill(out, left, top + height - LINE, width, LINE, BOX);
    fill(out, left, top, LINE, height, BOX);
    fill(out, left + width - LINE, top, LINE, height, BOX);
    for (const { x, y } of points) fill(out, x - LINE, y - LINE, 2 * LINE, 2 * LINE, POINT);
  }
  return out;
}

/** The picture turned by half a circle. */
export function upsideDown(picture: Picture): Picture {
  const { width, height, rgb } = picture;
  const pixels = width * height;
  const turned = new Float32Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    for (let channel = 0; channel < 3; channel++) {
      turned[(pixels - 1 - i) * 3 + channel] = rgb[i * 3 + channel] ?? 0;
    }
  }
  return { width, height, rgb: turned };
}

export function writePng(picture: Picture, file: string): void {
  const { width, height, rgb } = picture;
  const png = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      png.data[i * 4 + channel] = Math.round(rgb[i * 3 + channel] ?? 0);
    }
    png.data[i * 4 + 3] = 255;
  }
  // Small enough at the lowest level, and five times as quick.
  writeFileSync(file, PNG.sync.write(png, { deflateLevel: 1 }));
}

/** Fills a rectangle, the part of it that lies in the picture. */
function fill(
  picture: Picture,
  left: number,
  top: number,
  width: number,
  height: number,
  colour: Colour,
): void {
  const clamp = (value: number, most: number): number =>
    Math.min(most, Math.max(0, Math.round(value)));
  const [x0, x1] = [clamp(left, picture.width), clamp(left + width, picture.width)];
  const [y0, y1] = [clamp(top, picture.height), clamp(top + height, picture.height)];
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) picture.rgb.set(colour, (y * picture.width + x) * 3);
  }
}
