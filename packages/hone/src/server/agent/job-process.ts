/**
 * One job in a process group of its own: whatever it does, it ends at its time limit, with every
 * process it started. It inherits no secret of the agent.
 */
import { fork } from 'node:child_process';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import type { JobMessage, JobOrder } from './job-messages.ts';
import { TOKEN_VARIABLE } from './token.ts';

export interface RunningJob {
  readonly done: Promise<Extract<JobMessage, { kind: 'done' }>>;
  /** Ends all of it at once; `done` is rejected with the error. */
  kill(error: HoneError): void;
}

const WORKER = new URL('./job-worker.js', import.meta.url);
const KEPT_CHARS = 2000;

export function startJob(
  order: JobOrder,
  limitMs: number,
  onProgress: (text: string) => void,
): RunningJob {
  const { [TOKEN_VARIABLE]: _secret, ...env } = process.env;
  const child = fork(WORKER, [], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env,
    detached: process.platform !== 'win32',
  });
  const end = (): void => killGroup(child.pid);
  process.once('exit', end);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      said = (said + text).slice(-KEPT_CHARS);
    });
  }
  let settle: (outcome: Extract<JobMessage, { kind: 'done' }> | HoneError) => void = () => {};
  const done = new Promise<Extract<JobMessage, { kind: 'done' }>>((resolve, reject) => {
    settle = (outcome) => {
      clearTimeout(timer);
      process.removeListener('exit', end);
      // Engines that hang in compiled code do not see that their parent is gone.
      end();
      if (outcome instanceof HoneError) reject(outcome);
      else resolve(outcome);
      settle = (): void => {};
    };
  });
  const timer = setTimeout(() => settle(timeError(limitMs)), limitMs);
  const lost = (why: string): void => {
    const tail = said.trim().split('\n').slice(-3).join('\n');
    settle(
      new HoneError({
        code: 'HONE-AGENT-007',
        message: `the process of the job was lost: ${why}${tail === '' ? '' : `\n${tail}`}`,
        cure: "check the agent's machine: is there enough memory?",
      }),
    );
  };
  child.on('error', (error) => lost(error.message));
  child.on('close', (code, signal) => lost(`it ended with ${signal ?? `exit code ${code}`}`));
  child.on('message', (received) => {
    const message = received as JobMessage;
    if (message.kind === 'progress') onProgress(message.text);
    else if (message.kind === 'done') settle(message);
    else settle(fromWire(message.error));
  });
  child.send(order, (error) => {
    if (error) lost(error.message);
  });
  return { done, kill: (error) => settle(error) };
}

function timeError(limitMs: number): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-006',
    message: `the job was ended after ${limitMs / 1000} s, the limit of this agent`,
    cure: 'ask for a shorter --duration, or start the agent with a larger --max-time',
  });
}

function fromWire({
  code,
  message,
  subject,
  cure,
}: Extract<JobMessage, { kind: 'failed' }>['error']): HoneError {
  return new HoneError({
    code: code as ErrorCode,
    message,
    ...(subject === null ? {} : { subject }),
    ...(cure === null ? {} : { cure }),
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
