/**
 * Measures a model on machines: compiles for each one's processor, signs where that is wanted, lets
 * it be timed there, and stores what came of it at once. A machine that fails is reported, and the
 * others go on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type PrivateKey, shortId } from 'hone-runtime/artifact/keys';
import { openArtifact } from 'hone-runtime/artifact/read';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import type { MeasuredResult } from '../../advisor/measured-result.ts';
import type { Workload } from '../../advisor/model-types.ts';
import { appendResults } from '../../advisor/results-file.ts';
import { compileModel, writeArtifact } from '../../compile/index.ts';
import type { Precision } from '../../compile/options.ts';
import { HONE_VERSION } from '../../compile/version.ts';
import { type CompileRequest, toCompileOptions } from '../compile-request.ts';
import type { MeasuringPlace, PlaceReport } from './place.ts';

/** One way to compile the model. */
export interface Variant {
  readonly precision: Precision;
  readonly batch: number;
  /** Requests in flight, which share the cores evenly. */
  readonly lanes: number;
}

export interface MeasureOrder {
  readonly path: string;
  /** How the model is called. */
  readonly label: string;
  /** Shapes, dimensions and calibration; batch, precision and target are the variants'. */
  readonly request: CompileRequest;
  readonly variants: readonly Variant[];
  /** Timed milliseconds of one variant. */
  readonly durationMs: number;
  readonly sessions: number;
  /** For machines that want a signature. */
  readonly key?: PrivateKey;
  /** Stored with the results, for later refits. */
  readonly workload: Workload | null;
  readonly resultsFile: string;
  readonly progress: (text: string) => void;
}

export interface MeasureFailure {
  readonly machine: string;
  readonly code: string;
  readonly message: string;
  readonly cure: string | null;
}

export interface MeasureOutcome {
  readonly results: readonly MeasuredResult[];
  readonly failures: readonly MeasureFailure[];
}

/** All variants on one machine. Throws only where the results file cannot be written. */
export async function measureModel(
  place: MeasuringPlace,
  order: MeasureOrder,
): Promise<MeasureOutcome> {
  const results: MeasuredResult[] = [];
  const failures: MeasureFailure[] = [];
  for (const variant of order.variants) {
    let measured: readonly MeasuredResult[];
    try {
      measured = await measureVariant(place, order, variant);
    } catch (error) {
      failures.push(failureOf(place.name, error));
      // Where nobody answers, the next variant would only wait for the same.
      if (error instanceof HoneError && GONE.test(error.code)) break;
      continue;
    }
    appendResults(order.resultsFile, measured);
    results.push(...measured);
  }
  return { results, failures };
}

const GONE = /^HONE-AGENT-0(01|08|09|10)$/;

async function measureVariant(
  place: MeasuringPlace,
  order: MeasureOrder,
  { precision, batch, lanes }: Variant,
): Promise<readonly MeasuredResult[]> {
  const { path: model, label, key, progress, durationMs, sessions } = order;
  if (place.wantsSignature) checkKey(place, key);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-measure-'));
  try {
    const artifact = path.join(folder, 'model.hone');
    const what = `${label} for ${place.name}, ${precision}, batch ${batch}`;
    progress(`compiling ${what}`);
    const { calibrate, ...rest } = order.request;
    const request: CompileRequest = {
      ...rest,
      batch,
      target: place.target,
      precision,
      ...(precision === 'int8' && calibrate !== undefined ? { calibrate } : {}),
    };
    const compiled = await compileModel(model, toCompileOptions(request, progress));
    await writeArtifact(compiled, artifact, key === undefined ? {} : { key });
    const settings = {
      label,
      concurrency: [lanes],
      threads: Math.max(1, Math.floor(place.cores / lanes)),
      durationMs,
      sessions,
    };
    const found = await place.measure(artifact, settings, (text) =>
      progress(`${place.name}: ${text}`),
    );
    return resultsOf(place, order, artifact, found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checkKey(place: MeasuringPlace, key: PrivateKey | undefined): void {
  const trusted = place.trusted.map(shortId).join(' or ');
  if (key === undefined) {
    fail(
      'HONE-AGENT-020',
      `the agent of ${place.name} measures only what is signed with key ${trusted}`,
      place.by,
      'give the private key: --sign KEY',
    );
  }
  if (place.trusted.includes(key.id)) return;
  fail(
    'HONE-AGENT-020',
    `the agent of ${place.name} trusts key ${trusted}, and --sign gives ${shortId(key.id)}`,
    place.by,
    "give the private key that belongs to the agent's --key, or start the agent with yours",
  );
}

function resultsOf(
  place: MeasuringPlace,
  { label, workload }: MeasureOrder,
  artifact: string,
  { started, artifact: digest, machine, conditions, report }: PlaceReport,
): readonly MeasuredResult[] {
  const { manifest } = openArtifact(artifact);
  const { peak } = report.machine;
  return report.results.map(
    (row): MeasuredResult => ({
      measured_at: started,
      by: place.by,
      hone: HONE_VERSION,
      machine: {
        name: place.name,
        cpu: machine.cpu,
        cores: machine.cores,
        memory_bytes: machine.memory_bytes,
        l3_bytes: machine.l3_bytes,
        os: machine.os,
        peak: peak !== null && peak.fp32_gflops > 0 ? peak : null,
      },
      model: {
        name: label,
        sha256: manifest.source.sha256,
        shapes: manifest.inputs.map((input) => input.shape),
        flops: row.flops,
        workload,
      },
      artifact: { sha256: digest, target: place.target },
      setting: {
        precision: row.precision,
        batch: row.batch,
        concurrency: row.concurrency,
        threads: row.threads,
      },
      p50_ms: row.p50_ms,
      p90_ms: row.p90_ms,
      p95_ms: row.p95_ms,
      p99_ms: row.p99_ms,
      mean_ms: row.mean_ms,
      throughput_per_s: row.throughput_avg,
      peak_rss_bytes: row.peak_rss_bytes,
      runs: row.runs,
      conditions: { disturbed: row.disturbed, ...conditions },
    }),
  );
}

export function failureOf(machine: string, thrown: unknown): MeasureFailure {
  const error = thrown instanceof HoneError ? thrown : undefined;
  return {
    machine,
    code: error?.code ?? 'HONE-INTERNAL-000',
    message: thrown instanceof Error ? thrown.message : String(thrown),
    cure: error?.cure ?? null,
  };
}
