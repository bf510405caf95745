/** `--bound` on the command line, and what commands say of bounds that are assumed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatNpy } from 'hone/cli/input/npy';
import { fromNumbers } from 'hone-runtime/base/tensor';
import { node } from '../bounded/cases.ts';
import { rawModel } from '../onnx/raw-model.ts';
import { type HoneResult, hone } from '../support/hone-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-bound-'));
const at = (name: string): string => join(folder, name);
const model = at('free.onnx');
const run = (...args: string[]): Promise<HoneResult> => hone(args, { HONE_CACHE_DIR: at('cache') });

before(() => {
  const scalar = (value: number) => fromNumbers('i64', [], [value]);
  const bytes = rawModel({
    opset: 18,
    inputs: [{ name: 'n', dtype: 'i64', shape: [] }],
    initializers: { zero: scalar(0), one: scalar(1) },
    nodes: [node('Range', ['zero', 'n', 'one'], ['r'])],
    outputs: [{ name: 'r', dtype: 'i64', shape: [null] }],
  });
  writeFileSync(model, bytes);
  for (const n of [12, 13]) writeFileSync(at(`${n}.npy`), formatNpy(scalar(n)));
});
after(() => rmSync(folder, { recursive: true }));

test('an assumed bound is announced with the option to paste', async () => {
  const { code, stdout } = await run('analyze', model);
  assert.equal(code, 0);
  assert.match(stdout, /bound {3}r along axis 0 ≤ 1024 .*ASSUMED.* --bound r=1024/);
  const { stdout: json } = await run('analyze', model, '--json');
  const option = { tensor: 'r', axis: 0, most: [1024], assumed: true };
  assert.deepEqual(JSON.parse(json).bounds, [{ ...option, node: 'Range_0', option: 'r=1024' }]);
});

test('a bound that is asked for holds, in compile, inspect, explain and run', async () => {
  const artifact = at('free.hone');
  const compiled = await run('compile', model, '-o', artifact, '--bound', 'n=12');
  assert.equal(compiled.code, 0, compiled.stderr);
  for (const command of ['inspect', 'explain']) {
    const { stdout } = await run(command, artifact);
    assert.match(stdout, /bound {3}values of n ≤ 12, as asked for with --bound/, command);
  }
  const fits = await run('run', artifact, '--input', at('12.npy'));
  assert.equal(fits.code, 0, fits.stderr);
  const beyond = await run('run', artifact, '--input', at('13.npy'));
  assert.match(beyond.stderr, /HONE-RUN-010: .*values of n: at most 12, as --bound says/);
  const again = await run('verify', artifact, '--rebuild', model);
  assert.equal(again.code, 0, again.stderr);
  const refused = await run('run', artifact, '--bound', 'n=13', '--input', at('13.npy'));
  assert.match(refused.stderr, /HONE-CLI-006: --bound/);
});

test('bounds that cannot be are refused', async () => {
  for (const [text, says] of [
    ['n', /HONE-CLI-006/],
    ['n=many', /HONE-CLI-006.*\n.*NAME=LO\.\.HI/],
    ['n=5..2', /HONE-SHAPE-018/],
    ['r=99999999999', /HONE-SHAPE-018: .*from 0 to 1073741824/],
    ['q=3', /HONE-SHAPE-017: .*\n.*one of these: n, r/],
  ] as const) {
    const { code, stderr } = await run('analyze', model, '--bound', text);
    assert.notEqual(code, 0, text);
    assert.match(stderr, says, text);
  }
});
