/** `--precision int8` from the command line: samples of every kind, refusals, rebuilds. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formatNpy } from 'hone/cli/input/npy';
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { type HoneResult, hone } from '../support/hone-process.ts';
import { formatNpz } from '../support/npz.ts';
import { SMALL_INPUT, writeSmallModel } from '../support/small-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-int8-'));
after(() => rmSync(folder, { recursive: true }));
const MODEL = join(folder, 'small.onnx');
writeSmallModel(MODEL);

const random = seededRandom(5);
function samples(count: number, shape: readonly number[] = SMALL_INPUT.slice(1)): Tensor {
  const size = shape.reduce((product, extent) => product * extent, count);
  const values = Float64Array.from({ length: size }, () => random.normal());
  return fromNumbers('f32', [count, ...shape], values);
}

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function compile(...options: string[]): Promise<HoneResult> {
  const output = ['-o', join(folder, 'out.hone')];
  return hone(['compile', MODEL, ...output, '--precision', 'int8', ...options]);
}

const SIXTEEN = samples(16);

test('.npy, .npz and folders of them give the same artifact, which rebuilds without them', async () => {
  const npy = file('all.npy', formatNpy(SIXTEEN));
  const results = [];
  mkdirSync(join(folder, 'many'));
  const each = SIXTEEN.data.length / 16;
  for (let i = 0; i < 16; i++) {
    const data = (SIXTEEN.data as Float32Array).slice(i * each, (i + 1) * each);
    const name = join('many', `${i}`.padStart(2, '0'));
    file(`${name}.npy`, formatNpy({ dtype: 'f32', shape: SMALL_INPUT, data }));
  }
  const npz = file('stored.npz', formatNpz({ x: SIXTEEN }));
  const packed = file('packed.npz', formatNpz({ any: SIXTEEN }, true));
  for (const source of [npy, npz, packed, join(folder, 'many')]) {
    const { code, stdout, stderr } = await compile('--calibrate', source, '--json');
    assert.equal(code, 0, stderr);
    const { calibration } = JSON.parse(stdout);
    assert.equal(calibration.samples, 16);
    assert.equal(calibration.calibrator, 'entropy');
    results.push(readFileSync(join(folder, 'out.hone', 'manifest.json'), 'utf8'));
  }
  assert.equal(new Set(results).size, 1, 'the same samples, the same bytes');
  const rebuilt = await hone(['verify', join(folder, 'out.hone'), '--rebuild', MODEL]);
  assert.equal(rebuilt.code, 0, rebuilt.stderr);
});

test('without VNNI weights have 7 bits, and explain says that sums are exact', async () => {
  const samples = file('seven.npy', formatNpy(SIXTEEN));
  const { code, stderr } = await compile('--calibrate', samples, '--target', 'x86-64-v3');
  assert.equal(code, 0, stderr);
  const { stdout } = await hone(['explain', join(folder, 'out.hone')]);
  assert.match(stdout, /^weights of int8 have 7 bits, -63 to 63: .*vpmaddubsw.* sums are exact$/m);
});

test('--autocast takes the policies of 16-bit types', async () => {
  const output = ['-o', join(folder, 'half.hone')];
  const run = (...options: string[]) => hone(['compile', MODEL, ...output, ...options]);
  const good = await run('--precision', 'bf16', '--autocast', 'matmul');
  assert.equal(good.code, 0, good.stderr);
  assert.match((await run('--precision', 'bf16', '--autocast', 'some')).stderr, /^HONE-CLI-006/m);
  assert.match((await run('--autocast', 'all')).stderr, /^HONE-CLI-006/m);
});

test('what cannot be calibrated with is refused, with a code and a cure', async () => {
  const nan = samples(2);
  (nan.data as Float32Array)[70] = Number.NaN;
  mkdirSync(join(folder, 'empty'));
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['HONE-CALIBRATE-007', []],
    ['HONE-CALIBRATE-001', ['--calibrate', join(folder, 'empty')]],
    ['HONE-CALIBRATE-001', ['--calibrate', file('no.npy', formatNpy(samples(0)))]],
    ['HONE-CALIBRATE-003', ['--calibrate', file('bad.npy', formatNpy(samples(2, [3, 8])))]],
    ['HONE-CALIBRATE-004', ['--calibrate', file('nan.npy', formatNpy(nan))]],
    ['HONE-CALIBRATE-002', ['--calibrate', file('two.npz', formatNpz({ a: nan, b: nan }))]],
    ['HONE-CALIBRATE-009', ['--calibrate', file('words.txt', 'no samples')]],
    ['HONE-INPUT-019', ['--calibrate', file('cut.npz', formatNpz({ x: nan }).subarray(0, 900))]],
    ['HONE-IO-001', ['--calibrate', join(folder, 'nowhere')]],
    ['HONE-CLI-006', ['--calibrate', join(folder, 'empty'), '--calibrator', 'best']],
    ['HONE-CLI-006', ['--calibrate', join(folder, 'empty'), '--least-snr', '-3']],
  ];
  for (const [code, options] of cases) {
    const result = await compile(...options);
    assert.equal(result.code, 1, `${options.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, new RegExp(`^${code}: .*\\n  cure: `, 'm'), options.join(' '));
  }
  const constant = fromNumbers('f32', [2, ...SMALL_INPUT.slice(1)], new Float64Array(384).fill(3));
  const flat = file('flat.npy', formatNpy(constant));
  assert.match((await compile('--calibrate', flat)).stderr, /^HONE-CALIBRATE-006: value x is 3/m);
});
