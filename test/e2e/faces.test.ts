/**
 * Trained networks that look for faces and at them, on photos: outputs as onnxruntime's, and what they
 * mean. Two detectors find the same faces, points lie where BlazeFace sees eyes and mouth, expressions are
 * probabilities, and of all faces a face is most like its own mirror image.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { decodePicture, type Picture, resizePicture } from 'hone/cli/input/picture';
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Tensor } from 'hone-runtime/base/tensor';
import {
  type Face,
  faceInput,
  findFaces,
  type Point,
  suppress,
} from '../../bench/demo/blazeface.js';
import { DETECTOR_SIDE, faceDetector } from '../../bench/faces/detector.js';
import { FACE_SIDES, type FaceNetwork, faceNetwork } from '../../bench/faces/networks.js';
import { npmModel, npmPicture } from '../../bench/npm-files.js';
import type { Box } from '../../bench/ocr/geometry.js';
import { cutOut } from '../../bench/ocr/straighten.js';
import { openPair, type Pair } from '../support/against-onnxruntime.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-faces-'));
const pairs: Pair[] = [];
after(async () => {
  for (const pair of pairs) await pair.close();
  rmSync(folder, { recursive: true });
});

interface Found {
  readonly photo: number;
  readonly face: Face;
  readonly box: Box;
  readonly picture: Picture;
}

const PHOTOS = [4, 5, 6] as const;
/** The side of the square around a face, by the width that BlazeFace gives. */
const MARGIN = 1.25;

let found: Promise<readonly Found[]> | undefined;
const faces = (): Promise<readonly Found[]> => (found ??= detect());

async function detect(): Promise<readonly Found[]> {
  const pair = await openPair(npmModel('blazeface-back'));
  pairs.push(pair);
  const all: Found[] = [];
  for (const photo of PHOTOS) {
    const file = npmPicture(photo);
    const picture = decodePicture(readFileSync(file), file);
    const out = await pair.check({ 'input:0': faceInput(picture, 256) });
    const values = (name: string): Float32Array => out[name]?.data as Float32Array;
    const scores = [values('Identity:0'), values('Identity_1:0')];
    const boxes = [values('Identity_2:0'), values('Identity_3:0')];
    for (const face of findFaces(scores, boxes, picture, 256)) {
      const [x, y] = [face.left + face.width / 2, face.top + face.height / 2];
      const side = face.width * MARGIN;
      all.push({ photo, face, picture, box: { x, y, width: side, height: side, angle: 0 } });
    }
  }
  assert.equal(all.length, 13);
  return all;
}

type Look = (cut: Picture, what: string) => Promise<Float32Array>;

/** A network that is given pictures of faces. */
async function open(network: FaceNetwork): Promise<Look> {
  const file = path.join(folder, `${network}.onnx`);
  writeFileSync(file, exportOnnx(faceNetwork(network)));
  const pair = await openPair(file);
  pairs.push(pair);
  const side = FACE_SIDES[network];
  return async (cut, what) => {
    const { rgb } = resizePicture(cut, side, side);
    const face: Tensor = { dtype: 'f32', shape: [1, side, side, 3], data: Float32Array.from(rgb) };
    return Object.values(await pair.check({ face }, what))[0]?.data as Float32Array;
  };
}

/** Points of the 68 by part; the numbers are those of the iBUG annotation. */
const PARTS = { rightEye: [36, 42], leftEye: [42, 48], mouth: [48, 68] } as const;

/** The middle of a part, in pixels of the photo. */
function middle(marks: Float32Array, part: keyof typeof PARTS, box: Box): Point {
  const [from, to] = PARTS[part];
  let [x, y] = [0, 0];
  for (let k = from; k < to; k++) {
    x += (marks[2 * k] ?? 0) / (to - from);
    y += (marks[2 * k + 1] ?? 0) / (to - from);
  }
  return { x: box.x + (x - 0.5) * box.width, y: box.y + (y - 0.5) * box.height };
}

const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

test('an SSD finds the faces that BlazeFace finds', async () => {
  const file = path.join(folder, 'detector.onnx');
  writeFileSync(file, exportOnnx(faceDetector()));
  const pair = await openPair(file);
  pairs.push(pair);
  const all = await faces();
  for (const photo of PHOTOS) {
    const seen = all.filter((item) => item.photo === photo);
    const picture = seen[0]?.picture;
    assert.ok(picture !== undefined);
    const input = { picture: faceInput(picture, DETECTOR_SIDE) };
    const [boxes, scores] = Object.values(await pair.check(input, `photo ${photo}`));
    const kept = suppress(candidates(boxes as Tensor, scores as Tensor, picture));
    for (const { face, box } of seen) {
      const near = kept.some(
        ({ left, top, width, height }) =>
          Math.hypot(left + width / 2 - box.x, top + height / 2 - box.y) < face.width / 4,
      );
      assert.ok(near, `photo ${photo}: a face at ${box.x}, ${box.y}`);
    }
  }
});

/** Boxes with a score above one half, in pixels of the picture, the surest first. */
function candidates(boxes: Tensor, scores: Tensor, { width, height }: Picture): Face[] {
  const [box, score] = [boxes.data as Float32Array, scores.data as Float32Array];
  const side = Math.max(width, height);
  const sure = [...score].flatMap((value, i) => (value > 0.5 ? [{ value, i }] : []));
  return sure
    .sort((a, b) => b.value - a.value)
    .map(({ value, i }) => {
      const [top = 0, left = 0, bottom = 0, right = 0] = box.slice(4 * i, 4 * i + 4);
      return {
        score: value,
        left: left * side,
        top: top * side,
        width: (right - left) * side,
        height: (bottom - top) * side,
        points: [],
      };
    });
}

test('68 points of a face lie where BlazeFace sees eyes and mouth', async () => {
  const look = await open('landmarks');
  for (const { face, box, picture, photo } of await faces()) {
    const marks = await look(cutOut(picture, box), `photo ${photo}`);
    const [rightEye, leftEye, , mouth] = face.points;
    for (const [part, seen] of [
      ['rightEye', rightEye],
      ['leftEye', leftEye],
      ['mouth', mouth],
    ] as const) {
      assert.ok(seen !== undefined);
      const off = distance(middle(marks, part, box), seen) / face.width;
      assert.ok(off < 0.12, `photo ${photo}, ${part}: ${off} of the width of the face`);
    }
  }
});

test('expressions are probabilities, most faces sure of one', async () => {
  const look = await open('expression');
  let sure = 0;
  for (const { box, picture, photo } of await faces()) {
    const chances = await look(cutOut(picture, box), `photo ${photo}`);
    const sum = chances.reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum - 1) < 1e-5, `${sum}`);
    if (chances.some((chance) => chance > 0.7)) sure++;
  }
  assert.ok(sure >= 9, `${sure} of 13`);
});

test('of all faces, a face is most like its own mirror image', async () => {
  const [mark, look] = [await open('landmarks'), await open('recognition')];
  const people: { readonly own: Float32Array; readonly mirrored: Float32Array }[] = [];
  for (const { box, picture, photo } of await faces()) {
    const cut = cutOut(picture, aligned(await mark(cutOut(picture, box), `photo ${photo}`), box));
    const own = await look(cut, `photo ${photo}`);
    people.push({ own, mirrored: await look(mirrored(cut), `photo ${photo}, mirrored`) });
  }
  for (const [i, { own, mirrored: image }] of people.entries()) {
    const others = people.filter((_, k) => k !== i).map((other) => apart(own, other.own));
    const nearest = Math.min(...others);
    assert.ok(apart(own, image) < nearest - 0.05, `${i}: ${apart(own, image)}, others ${nearest}`);
  }
});

/** dlib's square around eyes and mouth. */
function aligned(marks: Float32Array, box: Box): Box {
  const [a, b, mouth] = (['rightEye', 'leftEye', 'mouth'] as const).map((part) =>
    middle(marks, part, box),
  ) as [Point, Point, Point];
  const side = (distance(a, mouth) + distance(b, mouth)) / 2 / 0.45;
  const x = (a.x + b.x + mouth.x) / 3;
  const y = (a.y + b.y + mouth.y) / 3 + (0.5 - 0.43) * side;
  return { x, y, width: side, height: side, angle: 0 };
}

function mirrored({ width, height, rgb }: Picture): Picture {
  const out = new Float32Array(rgb.length);
  for (let row = 0; row < height; row++) {
    for (let i = 0; i < width * 3; i++) {
      const column = width - 1 - Math.floor(i / 3);
      out[row * width * 3 + i] = rgb[(row * width + column) * 3 + (i % 3)] ?? 0;
    }
  }
  return { width, height, rgb: out };
}

function apart(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));
}
