/** Published answers of real classifiers, through the command line. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dataPath, missingData } from '../support/data.ts';
import { hone } from '../support/hone-process.ts';

const cache = mkdtempSync(join(tmpdir(), 'hone-classifiers-'));
after(() => rmSync(cache, { recursive: true }));

const SQUEEZENET = 'models/squeezenet/SqueezeNet_fp16.onnx';
const BYTES = 'order=bgr,range=0-255,resize=none';

const ANSWERS = [
  { picture: 'kitten_224.png', index: 281, score: 0.9315, label: /tabby/ },
  { picture: 'fish.png', index: 0, score: 0.7377, label: /tench/ },
] as const;

for (const { picture, index, score, label } of ANSWERS) {
  test(`SqueezeNet: ${picture}`, { skip: missingData(SQUEEZENET) }, async () => {
    const { code, stdout, stderr } = await hone(
      [
        ...['run', dataPath(SQUEEZENET), '--json', '--top', '3', '--image', BYTES],
        ...['--input', `data_0=${dataPath(`models/squeezenet/${picture}`)}`],
        ...['--labels', dataPath('models/squeezenet/Labels.json')],
      ],
      { HONE_CACHE_DIR: cache },
    );
    assert.equal(code, 0, stderr);
    const [best] = JSON.parse(stdout).top;
    assert.equal(best.index, index);
    assert.ok(Math.abs(best.score - score) <= 0.002, `${best.score}`);
    assert.match(best.label, label);
    // What was applied to the picture is said, defaults included.
    assert.match(stderr, /--image order=bgr,range=0-255,mean=0,std=1,resize=none,crop=none/);
  });
}

const MNIST = 'models/mnist/mnist.onnx';

test('MNIST: a grey picture into one channel', { skip: missingData(MNIST) }, async () => {
  const { code, stdout, stderr } = await hone(
    [
      ...['run', dataPath(MNIST), '--json', '--top', '1', '--image', 'range=0-255'],
      ...['--input', dataPath('models/mnist/mnist_28.png')],
    ],
    { HONE_CACHE_DIR: cache },
  );
  assert.equal(code, 0, stderr);
  const { outputs, top } = JSON.parse(stdout);
  assert.deepEqual(outputs[0].shape, [1, 10]);
  assert.equal(top[0].index, 8);
});
