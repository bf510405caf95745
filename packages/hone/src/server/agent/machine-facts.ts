/** This machine as an agent, or a measurement, describes it. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { probeMachine } from 'hone-runtime/target/native';
import { usableCpus } from 'hone-runtime/target/cpu-quota';
import type { Conditions, MachineFacts } from './protocol.ts';

const DMI = '/sys/class/dmi/id';
const GOVERNOR = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor';

export function machineFacts(): MachineFacts {
  const machine = probeMachine();
  return {
    cpu: machine.cpu,
    cpus: machine.cpus,
    cores: Math.max(1, Math.min(machine.cores, usableCpus())),
    memory_bytes: machine.memoryBytes,
    l1_bytes: machine.l1Bytes ?? null,
    l2_bytes: machine.l2Bytes ?? null,
    l3_bytes: machine.l3Bytes ?? null,
    os: `${process.platform} ${os.release()}`,
    instance: instanceType(),
  };
}

/** EC2's newer machines state their type as a product name, e.g. c6i.xlarge. */
export function instanceType(folder: string = DMI): string | null {
  if (readLine(`${folder}/sys_vendor`) !== 'Amazon EC2') return null;
  const product = readLine(`${folder}/product_name`) ?? '';
  return /^[a-z][\w-]*\.[\w-]+$/.test(product) ? product : null;
}

/** What else goes on, before and after `work`. */
export async function observed<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly conditions: Conditions }> {
  const load = (): number => os.loadavg()[0] ?? 0;
  const before = load();
  const value = await work();
  return {
    value,
    conditions: { load_before: before, load_after: load(), governor: readLine(GOVERNOR) ?? null },
  };
}

function readLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
