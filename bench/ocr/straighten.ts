/**
 * What stands inside four corners, straightened: the perspective that takes a rectangle to them, and
 * the picture read through it with cubic interpolation.
 */
import type { Picture } from 'hone/cli/input/picture';
import { type Box, cornersOf, distance, type Point, type Quad } from './geometry.ts';

/** x and y of the picture for a place of the rectangle: eight coefficients, the ninth is 1. */
export type Perspective = readonly number[];

/** A crop at least this much higher than wide holds a line that runs down: it is laid on its side. */
const UPRIGHT = 1.5;

/** The picture inside the corners; a line of text that runs down or up is turned to run across. */
export function cutLine(picture: Picture, corners: Quad): Picture {
  const cut = straighten(picture, corners);
  return cut.height >= UPRIGHT * cut.width ? turnedLeft(cut) : cut;
}

/** The part of a picture inside a box, upright. */
export function cutOut(picture: Picture, box: Box): Picture {
  return straighten(picture, cornersOf(box));
}

/** As large as the longer of opposite sides; beyond the picture its edge goes on. */
export function straighten(picture: Picture, corners: Quad): Picture {
  const [topLeft, topRight, bottomRight, bottomLeft] = corners;
  const across = Math.max(distance(topLeft, topRight), distance(bottomLeft, bottomRight));
  const down = Math.max(distance(topLeft, bottomLeft), distance(topRight, bottomRight));
  const [width, height] = [Math.max(1, Math.round(across)), Math.max(1, Math.round(down))];
  const map = perspective(width, height, corners);
  const rgb = new Float32Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const { x, y } = through(map, column + 0.5, row + 0.5);
      sample(picture, x - 0.5, y - 0.5, rgb, (row * width + column) * 3);
    }
  }
  return { width, height, rgb };
}

/** The perspective that takes (0, 0), (width, 0), (width, height), (0, height) to the corners. */
export function perspective(width: number, height: number, corners: Quad): Perspective {
  const from: Quad = [
    { x: 0, y: 0 },
    { x: width, y: 0 },
    { x: width, y: height },
    { x: 0, y: height },
  ];
  const rows = from.flatMap(({ x, y }, i) => {
    const to = corners[i] ?? { x: 0, y: 0 };
    return [
      [x, y, 1, 0, 0, 0, -x * to.x, -y * to.x, to.x],
      [0, 0, 0, x, y, 1, -x * to.y, -y * to.y, to.y],
    ];
  });
  return solve(rows);
}

/** Where the perspective takes a place. */
export function through(map: Perspective, x: number, y: number): Point {
  const [a = 1, b = 0, c = 0, d = 0, e = 1, f = 0, g = 0, h = 0] = map;
  const depth = g * x + h * y + 1;
  return { x: (a * x + b * y + c) / depth, y: (d * x + e * y + f) / depth };
}

/** Gauss's elimination with pivots; each row is an equation with its right side last. */
function solve(equations: readonly (readonly number[])[]): number[] {
  const rows = equations.map((row) => [...row]);
  const entry = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let pivot = 0; pivot < rows.length; pivot++) {
    let largest = pivot;
    for (let row = pivot + 1; row < rows.length; row++) {
      if (Math.abs(entry(row, pivot)) > Math.abs(entry(largest, pivot))) largest = row;
    }
    const lead = rows[largest] ?? [];
    rows[largest] = rows[pivot] ?? [];
    rows[pivot] = lead;
    const scale = lead[pivot] ?? 0;
    if (Math.abs(scale) < 1e-12) throw new RangeError('the corners span no area');
    rows.forEach((row, i) => {
      if (i === pivot) return;
      const share = (row[pivot] ?? 0) / scale;
      if (share === 0) return;
      lead.forEach((value, column) => {
        row[column] = (row[column] ?? 0) - share * value;
      });
    });
  }
  return rows.map((row, i) => (row.at(-1) ?? 0) / (row[i] ?? 1));
}

/** One pixel of a picture at any place, by the four by four around it. */
function sample(picture: Picture, x: number, y: number, out: Float32Array, to: number): void {
  const { rgb, width, height } = picture;
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [across, down] = [cubicWeights(x - left), cubicWeights(y - top)];
  const clamp = (at: number, extent: number): number => Math.min(extent - 1, Math.max(0, at));
  for (let channel = 0; channel < 3; channel++) {
    let sum = 0;
    down.forEach((weightDown, j) => {
      const row = clamp(top - 1 + j, height) * width;
      across.forEach((weight, i) => {
        const at = (row + clamp(left - 1 + i, width)) * 3 + channel;
        sum += weightDown * weight * (rgb[at] ?? 0);
      });
    });
    out[to + channel] = Math.min(255, Math.max(0, sum));
  }
}

/** Slope of the cubic at its first neighbour. */
const SLOPE = -0.75;

/** Shares of the pixels at -1, 0, 1, 2 for a place `at` between 0 and 1 (cubic convolution). */
function cubicWeights(at: number): readonly [number, number, number, number] {
  const near = (t: number): number => ((SLOPE + 2) * t - (SLOPE + 3)) * t * t + 1;
  const far = (t: number): number => ((SLOPE * t - 5 * SLOPE) * t + 8 * SLOPE) * t - 4 * SLOPE;
  return [far(at + 1), near(at), near(1 - at), far(2 - at)];
}

/** A quarter turn against the clock. */
function turnedLeft({ rgb, width, height }: Picture): Picture {
  const out = new Float32Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = ((width - 1 - x) * height + y) * 3;
      out.set(rgb.subarray((y * width + x) * 3, (y * width + x) * 3 + 3), to);
    }
  }
  return { width: height, height: width, rgb: out };
}
