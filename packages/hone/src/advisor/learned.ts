/**
 * What stored measurements say: the time of a model that was measured on a machine, and by which
 * factor predictions for that machine are off. Of several measurements of one setting the latest
 * counts; one of a busy machine only where there is no other, and nothing is fitted to it.
 */
import type { MeasuredResult } from './measured-result.ts';
import { type Comparison, fitMachine, type MachineFit } from './refit.ts';

/** A setting that was measured, as a station of service. */
export interface MeasuredStation {
  /** Median time of a batch on one lane while the others are busy too. */
  readonly service_ms: number;
  /** Batches worked on side by side; the machine's cores are shared out among them. */
  readonly lanes: number;
  /** 99th percentile over the median. */
  readonly tail: number;
  readonly batch: number;
  readonly throughput_per_s: number;
  readonly precision: string;
  readonly threads: number;
  readonly measured_at: string;
  readonly disturbed: boolean;
}

export interface Learned {
  /** Settings of a model that were measured on a machine, by precision and batch. */
  stations(machine: string, modelSha256: string): readonly MeasuredStation[];
  /** How far predictions for a machine are off; without measurements: not at all. */
  fit(machine: string): MachineFit;
  /** Measurements of a model, on all machines. */
  resultsOf(modelSha256: string): readonly MeasuredResult[];
  /** Machines something was measured on. */
  readonly machines: readonly string[];
}

/**
 * `predict`: milliseconds of a batch with nothing else in the way, for a measurement's machine and
 * setting; undefined where the machine is not known. `priorLogError`: of such a prediction.
 */
export function learn(
  results: readonly MeasuredResult[],
  predict: (result: MeasuredResult) => number | undefined,
  priorLogError: number,
): Learned {
  const latest = latestOf(results);
  const byMachine = new Map<string, MeasuredResult[]>();
  for (const result of latest) {
    const { name } = result.machine;
    byMachine.set(name, [...(byMachine.get(name) ?? []), result]);
  }
  const fits = new Map<string, MachineFit>();
  return {
    machines: [...byMachine.keys()],
    resultsOf: (modelSha256) =>
      latest.filter((result) => result.model.sha256 === modelSha256 && hasOwnCores(result)),
    stations: (machine, modelSha256) =>
      (byMachine.get(machine) ?? [])
        .filter((result) => result.model.sha256 === modelSha256 && hasOwnCores(result))
        .map(stationOf),
    fit(machine) {
      const known = fits.get(machine);
      if (known !== undefined) return known;
      const comparisons = (byMachine.get(machine) ?? [])
        .filter((result) => hasOwnCores(result) && !result.conditions.disturbed)
        .flatMap((result): Comparison[] => {
          const predictedMs = predict(result);
          const { precision } = result.setting;
          return predictedMs === undefined
            ? []
            : [{ precision, predictedMs, measuredMs: result.p50_ms }];
        });
      const fit = fitMachine(comparisons, priorLogError);
      fits.set(machine, fit);
      return fit;
    },
  };
}

/** With more threads than cores, requests take turns: such a time is no service time. */
function hasOwnCores({ setting, machine }: MeasuredResult): boolean {
  return setting.concurrency === 1 || setting.threads * setting.concurrency <= machine.cores;
}

function stationOf(result: MeasuredResult): MeasuredStation {
  const { setting, p50_ms, p99_ms } = result;
  return {
    service_ms: p50_ms,
    lanes: setting.concurrency,
    tail: Math.max(1, p99_ms / p50_ms),
    batch: setting.batch,
    throughput_per_s: result.throughput_per_s,
    precision: setting.precision,
    threads: setting.threads,
    measured_at: result.measured_at,
    disturbed: result.conditions.disturbed,
  };
}

function latestOf(results: readonly MeasuredResult[]): readonly MeasuredResult[] {
  const best = new Map<string, MeasuredResult>();
  for (const result of results) {
    const { precision, batch, concurrency } = result.setting;
    const key = JSON.stringify([
      result.machine.name,
      result.model.sha256,
      precision,
      batch,
      concurrency,
    ]);
    const before = best.get(key);
    if (before === undefined || isBetter(result, before)) best.set(key, result);
  }
  return [...best.values()];
}

function isBetter(result: MeasuredResult, before: MeasuredResult): boolean {
  const [busy, wasBusy] = [result.conditions.disturbed, before.conditions.disturbed];
  if (busy !== wasBusy) return wasBusy;
  return Date.parse(result.measured_at) >= Date.parse(before.measured_at);
}
