/**
 * Rotated rectangles around points: convex hull, the smallest rectangle that holds it, and the
 * picture inside a rectangle turned upright.
 */
import type { Picture } from 'hone/cli/input/picture';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A rectangle by its centre; `angle` turns its long side away from the horizontal, in radians. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly angle: number;
}

/** The corners of the convex hull, in order (Andrew's monotone chain). */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (list: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of list) {
      while (chain.length >= 2 && turn(chain.at(-2), chain.at(-1), point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

function turn(a: Point | undefined, b: Point | undefined, c: Point): number {
  if (a === undefined || b === undefined) return 0;
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

/** The rectangle of least area around points: one of its sides lies on a side of their hull. */
export function smallestBox(points: readonly Point[]): Box {
  const hull = convexHull(points);
  let best: Box | undefined;
  for (const [i, from] of hull.entries()) {
    const to = hull[(i + 1) % hull.length] ?? from;
    const box = boxAt(hull, Math.atan2(to.y - from.y, to.x - from.x));
    if (best === undefined || box.width * box.height < best.width * best.height) best = box;
  }
  return lyingDown(best ?? boxAt(points, 0));
}

function boxAt(points: readonly Point[], angle: number): Box {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const along = points.map(({ x, y }) => x * cos + y * sin);
  const across = points.map(({ x, y }) => y * cos - x * sin);
  const [left, right] = [Math.min(...along), Math.max(...along)];
  const [top, bottom] = [Math.min(...across), Math.max(...across)];
  const [u, v] = [(left + right) / 2, (top + bottom) / 2];
  const at = { x: u * cos - v * sin, y: u * sin + v * cos };
  return { ...at, width: right - left, height: bottom - top, angle };
}

/** The same rectangle with an angle between -45° and 45°. */
function lyingDown(box: Box): Box {
  let { width, height, angle } = box;
  while (angle > Math.PI / 4) {
    angle -= Math.PI / 2;
    [width, height] = [height, width];
  }
  while (angle < -Math.PI / 4) {
    angle += Math.PI / 2;
    [width, height] = [height, width];
  }
  return { ...box, width, height, angle };
}

/** The part of a picture inside a box, upright, bilinear; beyond the picture its edge goes on. */
export function cutOut({ rgb, width, height }: Picture, box: Box): Picture {
  const [w, h] = [Math.max(1, Math.round(box.width)), Math.max(1, Math.round(box.height))];
  const [cos, sin] = [Math.cos(box.angle), Math.sin(box.angle)];
  const out = new Float32Array(w * h * 3);
  const clamp = (at: number, extent: number): number => Math.min(extent - 1, Math.max(0, at));
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < w; column++) {
      const u = (column + 0.5) * (box.width / w) - box.width / 2;
      const v = (row + 0.5) * (box.height / h) - box.height / 2;
      const x = clamp(box.x + u * cos - v * sin - 0.5, width);
      const y = clamp(box.y + u * sin + v * cos - 0.5, height);
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const [x1, y1] = [clamp(x0 + 1, width), clamp(y0 + 1, height)];
      for (let channel = 0; channel < 3; channel++) {
        const at = (px: number, py: number): number => rgb[(py * width + px) * 3 + channel] ?? 0;
        const top = at(x0, y0) * (1 - (x - x0)) + at(x1, y0) * (x - x0);
        const bottom = at(x0, y1) * (1 - (x - x0)) + at(x1, y1) * (x - x0);
        out[(row * w + column) * 3 + channel] = top * (1 - (y - y0)) + bottom * (y - y0);
      }
    }
  }
  return { width: w, height: h, rgb: out };
}
