/** Trained models with published answers: SqueezeNet in f16, and MNIST on all its test digits. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseImageOptions } from 'hone/cli/input/image-options';
import { decodePicture } from 'hone/cli/input/picture';
import { picturesToTensor } from 'hone/cli/input/picture-tensor';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { openPair } from '../support/against-onnxruntime.js';
import { dataPath, missingData } from '../support/data.js';

const SQUEEZENET = 'models/squeezenet/SqueezeNet_fp16.onnx';
const PICTURES = [
  { file: 'kitten_224.png', best: 281, probability: 0.9315 },
  { file: 'fish.png', best: 0, probability: 0.7377 },
];

test('squeezenet in f16: the published answers', { skip: missingData(SQUEEZENET) }, async () => {
  const pair = await openPair(dataPath(SQUEEZENET));
  const options = parseImageOptions('order=bgr,range=0-255,resize=none', 255);
  for (const { file, best, probability } of PICTURES) {
    const path = dataPath(`models/squeezenet/${file}`);
    const picture = decodePicture(readFileSync(path), path);
    const [input] = pair.sessions[0]?.signature.inputs ?? [];
    assert.ok(input !== undefined);
    const out = await pair.check(
      { [input.name]: picturesToTensor([picture], input, options) },
      file,
    );
    const values = toNumbers(Object.values(out)[0] as Tensor);
    const most = values.reduce((a, b) => Math.max(a, b), 0);
    assert.equal(values.indexOf(most), best);
    assert.ok(Math.abs(most - probability) <= 0.002, `${file}: ${most}`);
  }
  await pair.close();
});

const MNIST = 'models/mnist/mnist.onnx';
const IMAGES = 'mnist/t10k-images-idx3-ubyte.gz';
const LABELS = 'mnist/t10k-labels-idx1-ubyte.gz';
const IMAGE_HEADER = 16;
const LABEL_HEADER = 8;
const PIXELS = 28 * 28;

test('mnist: all 10,000 test digits', { skip: missingData(IMAGES) }, async () => {
  const pair = await openPair(dataPath(MNIST));
  const images = gunzipSync(readFileSync(dataPath(IMAGES))).subarray(IMAGE_HEADER);
  const labels = gunzipSync(readFileSync(dataPath(LABELS))).subarray(LABEL_HEADER);
  let right = 0;
  for (const [i, label] of labels.entries()) {
    const data = Float32Array.from(images.subarray(i * PIXELS, (i + 1) * PIXELS));
    const input: Tensor = { dtype: 'f32', shape: [1, 1, 28, 28], data };
    const out = await pair.check({ Input3: input }, `digit ${i}`);
    const values = toNumbers(Object.values(out)[0] as Tensor);
    if (values.indexOf(values.reduce((a, b) => Math.max(a, b))) === label) right++;
  }
  assert.equal(labels.length, 10_000);
  assert.ok(right >= 9_880, `${right} right`);
  await pair.close();
});
