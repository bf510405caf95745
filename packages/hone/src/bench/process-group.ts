/**
 * A task in a process group of its own: whatever it does, it ends at its time limit, with every
 * process it started, and with this process.
 */
import { fork } from 'node:child_process';
import type { HoneError } from 'hone-runtime/base/diagnostics';

export interface GroupTask<T> {
  /** The module that takes the order as its first message, and speaks with `process.send`. */
  readonly worker: URL;
  readonly order: object;
  readonly env: NodeJS.ProcessEnv;
  readonly limitMs: number;
  /** What a message of the worker settles: the result, an error, or nothing yet. */
  readonly receive: (message: unknown) => { readonly result: T } | HoneError | undefined;
  /** The error of a group that ended by itself; `why` has the end of what it wrote. */
  readonly lost: (why: string) => HoneError;
  readonly late: (limitMs: number) => HoneError;
}

export interface RunningGroup<T> {
  readonly done: Promise<T>;
  /** Ends all of it at once; `done` is rejected with the error. */
  kill(error: HoneError): void;
}

const KEPT_CHARS = 2000;
const SHOWN_LINES = 3;

export function startGroup<T>(task: GroupTask<T>): RunningGroup<T> {
  const { worker, order, env, limitMs } = task;
  const child = fork(worker, [], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env,
    detached: process.platform !== 'win32',
  });
  const end = (): void => killGroup(child.pid);
  // Before what removes the folder it works in.
  process.prependOnceListener('exit', end);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      said = (said + text).slice(-KEPT_CHARS);
    });
  }
  let settle: (outcome: { readonly result: T } | { readonly error: HoneError }) => void = () => {};
  const done = new Promise<T>((resolve, reject) => {
    settle = (outcome) => {
      settle = (): void => {};
      clearTimeout(timer);
      process.removeListener('exit', end);
      // Processes that hang in compiled code do not see that their parent is gone.
      end();
      if ('error' in outcome) reject(outcome.error);
      else resolve(outcome.result);
    };
  });
  const timer = setTimeout(() => settle({ error: task.late(limitMs) }), limitMs);
  const lost = (why: string): void => {
    const tail = said.trim().split('\n').slice(-SHOWN_LINES).join('\n');
    settle({ error: task.lost(`${why}${tail === '' ? '' : `\n${tail}`}`) });
  };
  child.on('error', (error) => lost(error.message));
  child.on('close', (code, signal) => lost(`it ended with ${signal ?? `exit code ${code}`}`));
  child.on('message', (message) => {
    const received = task.receive(message);
    if (received === undefined) return;
    settle('result' in received ? received : { error: received });
  });
  child.send(order, (error) => {
    if (error) lost(error.message);
  });
  return { done, kill: (error) => settle({ error }) };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
