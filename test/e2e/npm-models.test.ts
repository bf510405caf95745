/**
 * Trained models out of npm packages, on real pictures: outputs as onnxruntime's, and what they
 * mean: faces, lines, text found, its direction and its letters.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cropPicture, decodePicture, type Picture, resizePicture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { faceInput, findFaces } from '../../bench/demo/blazeface.js';
import { upsideDown } from '../../bench/demo/drawing.js';
import { lineInput, readDirection } from '../../bench/demo/text-direction.js';
import { npmModel, npmPicture } from '../../bench/npm-files.js';
import { readCharacters, textOf } from '../../bench/ocr/ctc.js';
import { detectionInput } from '../../bench/ocr/text-boxes.js';
import { openPair, type Pair, type Tensors } from '../support/against-onnxruntime.js';

const read = (file: string): Picture => decodePicture(readFileSync(file), file);

async function using(opening: Promise<Pair>, body: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = await opening;
  try {
    await body(pair);
  } finally {
    await pair.close();
  }
}

function floats(outputs: Tensors, name: string): Float32Array {
  const data = outputs[name]?.data;
  assert.ok(data instanceof Float32Array, name);
  return data;
}

const FACES = [
  { model: 'blazeface-front', size: 128, photo: 4, faces: 4 },
  { model: 'blazeface-back', size: 256, photo: 5, faces: 5 },
] as const;
for (const { model, size, photo, faces } of FACES) {
  test(`${model}: finds the faces`, () =>
    using(openPair(npmModel(model)), async (pair) => {
      const picture = read(npmPicture(photo));
      const out = await pair.check({ 'input:0': faceInput(picture, size) });
      const scores = [floats(out, 'Identity:0'), floats(out, 'Identity_1:0')];
      const boxes = [floats(out, 'Identity_2:0'), floats(out, 'Identity_3:0')];
      assert.equal(findFaces(scores, boxes, picture, size).length, faces);
    }));
}

for (const target of ['x86-64-v3', 'x86-64']) {
  const skip = process.arch === 'x64' ? false : 'needs an x86-64 processor';
  test(`blazeface-front: the same answers on ${target}`, { skip }, () =>
    using(openPair(npmModel('blazeface-front'), { target }), async (pair) => {
      await pair.check({ 'input:0': faceInput(read(npmPicture(2)), 128) });
    }),
  );
}

// M-LSD keeps local maxima only, and lets rounding errors grow: onnxruntime's own answers with and
// without graph optimisations differ in as many elements, and an f64 run from both.
for (const { model, size, photo, strays } of [
  { model: 'mlsd-320-tiny', size: 320, photo: 5, strays: 0 },
  { model: 'mlsd-512-tiny', size: 512, photo: 6, strays: 4e-5 },
  { model: 'mlsd-320-large', size: 320, photo: 5, strays: 4e-5 },
  { model: 'mlsd-512-large', size: 512, photo: 6, strays: 2e-4 },
] as const) {
  test(`${model}: finds lines`, () =>
    using(openPair(npmModel(model)), async (pair) => {
      const picture = resizePicture(read(npmPicture(photo)), size, size);
      // The fourth channel is 1 everywhere.
      const data = Float32Array.from({ length: size * size * 4 }, (_, i) =>
        i % 4 === 3 ? 1 : (picture.rgb[Math.floor(i / 4) * 3 + (i % 4)] ?? 0),
      );
      const input: Tensor = { dtype: 'f32', shape: [1, size, size, 4], data };
      const out = await pair.check({ 'input_image_with_alpha:0': input }, model, strays);
      const surest = floats(out, 'scores').reduce((most, value) => Math.max(most, value), 0);
      assert.ok(surest > 0.2, `${surest}`);
    }));
}

/** Text in the lower part of the screenshot. */
const TEXT = { left: 0, top: 1100, width: 640, height: 160 };

function textPicture(height: number, width: number): Tensor {
  const text = cropPicture(
    read(npmPicture('screenshot')),
    TEXT.left,
    TEXT.top,
    Math.min(TEXT.width, width),
    Math.min(TEXT.height, height),
  );
  return detectionInput(text, height, width);
}

for (const [height, width] of [
  [160, 640],
  [320, 320],
  [96, 160],
] as const) {
  test(`ppocr-det: finds text, ${height}x${width}`, () => {
    const shapes = { x: [1, 3, height, width] };
    return using(openPair(npmModel('ppocr-det'), { shapes }), async (pair) => {
      const out = await pair.check({ x: textPicture(height, width) });
      const probability = Object.values(out)[0]?.data as Float32Array;
      const marked = probability.filter((value) => value > 0.5).length / probability.length;
      assert.ok(marked > 0.03 && marked < 0.6, `${marked} of the picture`);
    });
  });
}

const LINE = { left: 0, top: 1102, width: 170, height: 20, text: 'FaceAPI WebCam Test' };
const textLine = (): Picture =>
  cropPicture(read(npmPicture('screenshot')), LINE.left, LINE.top, LINE.width, LINE.height);

test('ppocr-cls: tells upright from upside down', () =>
  using(openPair(npmModel('ppocr-cls'), { shapes: { x: [1, 3, 48, 192] } }), async (pair) => {
    const direction = async (line: Picture) =>
      readDirection(
        Object.values(await pair.check({ x: lineInput(line) }))[0]?.data as Float32Array,
      );
    assert.equal((await direction(textLine())).degrees, 0);
    assert.equal((await direction(upsideDown(textLine()))).degrees, 180);
  }));

for (const width of [320, 408]) {
  test(`ppocr-rec: reads a line, width ${width}`, () => {
    const shapes = { x: [1, 3, 48, width] };
    return using(openPair(npmModel('ppocr-rec'), { shapes }), async (pair) => {
      const out = await pair.check({ x: lineInput(textLine(), width) });
      const output = Object.values(out)[0] as Tensor;
      const characters = readCharacters(output.shape.at(-1) ?? 0);
      assert.equal(textOf(output, characters).text, LINE.text);
    });
  });
}
