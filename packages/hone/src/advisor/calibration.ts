/**
 * What is fitted and how it is judged: observations out of published measurements, the parameters
 * with their priors, and cross-validation by accelerator and by family of topologies.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Accelerator } from './catalogue-types.ts';
import { type Evaluation, type Fitted, fitParameters, type Prior } from './fit.ts';
import type { Measurement } from './measurements.ts';
import type { Workload } from './model-types.ts';
import {
  batchTime,
  chipOf,
  isEager,
  type LogRate,
  type Parameters,
  type Run,
  type RunRates,
  ratesOf,
  totalMs,
  unseenEffect,
  valueRates,
} from './performance.ts';

export interface Observation {
  readonly row: Measurement;
  readonly workload: Workload;
  readonly device: Accelerator;
  readonly run: Run;
  readonly family: string;
  readonly chip: string;
  /** Requests in flight on one device. */
  readonly inFlight: number;
}

/** Batch that a harness without latency limits fills. */
const OFFLINE_BATCH = 128;

/** A network and its deeper, wider and distilled kin are left out together. */
export function familyOf(topology: string): string {
  if (/^bert-\dl/.test(topology)) return 'bert-distilled';
  if (topology.startsWith('resnext')) return 'resnet';
  if (topology === 'yolo') return 'yolov5';
  return (
    /^(bert-base|bert-large|resnet|vgg|efficientnet|yolov5|yolov8|unet|vit|ssd|mobilenet)/.exec(
      topology,
    )?.[0] ?? topology
  );
}

/** Rows that can be modelled: a topology we can rebuild on a device we know. */
export function observationsOf(
  rows: readonly Measurement[],
  workloads: ReadonlyMap<string, Workload>,
  devices: ReadonlyMap<string, Accelerator>,
): readonly Observation[] {
  return rows.flatMap((row) => {
    const workload = workloads.get(row.topology);
    const device = devices.get(row.accelerator);
    if (workload === undefined || device === undefined) return [];
    const { engine, version, scope, precision } = row;
    const inFlight = inFlightOf(row, device);
    const batch = batchOf(row, inFlight);
    const run: Run = { engine, version, scope, precision, batch };
    const family = familyOf(row.topology);
    return [{ row, workload, device, run, family, chip: chipOf(device), inFlight }];
  });
}

function batchOf(row: Measurement, inFlight: number): number {
  if (row.batch !== undefined) return row.batch;
  // A server that gathers requests works on half of those in flight while the others wait.
  return row.scope === 'server-dynamic' ? Math.max(1, inFlight / 2) : OFFLINE_BATCH;
}

/** Where a source does not say how many requests were in flight, Little's law tells. */
function inFlightOf(row: Measurement, device: Accelerator): number {
  if (row.inFlight !== undefined) return row.inFlight;
  if (row.latencyMs === undefined || row.batch === undefined || row.throughputDerived)
    return device.cores;
  return Math.max(
    1,
    Math.round((row.throughput / row.devices / row.batch) * (row.latencyMs / 1000)),
  );
}

/** Ours: measured by the bench, judged apart from published figures. */
export const OWN_ENGINE = 'hone';

export interface Figures {
  /** Items a second of one device. */
  readonly throughput: number;
  readonly latencyMs: number;
}

/** What the model says of an observation. */
export function figuresOf(observation: Observation, p: Parameters): Figures {
  const { workload, device, run } = observation;
  const table = valueRates(ratesOf(device, run), p);
  return figuresFrom(observation, totalMs(batchTime(workload, run, table)), p);
}

function figuresFrom({ device, run, inFlight }: Observation, ms: number, p: Parameters): Figures {
  const lanes = Math.min(device.cores, inFlight);
  const rate = (run.batch * 1000) / ms;
  switch (run.scope) {
    case 'server-dynamic':
      return { throughput: rate, latencyMs: (inFlight * 1000) / rate };
    case 'mlperf-server':
      return { throughput: rate * Math.exp(p(UNDER_TAIL)), latencyMs: ms };
    default:
      return { throughput: rate * lanes, latencyMs: (ms * inFlight) / lanes };
  }
}

/** Throughput that is left when the tail of the latency is limited. */
const UNDER_TAIL = 'under tail';

/** Predicted over measured time, as a logarithm: of the latency where throughput was computed from it. */
function residualOf(observation: Observation, ms: number, p: Parameters): number {
  const { row } = observation;
  const found = figuresFrom(observation, ms, p);
  if (row.throughputDerived && row.latencyMs !== undefined) {
    return Math.log(found.latencyMs / row.latencyMs);
  }
  return Math.log(row.throughput / row.devices / found.throughput);
}

/**
 * Milliseconds a gigabyte, as a logarithm: 10 GB/s over PCIe; 2 GB/s through a server's protocol
 * in the same machine, half of it hidden where requests overlap.
 */
const COPY_PRIOR: Readonly<Record<string, number>> = { server: 6.2, 'server-dynamic': 5.5 };

/** Parameters that the observations speak of, with what is known before looking at them. */
export function priorsOf(observations: readonly Observation[]): ReadonlyMap<string, Prior> {
  const priors = new Map<string, Prior>();
  const add = (name: string, mean: number, sigma: number): void => {
    if (!priors.has(name)) priors.set(name, { mean, sigma });
  };
  add('clock', 0.4, 0.15);
  add('power', 0.3, 0.2);
  add('year', 0.04, 0.03);
  for (const kind of ['conv', 'pointwise', 'depthwise', 'matmul', 'attention'] as const) {
    add(
      `kind ${kind}`,
      kind === 'depthwise' ? -2 : kind === 'matmul' || kind === 'conv' ? 0 : -0.5,
      0.4,
    );
  }
  for (const kind of ['conv', 'pointwise', 'depthwise', 'matmul', 'attention', 'elementwise']) {
    add(`memory kind ${kind}`, 0, 0.4);
  }
  add(UNDER_TAIL, -0.1, 0.1);
  for (const { device, run, chip } of observations) {
    const { engine, precision, scope, version } = run;
    add(`precision ${precision} ${device.kind}`, unseenEffect(`precision ${precision}`), 0.3);
    if (precision === 'int8') {
      add(`precision fp16 ${device.kind}`, unseenEffect('precision fp16'), 0.3);
    }
    add(`memory ${device.kind}`, -0.3, 0.3);
    add(`fixed ${device.kind}`, 1.4, 0.7);
    // One machine only: what Hone makes of it is the engine's, so that it holds for others.
    if (engine !== OWN_ENGINE) {
      add(`chip ${chip}`, 0, 0.12);
      add(`memory chip ${chip}`, 0, 0.12);
    }
    add(`engine ${engine}`, 0, 0.3);
    add(`engine ${engine} ${precision}`, 0, 0.15);
    add(`memory ${engine}`, 0, 0.3);
    add(`memory ${engine} attention`, 0, 0.4);
    add(`memory ${engine} elementwise`, 0, 0.4);
    add(`fixed ${engine}`, 0, 0.4);
    add(`version ${version}`, 0, 0.1);
    for (const kind of ['conv', 'pointwise', 'matmul'] as const) {
      add(`kind ${kind} ${precision}`, 0, 0.15);
    }
    for (const kind of ['conv', 'pointwise', 'depthwise', 'matmul', 'attention']) {
      if (device.kind !== 'gpu') add(`kind ${kind} ${device.kind}`, 0, 0.3);
    }
    if (isEager(engine)) {
      add(`dispatch ${engine}`, 3, 0.7);
      add(`dispatch ${version}`, 0, 0.3);
    }
    if (scope !== 'kernel') {
      add(`copy ${scope}`, COPY_PRIOR[scope] ?? 4.6, 0.5);
      if (scope === 'server-dynamic') {
        add('call server', 4, 1.5);
        add('call server-dynamic', 0, 0.5);
      } else add(`call ${scope}`, 4, 1.5);
    }
  }
  return priors;
}

export interface Calibrated {
  readonly names: readonly string[];
  readonly fitted: Fitted;
}

export const RESIDUAL_SIGMA = 0.12;

export function calibrate(observations: readonly Observation[], start?: Calibrated): Calibrated {
  const priors = priorsOf(observations);
  const names = [...priors.keys()];
  const index = new Map(names.map((name, i) => [name, i]));
  const { rates, slots } = sharedRates(observations);
  const evaluate = (values: Float64Array): Evaluation => {
    const p: Parameters = (name) => {
      const i = index.get(name);
      return i === undefined ? unseenEffect(name) : (values[i] as number);
    };
    const residuals = new Float64Array(observations.length);
    const slopes = new Float64Array(observations.length * names.length);
    const tables = rates.map((item) => valueRates(item, p));
    observations.forEach((observation, row) => {
      const { workload, run } = observation;
      const table = at(tables, at(slots, row));
      const found: (readonly [LogRate, number])[] = [];
      const time = batchTime(workload, run, table, (rate, slope) => found.push([rate, slope]));
      const ms = totalMs(time);
      residuals[row] = residualOf(observation, ms, p);
      const add = (name: string, slope: number): void => {
        const i = index.get(name);
        if (i !== undefined)
          slopes[row * names.length + i] = (slopes[row * names.length + i] as number) + slope;
      };
      for (const [{ terms }, slope] of found) {
        for (const [name, factor] of terms) add(name, (factor * slope) / ms);
      }
      if (run.scope === 'mlperf-server') add(UNDER_TAIL, -1);
    });
    return { residuals, slopes };
  };
  const known = start === undefined ? undefined : lookup(start);
  const begin = known === undefined ? undefined : Float64Array.from(names, (name) => known(name));
  const fitted = fitParameters(
    [...priors.values()],
    evaluate,
    { sigma: RESIDUAL_SIGMA, iterations: 40 },
    begin,
  );
  return { names, fitted };
}

/** The rates of each observation, those of equal runs once. */
function sharedRates(observations: readonly Observation[]): {
  readonly rates: readonly RunRates[];
  readonly slots: readonly number[];
} {
  const rates: RunRates[] = [];
  const known = new Map<string, number>();
  const slots = observations.map(({ device, run }) => {
    const { engine, version, scope, precision } = run;
    const key = [device.id, engine, version, scope, precision].join('|');
    const slot = known.get(key) ?? rates.push(ratesOf(device, run)) - 1;
    known.set(key, slot);
    return slot;
  });
  return { rates, slots };
}

/** Parameters of a fit by name. */
export function lookup({ names, fitted }: Calibrated): Parameters {
  const table = new Map(names.map((name, i) => [name, fitted.values[i] as number]));
  return (name) => table.get(name) ?? unseenEffect(name);
}
