/** The local results file: appended whole, read with care, and what it teaches the model. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { MeasuredResult } from 'hone/advisor/measured-result';
import type { Workload } from 'hone/advisor/model-types';
import { fitMachine } from 'hone/advisor/refit';
import { appendResults, defaultResultsFile, readResults } from 'hone/advisor/results-file';
import { seededRandom } from 'hone-runtime/base/random';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-results-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string): string => path.join(folder, name);

const RESULT: MeasuredResult = {
  measured_at: '2026-11-26T00:00:00.000Z',
  by: 'here',
  hone: '0.1.0',
  machine: {
    name: 'c6i.xlarge',
    cpu: 'a processor',
    cores: 2,
    memory_bytes: 8e9,
    l3_bytes: 32e6,
    os: 'linux 6',
    peak: { fp32_gflops: 200, bf16_gflops: null, int8_gops: 800, read_gbytes_per_second: 20 },
  },
  model: {
    name: 'net',
    sha256: 'a'.repeat(64),
    shapes: [[1, 3, 8, 8]],
    flops: 1e9,
    workload: null,
  },
  artifact: { sha256: 'b'.repeat(64), target: 'x86-64-v4-linux-gnu' },
  setting: { precision: 'fp32', batch: 1, concurrency: 1, threads: 2 },
  p50_ms: 5,
  p90_ms: 5.5,
  p95_ms: 5.6,
  p99_ms: 6,
  mean_ms: 5.1,
  throughput_per_s: 196,
  peak_rss_bytes: 1e8,
  runs: 100,
  conditions: { disturbed: false, load_before: 0.1, load_after: 0.5, governor: null },
};

const WORKLOAD: Workload = {
  name: 'net',
  fused: [{ kind: 'conv', count: 3, flops: 1e8, weightBytes: 4e5, activationBytes: 0 }],
  eager: [],
  inputBytes: 768,
  outputBytes: 4,
  parameterBytes: 1e6,
  liveBytes: 1e5,
  operators: { Conv: { nodes: 3, flops: 3e8, bytes: 1e5 } },
};

test('what is appended is read back', () => {
  const file = place('new/folder/results.jsonl');
  assert.deepEqual(readResults(file), { results: [], problems: [] });
  const other = {
    ...RESULT,
    machine: { ...RESULT.machine, peak: null },
    model: { ...RESULT.model, workload: WORKLOAD },
  };
  appendResults(file, [RESULT]);
  appendResults(file, []);
  appendResults(file, [other, RESULT]);
  assert.deepEqual(readResults(file), { results: [RESULT, other, RESULT], problems: [] });
});

test('a line that is not whole, not one, or of a newer version is left out, and stays', () => {
  const file = place('damaged.jsonl');
  const bad = [
    '{"version": 1, "measured_at": "2026',
    'null',
    JSON.stringify({ version: 1, ...RESULT, p50_ms: -1 }),
    JSON.stringify({ version: 1, ...RESULT, setting: { ...RESULT.setting, batch: 'many' } }),
    JSON.stringify({ version: 1, ...RESULT, measured_at: 'yesterday' }),
    JSON.stringify({ ...RESULT, version: 2, unheard: 1 }),
  ];
  writeFileSync(file, `${bad.join('\n')}\n`);
  appendResults(file, [RESULT]);
  const { results, problems } = readResults(file);
  assert.deepEqual(results, [RESULT]);
  assert.equal(problems.length, bad.length);
  assert.match(problems[0] ?? '', /^HONE-ADVISE-041: .*damaged\.jsonl:1/);
  assert.match(problems.at(-1) ?? '', /^HONE-ADVISE-042: .*:6 .*version 2/);
  assert.ok(readFileSync(file, 'utf8').startsWith(bad.join('\n')));
  appendFileSync(file, '{"half');
  appendResults(file, [RESULT]);
  assert.equal(readResults(file).results.length, 2, 'half a line does not spoil the next one');
});

test('several processes append at once, and no line is lost', async () => {
  const file = place('busy.jsonl');
  const url = import.meta.resolve('hone/advisor/results-file');
  const code = `const { appendResults } = await import(${JSON.stringify(url)});
    const [file, text] = process.argv.slice(-2);
    for (let i = 0; i < 100; i++) appendResults(file, [JSON.parse(text)]);`;
  const args = ['--input-type=module', '-e', code, '--', file, JSON.stringify(RESULT)];
  await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise<void>((resolve, reject) => {
          const child = spawn(process.execPath, args, { stdio: 'inherit' });
          child.on('close', (status) =>
            status === 0 ? resolve() : reject(new Error(`${status}`)),
          );
        }),
    ),
  );
  const { results, problems } = readResults(file);
  assert.deepEqual([results.length, problems], [400, []]);
});

test('a file that cannot be used says so', () => {
  mkdirSync(place('is-a-folder'));
  assert.throws(() => readResults(place('is-a-folder')), { code: 'HONE-ADVISE-040' });
  assert.throws(() => appendResults(place('is-a-folder'), [RESULT]), { code: 'HONE-ADVISE-040' });
  if (existsSync('/dev/full')) {
    assert.throws(() => appendResults('/dev/full', [RESULT]), { code: 'HONE-ADVISE-040' });
  }
  chmodSync(place('is-a-folder'), 0o755);
});

test('where it lies', () => {
  assert.equal(defaultResultsFile({ HONE_RESULTS: '/x/y.jsonl' }), '/x/y.jsonl');
  assert.equal(defaultResultsFile({ XDG_DATA_HOME: '/d' }), '/d/hone/measurements.jsonl');
  assert.equal(defaultResultsFile({ HOME: '/h' }), '/h/.local/share/hone/measurements.jsonl');
});

test('measurements move predictions for their machine, the more the more there are', () => {
  const none = fitMachine([], 0.3);
  assert.deepEqual([none.factor('fp32'), none.logError('fp32')], [1, 0.3]);
  const random = seededRandom(5);
  const truth = { fp32: 1.5, int8: 1.9 } as const;
  const draw = (count: number): Parameters<typeof fitMachine>[0] =>
    Array.from({ length: count }, (_, i) => {
      const precision = i % 2 === 0 ? 'fp32' : 'int8';
      return {
        precision,
        predictedMs: 10,
        measuredMs: 10 * truth[precision] * Math.exp(0.08 * random.normal()),
      };
    });
  const [few, many] = [fitMachine(draw(2), 0.3), fitMachine(draw(40), 0.3)];
  const off = (fit: ReturnType<typeof fitMachine>): number =>
    Math.max(
      ...(['fp32', 'int8'] as const).map((p) => Math.abs(Math.log(fit.factor(p) / truth[p]))),
    );
  assert.ok(off(few) < 0.25 && off(many) < 0.06, `${off(few)} ${off(many)}`);
  assert.ok(many.logError('fp32') < few.logError('fp32') && few.logError('fp32') < 0.3);
  assert.ok(
    many.factor('fp16') > 1.5 && many.factor('fp16') < 1.9,
    'another precision goes with the machine',
  );
  assert.equal(
    fitMachine([{ precision: 'fp32', predictedMs: 0, measuredMs: 1 }], 0.3).measurements,
    0,
  );
});
