/** The bench from end to end on a small model: real processes, both engines. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { baselineVersion } from 'hone/bench/baseline';
import { type BenchJob, runBench } from 'hone/bench/bench';
import { openRequest, startEngine } from 'hone/bench/engine-process';
import { measurePeak, openMeter } from 'hone/bench/machine-meter';
import type { BenchReport, BenchRow } from 'hone/bench/report';
import { reportTable } from 'hone/bench/report-table';
import { COMMANDS } from 'hone/cli/contract';
import { runProgram } from 'hone/cli/program';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { opBuilder } from 'hone/ops/registry';
import { expandNames, modelByName } from '../../bench/models.js';

const FOLDER = mkdtempSync(path.join(os.tmpdir(), 'hone-bench-test-'));
const ONNX = path.join(FOLDER, 'small.onnx');
const ARTIFACT = path.join(FOLDER, 'small.hone');
const JOB: BenchJob = {
  model: 'small',
  prepare: async () => ({ model: 'small', artifact: ARTIFACT, onnx: ONNX, compileSeconds: 1 }),
};
const QUICK = { durationMs: 5, sessions: 1, threads: 2 } as const;

/** relu(x · w) with x [4, 16]. */
function smallModel(): Uint8Array {
  const b = opBuilder('small');
  const x = b.graph.input('x', { dtype: 'f32', shape: [4, 16] });
  const data = Float32Array.from({ length: 128 }, (_, i) => (i % 7) - 3);
  const w = b.constant({ dtype: 'f32', shape: [16, 8], data }, 'w');
  return exportOnnx(b.graph.finish([b.op('Relu', [b.op('MatMul', [x, w])])]));
}

before(async () => {
  writeFileSync(ONNX, smallModel());
  await writeArtifact(await compileModel(ONNX), ARTIFACT);
});
after(() => rmSync(FOLDER, { recursive: true, force: true }));

/** Keys that the issue fixed; others may be added. */
const KEYS: readonly (keyof BenchRow)[] = [
  'model',
  'engine',
  'precision',
  'calibration',
  'batch',
  'concurrency',
  'p50_ms',
  'p90_ms',
  'p95_ms',
  'p99_ms',
  'mean_ms',
  'throughput_avg',
  'throughput_max',
  'gflops',
  'percent_of_peak',
  'peak_rss_bytes',
  'arena_bytes',
  'weights_bytes',
  'ratio_to_baseline',
];

test('both engines are measured, and their outputs compared', async () => {
  const settings = { ...QUICK, baseline: 'onnxruntime', concurrency: [1, 2] } as const;
  const report = await runBench([JOB], settings);
  assert.deepEqual(report.failures, []);
  assert.deepEqual(
    report.results.map((row) => [row.engine, row.concurrency]),
    [
      ['hone', 1],
      ['onnxruntime', 1],
      ['hone', 2],
      ['onnxruntime', 2],
    ],
  );
  for (const row of report.results) {
    for (const key of KEYS) assert.ok(Object.hasOwn(row, key), key);
    const times = [row.p50_ms, row.p99_ms, row.open_ms, row.first_run_ms, row.peak_rss_bytes];
    assert.ok(times.every((value) => Number.isFinite(value) && value > 0));
    assert.ok(row.p50_ms <= row.p90_ms && row.p90_ms <= row.p99_ms);
    assert.ok(row.throughput_avg > 0 && row.throughput_max >= row.throughput_avg * 0.99);
    assert.ok((row.ratio_to_baseline ?? 0) > 0);
    assert.equal(row.batch, 4);
    assert.equal(row.outputs_equal, true, `${row.engine} ${row.max_error}`);
  }
  const [ours, theirs] = report.results;
  assert.equal(ours?.flops, theirs?.flops);
  assert.equal(theirs?.ratio_to_baseline, 1);
  assert.ok((ours?.weights_bytes ?? 0) >= 512 && theirs?.weights_bytes === null);
  assert.match(report.machine.onnxruntime ?? '', /^1\./);
  assert.ok((report.geometric_mean ?? 0) > 0);
});

test('a lower precision is measured beside fp32 of our own', async () => {
  const narrow = path.join(FOLDER, 'narrow.hone');
  await writeArtifact(await compileModel(ONNX, { precision: 'bf16' }), narrow);
  const job: BenchJob = {
    model: 'small',
    prepare: async () => ({ model: 'small', artifact: narrow, wideArtifact: ARTIFACT, onnx: ONNX }),
  };
  const report = await runBench([job], { ...QUICK, baseline: 'hone-fp32' });
  assert.deepEqual(report.failures, []);
  assert.deepEqual(
    report.results.map((row) => [row.engine, row.precision]),
    [
      ['hone', 'bf16'],
      ['hone-fp32', 'fp32'],
    ],
  );
  const [ours, wide] = report.results;
  assert.ok((ours?.ratio_to_baseline ?? 0) > 0 && wide?.ratio_to_baseline === 1);
  assert.ok(ours?.lower_precision === true && (ours.max_error_of_scale ?? 1) < 0.02);
  assert.equal(report.machine.onnxruntime, null);
  const { lines } = reportTable(report);
  assert.match(lines.join('\n'), /geometric mean of the ratios to hone-fp32/);
});

test('a model that fails is reported and the others go on', async () => {
  const broken = path.join(FOLDER, 'nothing.hone');
  const bad: BenchJob = {
    model: 'bad',
    prepare: async () => ({ model: 'bad', artifact: broken }),
  };
  let released = 0;
  const jobs = [bad, JOB].map((job) => ({ ...job, release: () => void released++ }));
  const report = await runBench(jobs, QUICK);
  assert.equal(released, 2);
  assert.deepEqual(
    report.failures.map((failure) => failure.model),
    ['bad'],
  );
  assert.match(report.failures[0]?.code ?? '', /^HONE-(IO|ARTIFACT)-/);
  assert.deepEqual(
    report.results.map((row) => [row.engine, row.ratio_to_baseline, row.outputs_equal]),
    [['hone', null, null]],
  );
});

test('a lost engine process is a coded error', async () => {
  const engine = startEngine('hone', 1);
  engine.end();
  const request = openRequest({
    engine: 'hone',
    path: ARTIFACT,
    threads: 1,
    lanes: 1,
    inputs: [],
    optimise: true,
    dims: {},
  });
  await assert.rejects(engine.ask(request), { code: 'HONE-BENCH-007' });
});

test('an error inside an engine keeps its code', async () => {
  const engine = startEngine('hone', 1);
  try {
    const request = openRequest({
      engine: 'hone',
      path: ARTIFACT,
      threads: 1,
      lanes: 1,
      inputs: [{ name: 'z', dtype: 'f32', shape: [4, 16] }],
      optimise: true,
      dims: {},
    });
    await assert.rejects(engine.ask(request), { code: 'HONE-INPUT-002' });
  } finally {
    engine.end();
  }
});

test('a missing baseline says how to install it', () => {
  assert.match(baselineVersion(), /^\d+\./);
  assert.throws(
    () => baselineVersion(path.join(FOLDER, 'x.js')),
    (error) =>
      error instanceof HoneError &&
      error.code === 'HONE-BENCH-002' &&
      /npm install .*onnxruntime-node@/.test(error.cure ?? ''),
  );
});

test('the meter measures the machine and answers in order', async () => {
  const meter = await openMeter();
  try {
    const peak = await measurePeak(meter, 1, 1);
    assert.ok(peak.fp32_gflops > 0 && (peak.read_gbytes_per_second ?? 0) > 0);
    const rates = await Promise.all([1, 2, 1].map((threads) => meter.rate('fp32', threads, 1)));
    assert.ok(rates.every((rate) => rate !== undefined && rate.total >= rate.slowest));
  } finally {
    meter.close();
  }
  await assert.rejects(meter.rate('fp32', 1, 1), { code: 'HONE-BENCH-011' });
});

test('hone bench takes several models and batches, and writes a page', async () => {
  const page = path.join(FOLDER, 'report.html');
  const argv = ['bench', ARTIFACT, ARTIFACT, '--duration', '5ms', '--threads', '1'];
  const streams = { log: () => {}, progress: () => {} };
  const parsed = await runProgram(COMMANDS, '0', [...argv, '--html', page], streams);
  assert.equal(parsed.kind, 'outcome');
  if (parsed.kind !== 'outcome') return;
  const report = parsed.outcome.json as unknown as BenchReport;
  assert.equal(parsed.outcome.exitCode, 0);
  assert.equal(report.results.length, 2);
  const spec = COMMANDS.find((command) => command.name === 'bench');
  assert.deepEqual(Object.keys(report).sort(), Object.keys(spec?.json ?? {}).sort());
  for (const key of Object.keys(report.results[0] ?? {})) {
    assert.ok(spec?.json['results']?.includes(key), `${key} is documented`);
  }
  assert.match(readFileSync(page, 'utf8'), /<svg/);
  const wrong = runProgram(COMMANDS, '0', [...argv, '--baseline', 'other'], streams);
  await assert.rejects(wrong, { code: 'HONE-CLI-006' });
});

test('models by name: built ones are written, trained ones found', async () => {
  const { onnx } = await modelByName('squeezenet', FOLDER);
  assert.equal(onnx, path.join(FOLDER, 'squeezenet.onnx'));
  assert.equal((await modelByName('ppocr-cls', FOLDER)).shapes?.['x']?.join('x'), '1x3x48x192');
  assert.ok(expandNames(['all', 'resnet18']).length > 15);
  assert.throws(() => expandNames(['nope']), { code: 'HONE-BENCH-001' });
});
