/**
 * Candidates in the light of measurements: a setting that was measured on its machine takes the
 * measured time; others of that machine move by the factor that its measurements show, with a
 * narrower interval. Only what Hone runs itself is measured: processors.
 */
import { type Candidate, deviceOf } from './candidates.ts';
import type { Accelerator, Catalogue, Precision } from './catalogue-types.ts';
import type { FittedModel } from './fitted-model.ts';
import { type Learned, learn, type MeasuredStation } from './learned.ts';
import type { MeasuredResult, ResultMachine } from './measured-result.ts';
import type { Prediction } from './model-types.ts';
import { predict } from './predict.ts';

export interface MeasuredUse {
  readonly learned: Learned;
  /** Of the model that advice is asked for. */
  readonly modelSha256: string;
}

/** Half width of an 80 % interval, in standard deviations. */
const HALF_WIDTH = 1.2816;
/** From run to run on one machine; of a busy one more. */
const MEASURED_SPREAD = 0.05;
const BUSY_SPREAD = 0.2;

/** Reads measurements with the model's predictions beside them. */
export function learnFrom(
  results: readonly MeasuredResult[],
  catalogue: Catalogue,
  model: FittedModel,
): Learned {
  const prior = model.spread.processor.latency / HALF_WIDTH;
  return learn(results, (result) => predictedMs(result, catalogue, model), prior);
}

/** What the model says of a measured setting; undefined where it does not know machine or model. */
export function predictedMs(
  { machine, model: { workload }, setting }: MeasuredResult,
  catalogue: Catalogue,
  model: FittedModel,
): number | undefined {
  if (workload === null) return undefined;
  const instance = catalogue.instances.find(({ name }) => name === machine.name);
  const device = instance === undefined ? probedDevice(machine) : deviceOf(instance);
  const precision = setting.precision as Precision;
  if (device === undefined || device.kind !== 'cpu' || device.peak[precision] === undefined) {
    return undefined;
  }
  const { batch, concurrency: lanes } = setting;
  const options = { engine: 'compiled', precision, batch } as const;
  return predict(workload, { ...device, cores: lanes }, options, model).latencyMs;
}

/** A machine of no catalogue, as its probe shows it; undefined where its peak was not measured. */
export function probedDevice(machine: ResultMachine): Accelerator | undefined {
  const { peak } = machine;
  if (peak === null || peak.read_gbytes_per_second === null) return undefined;
  return {
    id: machine.name,
    name: machine.cpu,
    kind: 'cpu',
    year: 0,
    memoryBytes: machine.memory_bytes,
    bandwidthBytesPerSecond: peak.read_gbytes_per_second * 1e9,
    cacheBytes: machine.l3_bytes,
    peak: {
      fp32: peak.fp32_gflops * 1e9,
      ...(peak.bf16_gflops === null ? {} : { bf16: peak.bf16_gflops * 1e9 }),
      ...(peak.int8_gops === null ? {} : { int8: peak.int8_gops * 1e9 }),
    },
    baseClockMhz: null,
    boostClockMhz: null,
    powerWatts: null,
    cores: 1,
    operators: { supports: null, controlFlow: 'device' },
    frameworks: ['*'],
    wasteful: null,
    source: 'probe',
  };
}

/** The candidates of an instance, with what was measured there. */
export function withMeasurements(
  candidates: readonly Candidate[],
  use: MeasuredUse | undefined,
): readonly Candidate[] {
  const [first] = candidates;
  if (use === undefined || first === undefined || first.device.kind !== 'cpu') return candidates;
  const { name } = first.instance;
  const fit = use.learned.fit(name);
  const stations = use.learned.stations(name, use.modelSha256);
  if (fit.measurements === 0 && stations.length === 0) return candidates;
  return candidates.map((candidate) => {
    const { precision, batch, station } = candidate;
    const found = stations.find(
      (one) => one.precision === precision && one.batch === batch && one.lanes === station.lanes,
    );
    if (found !== undefined) return asMeasured(candidate, found);
    const spread = HALF_WIDTH * fit.logError(precision);
    return moved(candidate, fit.factor(precision), spread);
  });
}

function asMeasured(candidate: Candidate, found: MeasuredStation): Candidate {
  const factor = found.service_ms / candidate.station.service_ms;
  const spread = found.disturbed ? BUSY_SPREAD : MEASURED_SPREAD;
  const { station, ...rest } = moved(candidate, factor, spread);
  return { ...rest, basis: 'measured', station: { ...station, tail: found.tail } };
}

function moved(candidate: Candidate, factor: number, spread: number): Candidate {
  const { prediction, station } = candidate;
  const scaled: Prediction = {
    ...prediction,
    computeMs: prediction.computeMs * factor,
    memoryMs: prediction.memoryMs * factor,
    launchMs: prediction.launchMs * factor,
    transferMs: prediction.transferMs * factor,
    latencyMs: prediction.latencyMs * factor,
    logSpreadLatency: spread,
    logSpreadThroughput: spread,
  };
  const service_ms = station.service_ms * factor;
  return { ...candidate, prediction: scaled, station: { ...station, service_ms } };
}
