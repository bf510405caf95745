/** The machine at hand as a device: from a probe of its peaks, nothing else. */
import type { Accelerator, Precision } from './catalogue-types.ts';

export interface ProbedPeaks {
  readonly fp32_gflops: number;
  readonly bf16_gflops: number | null;
  readonly int8_gops: number | null;
  readonly read_gbytes_per_second: number | null;
}

export interface ProbedMachine {
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly l3Bytes: number | undefined;
}

/** Where bandwidth could not be measured: that of one channel of memory. */
const LEAST_BANDWIDTH = 20e9;

/** `peaks` over as many threads as a model is run with. */
export function thisMachine(machine: ProbedMachine, peaks: ProbedPeaks): Accelerator {
  const peak: Partial<Record<Precision, number>> = { fp32: peaks.fp32_gflops * 1e9 };
  if (peaks.bf16_gflops !== null) peak.bf16 = peaks.bf16_gflops * 1e9;
  if (peaks.int8_gops !== null) peak.int8 = peaks.int8_gops * 1e9;
  return {
    id: 'this-machine',
    name: machine.cpu,
    kind: 'cpu',
    year: 2022,
    memoryBytes: machine.memoryBytes,
    bandwidthBytesPerSecond:
      peaks.read_gbytes_per_second === null ? LEAST_BANDWIDTH : peaks.read_gbytes_per_second * 1e9,
    cacheBytes: machine.l3Bytes ?? null,
    peak,
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
