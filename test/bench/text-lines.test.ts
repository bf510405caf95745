/** Lines of text cut out of pictures: the smallest rectangle, how it grows, and what is read through it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Picture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { compareTexts } from '../../bench/accuracy/texts.ts';
import { readingOf, textOf } from '../../bench/ocr/ctc.ts';
import {
  convexHull,
  cornersOf,
  distance,
  grown,
  type Point,
  type Quad,
  smallestBox,
} from '../../bench/ocr/geometry.ts';
import { cutLine, perspective, straighten, through } from '../../bench/ocr/straighten.ts';
import { detectionSize, inReadingOrder, textLines } from '../../bench/ocr/text-boxes.ts';

function near(actual: number, wanted: number, within = 1e-6): void {
  assert.ok(Math.abs(actual - wanted) <= within, `${actual} is not ${wanted}`);
}

/** A picture whose three channels follow a function of the place of a pixel's centre. */
function drawn(width: number, height: number, value: (x: number, y: number) => number): Picture {
  const rgb = new Float32Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    rgb.fill(value((i % width) + 0.5, Math.floor(i / width) + 0.5), i * 3, i * 3 + 3);
  }
  return { width, height, rgb };
}

const at = ({ rgb, width }: Picture, x: number, y: number): number => rgb[(y * width + x) * 3] ?? 0;

test('a hull has the outermost points only, each once', () => {
  const square = [0, 4].flatMap((x) => [0, 3].map((y): Point => ({ x, y })));
  const inner = [1, 2, 3].flatMap((x) => [0, 1, 2].map((y): Point => ({ x, y })));
  assert.deepEqual(
    convexHull([...inner, ...square, ...square])
      .map(({ x, y }) => `${x},${y}`)
      .toSorted(),
    ['0,0', '0,3', '4,0', '4,3'],
  );
});

test('the smallest rectangle is found at any angle', () => {
  for (let degrees = -44; degrees <= 44; degrees += 4) {
    const box = { x: 30, y: 20, width: 40, height: 8, angle: (degrees * Math.PI) / 180 };
    const corners = cornersOf(box);
    const middle = { x: (corners[0].x + corners[1].x) / 2, y: (corners[0].y + corners[1].y) / 2 };
    const found = smallestBox([middle, ...corners]);
    for (const key of ['x', 'y', 'width', 'height', 'angle'] as const) near(found[key], box[key]);
  }
});

test('no rectangle at another angle is smaller', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  for (let round = 0; round < 20; round++) {
    const points = Array.from({ length: 30 }, () => ({ x: random() * 50, y: random() * 20 }));
    const { width, height } = smallestBox(points);
    for (let degrees = 0; degrees < 90; degrees++) {
      const [cos, sin] = [Math.cos, Math.sin].map((f) => f((degrees * Math.PI) / 180)) as [
        number,
        number,
      ];
      const spread = (list: readonly number[]): number => Math.max(...list) - Math.min(...list);
      const along = spread(points.map(({ x, y }) => x * cos + y * sin));
      const across = spread(points.map(({ x, y }) => y * cos - x * sin));
      assert.ok(width * height <= along * across + 1e-9);
    }
  }
});

test('a rectangle grows on every side by its area by its perimeter', () => {
  const { width, height } = grown({ x: 0, y: 0, width: 60, height: 20, angle: 0.3 }, 1.5);
  const offset = (60 * 20 * 1.5) / (2 * (60 + 20));
  near(width, 60 + 2 * offset);
  near(height, 20 + 2 * offset);
});

test('a perspective takes the corners of a rectangle where they belong', () => {
  const corners: Quad = [
    { x: 3, y: 5 },
    { x: 47, y: 2 },
    { x: 52, y: 21 },
    { x: 1, y: 17 },
  ];
  const map = perspective(40, 12, corners);
  const places = [
    [0, 0],
    [40, 0],
    [40, 12],
    [0, 12],
  ] as const;
  places.forEach(([x, y], i) => {
    const { x: u, y: v } = through(map, x, y);
    near(u, corners[i]?.x ?? Number.NaN);
    near(v, corners[i]?.y ?? Number.NaN);
  });
  // Where the diagonals cross they cross in the rectangle too: no affine map does that.
  const [a, b, c, d] = corners;
  const t =
    ((b.x - a.x) * (d.y - b.y) - (b.y - a.y) * (d.x - b.x)) /
    ((c.x - a.x) * (d.y - b.y) - (c.y - a.y) * (d.x - b.x));
  const middle = through(map, 20, 6);
  near(middle.x, a.x + t * (c.x - a.x));
  near(middle.y, a.y + t * (c.y - a.y));
  const flat = { x: 1, y: 1 };
  assert.throws(() => perspective(4, 4, [flat, flat, flat, flat]), RangeError);
});

test('a turned ramp is straight in its own rectangle', () => {
  const angle = 0.2;
  const box = { x: 50, y: 30, width: 40, height: 10, angle };
  const along = (x: number, y: number): number =>
    100 + 2 * ((x - box.x) * Math.cos(angle) + (y - box.y) * Math.sin(angle));
  const cut = straighten(drawn(100, 60, along), cornersOf(box));
  assert.deepEqual([cut.width, cut.height], [40, 10]);
  for (let y = 0; y < cut.height; y++) {
    for (let x = 0; x < cut.width; x++) near(at(cut, x, y), 100 + 2 * (x + 0.5 - 20), 0.3);
  }
});

test('pixels are taken as they are where nothing is turned, and edges go on', () => {
  const picture = drawn(12, 9, (x, y) => (x * 31 + y * 57) % 251);
  const cut = straighten(picture, cornersOf({ x: 3, y: 4, width: 10, height: 4, angle: 0 }));
  for (let y = 0; y < 4; y++) {
    for (let x = 0; x < 10; x++) near(at(cut, x, y), at(picture, Math.max(0, x - 2), y + 2), 1e-4);
  }
});

test('a line that runs upwards is laid down', () => {
  const picture = drawn(20, 60, (_, y) => 4 * y);
  const cut = cutLine(picture, cornersOf({ x: 10, y: 30, width: 8, height: 40, angle: 0 }));
  assert.deepEqual([cut.width, cut.height], [40, 8]);
  // A quarter turn to the left: what was above is on the left.
  near(at(cut, 0, 3), 4 * 10.5, 1e-3);
  near(at(cut, 39, 3), 4 * 49.5, 1e-3);
});

/** A map of probabilities with stripes: [x, y, width, height, slope, probability]. */
function mapOf(
  width: number,
  height: number,
  stripes: readonly (readonly [number, number, number, number, number, number])[],
): Tensor {
  const data = new Float32Array(width * height);
  for (const [left, top, wide, high, slope, probability] of stripes) {
    for (let x = left; x < left + wide; x++) {
      const from = top + Math.round(slope * (x - left));
      for (let y = from; y < from + high; y++) data[y * width + x] = probability;
    }
  }
  return { dtype: 'f32', shape: [1, 1, height, width], data };
}

test('lines are found turned as they lie, grown, at the scale of the picture', () => {
  const picture = drawn(400, 200, () => 0);
  const map = mapOf(200, 100, [
    [20, 20, 120, 8, 0.1, 0.9],
    // Not sure enough, and too thin.
    [20, 60, 100, 8, 0, 0.5],
    [20, 80, 100, 2, 0, 0.9],
  ]);
  const lines = textLines(map, picture);
  assert.equal(lines.length, 1);
  const [a, b, , d] = lines[0] as Quad;
  near(Math.atan2(b.y - a.y, b.x - a.x), Math.atan(0.1), 0.01);
  // Between the centres of its outermost pixels it is 119.6 long and 7 to 8 high; twice that here.
  const [wide, high] = [distance(a, b), distance(a, d)];
  const grew = (1.5 * 119.6 * 7.6) / (119.6 + 7.6);
  near(wide, 2 * (119.6 + grew), 4);
  near(high, 2 * (7.6 + grew), 2);
});

test('lines stand in reading order: rows first, from the left within one', () => {
  const line = (x: number, y: number): Quad => cornersOf({ x, y, width: 40, height: 10, angle: 0 });
  const wanted = [line(30, 52), line(200, 47), line(400, 50), line(20, 90), line(100, 95)];
  const [a, b, c, d, e] = wanted as [Quad, Quad, Quad, Quad, Quad];
  for (const shuffled of [
    [e, d, c, b, a],
    [c, a, e, b, d],
  ]) {
    assert.deepEqual(inReadingOrder(shuffled), wanted);
  }
});

test('small pictures are detected enlarged, large ones as they are', () => {
  assert.deepEqual(detectionSize({ width: 384, height: 191 } as Picture), [384, 800]);
  assert.deepEqual(detectionSize({ width: 853, height: 1280 } as Picture), [1280, 864]);
});

/** Columns of the recogniser: probabilities of "none", a, b. */
function columns(...rows: readonly (readonly [number, number, number])[]): Tensor {
  return { dtype: 'f32', shape: [1, rows.length, 3], data: Float32Array.from(rows.flat()) };
}

test('the margin of a reading is of what would change its text', () => {
  const letters = ['', 'a', 'b'];
  const sure = [0.05, 0.9, 0.05] as const;
  // The second column is near a tie, but no one column decides: the text is "a" either way.
  const same = columns(sure, [0.49, 0.51, 0], [0.9, 0.05, 0.05]);
  assert.equal(textOf(same, letters).text, 'a');
  near(readingOf(same, letters).margin, 1);
  // Alone it decides whether there is a letter at all.
  const alone = columns([0.9, 0.05, 0.05], [0.49, 0.51, 0], [0.9, 0.05, 0.05]);
  near(readingOf(alone, letters).margin, 0.02);
  // Between two of the same letter "none" makes them two.
  const between = columns(sure, [0.48, 0.52, 0], sure);
  assert.equal(readingOf(between, letters).text, 'a');
  near(readingOf(between, letters).margin, 0.04);
});

test('texts are counted by picture, and where fp32 is clear', () => {
  const reading = (text: string, margin: number, sure = 0.9) => ({ text, margin, sure });
  const names = ['a.png, line 1', 'a.png, line 2', 'b.png, line 1', 'b.png, line 2'];
  const wide = [reading('x', 0.9), reading('y', 0.02), reading('z', 0.5), reading('?', 0.9, 0.3)];
  const narrow = ['x', 'v', 'w', '!'].map((text) => reading(text, 0.9));
  const { byPicture, clear, others } = compareTexts(
    wide,
    narrow,
    names.map((name) => ({ name })),
  );
  assert.deepEqual(Object.fromEntries(byPicture), {
    'a.png': { same: 1, of: 2 },
    'b.png': { same: 0, of: 1 },
  });
  assert.deepEqual(clear, { same: 1, of: 2 });
  assert.deepEqual(
    others.map(({ sample, wide: from, narrow: to }) => `${sample}: ${from} ${to}`),
    ['a.png, line 2: y v', 'b.png, line 1: z w'],
  );
});
