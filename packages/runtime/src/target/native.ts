/**
 * Probe of this machine: its target name, and its cores and caches for reports. Never fails: what
 * cannot be read is left out, and the target is then one that every such machine runs.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import os from 'node:os';
import { FEATURES } from './features.ts';

/** Flags of /proc/cpuinfo that make up the x86-64 levels 2, 3 and 4. */
const LEVEL_FLAGS: readonly (readonly string[])[] = [
  ['cx16', 'lahf_lm', 'popcnt', 'pni', 'ssse3', 'sse4_1', 'sse4_2'],
  ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'],
  ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'],
];

/** Canonical name of the target of this machine. */
export function nativeTargetName(): string {
  const arm = process.arch === 'arm64';
  if (process.platform === 'darwin') {
    return arm ? 'arm64+dotprod+fp16-macos' : 'x86-64-v2-macos';
  }
  if (process.platform === 'win32') return arm ? 'arm64-windows-gnu' : 'x86-64-v2-windows-gnu';
  return `${cpuFromFlags(arm ? 'arm64' : 'x86-64', cpuinfoFlags())}-linux-${libcAbi(arm)}`;
}

/** `<cpu>[+feature…]` of an architecture whose processor shows these flags in /proc/cpuinfo. */
export function cpuFromFlags(arch: 'x86-64' | 'arm64', flags: ReadonlySet<string>): string {
  let level = arch === 'x86-64' ? 1 : 0;
  if (arch === 'x86-64') {
    while (LEVEL_FLAGS[level - 1]?.every((flag) => flags.has(flag))) level++;
  }
  const features = FEATURES.filter(
    (f) => f.arch === arch && f.level <= level && f.flag !== undefined && flags.has(f.flag),
  );
  const cpu = arch === 'arm64' ? arch : level === 1 ? 'x86-64' : `x86-64-v${level}`;
  return [cpu, ...features.map((f) => `+${f.name}`)].join('');
}

/** What is worth saying about a machine beside a measurement. */
export interface Machine {
  readonly cpu: string;
  /** Logical processors, and physical cores as far as known. */
  readonly cpus: number;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly l1Bytes: number | undefined;
  readonly l2Bytes: number | undefined;
  readonly l3Bytes: number | undefined;
}

export function probeMachine(): Machine {
  const cpus = os.cpus();
  const cache = (level: number): number | undefined => cacheBytes(level);
  return {
    cpu: cpus[0]?.model.trim() ?? process.arch,
    cpus: cpus.length || os.availableParallelism(),
    cores: physicalCores() ?? (cpus.length || 1),
    memoryBytes: os.totalmem(),
    l1Bytes: cache(1),
    l2Bytes: cache(2),
    l3Bytes: cache(3),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The first processor is enough, and on large machines much quicker to read than all. */
function readStart(path: string, bytes: number): string {
  try {
    const fd = openSync(path, 'r');
    try {
      const text = Buffer.alloc(bytes);
      return text.toString('utf8', 0, readSync(fd, text, 0, bytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}

function cpuinfoFlags(): ReadonlySet<string> {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readStart('/proc/cpuinfo', 16_384));
  return new Set(line?.[1]?.trim().split(/\s+/) ?? []);
}

function libcAbi(arm: boolean): 'gnu' | 'musl' {
  const musl = existsSync(`/lib/ld-musl-${arm ? 'aarch64' : 'x86_64'}.so.1`);
  const gnu = arm
    ? existsSync('/lib/ld-linux-aarch64.so.1')
    : existsSync('/lib64/ld-linux-x86-64.so.2');
  return musl && !gnu ? 'musl' : 'gnu';
}

function physicalCores(): number | undefined {
  const base = '/sys/devices/system/cpu';
  let names: string[];
  try {
    names = readdirSync(base).filter((name) => /^cpu\d+$/.test(name));
  } catch {
    return undefined;
  }
  const siblings = names.map((name) => readText(`${base}/${name}/topology/thread_siblings_list`));
  const cores = new Set(siblings.filter((list) => list !== ''));
  return cores.size > 0 ? cores.size : undefined;
}

/** Size of the data (or shared) cache of a level, of the first processor. */
function cacheBytes(level: number): number | undefined {
  const base = '/sys/devices/system/cpu/cpu0/cache';
  for (let index = 0; index < 8; index++) {
    const entry = `${base}/index${index}`;
    if (readText(`${entry}/level`).trim() !== String(level)) continue;
    if (readText(`${entry}/type`).trim() === 'Instruction') continue;
    const size = /^(\d+)([KM]?)/.exec(readText(`${entry}/size`));
    if (size === null) continue;
    const unit = size[2] === 'M' ? 1 << 20 : size[2] === 'K' ? 1 << 10 : 1;
    return Number(size[1]) * unit;
  }
  return undefined;
}
