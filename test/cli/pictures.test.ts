/** Pictures into tensors: decoding, resizing, cropping, order, range, layout. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatImageOptions, parseImageOptions } from 'hone/cli/input/image-options';
import { decodePicture, type Picture, resizePicture } from 'hone/cli/input/picture';
import { type InputSpec, pictureLayout, picturesToTensor } from 'hone/cli/input/picture-tensor';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';

const code = (expected: string) => (error: unknown) =>
  error instanceof HoneError && error.code === expected && error.cure !== undefined;

/** Pixel (x, y) is (10 x, 10 y, 200), half transparent. */
function samplePng(width: number, height: number): Buffer {
  const png = new PNG({ width, height });
  for (let at = 0; at < width * height; at++) {
    png.data.set([10 * (at % width), 10 * Math.floor(at / width), 200, 128], at * 4);
  }
  return PNG.sync.write(png);
}

const spec = (shape: number[], dtype: InputSpec['dtype'] = 'f32'): InputSpec => ({
  name: 'x',
  dtype,
  shape,
});

test('PNG: alpha is dropped, not applied', () => {
  const picture = decodePicture(samplePng(3, 2), 'a.png');
  assert.deepEqual([picture.width, picture.height], [3, 2]);
  assert.deepEqual([...picture.rgb.subarray(0, 6)], [0, 0, 200, 10, 0, 200]);
});

test('JPEG: close to what was stored', () => {
  const data = Buffer.alloc(16 * 16 * 4, 0);
  for (let at = 0; at < 256; at++) data.set([180, 90, 30, 255], at * 4);
  const bytes = jpeg.encode({ width: 16, height: 16, data }, 95).data;
  const { rgb } = decodePicture(bytes, 'a.jpg');
  [180, 90, 30].forEach((value, lane) => {
    assert.ok(Math.abs((rgb[lane] as number) - value) < 6);
  });
});

test('damaged pictures are coded errors', () => {
  const png = samplePng(8, 8);
  const jpg = jpeg.encode({ width: 16, height: 16, data: Buffer.alloc(1024, 7) }, 90).data;
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(0x7fffffff, 16);
  for (const bytes of [png.subarray(0, 20), png.subarray(0, 60), jpg.subarray(0, 100), bomb]) {
    assert.throws(() => decodePicture(bytes, 'a.png'), code('HONE-INPUT-011'));
  }
});

test('resizing keeps constants, averages when shrinking, interpolates when growing', () => {
  const flat: Picture = { width: 7, height: 5, rgb: new Uint8Array(105).fill(77) };
  for (const value of resizePicture(flat, 3, 11).rgb) assert.ok(Math.abs(value - 77) < 1e-4);
  const halves: Picture = { width: 2, height: 1, rgb: new Uint8Array([0, 0, 0, 100, 100, 100]) };
  const grown = resizePicture(halves, 4, 1).rgb;
  assert.deepEqual(
    [0, 3, 6, 9].map((at) => Math.round(grown[at] as number)),
    [0, 25, 75, 100],
  );
  assert.equal(Math.round(resizePicture(halves, 1, 1).rgb[0] as number), 50);
});

test('shrinking by whole factors is the triangle filter', () => {
  const ramp: Picture = {
    width: 8,
    height: 1,
    rgb: new Uint8Array(24).map((_v, i) => i - (i % 3)),
  };
  const { rgb } = resizePicture(ramp, 4, 1);
  // Weights 1, 3, 3, 1 over pixels 1 to 4 of values 3, 6, 9, 12.
  assert.ok(Math.abs((rgb[3] as number) - (3 + 18 + 27 + 12) / 8) < 1e-4);
});

test('layouts are told by the shape', () => {
  assert.equal(pictureLayout([1, 3, 8, 9])?.channelsLast, false);
  assert.equal(pictureLayout([1, 8, 9, 3])?.channelsLast, true);
  assert.deepEqual(pictureLayout([2, 1, 28, 28]), {
    batch: 2,
    channels: 1,
    height: 28,
    width: 28,
    channelsLast: false,
  });
  assert.equal(pictureLayout([1, 512]) === undefined, false);
  assert.equal(pictureLayout([4, 5, 6, 7]), undefined);
  assert.equal(pictureLayout([7]), undefined);
});

test('order, range, mean and std', () => {
  const picture = decodePicture(samplePng(2, 2), 'a.png');
  const rgb = picturesToTensor([picture], spec([1, 3, 2, 2]), parseImageOptions('', 1));
  assert.ok(Math.abs((toNumbers(rgb)[1] as number) - 10 / 255) < 1e-7);
  assert.ok(Math.abs((toNumbers(rgb)[8] as number) - 200 / 255) < 1e-7);
  const options = parseImageOptions('order=bgr,range=0-255,mean=100,5,0,std=2,resize=none', 1);
  const bgr = toNumbers(picturesToTensor([picture], spec([1, 3, 2, 2]), options));
  assert.deepEqual([...bgr], [50, 50, 50, 50, -2.5, -2.5, 2.5, 2.5, 0, 5, 0, 5]);
  const last = toNumbers(
    picturesToTensor([picture], spec([1, 2, 2, 3], 'u8'), parseImageOptions('', 255)),
  );
  assert.deepEqual([...last.subarray(0, 6)], [0, 0, 200, 10, 0, 200]);
});

test('short side and centre crop', () => {
  const picture = decodePicture(samplePng(20, 10), 'a.png');
  const options = parseImageOptions('range=0-255,resize=short:10', 1);
  const tensor = toNumbers(picturesToTensor([picture], spec([1, 3, 6, 4]), options));
  // Columns 8 to 11, rows 2 to 7.
  assert.deepEqual([...tensor.subarray(0, 4)], [80, 90, 100, 110]);
  assert.equal(tensor[24], 20);
});

test('pictures that do not fit are coded errors', () => {
  const picture = decodePicture(samplePng(6, 6), 'a.png');
  const none = parseImageOptions('resize=none', 1);
  assert.throws(
    () => picturesToTensor([picture], spec([1, 3, 8, 8]), none),
    code('HONE-INPUT-014'),
  );
  assert.throws(
    () => picturesToTensor([picture], spec([1, 3, 8, 8]), parseImageOptions('crop=8x8', 1)),
    code('HONE-INPUT-014'),
  );
  assert.throws(
    () => picturesToTensor([picture], spec([2, 3, 6, 6]), none),
    code('HONE-INPUT-013'),
  );
  assert.throws(() => picturesToTensor([picture], spec([10]), none), code('HONE-INPUT-012'));
});

test('--image: printed form reads back, mistakes are named', () => {
  for (const text of [
    '',
    'mean=1/2/3',
    'resize=short:256,crop=224x224',
    'crop=none',
    'std=2,3,4',
  ]) {
    const options = parseImageOptions(text, 255);
    assert.deepEqual(parseImageOptions(formatImageOptions(options), 1), options);
  }
  const wrong = [
    'order=gbr',
    'size=3',
    'range=0-2',
    'mean=1,2',
    'std=0',
    'resize=big',
    'crop=3',
    '3',
    'order=rgb,order=bgr',
    'resize=9x9,4',
  ];
  for (const text of wrong) assert.throws(() => parseImageOptions(text, 1), code('HONE-CLI-006'));
});
