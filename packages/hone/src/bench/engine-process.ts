/**
 * An engine in a process of its own, seen from the bench. A process that dies or hangs is a coded
 * error with the end of what it wrote; none outlives the bench.
 */
import { fork } from 'node:child_process';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type {
  EngineName,
  EngineReplies,
  EngineReply,
  EngineRequest,
  OpenRequest,
} from './engine-protocol.ts';
import { untilAsleep } from './process-rest.ts';

export interface EngineProcess {
  readonly engine: EngineName;
  ask<K extends EngineRequest['kind']>(
    request: Extract<EngineRequest, { kind: K }>,
  ): Promise<EngineReplies[K]>;
  /** Resolves when its threads sleep. */
  rested(): Promise<void>;
  /** Ends the process, whatever it does. */
  end(): void;
}

const WORKER = new URL('./engine-worker.js', import.meta.url);
const TIMEOUT_MS = 600_000;
const KEPT_CHARS = 4000;
/** libuv's threads, which carry asynchronous runs. */
const LEAST_POOL = 4;

/** Starts a process for an engine; nothing is opened yet. */
export function startEngine(engine: EngineName, lanes: number): EngineProcess {
  const child = fork(WORKER, [], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(LEAST_POOL, lanes)) },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      said = (said + text).slice(-KEPT_CHARS);
    });
  }
  let waiting: ((reply: EngineReply) => void) | undefined;
  let gone: EngineReply | undefined;
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  child.on('message', (reply) => waiting?.(reply as EngineReply));
  child.on('error', (error) => leave(error.message));
  child.on('close', (code, signal) => leave(`it ended with ${signal ?? `exit code ${code}`}`));
  const leave = (why: string): void => {
    process.removeListener('exit', end);
    const tail = said.trim().split('\n').slice(-5).join('\n');
    gone ??= {
      ok: false,
      code: 'HONE-BENCH-007',
      message: `the process of ${engine} was lost: ${why}${tail === '' ? '' : `\n${tail}`}`,
      cure: 'check that there is enough memory; run the model with `hone run` to see it alone',
    };
    waiting?.(gone);
  };
  return {
    engine,
    async ask(request) {
      const reply = await new Promise<EngineReply>((resolve) => {
        if (gone !== undefined) {
          resolve(gone);
          return;
        }
        const timer = setTimeout(() => {
          leave(`no answer for ${TIMEOUT_MS / 1000} s`);
          end();
        }, TIMEOUT_MS);
        waiting = (answer) => {
          clearTimeout(timer);
          waiting = undefined;
          resolve(answer);
        };
        child.send(request, (error) => {
          if (error) leave(error.message);
        });
      });
      if (!reply.ok) throw replyError(reply, engine);
      // The worker answers a request of kind K with the reply of kind K.
      return reply.value as EngineReplies[typeof request.kind];
    },
    rested: () => untilAsleep(child.pid),
    end,
  };
}

/** The request that opens an engine's model. */
export function openRequest(request: Omit<OpenRequest, 'kind'>): OpenRequest {
  return { kind: 'open', ...request };
}

function replyError(reply: Extract<EngineReply, { ok: false }>, engine: EngineName): HoneError {
  return new HoneError({
    code: reply.code as HoneError['code'],
    message: reply.code === 'HONE-BENCH-006' ? `${engine} failed: ${reply.message}` : reply.message,
    subject: engine,
    ...(reply.cure === undefined ? {} : { cure: reply.cure }),
  });
}
