/** Fits the model to all measurements, judges it by leaving groups out, and gives what is stored. */
import {
  type Calibrated,
  calibrate,
  type Observation,
  observationsOf,
  OWN_ENGINE,
} from './calibration.ts';
import type { Catalogue } from './catalogue-types.ts';
import type { FittedModel } from './fitted-model.ts';
import type { Measurement } from './measurements.ts';
import type { Workload } from './model-types.ts';
import { acceleratorPrices, checkOrder } from './order.ts';
import {
  errorSummary,
  latencyError,
  type LeftOut,
  leaveOut,
  quantile,
  summarize,
} from './validation.ts';

export interface FitInput {
  readonly catalogue: Catalogue;
  readonly measurements: readonly Measurement[];
  readonly workloads: ReadonlyMap<string, Workload>;
  /** YYYY-MM-DD */
  readonly date: string;
  readonly progress: (message: string) => void;
}

/** Accelerators with fewer observations are shown but not judged. */
const LEAST_OBSERVATIONS = 8;
/** Part of the predictions that lie within the interval. */
const INTERVAL = 0.8;

export function fitModel(input: FitInput): FittedModel {
  const { catalogue, measurements, workloads, date, progress } = input;
  const devices = new Map(catalogue.accelerators.map((device) => [device.id, device]));
  const observations = observationsOf(measurements, workloads, devices);
  progress(`fitting ${observations.length} measurements`);
  const fit = calibrate(observations);
  const chips = leaveOut(
    observations.filter((item) => item.run.engine !== OWN_ENGINE),
    (item) => item.chip,
    fit,
    (group) => progress(`leaving out ${group}`),
  );
  const families = leaveOut(
    observations,
    (item) => item.family,
    fit,
    (group) => progress(`leaving out ${group}`),
  );
  const byChip = [...chips.values()].flat();
  const byFamily = [...families.values()].flat();
  const own = (row: LeftOut): boolean => row.observation.run.engine === OWN_ENGINE;
  return {
    date,
    rows: measurements.length,
    used: observations.length,
    parameters: parameterTable(fit),
    spread: {
      known: spreadOf(byFamily.filter((row) => !own(row))),
      unknown: spreadOf(byChip),
      processor: spreadOf(byFamily.filter(own)),
    },
    tail: tailsOf(observations),
    byAccelerator: summarize(chips, LEAST_OBSERVATIONS),
    byFamily: summarize(families, 1),
    own: errorSummary(byFamily.filter(own).flatMap(latencyError)),
    order: {
      throughput: checkOrder(byChip),
      cost: checkOrder(byChip, acceleratorPrices(catalogue)),
    },
    chips: [...new Set(observations.map((item) => item.chip))].sort(),
  };
}

function parameterTable({ names, fitted }: Calibrated): FittedModel['parameters'] {
  return Object.fromEntries(
    names
      .map((name, i): [string, readonly [number, number]] => [
        name,
        [rounded(fitted.values[i] ?? 0), rounded(fitted.errors[i] ?? 0)],
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function rounded(value: number): number {
  return Number(value.toFixed(4));
}

function spreadOf(rows: readonly LeftOut[]): {
  readonly latency: number;
  readonly throughput: number;
} {
  const latency = rows.flatMap(({ observation, predicted }) => {
    const { row, run } = observation;
    if (row.latencyMs === undefined || run.scope === 'mlperf-server') return [];
    return [Math.abs(Math.log(predicted.latencyMs / row.latencyMs))];
  });
  const throughput = rows.map(({ observation, predicted }) => {
    const { row } = observation;
    return Math.abs(Math.log((predicted.throughput * row.devices) / row.throughput));
  });
  return {
    latency: rounded(quantile(latency, INTERVAL)),
    throughput: rounded(quantile(throughput, INTERVAL)),
  };
}

/** Of the rows that give both: how far the 99th percentile lies above the middle, by scope. */
function tailsOf(observations: readonly Observation[]): FittedModel['tail'] {
  const ratios = new Map<string, number[]>();
  for (const { row, run } of observations) {
    if (row.latencyMs === undefined || row.p99Ms === undefined) continue;
    ratios.set(run.scope, [...(ratios.get(run.scope) ?? []), row.p99Ms / row.latencyMs]);
  }
  return Object.fromEntries(
    [...ratios].map(([scope, values]) => [scope, rounded(Math.max(1, quantile(values, 0.75)))]),
  );
}
