/** One job in a process group of its own. It inherits no secret of the agent. */
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import { type RunningGroup, startGroup } from '../../bench/process-group.ts';
import type { JobMessage, JobOrder } from './job-messages.ts';
import { TOKEN_VARIABLE } from './token.ts';

export type RunningJob = RunningGroup<Extract<JobMessage, { kind: 'done' }>>;

const WORKER = new URL('./job-worker.js', import.meta.url);

export function startJob(
  order: JobOrder,
  limitMs: number,
  onProgress: (text: string) => void,
): RunningJob {
  const { [TOKEN_VARIABLE]: _secret, ...env } = process.env;
  return startGroup({
    worker: WORKER,
    order,
    env,
    limitMs,
    late: timeError,
    lost: (why) =>
      new HoneError({
        code: 'HONE-AGENT-007',
        message: `the process of the job was lost: ${why}`,
        cure: "check the agent's machine: is there enough memory?",
      }),
    receive(received) {
      const message = received as JobMessage;
      if (message.kind === 'failed') return fromWire(message.error);
      if (message.kind === 'done') return { result: message };
      onProgress(message.text);
      return undefined;
    },
  });
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
