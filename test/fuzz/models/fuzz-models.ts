/**
 * Runs cases of the model fuzzer in processes of their own, each case within 10 s of processor time
 * (a machine may be shared) and 2 GB: a crash, a hang, too much memory or anything but a coded error
 * is a fault, named by its seed and number.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Outcome, Reached } from './model-case.ts';

export interface ModelFuzzOptions {
  readonly seed: number;
  /** First case; default 0. */
  readonly first?: number;
  /** Cases to try; of sanitized ones: to run. */
  readonly count: number;
  /** Begins no case after so many seconds. */
  readonly seconds: number;
  /** true: what compiles is built with the sanitizer and run. */
  readonly sanitized: boolean;
  /** Processes; default 2. */
  readonly jobs?: number;
  /** Told about every fault. */
  readonly onFault?: (text: string) => void;
}

export interface ModelFuzzCounts {
  /** By kind, then by how far they got. */
  readonly reached: Readonly<Record<string, Readonly<Record<Reached, number>>>>;
  readonly tried: number;
  /** Built with the sanitizer and run. */
  readonly ran: number;
  /** Different codes of refusals. */
  readonly codes: number;
  readonly faults: readonly string[];
  readonly slowestMs: number;
  readonly peakBytes: number;
}

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));
const CASE_CPU_MS = 10_000;
/** For what waits instead of working. */
const CASE_WALL_MS = 120_000;
const BUILD_MS = 620_000;
/** Unit of processor times in /proc. */
const TICK_MS = 10;
const CASE_BYTES = 2e9;
const LOOK_MS = 50;
/** Cases of one process. */
const BATCH = 5000;
const MAX_FAULTS = 40;

/** What a process says of a case. */
interface End extends Outcome {
  readonly ran: boolean;
  /** Of the model that it was made of. */
  readonly name: string;
}

interface Tally {
  reached: Record<string, Record<Reached, number>>;
  tried: number;
  ran: number;
  codes: Set<string>;
  faults: string[];
  slowestMs: number;
  peakBytes: number;
}

export async function fuzzModels(options: ModelFuzzOptions): Promise<ModelFuzzCounts> {
  const tally: Tally = {
    reached: {},
    tried: 0,
    ran: 0,
    codes: new Set(),
    faults: [],
    slowestMs: 0,
    peakBytes: 0,
  };
  const jobs = Math.max(1, options.jobs ?? 2);
  const deadline = performance.now() + options.seconds * 1000;
  const { first = 0 } = options;
  const isOver = (): boolean =>
    performance.now() >= deadline ||
    tally.faults.length >= MAX_FAULTS ||
    (options.sanitized ? tally.ran : tally.tried) >= options.count;
  const lane = async (which: number): Promise<void> => {
    let next = first + which;
    while (!isOver()) next = await runBatch(options, next, jobs, tally, isOver);
  };
  await Promise.all(Array.from({ length: jobs }, (_, i) => lane(i)));
  return { ...tally, codes: tally.codes.size };
}

/** Cases `from`, `from + step`, …, in one process, until it ends or is ended; gives the next one. */
function runBatch(
  { seed, sanitized, onFault }: ModelFuzzOptions,
  from: number,
  step: number,
  tally: Tally,
  isOver: () => boolean,
): Promise<number> {
  const mode = sanitized ? 'sanitized' : 'tried';
  const args = [WORKER, ...[seed, from, step, BATCH].map(String), mode];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let current = from;
  let began = performance.now();
  let cpuBegan = 0;
  let isBuilding = false;
  let isDone = false;
  let stopped: string | undefined;
  let complaint = '';
  const fault = (number: number, text: string): void => {
    const line = `seed ${seed}, case ${number} (${mode}): ${text}`;
    tally.faults.push(line);
    onFault?.(line);
  };
  const stop = (why: string): void => {
    stopped = why;
    child.kill('SIGKILL');
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const [what, number = '', ...rest] = line.split(' ');
    if (what === 'begin' || what === 'build') {
      if (what === 'begin' && isOver()) return stop('');
      current = Number(number);
      began = performance.now();
      cpuBegan = cpuMs(child.pid ?? 0);
      isBuilding = what === 'build';
    } else if (what === 'end') {
      if (!isBuilding)
        tally.slowestMs = Math.max(tally.slowestMs, cpuMs(child.pid ?? 0) - cpuBegan);
      const end = JSON.parse(rest.join(' ')) as End;
      const kind = tally.reached[end.kind] ?? { refused: 0, imported: 0, compiled: 0 };
      kind[end.reached]++;
      tally.reached[end.kind] = kind;
      tally.tried++;
      if (end.ran) tally.ran++;
      if (end.code !== undefined) tally.codes.add(end.code);
      if (end.fault !== undefined) fault(current, `${end.name}: ${end.fault}`);
      current += step;
      began = performance.now();
      cpuBegan = cpuMs(child.pid ?? 0);
    } else if (what === 'done') {
      isDone = true;
    }
  });
  const timer = setInterval(() => {
    if (stopped !== undefined) return;
    const limit = isBuilding ? BUILD_MS : CASE_WALL_MS;
    const bytes = peakOf(child.pid ?? 0);
    tally.peakBytes = Math.max(tally.peakBytes, bytes);
    const cpu = isBuilding ? 0 : cpuMs(child.pid ?? 0) - cpuBegan;
    if (cpu > CASE_CPU_MS) stop(`worked for more than ${CASE_CPU_MS / 1000} s`);
    else if (performance.now() - began > limit) stop(`took more than ${limit / 1000} s`);
    else if (bytes > CASE_BYTES) stop(`took more than ${CASE_BYTES / 1e9} GB of memory`);
  }, LOOK_MS);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearInterval(timer);
      if (stopped === '' || isDone) resolve(current);
      else {
        fault(current, stopped ?? `ended with ${signal ?? code}: ${complaint.trim()}`);
        tally.tried++;
        resolve(current + step);
      }
    });
  });
}

/** Processor time of a process so far, all its threads; 0 where the system does not say. */
function cpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
}

/** The most memory a process has had, by the system's count; 0 where it does not say. */
function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
