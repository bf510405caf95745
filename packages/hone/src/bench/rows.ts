/** Measurements as rows of the report. */
import type { Tensor } from 'hone-runtime/base/tensor';
import { compareOutputs, type OutputError, worstOutput } from './compare-outputs.ts';
import type { Measured, Measurement } from './measure.ts';
import type { PeakTable } from './peak-table.ts';
import type { BenchRow } from './report.ts';
import type { BenchSubject, SubjectFacts } from './subject.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** A row that still wants the peak, which is measured again at the end. */
export interface RowDraft {
  readonly row: Omit<BenchRow, 'percent_of_peak'>;
  /** Cores the row can keep busy. */
  readonly active: number;
}

export interface RowContext {
  readonly subject: BenchSubject;
  readonly facts: SubjectFacts;
  readonly target: string | null;
  readonly concurrency: number;
  readonly threads: number;
  /** Cores that this can keep busy. */
  readonly active: number;
  readonly reference: Tensors | undefined;
}

/** The row of one engine. */
export function draftRow(measured: Measured, all: Measurement, context: RowContext): RowDraft {
  const { subject, facts, concurrency, threads, reference } = context;
  const { engine, times, opened, ratio } = measured;
  const ours = engine === 'hone';
  const errors = reference === undefined ? [] : compareOutputs(measured.outputs, reference);
  const worst = worstOutput(errors);
  const equal = errors.every((error) => error.within);
  const baseline = all.engines.length > 1 ? 1 : null;
  const row: RowDraft['row'] = {
    model: subject.model,
    engine,
    precision: ours ? facts.precision : facts.modelPrecision,
    calibration: ours ? facts.calibration : null,
    batch: facts.batch,
    concurrency,
    threads,
    p50_ms: times.p50,
    p90_ms: times.p90,
    p95_ms: times.p95,
    p99_ms: times.p99,
    mean_ms: times.mean,
    spread_percent: times.spreadPercent,
    throughput_avg: facts.batch * times.rateAverage,
    throughput_max: facts.batch * times.rateMost,
    gflops:
      concurrency > 1 ? (facts.flops * times.rateAverage) / 1e9 : facts.flops / times.p50 / 1e6,
    peak_rss_bytes: measured.peakRssBytes,
    arena_bytes: ours ? facts.arenaBytes : null,
    weights_bytes: ours ? facts.weightsBytes : null,
    ratio_to_baseline: ours ? (ratio?.median ?? null) : baseline,
    ratio_low: ours ? (ratio?.low ?? null) : baseline,
    ratio_high: ours ? (ratio?.high ?? null) : baseline,
    runs: times.count,
    windows: all.windows,
    discarded_windows: all.discarded,
    disturbed: all.disturbed,
    import_ms: opened.importMs,
    open_ms: opened.openMs,
    first_run_ms: opened.firstRunMs,
    compile_s: ours ? (subject.compileSeconds ?? null) : null,
    flops: facts.flops,
    target: ours ? context.target : null,
    max_error: worst === undefined ? null : worst.maxError,
    max_error_of_scale: worst === undefined ? null : worst.ofScale,
    outputs_equal: reference === undefined ? null : equal,
    lower_precision: ours && facts.precision !== facts.modelPrecision,
    differs_like_baseline: !equal && likeBaseline(worst, all, reference ?? {}),
  };
  return { row, active: context.active };
}

/** Whether the baseline is as far from its own reference mode, within a factor of two. */
function likeBaseline(
  worst: OutputError | undefined,
  all: Measurement,
  reference: Tensors,
): boolean {
  const peer = all.engines.find((measured) => measured.engine === 'onnxruntime');
  if (peer === undefined || worst === undefined) return false;
  const theirs = worstOutput(compareOutputs(peer.outputs, reference));
  return theirs !== undefined && !theirs.within && worst.ofScale <= 2 * theirs.ofScale;
}

/** Which outputs are beyond the tolerance, and by how much. */
export function differences(measured: Measured, reference: Tensors): string {
  return compareOutputs(measured.outputs, reference)
    .filter((error) => !error.within)
    .map(({ name, problem, ofScale }) => {
      const size = Number.isFinite(ofScale) ? `, by ${ofScale.toExponential(1)} of the scale` : '';
      return `${name}: ${problem}${size}`;
    })
    .join('; ');
}

/** The row with its share of the peak. */
export function finishRow({ row, active }: RowDraft, peaks: PeakTable): BenchRow {
  const peak = peaks.of(active);
  const most = { int8: peak?.int8_gops, bf16: peak?.bf16_gflops }[row.precision];
  const limit = most ?? peak?.fp32_gflops;
  return { ...row, percent_of_peak: limit ? (100 * row.gflops) / limit : null };
}
