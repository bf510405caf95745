/**
 * PP-OCR's detection: what goes in, and lines of text out of the map of probabilities that comes out
 * ("differentiable binarisation"). Text is marked shrunken: what is marked and touches gets its
 * smallest rectangle, turned as it lies, which is grown again by the ratio that training shrank it by.
 */
import { type Picture, resizePicture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { cornersOf, grown, type Point, type Quad, smallestBox } from './geometry.ts';

/** Pixels above it are text. */
const MARKED = 0.3;
/** Least mean probability of the pixels of a line. */
const SURE = 0.6;
/** How far the sides of a box move, in parts of its area by its perimeter. */
const GROWTH = 1.5;
/** Least side of a box before it grows, and two more after, in pixels of the map. */
const LEAST_SIDE = 3;
/** Sides of a line on the picture are longer than this, in pixels. */
const LEAST_EXTENT = 3;
/** Small letters are found when the detector sees a small picture enlarged, its longer side to this. */
const LONGER_SIDE = 800;
/** Lines whose tops differ less, in pixels, stand side by side. */
const SAME_ROW = 10;
/** Sides the detector takes are multiples of it. */
const MULTIPLE = 32;

const MEAN = [0.485, 0.456, 0.406] as const;
const DEVIATION = [0.229, 0.224, 0.225] as const;

/** Height and width to detect at: the picture's, small ones enlarged, as the detector takes them. */
export function detectionSize({ width, height }: Picture): [number, number] {
  const scale = Math.max(1, LONGER_SIDE / Math.max(width, height));
  const side = (extent: number): number =>
    Math.max(MULTIPLE, Math.round((extent * scale) / MULTIPLE) * MULTIPLE);
  return [side(height), side(width)];
}

/** The picture at the detector's size, channels normalised one by one. */
export function detectionInput(picture: Picture, height: number, width: number): Tensor {
  const { rgb } = resizePicture(picture, width, height);
  const data = new Float32Array(3 * height * width);
  for (let i = 0; i < height * width; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = (rgb[i * 3 + channel] ?? 0) / 255;
      data[channel * height * width + i] =
        (value - (MEAN[channel] ?? 0)) / (DEVIATION[channel] ?? 1);
    }
  }
  return { dtype: 'f32', shape: [1, 3, height, width], data };
}

/** Corners of lines of text in coordinates of the picture, in the order they are read. */
export function textLines({ shape, data }: Tensor, picture: Picture): Quad[] {
  const [height = 1, width = 1] = shape.slice(-2);
  const probability = data as Float32Array;
  const [right, down] = [picture.width / width, picture.height / height];
  const lines: Quad[] = [];
  for (const component of components(probability, width)) {
    const box = smallestBox(outlineOf(component, width));
    if (Math.min(box.width, box.height) < LEAST_SIDE) continue;
    const sum = component.reduce((total, i) => total + (probability[i] ?? 0), 0);
    if (sum / component.length < SURE) continue;
    const whole = grown(box, GROWTH);
    if (Math.min(whole.width, whole.height) < LEAST_SIDE + 2) continue;
    if (Math.min(whole.width * right, whole.height * down) <= LEAST_EXTENT) continue;
    const [a, b, c, d] = cornersOf(whole);
    // Corners beyond the picture stay there, or lines at its edge would be cut askew.
    const place = ({ x, y }: Point): Point => ({ x: x * right, y: y * down });
    lines.push([place(a), place(b), place(c), place(d)]);
  }
  return inReadingOrder(lines);
}

/** From the top down; those of one row from the left. */
export function inReadingOrder(lines: readonly Quad[]): Quad[] {
  const sorted = lines.toSorted(([a], [b]) => a.y - b.y || a.x - b.x);
  for (let i = 1; i < sorted.length; i++) {
    for (let k = i; k > 0; k--) {
      const [line, before] = [sorted[k], sorted[k - 1]];
      if (line === undefined || before === undefined) break;
      if (line[0].y - before[0].y >= SAME_ROW || line[0].x >= before[0].x) break;
      sorted[k] = before;
      sorted[k - 1] = line;
    }
  }
  return sorted;
}

/** Marked pixels that touch, edges and corners, as indices. */
function* components(probability: Float32Array, width: number): Generator<number[]> {
  const seen = new Uint8Array(probability.length);
  const isNew = (i: number): boolean => (probability[i] ?? 0) > MARKED && seen[i] === 0;
  for (let start = 0; start < probability.length; start++) {
    if (!isNew(start)) continue;
    const found = [start];
    seen[start] = 1;
    for (const at of found) {
      const column = at % width;
      for (const dy of [-width, 0, width]) {
        for (let dx = column === 0 ? 0 : -1; dx <= (column === width - 1 ? 0 : 1); dx++) {
          const next = at + dy + dx;
          if (!isNew(next)) continue;
          seen[next] = 1;
          found.push(next);
        }
      }
    }
    yield found;
  }
}

/** Centres of the first and last pixel of each row: their hull is that of all. */
function outlineOf(component: readonly number[], width: number): Point[] {
  const rows = new Map<number, { least: number; most: number }>();
  for (const pixel of component) {
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const row = rows.get(y);
    if (row === undefined) rows.set(y, { least: x, most: x });
    else {
      row.least = Math.min(row.least, x);
      row.most = Math.max(row.most, x);
    }
  }
  return [...rows].flatMap(([y, { least, most }]) => [
    { x: least + 0.5, y: y + 0.5 },
    { x: most + 0.5, y: y + 0.5 },
  ]);
}
