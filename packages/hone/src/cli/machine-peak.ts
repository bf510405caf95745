/** What this machine does at best with a number of threads, measured. */
import { HoneError } from 'hone-runtime/base/diagnostics';
import { measurePeak, openMeter } from '../bench/machine-meter.ts';

export interface MachinePeak {
  readonly fp32Gflops: number;
  readonly gbytesPerSecond: number;
}

/** null where it cannot be measured (no C compiler). */
export async function machinePeak(threads: number): Promise<MachinePeak | null> {
  try {
    const meter = await openMeter();
    try {
      const peak = await measurePeak(meter, threads);
      const gbytesPerSecond = peak.read_gbytes_per_second;
      if (!(peak.fp32_gflops > 0) || gbytesPerSecond === null) return null;
      return { fp32Gflops: peak.fp32_gflops, gbytesPerSecond };
    } finally {
      meter.close();
    }
  } catch (error) {
    if (error instanceof HoneError) return null;
    throw error;
  }
}
