/** What this machine can do at best, where it can be measured. */

export interface MachinePeak {
  readonly fp32Gflops: number;
  readonly gbytesPerSecond: number;
}

/** null: not measured. */
export async function machinePeak(_threads: number): Promise<MachinePeak | null> {
  return null;
}
