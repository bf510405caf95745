/** Predictions for a device: which engine runs there, how long a batch takes, how sure that is. */
import type { Accelerator, Precision } from './catalogue-types.ts';
import { type FittedModel, parametersOf } from './fitted-model.ts';
import type { Scope } from './measurements.ts';
import type { EngineClass, Prediction, Workload } from './model-types.ts';
import { batchTime, chipOf, ratesOf, totalMs, valueRates } from './performance.ts';

/** A chip that nobody published figures of may differ more than those that were left out did. */
const EXTRAPOLATED = 1.5;

interface Engine {
  readonly name: string;
  readonly scope: Scope;
}

/** What the engine class is on a kind of device. */
export function engineOf(device: Accelerator, engine: EngineClass): Engine {
  if (device.kind === 'cpu') return { name: 'hone', scope: 'kernel' };
  const scope = engine === 'server' ? 'server' : 'loop';
  if (device.kind === 'neuron') {
    return { name: device.id === 'inferentia' ? 'neuron-cc' : 'neuronx', scope };
  }
  return { name: engine === 'eager' ? 'pytorch' : 'tensorrt', scope };
}

export interface PredictOptions {
  readonly engine: EngineClass;
  readonly precision: Precision;
  readonly batch: number;
}

/** One batch on one core of `device`; a processor's peaks are those of the lane that runs it. */
export function predict(
  workload: Workload,
  device: Accelerator,
  { engine, precision, batch }: PredictOptions,
  model: FittedModel,
): Prediction {
  const { name, scope } = engineOf(device, engine);
  const p = parametersOf(model);
  // What hangs on a network is a graphics processor like others, behind it.
  const local: Accelerator = device.kind === 'attached' ? { ...device, kind: 'gpu' } : device;
  const run = { engine: name, version: '', scope, precision, batch };
  const time = batchTime(workload, run, valueRates(ratesOf(local, run), p));
  const isOwn = device.kind === 'cpu';
  const isKnown = model.chips.includes(chipOf(device));
  const { spread } = model;
  const base = isOwn ? spread.processor : isKnown ? spread.known : spread.unknown;
  const factor = isKnown ? 1 : EXTRAPOLATED;
  return {
    engine: isOwn ? 'compiled' : engine,
    precision,
    batch,
    ...time,
    latencyMs: totalMs(time),
    tail: model.tail[scope] ?? 1.1,
    logSpreadLatency: base.latency * factor,
    logSpreadThroughput: base.throughput * factor,
    extrapolated: !isKnown,
  };
}
