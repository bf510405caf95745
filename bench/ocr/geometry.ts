/** Rotated rectangles around points: convex hull, and the smallest rectangle that holds it. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A rectangle by its centre; `angle` turns its width away from the horizontal, in radians. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly angle: number;
}

/** Four corners: top left, top right, bottom right, bottom left, as they are when it stands upright. */
export type Quad = readonly [Point, Point, Point, Point];

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

/**
 * The box with every side moved outwards by `ratio` times its area by its perimeter: what a polygon
 * offset with round joins has as its smallest rectangle.
 */
export function grown(box: Box, ratio: number): Box {
  const { width, height } = box;
  const growth = (ratio * width * height) / (width + height);
  return { ...box, width: width + growth, height: height + growth };
}

export function cornersOf({ x, y, width, height, angle }: Box): Quad {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const corner = (right: number, down: number): Point => {
    const [u, v] = [(right * width) / 2, (down * height) / 2];
    return { x: x + u * cos - v * sin, y: y + u * sin + v * cos };
  };
  return [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
}

/** Whether a point lies in a box or on its border. */
export function holds({ x, y, width, height, angle }: Box, point: Point): boolean {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [dx, dy] = [point.x - x, point.y - y];
  const slack = 1e-9;
  return (
    Math.abs(dx * cos + dy * sin) <= width / 2 + slack &&
    Math.abs(dy * cos - dx * sin) <= height / 2 + slack
  );
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
