/**
 * The whole bench: prepares each model, measures it with every engine and concurrency, and checks
 * that the outputs are right. A model that fails is reported, and the others go on.
 */
import os from 'node:os';
import type { Tensor } from 'hone-runtime/base/tensor';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { probeMachine } from 'hone-runtime/target/native';
import { openArtifact } from 'hone-runtime/artifact/read';
import { usableCpus } from 'hone-runtime/target/cpu-quota';
import { type BurnGate, burnGate } from './alternation.ts';
import type { BaselineName } from './engine-protocol.ts';
import { baselineVersion, referenceOutputs } from './baseline.ts';
import { type MachineMeter, openMeter } from './machine-meter.ts';
import { measure } from './measure.ts';
import { type PeakTable, peakTable } from './peak-table.ts';
import type { BenchFailure, BenchReport } from './report.ts';
import { differences, draftRow, finishRow, type RowDraft } from './rows.ts';
import { geometricMean } from './statistics.ts';
import { type BenchSubject, readFacts } from './subject.ts';

export interface BenchJob {
  readonly model: string;
  /** Compiles or finds what is measured; may throw. */
  readonly prepare: () => Promise<BenchSubject>;
  /** Removes what `prepare` made. */
  readonly release?: () => void;
}

export interface BenchSettings {
  /** Default: the physical cores this process may use. */
  readonly threads?: number;
  readonly concurrency?: readonly number[];
  /** Timed milliseconds per engine and measurement; default 3000. */
  readonly durationMs?: number;
  /** New processes per measurement; default 3. */
  readonly sessions?: number;
  /** hone-fp32: subjects have a `wideArtifact`. */
  readonly baseline?: BaselineName;
  readonly progress?: (message: string) => void;
  readonly log?: (message: string) => void;
}

const DURATION_MS = 3000;
const SESSIONS = 3;

/** Runs the jobs one after the other. Throws only where nothing could be measured at all. */
export async function runBench(
  jobs: readonly BenchJob[],
  settings: BenchSettings,
): Promise<BenchReport> {
  const version = settings.baseline === 'onnxruntime' ? baselineVersion() : null;
  const machine = probeMachine();
  const cores = Math.max(1, Math.min(machine.cores, usableCpus()));
  const threads = settings.threads ?? cores;
  const notes: string[] = [];
  const meter = await tryMeter(notes);
  try {
    const bench = { settings, threads, cores, meter, gate: burnGate(meter, cores) };
    const peaks = peakTable(meter, cores);
    const drafts: RowDraft[] = [];
    const failures: BenchFailure[] = [];
    await peaks.measure(threads);
    for (const job of jobs) {
      try {
        drafts.push(...(await benchJob(job, bench, peaks)));
      } catch (error) {
        failures.push(failureOf(job.model, error));
      } finally {
        job.release?.();
      }
    }
    await peaks.again();
    peaks.seen(bench.gate.bestTotal);
    const results = drafts.map((draft) => finishRow(draft, peaks));
    const ratios = results.flatMap((row) =>
      row.engine === 'hone' && row.ratio_to_baseline !== null ? [row.ratio_to_baseline] : [],
    );
    return {
      machine: {
        cpu: machine.cpu,
        threads,
        cores,
        memory_bytes: machine.memoryBytes,
        os: `${process.platform} ${os.release()}`,
        node: process.version,
        peak: peaks.of(threads),
        onnxruntime: version,
      },
      results,
      failures,
      geometric_mean: ratios.length === 0 ? null : geometricMean(ratios),
      notes,
    };
  } finally {
    meter?.close();
  }
}

interface Bench {
  readonly settings: BenchSettings;
  readonly threads: number;
  readonly cores: number;
  readonly gate: BurnGate;
}

async function benchJob(job: BenchJob, bench: Bench, peaks: PeakTable): Promise<RowDraft[]> {
  const { settings, threads, cores, gate } = bench;
  const progress = settings.progress ?? ((): void => {});
  progress(`${job.model}: preparing`);
  const subject = await job.prepare();
  const facts = readFacts(subject);
  const target = openArtifact(subject.artifact).manifest.libraries[0]?.target ?? null;
  const { baseline } = settings;
  const other = baseline === 'hone-fp32' ? subject.wideArtifact : subject.onnx;
  if (baseline !== undefined && other === undefined) {
    settings.log?.(`${job.model}: an artifact, without an ONNX file there is no baseline`);
  }
  const { onnx } = subject;
  let reference: Readonly<Record<string, Tensor>> | undefined;
  if (baseline === 'onnxruntime' && onnx !== undefined) {
    progress(`${job.model}: reference outputs`);
    reference = await referenceOutputs(onnx, facts, threads);
  }
  const drafts: RowDraft[] = [];
  for (const concurrency of settings.concurrency ?? [1]) {
    const active = Math.min(cores, threads * concurrency);
    await peaks.measure(active);
    const measurement = await measure(subject, facts, {
      threads,
      concurrency,
      durationMs: settings.durationMs ?? DURATION_MS,
      sessions: settings.sessions ?? SESSIONS,
      engines: baseline !== undefined && other !== undefined ? ['hone', baseline] : ['hone'],
      gate,
      progress,
    });
    const wide = measurement.engines.find(({ engine }) => engine === 'hone-fp32');
    reference ??= wide?.outputs;
    for (const measured of measurement.engines) {
      const context = { subject, facts, target, concurrency, threads, active, reference };
      const draft = draftRow(measured, measurement, context);
      const { outputs_equal: equal, lower_precision: lower } = draft.row;
      if (measured.engine === 'hone' && equal === false && !lower) {
        const found = differences(measured, reference ?? {});
        settings.log?.(`${job.model}: outputs differ from the reference: ${found}`);
      }
      drafts.push(draft);
    }
  }
  return drafts;
}

async function tryMeter(notes: string[]): Promise<MachineMeter | undefined> {
  try {
    return await openMeter();
  } catch (error) {
    if (!(error instanceof HoneError)) throw error;
    notes.push(`the machine was not measured, nothing was discarded: ${error.message}`);
    return undefined;
  }
}

function failureOf(model: string, thrown: unknown): BenchFailure {
  const error = thrown instanceof HoneError ? thrown : undefined;
  return {
    model,
    code: error?.code ?? 'HONE-INTERNAL-000',
    message: thrown instanceof Error ? thrown.message : String(thrown),
    subject: error?.subject ?? null,
    cure: error?.cure ?? null,
  };
}
