/** The model fuzzer itself: a few cases in processes, and that it notices what it looks for. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzModels } from './models/fuzz-models.ts';

const BROKEN = fileURLToPath(new URL('./models/broken-main.js', import.meta.url));
const SEED = Number(process.env['HONE_FUZZ_SEED'] ?? 1);

test('damaged models in processes of their own', async () => {
  const found = await fuzzModels({ seed: SEED, count: 400, seconds: 60, sanitized: false });
  assert.deepEqual(found.faults, []);
  assert.ok(found.tried >= 400);
  const { structure, bytes } = found.reached;
  assert.ok(structure && bytes);
  const all = structure.refused + structure.imported + structure.compiled;
  assert.ok(all * 2 >= found.tried, 'half of the cases change the structure');
  assert.ok((structure.imported + structure.compiled) * 2 > all, 'most of them reach the passes');
});

test('models built with the sanitizer and run', async () => {
  const found = await fuzzModels({ seed: SEED, count: 6, seconds: 120, sanitized: true });
  assert.deepEqual(found.faults, []);
  assert.ok(found.ran >= 6);
});

test('the sanitizer ends a process whose sum overflows', () => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [BROKEN], {
    encoding: 'utf8',
  });
  assert.match(stdout, /2 \+ 3 = 5/, stderr);
  assert.doesNotMatch(stdout, /not found/);
  assert.notEqual(signal ?? status, 0);
  assert.match(stderr, /signed integer overflow/);
});
