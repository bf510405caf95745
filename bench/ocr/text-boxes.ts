/**
 * PP-OCR's detection: what goes in, and boxes of lines out of the map of probabilities that comes
 * out ("differentiable binarisation": text is marked shrunken, so boxes are grown again).
 */
import { type Picture, resizePicture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { type Box, type Point, smallestBox } from './geometry.ts';

/** Pixels above it are text. */
const MARKED = 0.3;
/** Least mean probability over a component. */
const SURE = 0.6;
/** How far a box grows, in parts of its area by its perimeter. */
const GROWTH = 1.7;
/** Least height of a component, in pixels of the map. */
const LEAST_HEIGHT = 3;
/** Sides the detector takes are multiples of it. */
const MULTIPLE = 32;

const MEAN = [0.485, 0.456, 0.406] as const;
const DEVIATION = [0.229, 0.224, 0.225] as const;

/** Height and width to detect at: about `scale` times the picture's, as the detector takes them. */
export function detectionSize({ width, height }: Picture, scale: number): [number, number] {
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

/** Boxes of lines of text in coordinates of the picture, from the top down. */
export function textBoxes({ shape, data }: Tensor, picture: Picture): Box[] {
  const [height = 1, width = 1] = shape.slice(-2);
  const probability = data as Float32Array;
  const [right, down] = [picture.width / width, picture.height / height];
  const boxes: Box[] = [];
  for (const component of components(probability, width)) {
    const sum = component.reduce((total, i) => total + (probability[i] ?? 0), 0);
    if (sum / component.length < SURE) continue;
    const corners = component.flatMap((i) => cornersOf(i, width));
    if (smallestBox(corners).height < LEAST_HEIGHT) continue;
    const box = smallestBox(corners.map(({ x, y }) => ({ x: x * right, y: y * down })));
    const growth = (GROWTH * box.width * box.height) / (box.width + box.height);
    boxes.push({ ...box, width: box.width + growth, height: box.height + growth });
  }
  return boxes.sort((a, b) => a.y - b.y);
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

function cornersOf(pixel: number, width: number): Point[] {
  const [x, y] = [pixel % width, Math.floor(pixel / width)];
  return [
    { x, y },
    { x: x + 1, y },
    { x, y: y + 1 },
    { x: x + 1, y: y + 1 },
  ];
}
