/** Every setting of an instance that could be rented for a demand, with what it can do. */
import type { Basis, Demand, Station } from './advice-types.ts';
import type { Accelerator, Instance, Precision, Price, PriceFactor } from './catalogue-types.ts';
import { type Fallback, fallbackOf } from './fallback.ts';
import type { FittedModel } from './fitted-model.ts';
import type { EngineClass, Prediction, Workload } from './model-types.ts';
import { predict } from './predict.ts';
import { workBytes, workFlops } from './workload.ts';

export interface Candidate {
  readonly instance: Instance;
  readonly device: Accelerator;
  readonly engine: EngineClass;
  readonly precision: Precision;
  readonly batch: number;
  readonly basis: Basis;
  readonly prediction: Prediction;
  readonly fallback: Fallback | undefined;
  readonly station: Station;
  readonly memoryBytes: number;
  readonly memoryCapacityBytes: number;
  /** Of one instance, paid as asked. */
  readonly price: Price;
  readonly perHour: number;
}

/** Share of answers that stay as they are, of models as a rule; int8 is what MLPerf asks of it. */
export const KEPT_ANSWERS: Readonly<Record<Precision, number>> = {
  fp32: 1,
  tf32: 0.9999,
  fp16: 0.999,
  bf16: 0.995,
  int8: 0.99,
};

/** Without --accuracy nothing that needs calibration is proposed. */
export const DEFAULT_ACCURACY = 0.995;

const BATCHES: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128];
const WIDTH: Readonly<Record<Precision, number>> = {
  fp32: 4,
  tf32: 4,
  fp16: 2,
  bf16: 2,
  int8: 1,
};
/** What a process with the engine takes beside weights and activations. */
const PROCESS_BYTES = { gpu: 7e8, neuron: 3e8, attached: 2e8, cpu: 7e7 } as const;

/** Host and accelerator service are apart by this round trip, and this link. */
const ATTACHED_MS = 1.5;
const ATTACHED_BYTES_PER_MS = 5e5;

/** Precisions that Hone computes quicker in than in fp32, where the whole family has the instructions. */
const OWN_PRECISIONS: Readonly<Record<string, readonly Precision[]>> = {
  c6i: ['fp32', 'int8'],
  c7i: ['fp32', 'bf16', 'int8'],
  m7i: ['fp32', 'bf16', 'int8'],
};

/**
 * The processor as Hone uses it: dot products of vectors, which do twice and four times as much as
 * fp32; matrix units are left idle.
 */
function ownProcessor({ cpu, family }: Instance): Accelerator {
  const { fp32 = 0 } = cpu.peak;
  const allowed = OWN_PRECISIONS[family] ?? ['fp32'];
  const factors = { fp32: 1, bf16: 2, int8: 4 } as const;
  const peak: Partial<Record<Precision, number>> = {};
  for (const precision of ['fp32', 'bf16', 'int8'] as const) {
    if (allowed.includes(precision)) peak[precision] = fp32 * factors[precision];
  }
  return { ...cpu, peak };
}

/** What runs the model on an instance. */
export function deviceOf(instance: Instance): Accelerator {
  return instance.accelerator ?? ownProcessor(instance);
}

export function precisionsOf(device: Accelerator, demand: Demand): readonly Precision[] {
  const least = demand.accuracy ?? DEFAULT_ACCURACY;
  const supported = Object.keys(device.peak) as Precision[];
  return supported.filter((precision) => KEPT_ANSWERS[precision] >= least);
}

export function priceOf(
  instance: Instance,
  demand: Demand,
  factors: readonly PriceFactor[],
): { readonly price: Price; readonly perHour: number } | undefined {
  const price = instance.prices.find(
    ({ service, region }) => service === demand.service && region === demand.region,
  );
  const factor = factors.find(({ name }) => name === demand.payment)?.factor ?? 1;
  return price === undefined ? undefined : { price, perHour: price.perHour * factor };
}

/** All settings of an instance, whether or not they meet a limit; none where nothing can run. */
export function candidatesOf(
  workload: Workload,
  instance: Instance,
  demand: Demand,
  model: FittedModel,
  paid: { readonly price: Price; readonly perHour: number },
): readonly Candidate[] {
  const device = deviceOf(instance);
  const engine: EngineClass = device.kind === 'cpu' || demand.offline ? 'compiled' : 'server';
  return lanesOf(instance).flatMap((lanes) =>
    precisionsOf(device, demand).flatMap((precision) =>
      (workload.fixedBatch === true ? [1] : BATCHES).map((batch) =>
        makeCandidate({ workload, instance, engine, precision, batch, lanes, model, paid }),
      ),
    ),
  );
}

/** Requests that run side by side: a core of a chip each; a processor's cores are shared out. */
function lanesOf(instance: Instance): readonly number[] {
  const { accelerator, acceleratorCount, vcpus, arch } = instance;
  if (accelerator !== null) return [accelerator.cores * acceleratorCount];
  const cores = Math.max(1, arch === 'arm64' ? vcpus : vcpus / 2);
  return [...new Set([1, Math.max(1, Math.round(cores / 4)), cores])];
}

function makeCandidate(given: {
  readonly workload: Workload;
  readonly instance: Instance;
  readonly engine: EngineClass;
  readonly precision: Precision;
  readonly batch: number;
  readonly lanes: number;
  readonly model: FittedModel;
  readonly paid: { readonly price: Price; readonly perHour: number };
}): Candidate {
  const { workload, instance, engine, precision, batch, lanes, model, paid } = given;
  const device = deviceOf(instance);
  // A processor's lanes share it evenly; an accelerator's cores are its own.
  const shared = device.kind === 'cpu' ? { ...device, cores: lanes } : device;
  const prediction = predict(workload, shared, { engine, precision, batch }, model);
  const fallback = fallbackOf(workload, device, instance.cpu, batch);
  const network = networkMs(workload, device, batch);
  const extra = fallback === undefined ? 0 : fallback.cpuMs + fallback.transferMs;
  const station: Station = {
    service_ms: prediction.latencyMs + extra,
    lanes,
    batch,
    tail: prediction.tail,
    network_ms: network,
  };
  return {
    instance,
    device,
    engine: prediction.engine,
    precision,
    batch,
    basis: prediction.extrapolated ? 'extrapolated' : 'predicted',
    prediction,
    fallback,
    station,
    ...memoryOf(workload, device, precision, batch, lanes / Math.max(1, instance.acceleratorCount)),
    price: paid.price,
    perHour: paid.perHour,
  };
}

function networkMs(workload: Workload, device: Accelerator, batch: number): number {
  if (device.kind !== 'attached') return 0;
  const bytes = batch * (workload.inputBytes + workload.outputBytes);
  return ATTACHED_MS + bytes / ATTACHED_BYTES_PER_MS;
}

/** Of one device; cores of a Neuron chip have a copy of the weights each. */
function memoryOf(
  workload: Workload,
  device: Accelerator,
  precision: Precision,
  batch: number,
  lanes: number,
): { readonly memoryBytes: number; readonly memoryCapacityBytes: number } {
  const width = WIDTH[precision] / 4;
  const copies = device.kind === 'neuron' ? lanes : 1;
  const weights = workload.parameterBytes * width * copies;
  const activations = workload.liveBytes * width * batch * lanes;
  return {
    memoryBytes: weights + activations + PROCESS_BYTES[device.kind],
    memoryCapacityBytes: device.memoryBytes,
  };
}

/** Operations and bytes of a candidate's batch. */
export function batchWork(
  workload: Workload,
  candidate: Candidate,
): { readonly flops: number; readonly bytes: number } {
  const { batch, precision } = candidate;
  const width = WIDTH[precision] / 4;
  const weights = workload.fused.reduce((sum, item) => sum + item.count * item.weightBytes, 0);
  const activations = workBytes(workload) - weights;
  return {
    flops: workFlops(workload) * batch,
    bytes: (weights + activations * batch) * width,
  };
}
