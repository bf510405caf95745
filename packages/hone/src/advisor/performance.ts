/**
 * The performance model: a workload, a device and an engine in, the time of a batch out.
 *
 * Every stage takes the time of its arithmetic and of its memory traffic (as the hypotenuse of
 * both: whichever is longer, smoothly), plus a fixed time; the host's dispatch runs beside it.
 * Arithmetic runs at the attainable part of the peak (the boost clock is not held under load),
 * times an efficiency by kind of work, engine and precision.
 *
 * Every rate is the exponential of a constant plus a sum of named parameters, so that the slopes
 * needed for fitting come along. A name that is not in the table is an effect nobody has measured:
 * it counts as none.
 */
import type { Accelerator, Precision } from './catalogue-types.ts';
import type { Scope } from './measurements.ts';
import type { WorkItem, WorkKind, Workload } from './model-types.ts';

/** A parameter by name; 0 for one that is not known. */
export type Parameters = (name: string) => number;

/** How a workload is run. */
export interface Run {
  readonly engine: string;
  /** Release of the engine; '' for none in particular. */
  readonly version: string;
  readonly scope: Scope;
  readonly precision: Precision;
  readonly batch: number;
}

/** exp(constant + Σ factor · parameter) */
export interface LogRate {
  readonly constant: number;
  readonly terms: readonly (readonly [name: string, factor: number])[];
}

/** Rates of a device for a run. Operations and bytes a millisecond; times in microseconds. */
export interface RunRates {
  /** The quickest of the alternatives counts. */
  readonly compute: Readonly<Record<WorkKind, readonly LogRate[]>>;
  readonly memory: Readonly<Record<WorkKind, LogRate>>;
  readonly cacheBytes: number;
  readonly fixedUs: LogRate;
  /** null: the host's share is part of the stages' fixed time. */
  readonly dispatchUs: LogRate | null;
  /** Milliseconds a gigabyte; null: not part of what is timed. */
  readonly copy: LogRate | null;
  readonly callUs: LogRate | null;
}

/** Milliseconds of one batch on one core of a device. */
export interface BatchTime {
  readonly computeMs: number;
  readonly memoryMs: number;
  /** Fixed times of the stages, and what the host's dispatch adds. */
  readonly launchMs: number;
  /** Copies in and out, and the fixed time of a call. */
  readonly transferMs: number;
}

/** Takes the slope of the time (milliseconds) along the logarithm of a rate. */
export type SlopeSink = (rate: LogRate, slope: number) => void;

/** Engines that launch operator by operator from the host. */
const EAGER: ReadonlySet<string> = new Set([
  'pytorch',
  'torchscript',
  'tensorflow',
  'tensorflow-xla',
]);

const ELEMENT_BYTES: Readonly<Record<Precision, number>> = {
  fp32: 4,
  tf32: 4,
  bf16: 2,
  fp16: 2,
  int8: 1,
};

/** Precisions that an engine may fall back to, stage by stage, when they are quicker. */
const WIDER: Readonly<Record<Precision, readonly Precision[]>> = {
  fp32: [],
  tf32: [],
  bf16: [],
  fp16: [],
  int8: ['fp16'],
};

export const WORK_KINDS: readonly WorkKind[] = [
  'conv',
  'pointwise',
  'depthwise',
  'matmul',
  'attention',
  'elementwise',
];

/** Part of the traffic's time that a cache saves which holds all of it. */
const CACHE_GAIN = 0.7;

/** How sharply the slower of host and device sets the pace. */
const HOST_POWER = 4;

/** Chips of one design share what was learnt of them. */
export function chipOf(accelerator: Accelerator): string {
  return accelerator.id.replace(/-(\d+|pcie)$/, '');
}

export function isEager(engine: string): boolean {
  return EAGER.has(engine);
}

export function workItemsOf(workload: Workload, engine: string): readonly WorkItem[] {
  return isEager(engine) ? workload.eager : workload.fused;
}

const rate = (constant: number, ...names: readonly string[]): LogRate => ({
  constant,
  terms: names.map((name) => [name, 1] as const),
});

/**
 * What an effect counts for that no measurement speaks of: its prior's mean. No device reaches its
 * peak in a precision only because nobody has tried.
 */
export function unseenEffect(name: string): number {
  if (name.startsWith('precision ')) return name.startsWith('precision fp32') ? -0.3 : -0.6;
  return 0;
}

/** The rates of a device, before any parameter is known. */
export function ratesOf(device: Accelerator, run: Omit<Run, 'batch'>): RunRates {
  const { engine, version, precision, scope } = run;
  const { kind: family } = device;
  const chip = chipOf(device);
  const compute = (kind: WorkKind, wanted: Precision): LogRate[] => {
    const peak = device.peak[wanted];
    if (peak === undefined) return [];
    const constant = Math.log(peak / device.cores / 1000);
    if (kind === 'elementwise') return [rate(constant - 1)];
    const base = rate(
      constant,
      `chip ${chip}`,
      `engine ${engine}`,
      `version ${version}`,
      `precision ${wanted} ${family}`,
      `engine ${engine} ${wanted}`,
      `kind ${kind}`,
      `kind ${kind} ${family}`,
      `kind ${kind} ${engine}`,
      `kind ${kind} ${wanted}`,
    );
    return [{ ...base, terms: [...base.terms, ...attainable(device)] }];
  };
  const simd: Precision = device.peak.fp32 === undefined ? 'fp16' : 'fp32';
  const memory = (kind: WorkKind): LogRate =>
    rate(
      Math.log(device.bandwidthBytesPerSecond / device.cores / 1000),
      `memory ${family}`,
      `memory chip ${chip}`,
      `memory ${engine}`,
      `memory kind ${kind}`,
      `memory ${engine} ${kind}`,
    );
  const table = <T>(of: (kind: WorkKind) => T): Readonly<Record<WorkKind, T>> =>
    Object.fromEntries(WORK_KINDS.map((kind) => [kind, of(kind)])) as Record<WorkKind, T>;
  return {
    compute: table((kind) =>
      kind === 'elementwise'
        ? compute(kind, simd)
        : [precision, ...WIDER[precision]].flatMap((wanted) => compute(kind, wanted)),
    ),
    memory: table(memory),
    cacheBytes: (device.cacheBytes ?? 0) / device.cores,
    fixedUs: rate(0, `fixed ${family}`, `fixed ${engine}`, `fixed chip ${chip}`),
    dispatchUs: isEager(engine) ? rate(0, `dispatch ${engine}`, `dispatch ${version}`) : null,
    copy: scope === 'kernel' ? null : rate(0, `copy ${scope}`),
    callUs: scope === 'kernel' ? null : rate(0, ...callTerms(scope)),
  };
}

/** A server that gathers requests is a server first. */
function callTerms(scope: Scope): readonly string[] {
  return scope === 'server-dynamic' ? ['call server', 'call server-dynamic'] : [`call ${scope}`];
}

/** Watts for a TFLOPS beyond which more do not help: as much as any measured chip has (V100). */
const MOST_LOG_WATTS = 0.9;

/**
 * How much of the peak a chip holds: the boost clock falls towards the base clock when the power
 * budget is small beside the peak; newer processes do more with a watt.
 */
function attainable(device: Accelerator): [string, number][] {
  const { baseClockMhz, boostClockMhz, powerWatts, peak, year } = device;
  if (baseClockMhz === null || boostClockMhz === null || powerWatts === null) return [];
  const tera = (peak.fp16 ?? peak.fp32 ?? 1e12) / 1e12;
  return [
    ['clock', Math.log(baseClockMhz / boostClockMhz)],
    ['power', Math.min(MOST_LOG_WATTS, Math.log(powerWatts / tera))],
    ['year', year - 2020],
  ];
}

export function rateValue({ constant, terms }: LogRate, p: Parameters): number {
  let sum = constant;
  for (const [name, factor] of terms) sum += factor * p(name);
  return Math.exp(sum);
}

/** Values of the rates for given parameters: what `batchTime` computes with. */
export interface RateTable {
  readonly compute: Readonly<Record<WorkKind, Valued>>;
  readonly memory: Readonly<Record<WorkKind, Valued>>;
  readonly cacheBytes: number;
  readonly fixedUs: Valued;
  readonly dispatchUs: Valued | null;
  readonly copy: Valued | null;
  readonly callUs: Valued | null;
}

interface Valued {
  readonly rate: LogRate;
  readonly value: number;
}

export function valueRates(rates: RunRates, p: Parameters): RateTable {
  const valued = (item: LogRate): Valued => ({ rate: item, value: rateValue(item, p) });
  const best = (items: readonly LogRate[]): Valued =>
    items.map(valued).reduce((a, b) => (b.value > a.value ? b : a), {
      rate: { constant: 0, terms: [] },
      value: 0,
    });
  const maybe = (item: LogRate | null): Valued | null => (item === null ? null : valued(item));
  const table = <T>(of: (kind: WorkKind) => T): Readonly<Record<WorkKind, T>> =>
    Object.fromEntries(WORK_KINDS.map((kind) => [kind, of(kind)])) as Record<WorkKind, T>;
  return {
    compute: table((kind) => best(rates.compute[kind])),
    memory: table((kind) => valued(rates.memory[kind])),
    cacheBytes: rates.cacheBytes,
    fixedUs: valued(rates.fixedUs),
    dispatchUs: maybe(rates.dispatchUs),
    copy: maybe(rates.copy),
    callUs: maybe(rates.callUs),
  };
}

/** The time of one batch. A precision that the device lacks takes for ever. */
export function batchTime(
  workload: Workload,
  run: Run,
  table: RateTable,
  sink?: SlopeSink,
): BatchTime {
  const { precision, batch, engine } = run;
  const width = ELEMENT_BYTES[precision] / 4;
  // Between quantised contractions the rest of a network stays in half precision.
  const outer = precision === 'int8' ? 0.5 : width;
  let [computeMs, memoryMs, stages] = [0, 0, 0];
  const slopes: [LogRate, number][] = [];
  for (const item of workItemsOf(workload, engine)) {
    const isOuter = item.kind === 'elementwise';
    const bytes =
      item.weightBytes * width + item.activationBytes * batch * (isOuter ? outer : width);
    const compute = (item.flops * batch) / table.compute[item.kind].value;
    const cached = (CACHE_GAIN * table.cacheBytes) / (table.cacheBytes + bytes + 1);
    const memory = (bytes * (1 - cached)) / table.memory[item.kind].value;
    const both = Math.hypot(compute, memory);
    stages += item.count;
    if (!(both > 0)) continue;
    const arithmetic = (item.count * compute * compute) / both;
    const traffic = (item.count * memory * memory) / both;
    computeMs += arithmetic;
    memoryMs += traffic;
    if (sink === undefined) continue;
    slopes.push([table.compute[item.kind].rate, -arithmetic]);
    slopes.push([table.memory[item.kind].rate, -traffic]);
  }
  const fixedMs = (stages * table.fixedUs.value) / 1000;
  const busyMs = computeMs + memoryMs + fixedMs;
  const { deviceMs, alongBusy, alongHost } = paced(
    busyMs,
    table.dispatchUs === null ? 0 : (stages * table.dispatchUs.value) / 1000,
  );
  const bytes = batch * (workload.inputBytes + workload.outputBytes);
  const copyMs = table.copy === null ? 0 : (bytes / 1e9) * table.copy.value;
  const callMs = table.callUs === null ? 0 : table.callUs.value / 1000;
  if (sink !== undefined) {
    for (const [item, slope] of slopes) sink(item, slope * alongBusy);
    sink(table.fixedUs.rate, fixedMs * alongBusy);
    if (table.dispatchUs !== null) sink(table.dispatchUs.rate, alongHost);
    if (table.copy !== null) sink(table.copy.rate, copyMs);
    if (table.callUs !== null) sink(table.callUs.rate, callMs);
  }
  return {
    computeMs,
    memoryMs,
    launchMs: deviceMs - computeMs - memoryMs,
    transferMs: copyMs + callMs,
  };
}

/** The host runs ahead of the device where it can: the slower of both sets the pace. */
function paced(
  busyMs: number,
  hostMs: number,
): { readonly deviceMs: number; readonly alongBusy: number; readonly alongHost: number } {
  if (hostMs === 0) return { deviceMs: busyMs, alongBusy: 1, alongHost: 0 };
  const deviceMs = (busyMs ** HOST_POWER + hostMs ** HOST_POWER) ** (1 / HOST_POWER);
  return {
    deviceMs,
    alongBusy: (busyMs / deviceMs) ** (HOST_POWER - 1),
    alongHost: hostMs * (hostMs / deviceMs) ** (HOST_POWER - 1),
  };
}

export function totalMs(time: BatchTime): number {
  return time.computeMs + time.memoryMs + time.launchMs + time.transferMs;
}
