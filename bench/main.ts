/**
 * `npm run bench -- NAME…`: compiles networks by name and measures them beside onnxruntime-node.
 * Progress goes to stderr, the table (or with --json one object) to stdout.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from 'hone-runtime/base/diagnostics';
import { type BenchJob, type BenchSettings, runBench } from 'hone/bench/bench';
import { type BenchReport, isGood } from 'hone/bench/report';
import { reportHtml } from 'hone/bench/report-html';
import { reportTable } from 'hone/bench/report-table';
import { optionReader } from 'hone/cli/option-reader';
import { asHoneError, errorText } from 'hone/cli/errors';
import { formatTable } from 'hone/cli/table';
import { runAccuracy } from './accuracy/main.ts';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { PRECISIONS } from 'hone/compile/options';
import { AUTOCAST_POLICIES } from 'hone/passes/autocast';
import { expandNames, modelByName } from './models.ts';
import { randomCalibration } from './random-calibration.ts';

const USAGE = `npm run bench -- NAME… [--baseline onnxruntime|hone-fp32] [--threads N] [--concurrency 1,2]
                 [--duration 3s] [--sessions 3] [--quick] [--json] [--html FILE] [--save]
npm run bench -- accuracy [NAME…] [--save]
                 [--target T] [--precision fp32|bf16|fp16|int8] [--autocast matmul|all]
NAME: a network or trained model of bench/README.md, or networks, trained, all`;

const OPTIONS = {
  baseline: { type: 'string' },
  threads: { type: 'string' },
  concurrency: { type: 'string' },
  duration: { type: 'string' },
  sessions: { type: 'string' },
  target: { type: 'string' },
  precision: { type: 'string' },
  autocast: { type: 'string' },
  html: { type: 'string' },
  quick: { type: 'boolean' },
  json: { type: 'boolean' },
  save: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Folders of jobs that were not released yet. */
const folders = new Set<string>();
process.once('exit', () => folders.forEach(removeFolder));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main();
} catch (thrown) {
  const error = asHoneError(thrown);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${USAGE}\n`);
    return positionals.length === 0 && values.help !== true ? 1 : 0;
  }
  if (positionals[0] === 'accuracy') {
    return runAccuracy(positionals.slice(1), values.save === true);
  }
  const settings = readSettings(values);
  const options = readCompileOptions(values);
  const jobs = expandNames(positionals).map((name) =>
    jobOf(name, options, values.baseline === 'hone-fp32'),
  );
  const report = await runBench(jobs, settings);
  const text = reportText(report);
  process.stdout.write(values.json === true ? `${JSON.stringify(report)}\n` : text);
  if (values.html !== undefined) writeFileSync(values.html, reportHtml(report));
  if (values.save === true) process.stderr.write(`saved ${save(report)}\n`);
  return isGood(report) ? 0 : 1;
}

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS });
  } catch (error) {
    return fail('HONE-BENCH-009', (error as Error).message, undefined, USAGE);
  }
}

function readSettings(values: ReturnType<typeof readArguments>['values']): BenchSettings {
  const options = optionReader(values);
  const { baseline, quick } = values;
  if (baseline !== undefined && baseline !== 'onnxruntime' && baseline !== 'hone-fp32') {
    const cure = 'the baseline is onnxruntime or hone-fp32';
    fail('HONE-BENCH-009', `no baseline ${baseline}`, '--baseline', cure);
  }
  const threads = options.integer('threads', 1, 256);
  const concurrency = options.integers('concurrency', 1);
  const sessions = options.integer('sessions', 1, 100) ?? (quick ? 1 : undefined);
  const durationMs = options.duration('duration') ?? (quick ? 500 : undefined);
  const log = (message: string): void => void process.stderr.write(`${message}\n`);
  return {
    ...(threads === undefined ? {} : { threads }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(sessions === undefined ? {} : { sessions }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(baseline === undefined ? {} : { baseline }),
    progress: log,
    log,
  };
}

type Wanted = Pick<CompileOptions, 'target' | 'precision' | 'autocast'>;

function readCompileOptions(values: ReturnType<typeof readArguments>['values']): Wanted {
  const { target } = values;
  const precision = wordOf(PRECISIONS, values.precision, '--precision');
  const autocast = wordOf(AUTOCAST_POLICIES, values.autocast, '--autocast');
  return {
    ...(target === undefined ? {} : { target }),
    ...(precision === undefined ? {} : { precision }),
    ...(autocast === undefined ? {} : { autocast }),
  };
}

function wordOf<T extends string>(
  words: readonly T[],
  word: string | undefined,
  option: string,
): T | undefined {
  if (word === undefined) return undefined;
  const found = words.find((item) => item === word);
  return found ?? fail('HONE-BENCH-009', `${option} ${word}`, option, `one of ${words.join(', ')}`);
}

/** Everything of a job lies in a folder that goes with it. */
function jobOf(model: string, options: Wanted, besideWide: boolean): BenchJob {
  let folder: string | undefined;
  return {
    model,
    release() {
      if (folder !== undefined) removeFolder(folder);
    },
    async prepare() {
      folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bench-'));
      folders.add(folder);
      const { onnx, shapes, values } = await modelByName(model, folder);
      const artifact = path.join(folder, 'model.hone');
      const begin = performance.now();
      const compiled = await compileModel(onnx, {
        ...(shapes === undefined ? {} : { shapes }),
        ...options,
        ...(options.precision === 'int8' ? { calibration: randomCalibration(values) } : {}),
      });
      await writeArtifact(compiled, artifact);
      const compileSeconds = (performance.now() - begin) / 1000;
      const wideArtifact = path.join(folder, 'wide.hone');
      if (besideWide) {
        const { target } = options;
        const wide = {
          ...(shapes === undefined ? {} : { shapes }),
          ...(target === undefined ? {} : { target }),
        };
        await writeArtifact(await compileModel(onnx, wide), wideArtifact);
      }
      return {
        model,
        artifact,
        onnx,
        compileSeconds,
        ...(besideWide ? { wideArtifact } : {}),
        ...(values === undefined ? {} : { values }),
      };
    },
  };
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

function reportText(report: BenchReport): string {
  const { header, rows, align, lines } = reportTable(report);
  const table = rows.length === 0 ? [] : formatTable(header, rows, align);
  return [...table, ...lines].map((line) => `${line}\n`).join('');
}

/** Into bench/results of the folder it is run in: named by day and processor. */
function save(report: BenchReport): string {
  const day = new Date().toISOString().slice(0, 10);
  const cpu = report.machine.cpu
    .toLowerCase()
    .replace(/\(\w+\)/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const folder = path.join('bench', 'results');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${day}-${cpu}.json`);
  writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`);
  return file;
}
