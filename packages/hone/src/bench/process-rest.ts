/**
 * Waiting until a process sleeps. A thread pool spins for a while after its last task (that of
 * onnxruntime for tens of milliseconds), which would slow whoever runs next.
 */
import { readdirSync, readFileSync } from 'node:fs';

const POLL_MS = 5;
/** Polls in a row that must find the process asleep. */
const CALM_POLLS = 2;
/** Processor time between two polls that still counts as sleep. */
const CALM_NS = 200_000;
const LONGEST_MS = 1000;
/** Where the system does not show threads. */
const BLIND_MS = 100;

/** Resolves when no thread of the process runs any more, or after a second. */
export async function untilAsleep(pid: number | undefined): Promise<void> {
  if (pid === undefined || threadsOf(pid) === undefined) return sleep(BLIND_MS);
  const begin = performance.now();
  let calm = 0;
  let before = threadsOf(pid)?.ns ?? 0;
  while (calm < CALM_POLLS && performance.now() - begin < LONGEST_MS) {
    await sleep(POLL_MS);
    const now = threadsOf(pid);
    // A process that is gone is asleep too; the next request reports it.
    if (now === undefined) return;
    calm = !now.running && now.ns - before < CALM_NS ? calm + 1 : 0;
    before = now.ns;
  }
}

interface Threads {
  /** A thread has or wants a processor; on a busy machine it may have to wait for one. */
  readonly running: boolean;
  /** Processor time of all threads. */
  readonly ns: number;
}

function threadsOf(pid: number): Threads | undefined {
  try {
    const folder = `/proc/${pid}/task`;
    let running = false;
    let ns = 0;
    for (const thread of readdirSync(folder)) {
      const stat = readFileSync(`${folder}/${thread}/stat`, 'latin1');
      // The name before the state is in brackets and may hold anything.
      if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('R')) running = true;
      ns += Number(readFileSync(`${folder}/${thread}/schedstat`, 'latin1').split(' ')[0]);
    }
    return { running, ns };
  } catch {
    return undefined;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
