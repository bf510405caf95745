/**
 * Honest errors of the performance model: every group is predicted by a fit that has seen nothing
 * of it but its data sheet. Beside it a roofline with one constant efficiency, judged the same way.
 */
import { at } from 'hone-runtime/base/diagnostics';
import {
  type Calibrated,
  calibrate,
  type Figures,
  figuresOf,
  lookup,
  type Observation,
  OWN_ENGINE,
} from './calibration.ts';
import type { Accelerator } from './catalogue-types.ts';
import type { ErrorSummary, GroupErrors, Validation } from './fitted-model.ts';

export interface LeftOut {
  readonly observation: Observation;
  readonly predicted: Figures;
  readonly baseline: Figures;
}

/** Fits without each group in turn, and predicts it. */
export function leaveOut(
  observations: readonly Observation[],
  groupOf: (observation: Observation) => string,
  start: Calibrated,
  progress: (group: string) => void = () => {},
): ReadonlyMap<string, readonly LeftOut[]> {
  const groups = [...new Set(observations.map(groupOf))];
  return new Map(
    groups.map((group) => {
      progress(group);
      const kept = observations.filter((item) => groupOf(item) !== group);
      const fit = lookup(calibrate(kept, start));
      const efficiency = constantEfficiency(kept);
      const rows = observations
        .filter((item) => groupOf(item) === group)
        .map((observation) => ({
          observation,
          predicted: figuresOf(observation, fit),
          baseline: rooflineFigures(observation, efficiency),
        }));
      return [group, rows];
    }),
  );
}

/** Errors by group, and over the groups of at least `least` observations together. */
export function summarize(
  groups: ReadonlyMap<string, readonly LeftOut[]>,
  least: number,
): Validation {
  const published = [...groups]
    .map(([group, rows]) => [group, rows.filter(isPublished)] as const)
    .filter(([, rows]) => rows.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const judged = published.filter(([, rows]) => rows.length >= least).flatMap(([, rows]) => rows);
  return {
    groups: published.map(([group, rows]) => errorsOf(group, rows)),
    all: errorsOf('all', judged),
  };
}

function isPublished({ observation }: LeftOut): boolean {
  return observation.run.engine !== OWN_ENGINE;
}

interface Pair {
  readonly model: number;
  readonly baseline: number;
}

function errorsOf(group: string, rows: readonly LeftOut[]): GroupErrors {
  const kernel = rows.filter(({ observation }) => observation.run.scope === 'kernel');
  const whole = rows.filter(({ observation }) => observation.run.scope !== 'kernel');
  return {
    group,
    rows: rows.length,
    kernelLatency: errorSummary(kernel.flatMap(latencyError)),
    wholeThroughput: errorSummary(whole.flatMap(throughputError)),
    wholeLatency: errorSummary(whole.flatMap(latencyError)),
  };
}

/** Predicted over measured, less 1. A throughput that the source computed is not counted again. */
export function throughputError({ observation, predicted, baseline }: LeftOut): Pair[] {
  const { row } = observation;
  if (row.throughputDerived) return [];
  const measured = row.throughput / row.devices;
  return [
    {
      model: predicted.throughput / measured - 1,
      baseline: baseline.throughput / measured - 1,
    },
  ];
}

/** The latency under a tail limit depends on how the load was chosen: not predicted. */
export function latencyError({ observation, predicted, baseline }: LeftOut): Pair[] {
  const { row, run } = observation;
  if (row.latencyMs === undefined || run.scope === 'mlperf-server') return [];
  return [
    {
      model: predicted.latencyMs / row.latencyMs - 1,
      baseline: baseline.latencyMs / row.latencyMs - 1,
    },
  ];
}

export function errorSummary(errors: readonly Pair[]): ErrorSummary | null {
  if (errors.length === 0) return null;
  const sizes = errors.map((error) => Math.abs(error.model));
  const plain = errors.map((error) => Math.abs(error.baseline));
  return {
    count: errors.length,
    median: quantile(sizes, 0.5),
    p90: quantile(sizes, 0.9),
    bias: quantile(
      errors.map((error) => error.model),
      0.5,
    ),
    baselineMedian: quantile(plain, 0.5),
    baselineP90: quantile(plain, 0.9),
  };
}

/** Linear between the nearest ranks. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = at(sorted, Math.floor(place));
  const high = at(sorted, Math.ceil(place));
  return low + (high - low) * (place - Math.floor(place));
}

/** The better of peak and bandwidth at one efficiency for everything: the median of what was seen. */
function constantEfficiency(observations: readonly Observation[]): number {
  return quantile(
    observations.map((observation) => {
      const { row } = observation;
      const ideal = rooflineFigures(observation, 1);
      return row.throughputDerived && row.latencyMs !== undefined
        ? ideal.latencyMs / row.latencyMs
        : row.throughput / row.devices / ideal.throughput;
    }),
    0.5,
  );
}

function rooflineFigures(observation: Observation, efficiency: number): Figures {
  const { workload, device, run, inFlight } = observation;
  const { batch, precision } = run;
  const width =
    precision === 'int8' ? 0.25 : precision === 'fp16' || precision === 'bf16' ? 0.5 : 1;
  const peak = peakOf(device, precision) / device.cores / 1000;
  const bandwidth = device.bandwidthBytesPerSecond / device.cores / 1000;
  let ms = 0;
  for (const { count, flops, weightBytes, activationBytes } of workload.fused) {
    const bytes = (weightBytes + activationBytes * batch) * width;
    ms += (count * Math.max((flops * batch) / peak, bytes / bandwidth)) / efficiency;
  }
  const lanes = Math.min(device.cores, inFlight);
  return { throughput: (batch * 1000 * lanes) / ms, latencyMs: (ms * inFlight) / lanes };
}

function peakOf(device: Accelerator, precision: keyof Accelerator['peak']): number {
  return device.peak[precision] ?? device.peak.fp32 ?? device.peak.fp16 ?? 1;
}
