/**
 * A process that judges batches for `main.ts`, one after the other: compiled code and onnxruntime
 * may crash or hang, and then only the batch at hand is lost.
 */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Batch, type BatchResult, runBatch } from './batch.ts';
import type { CheckOptions } from './check-cases.ts';

/** Of a batch, on a crowded machine. */
const TIMEOUT_MS = 60_000;
const TIMEOUT_MS_PER_CASE = { compiled: 2_000, peer: 300, opset: 300, free: 3_000 };
/** A use that takes all memory there is stops the machine, not only itself. */
const MOST_BYTES = 4 * 2 ** 30;
const LOOK_EVERY_MS = 500;
/** What a process leaks ends with it. */
const MOST_BATCHES = 20;

interface Order {
  readonly batch: Batch;
  readonly options: CheckOptions;
}

/** A place for one process at a time. */
export class Worker {
  #process: ReturnType<typeof fork> | undefined;
  #batches = 0;

  /** The result, or how the process ended where it gave none. */
  run(order: Order): Promise<BatchResult | string> {
    if (this.#batches++ % MOST_BATCHES === 0) this.stop();
    this.#process ??= fork(fileURLToPath(import.meta.url), [], {
      // onnxruntime complains about what it refuses.
      stdio: ['ignore', 2, order.options.quiet === true ? 'ignore' : 2, 'ipc'],
      // Graphs are copied from pass to pass.
      execArgv: ['--max-semi-space-size=64'],
    });
    const process_ = this.#process;
    return new Promise((resolve) => {
      const limit = TIMEOUT_MS + order.batch.count * TIMEOUT_MS_PER_CASE[order.batch.against];
      const timer = setTimeout(() => process_.kill('SIGKILL'), limit);
      const watch = setInterval(() => {
        if (residentBytes(process_.pid) > MOST_BYTES) process_.kill('SIGKILL');
      }, LOOK_EVERY_MS);
      const settle = (result: BatchResult | string): void => {
        clearTimeout(timer);
        clearInterval(watch);
        process_.removeAllListeners();
        resolve(result);
      };
      process_.once('message', (message) => settle(message as BatchResult));
      process_.once('exit', (code, signal) => {
        this.#process = undefined;
        settle(signal ?? `exit code ${code}`);
      });
      process_.send(order);
    });
  }

  stop(): void {
    this.#process?.disconnect();
    this.#process = undefined;
  }
}

/** What a process holds in memory; 0 where nothing tells. */
function residentBytes(pid: number | undefined): number {
  try {
    const kilobytes = /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', async (message) => {
    const { batch, options } = message as Order;
    process.send?.(await runBatch(batch, options));
  });
}
