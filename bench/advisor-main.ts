/**
 * `npm run bench:advisor [NAME…] [--precision P] [--threads N] [--duration 1s] [--json] [--save]`: what the advisor predicts
 * for this machine, from a probe of its peaks alone, beside what the bench measures. Prints the
 * median error over the networks. `--save` keeps what was measured undisturbed as rows that
 * `npm run fit` fits our own engine to.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fail } from 'hone-runtime/base/diagnostics';
import { probeMachine } from 'hone-runtime/target/native';
import { loadModel } from 'hone/advisor/data-files';
import { predict } from 'hone/advisor/predict';
import { thisMachine } from 'hone/advisor/this-machine';
import { quantile } from 'hone/advisor/validation';
import { workloadOf } from 'hone/advisor/workload';
import { runBench } from 'hone/bench/bench';
import { bestPeak, type MachinePeak, measurePeak, openMeter } from 'hone/bench/machine-meter';
import { asHoneError, errorText } from 'hone/cli/errors';
import { optionReader } from 'hone/cli/option-reader';
import { formatTable } from 'hone/cli/table';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { modelByName } from './models.ts';
import { randomCalibration } from './random-calibration.ts';
import { buildNetwork, NETWORKS } from './networks/index.ts';

interface Row {
  readonly model: string;
  readonly predicted_ms: number;
  readonly measured_ms: number;
  /** Predicted over measured, less 1. */
  readonly error: number;
  /** The machine was busy: the measured time is of its better half. */
  readonly disturbed: boolean;
}

const DATA = fileURLToPath(new URL('../../packages/hone/data/', import.meta.url));

try {
  await main();
} catch (thrown) {
  const error = asHoneError(thrown);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      threads: { type: 'string' },
      duration: { type: 'string' },
      json: { type: 'boolean' },
      precision: { type: 'string', default: 'fp32' },
      save: { type: 'boolean' },
    },
  });
  const precision = precisionOf(values.precision);
  const options = optionReader(values);
  const machine = probeMachine();
  const threads = options.integer('threads', 1, 256) ?? machine.cores;
  const durationMs = options.duration('duration') ?? 1000;
  const names = positionals.length > 0 ? positionals : Object.keys(NETWORKS);
  const meter = await openMeter();
  // The best of probes before, between and after: others on the machine only ever slow it down.
  let peaks = await measurePeak(meter, threads);
  const measured = new Map<string, Measured>();
  for (const name of names) {
    process.stderr.write(`${name}\n`);
    measured.set(name, await measure(name, precision, { threads, durationMs }));
    peaks = bestPeak(peaks, await measurePeak(meter, threads));
  }
  meter.close();
  const device = thisMachine(machine, peaks);
  const model = loadModel();
  const rows = [...measured].map(([name, { ms, disturbed }]): Row => {
    const { latencyMs } = predict(
      workloadOf(buildNetwork(name)),
      device,
      { engine: 'compiled', precision, batch: 1 },
      model,
    );
    return {
      model: name,
      predicted_ms: latencyMs,
      measured_ms: ms,
      error: latencyMs / ms - 1,
      disturbed,
    };
  });
  if (values.save === true) save(rows, precision, peaks);
  const errors = rows.map((row) => Math.abs(row.error));
  const median = errors.length === 0 ? null : quantile(errors, 0.5);
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ machine, threads, peaks, rows, median })}\n`);
    return;
  }
  const lines = formatTable(
    ['network', 'predicted ms', 'measured ms', 'error', ''],
    rows.map((row) => [
      row.model,
      row.predicted_ms.toFixed(2),
      row.measured_ms.toFixed(2),
      `${(100 * row.error).toFixed(0)} %`,
      row.disturbed ? 'machine busy' : '',
    ]),
    ['left', 'right', 'right', 'right'],
  );
  const summary = `median of the absolute error: ${(100 * (median ?? Number.NaN)).toFixed(1)} %, ${threads} threads, ${peaks.fp32_gflops.toFixed(0)} GFLOP/s, ${(peaks.read_gbytes_per_second ?? 0).toFixed(0)} GB/s`;
  process.stdout.write([...lines, summary, ''].join('\n'));
}

/** Rows of networks that were measured now replace theirs; the machine's row keeps the best of the peaks. */
function save(rows: readonly Row[], precision: Timed, peaks: MachinePeak): void {
  const day = new Date().toISOString().slice(0, 10);
  const table = path.join(DATA, 'measured-hone.csv');
  const [header = '', ...old] = readFileSync(table, 'utf8').trimEnd().split('\n');
  const keyOf = (model: string, of: string): string => `${model} ${of}`;
  const lines = new Map(
    old.map((line) => {
      const cells = line.split(',');
      return [keyOf(cells[0] ?? '', cells[7] ?? ''), line];
    }),
  );
  for (const { model, measured_ms: ms, disturbed } of rows) {
    if (disturbed) continue;
    const cells = [model, model, 'bench-machine', 1, 'hone', 'kernel', '0.1', precision, 1, 1];
    const figures = [(1000 / ms).toFixed(3), 1, ms.toFixed(3), 'p50', '', 'hone-bench', day, ''];
    lines.set(keyOf(model, precision), [...cells, ...figures].join(','));
  }
  writeFileSync(table, `${[header, ...lines.values()].join('\n')}\n`);
  const devices = path.join(DATA, 'accelerators.csv');
  const text = readFileSync(devices, 'utf8');
  const row = text.split('\n').find((line) => line.startsWith('bench-machine,')) ?? '';
  const cells = row.split(',');
  // It is one machine: others on it only ever slow it down.
  const keepBest = (column: number, found: number | null, digits: number): void => {
    const best = Math.max(Number(cells[column]), found ?? 0);
    if (best > 0) cells[column] = best.toFixed(digits);
  };
  keepBest(5, peaks.read_gbytes_per_second, 1);
  keepBest(7, peaks.fp32_gflops / 1000, 3);
  keepBest(9, (peaks.bf16_gflops ?? 0) / 1000, 3);
  keepBest(11, (peaks.int8_gops ?? 0) / 1000, 3);
  writeFileSync(devices, text.replace(row, cells.join(',')));
}

interface Measured {
  readonly ms: number;
  readonly disturbed: boolean;
}

/** Precisions of processors that the bench can compile for. */
type Timed = 'fp32' | 'bf16' | 'int8';

function precisionOf(word: string): Timed {
  if (word === 'fp32' || word === 'bf16' || word === 'int8') return word;
  return fail('HONE-BENCH-009', `--precision ${word}`, '--precision', 'one of fp32, bf16, int8');
}

async function measure(
  name: string,
  precision: Timed,
  { threads, durationMs }: { readonly threads: number; readonly durationMs: number },
): Promise<Measured> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-advisor-'));
  try {
    const { onnx, values } = await modelByName(name, folder);
    const artifact = path.join(folder, 'model.hone');
    const calibration = precision === 'int8' ? { calibration: randomCalibration(values) } : {};
    await writeArtifact(await compileModel(onnx, { precision, ...calibration }), artifact);
    const given = values === undefined ? {} : { values };
    const job = { model: name, prepare: async () => ({ model: name, artifact, onnx, ...given }) };
    const report = await runBench([job], { threads, durationMs, sessions: 1 });
    const [result] = report.results;
    if (result === undefined)
      throw new Error(report.failures[0]?.message ?? 'nothing was measured');
    return { ms: result.p50_ms, disturbed: result.disturbed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
