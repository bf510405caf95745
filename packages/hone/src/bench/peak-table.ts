/** Peaks of the machine by number of threads: measured when first asked for, and once more at the end. */
import { bestPeak, type MachineMeter, type MachinePeak, measurePeak } from './machine-meter.ts';

export interface PeakTable {
  /** Measures a number of threads that was not measured yet. */
  measure(threads: number): Promise<void>;
  /** Measures all of them again and keeps the better figures. */
  again(): Promise<void>;
  /** A rate that all cores were seen to reach otherwise. */
  seen(fp32Gflops: number): void;
  /** null without a meter. */
  of(threads: number): MachinePeak | null;
}

/** More threads than cores do not make a machine faster. */
export function peakTable(meter: MachineMeter | undefined, cores: number): PeakTable {
  const known = new Map<number, MachinePeak>();
  return {
    async measure(threads) {
      const active = Math.min(cores, threads);
      if (meter === undefined || known.has(active)) return;
      known.set(active, await measurePeak(meter, active));
    },
    async again() {
      if (meter === undefined) return;
      for (const [active, before] of known) {
        known.set(active, bestPeak(before, await measurePeak(meter, active)));
      }
    },
    seen(fp32Gflops) {
      const peak = known.get(cores);
      if (peak === undefined || peak.fp32_gflops >= fp32Gflops) return;
      known.set(cores, { ...peak, fp32_gflops: fp32Gflops });
    },
    of: (threads) => known.get(Math.min(cores, threads)) ?? null,
  };
}
