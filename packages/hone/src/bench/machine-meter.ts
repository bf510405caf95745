/**
 * What the machine does at best, measured: the running meter program. It sleeps between commands,
 * so that it never disturbs what is measured beside it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fail } from 'hone-runtime/base/diagnostics';
import { buildMeterProgram } from './meter-program.ts';

export type MeterKind = 'fp32' | 'bf16' | 'int8' | 'read';

export interface Rate {
  /** 1e9 operations (read: bytes) per second, over all threads. */
  readonly total: number;
  /** Of the slowest thread: the one that the others of a network wait for. */
  readonly slowest: number;
}

export interface MachineMeter {
  /** undefined: this processor has no instruction for the kind. Calls queue up. */
  rate(kind: MeterKind, threads: number, ms: number): Promise<Rate | undefined>;
  close(): void;
}

/** Peaks over a number of threads; null where the processor lacks the instruction. */
export interface MachinePeak {
  readonly fp32_gflops: number;
  readonly bf16_gflops: number | null;
  readonly int8_gops: number | null;
  readonly read_gbytes_per_second: number | null;
}

const MAX_THREADS = 256;
/** Beyond the time that was asked for. */
const PATIENCE_MS = 30_000;

/** Builds (once) and starts the meter. */
export async function openMeter(): Promise<MachineMeter> {
  const program = await buildMeterProgram();
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'] });
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  let waiting: ((line: string) => void) | undefined;
  let gone = false;
  const leave = (): void => {
    gone = true;
    waiting?.('ended');
  };
  child.on('error', leave);
  child.on('close', leave);
  child.stdin.on('error', leave);
  createInterface({ input: child.stdout }).on('line', (line) => waiting?.(line));
  // Must not keep the process alive by itself.
  child.unref();
  unrefPipes(child);
  const ask = (command: string, patienceMs: number): Promise<string> =>
    new Promise((resolve) => {
      if (gone) {
        resolve('ended');
        return;
      }
      const timer = setTimeout(() => waiting?.('no answer'), patienceMs);
      waiting = (line) => {
        clearTimeout(timer);
        waiting = undefined;
        resolve(line);
      };
      child.stdin.write(`${command}\n`);
    });
  let last: Promise<unknown> = Promise.resolve();
  return {
    rate(kind, threads, ms) {
      const count = Math.min(MAX_THREADS, threads);
      const command = `${kind} ${count} ${Math.max(1, Math.round(ms * 1000))}`;
      const answer = last.then(() => ask(command, ms + PATIENCE_MS));
      last = answer;
      return answer.then((line) => parseRate(line, kind));
    },
    close() {
      process.removeListener('exit', end);
      end();
    },
  };
}

/** Best of several short measurements of each kind. */
export async function measurePeak(
  meter: MachineMeter,
  threads: number,
  runs = 3,
): Promise<MachinePeak> {
  const best = async (kind: MeterKind, ms: number): Promise<number | null> => {
    let most: number | null = null;
    for (let run = 0; run < runs; run++) {
      const rate = await meter.rate(kind, threads, ms);
      if (rate === undefined) return null;
      most = Math.max(most ?? 0, rate.total);
    }
    return most;
  };
  return {
    fp32_gflops: (await best('fp32', 40)) ?? 0,
    bf16_gflops: await best('bf16', 40),
    int8_gops: await best('int8', 40),
    read_gbytes_per_second: await best('read', 60),
  };
}

/** The better of two measurements, kind by kind. */
export function bestPeak(a: MachinePeak, b: MachinePeak): MachinePeak {
  const most = (x: number | null, y: number | null): number | null =>
    x === null || y === null ? (x ?? y) : Math.max(x, y);
  return {
    fp32_gflops: Math.max(a.fp32_gflops, b.fp32_gflops),
    bf16_gflops: most(a.bf16_gflops, b.bf16_gflops),
    int8_gops: most(a.int8_gops, b.int8_gops),
    read_gbytes_per_second: most(a.read_gbytes_per_second, b.read_gbytes_per_second),
  };
}

function parseRate(line: string, kind: MeterKind): Rate | undefined {
  if (line === 'none') return undefined;
  const [total, slowest] = line.split(' ').map(Number);
  if (total === undefined || slowest === undefined || !(total > 0) || !(slowest > 0)) {
    fail(
      'HONE-BENCH-011',
      `the program that measures the machine failed at ${kind}: ${line}`,
      kind,
      'try again; close programs that take all memory',
    );
  }
  return { total, slowest };
}

function unrefPipes(child: ChildProcess): void {
  for (const pipe of [child.stdin, child.stdout]) {
    const handle = pipe as { unref?: () => void } | null;
    handle?.unref?.();
  }
}
