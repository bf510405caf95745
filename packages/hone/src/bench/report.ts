/** What the bench found, as JSON prints it. Keys are a contract: add, never rename. */
import type { BaselineName } from './engine-protocol.ts';
import type { MachinePeak } from './machine-meter.ts';

export interface BenchRow {
  readonly model: string;
  readonly engine: 'hone' | BaselineName;
  readonly precision: string;
  /** Where an int8 model's ranges are from; null where there is nothing to calibrate. */
  readonly calibration: string | null;
  readonly batch: number;
  /** Requests in flight. */
  readonly concurrency: number;
  /** Intra-op threads of each request. */
  readonly threads: number;
  readonly p50_ms: number;
  readonly p90_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly mean_ms: number;
  /** Distance of the quartiles in percent of the median. */
  readonly spread_percent: number;
  /** Items (batch × runs) per second. */
  readonly throughput_avg: number;
  readonly throughput_max: number;
  readonly gflops: number;
  readonly percent_of_peak: number | null;
  readonly peak_rss_bytes: number;
  /** Of one request; null for engines that do not tell. */
  readonly arena_bytes: number | null;
  readonly weights_bytes: number | null;
  /** Above 1: faster than the baseline. The median over the rounds, and its quartiles. */
  readonly ratio_to_baseline: number | null;
  readonly ratio_low: number | null;
  readonly ratio_high: number | null;
  readonly runs: number;
  readonly windows: number;
  /** Of both engines, left out because a burn showed the machine to be busy. */
  readonly discarded_windows: number;
  /** True: hardly anything was clean; the better half was taken. */
  readonly disturbed: boolean;
  /** Cold start in a new process: loading the engine, opening the model, the first answer. */
  readonly import_ms: number;
  readonly open_ms: number;
  readonly first_run_ms: number;
  readonly compile_s: number | null;
  /** Floating-point operations of one run. */
  readonly flops: number;
  readonly target: string | null;
  /** Against onnxruntime without graph optimisations; null where it was not asked for. */
  readonly max_error: number | null;
  readonly max_error_of_scale: number | null;
  readonly outputs_equal: boolean | null;
  /**
   * The baseline with its optimisations is beyond the tolerance too, and at least half as far: it
   * is the model that amplifies rounding.
   */
  /** Compiled to a lower precision than the model's: its outputs are meant to be near, not equal. */
  readonly lower_precision: boolean;
  readonly differs_like_baseline: boolean;
}

export interface BenchFailure {
  readonly model: string;
  readonly code: string;
  readonly message: string;
  /** What failed: an engine's name, a node, a file. */
  readonly subject: string | null;
  readonly cure: string | null;
}

export interface BenchMachine {
  readonly cpu: string;
  /** Intra-op threads that were used. */
  readonly threads: number;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly os: string;
  readonly node: string;
  /** Over `threads`; null without a C compiler. */
  readonly peak: MachinePeak | null;
  /** Version of the baseline; null without one. */
  readonly onnxruntime: string | null;
}

export interface BenchReport {
  readonly machine: BenchMachine;
  readonly results: readonly BenchRow[];
  readonly failures: readonly BenchFailure[];
  /** Of ratio_to_baseline over our rows; null without a baseline. */
  readonly geometric_mean: number | null;
  readonly notes: readonly string[];
}

/** A lower precision is measured by `hone compare`; here only outputs of another kind count. */
const FAR = 0.25;

/** True when our outputs differ from the reference for no fault of the model's. */
export function isWrong(row: BenchRow): boolean {
  if (row.engine !== 'hone' || row.outputs_equal !== false || row.differs_like_baseline)
    return false;
  return !row.lower_precision || !((row.max_error_of_scale ?? Number.NaN) < FAR);
}

/** True when nothing failed and every output of ours that was compared is right. */
export function isGood(report: BenchReport): boolean {
  return report.failures.length === 0 && !report.results.some(isWrong);
}
