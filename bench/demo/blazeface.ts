/**
 * BlazeFace (front, 128x128; back, 256x256): a picture to the model's input, its outputs to faces.
 *
 * The picture is shrunk to fit and padded to a square, so that faces keep their proportions; values
 * run from -1 to 1. The model looks at 896 anchors: two in each cell of a 16x16 grid, six in each
 * of an 8x8 grid. For every anchor it gives a score (before the sigmoid), a box and six points,
 * measured in input pixels from the centre of the anchor's cell.
 */
import { type Picture, resizePicture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** In pixels of the picture. */
export interface Face {
  readonly score: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Eyes, nose, mouth, ears. */
  readonly points: readonly Point[];
}

const GRIDS = [
  { cells: 16, anchors: 2 },
  { cells: 8, anchors: 6 },
] as const;
const POINTS = 6;
const VALUES = 4 + 2 * POINTS;
const MIN_SCORE = 0.5;
const SAME_FACE = 0.3;

/** The input of a model that takes size x size pixels, channels last. */
export function faceInput(picture: Picture, size: number): Tensor {
  const scale = size / Math.max(picture.width, picture.height);
  const width = Math.round(picture.width * scale);
  const height = Math.round(picture.height * scale);
  const { rgb } = resizePicture(picture, width, height);
  const data = new Float32Array(size * size * 3).fill(-1);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < width * 3; i++) {
      data[y * size * 3 + i] = (rgb[y * width * 3 + i] ?? 0) / 127.5 - 1;
    }
  }
  return { dtype: 'f32', shape: [1, size, size, 3], data };
}

/** Centres of the cells of all anchors, in parts of the input's side. */
export function faceAnchors(): readonly Point[] {
  return GRIDS.flatMap(({ cells, anchors }) =>
    Array.from({ length: cells * cells * anchors }, (_, i) => {
      const cell = Math.floor(i / anchors);
      return { x: ((cell % cells) + 0.5) / cells, y: (Math.floor(cell / cells) + 0.5) / cells };
    }),
  );
}

/** Faces in order of their scores; of those that overlap, the surest one. */
export function findFaces(
  scores: readonly Float32Array[],
  boxes: readonly Float32Array[],
  picture: Picture,
  size: number,
): readonly Face[] {
  const score = concatenate(scores);
  const box = concatenate(boxes);
  // Input pixel → picture pixel.
  const scale = Math.max(picture.width, picture.height) / size;
  const found = faceAnchors().flatMap((anchor, i): Face[] => {
    const sure = 1 / (1 + Math.exp(-(score[i] ?? 0)));
    if (sure < MIN_SCORE) return [];
    const value = (k: number): number => box[i * VALUES + k] ?? 0;
    const at = (k: number): Point => ({
      x: (anchor.x * size + value(k)) * scale,
      y: (anchor.y * size + value(k + 1)) * scale,
    });
    const [centre, width, height] = [at(0), value(2) * scale, value(3) * scale];
    const points = Array.from({ length: POINTS }, (_, k) => at(4 + 2 * k));
    const [left, top] = [centre.x - width / 2, centre.y - height / 2];
    return [{ score: sure, left, top, width, height, points }];
  });
  return suppress(found.sort((a, b) => b.score - a.score));
}

/** Non-maximum suppression of faces sorted by score. */
export function suppress(faces: readonly Face[]): readonly Face[] {
  const kept: Face[] = [];
  for (const face of faces) {
    if (kept.every((other) => overlap(face, other) < SAME_FACE)) kept.push(face);
  }
  return kept;
}

/** Intersection over union. */
function overlap(a: Face, b: Face): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  const shared = Math.max(0, across) * Math.max(0, down);
  return shared / (a.width * a.height + b.width * b.height - shared);
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    out.set(part, end);
    end += part.length;
  }
  return out;
}
