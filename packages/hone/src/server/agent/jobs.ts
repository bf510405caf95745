/**
 * The queue of an agent: one job runs, a bounded number waits. A job nobody asks about for a while
 * is given up: whoever wanted it is gone. What came of a job is kept for some minutes.
 */
import { randomBytes } from 'node:crypto';
import { nativeTargetName } from 'hone-runtime/target/native';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { type RunningJob, startJob } from './job-process.ts';
import { machineFacts } from './machine-facts.ts';
import type { AgentLimits, JobResult, JobSettings, JobState, JobStatus } from './protocol.ts';
import { wireError } from './protocol.ts';
import type { Uploads } from './uploads.ts';

export interface Jobs {
  /** Throws HONE-AGENT-005 when the queue is full. */
  add(settings: JobSettings): JobStatus;
  /** The status, at once or when it is later than `version`; after `waitMs` in any case. */
  status(id: string, version: number, waitMs: number): Promise<JobStatus>;
  /** Ends a job that waits or runs. */
  cancel(id: string): void;
  readonly counts: { readonly waiting: number; readonly running: number; readonly ended: number };
  close(): void;
}

/** Longer than a client lets pass between two questions. */
const ABANDONED_MS = 60_000;
const KEPT_MS = 10 * 60_000;
const MOST_KEPT = 64;

interface Job {
  readonly id: string;
  readonly settings: JobSettings;
  readonly folder: string;
  readonly release: () => void;
  state: JobState;
  progress: string;
  version: number;
  asked: number;
  ended: number;
  result: JobResult | null;
  error: HoneError | null;
  process: RunningJob | undefined;
  readonly watchers: Set<() => void>;
}

export function openJobs(limits: AgentLimits, uploads: Uploads, log: (line: string) => void): Jobs {
  const all = new Map<string, Job>();
  const waiting = (): Job[] => [...all.values()].filter((job) => job.state === 'waiting');
  const running = (): Job | undefined => [...all.values()].find((job) => job.state === 'running');
  let ended = 0;
  const change = (job: Job, changes: Partial<Job>): void => {
    Object.assign(job, changes, { version: job.version + 1 });
    for (const wake of job.watchers) wake();
  };
  const finish = (job: Job, outcome: JobResult | HoneError): void => {
    job.release();
    ended++;
    const failed = outcome instanceof HoneError;
    log(`job ${job.id}: ${failed ? `${outcome.code}: ${outcome.message}` : 'done'}`);
    change(job, {
      state: failed ? 'failed' : 'done',
      progress: '',
      ended: Date.now(),
      process: undefined,
      ...(failed ? { error: outcome } : { result: outcome }),
    });
  };
  const next = (): void => {
    if (running() !== undefined) return;
    const [job] = waiting();
    if (job === undefined) return;
    void runOne(job).finally(next);
    // Those behind it moved up.
    for (const other of waiting()) change(other, {});
  };
  const runOne = async (job: Job): Promise<void> => {
    const { folder, settings } = job;
    const started = new Date();
    log(`job ${job.id}: ${settings.label}, ${settings.concurrency.join(',')} in flight`);
    const process = startJob({ folder, settings }, limits.jobMs, (progress) =>
      change(job, { progress }),
    );
    change(job, { state: 'running', process });
    try {
      const { report, conditions } = await process.done;
      finish(job, {
        artifact: settings.artifact,
        started: started.toISOString(),
        seconds: (Date.now() - started.getTime()) / 1000,
        target: nativeTargetName(),
        machine: machineFacts(),
        conditions,
        report,
      });
    } catch (error) {
      finish(job, asError(error));
    }
  };
  const give = (job: Job, error: HoneError): void => {
    if (job.state === 'running') job.process?.kill(error);
    else if (job.state === 'waiting') finish(job, error);
  };
  const tidy = setInterval(() => {
    const now = Date.now();
    for (const job of all.values()) {
      const open = job.state === 'waiting' || job.state === 'running';
      if (open && now - job.asked > ABANDONED_MS)
        give(job, givenUp('nobody asked about it any more'));
      if (!open && now - job.ended > KEPT_MS) all.delete(job.id);
    }
    const over = [...all.values()].filter((job) => job.ended > 0).slice(0, -MOST_KEPT);
    for (const job of over) all.delete(job.id);
  }, 5000).unref();
  const find = (id: string): Job => {
    const job = all.get(id);
    if (job !== undefined) return job;
    const cure = 'ask for a new one: agents forget jobs after some minutes, and when they end';
    return fail('HONE-AGENT-003', `there is no job ${JSON.stringify(id)} here`, id, cure);
  };
  const statusOf = (job: Job): JobStatus => ({
    job: job.id,
    state: job.state,
    ahead: job.state === 'waiting' ? waiting().indexOf(job) + (running() ? 1 : 0) : 0,
    progress: job.progress,
    version: job.version,
    result: job.result,
    error: job.error === null ? null : wireError(job.error).error,
  });
  return {
    add(settings) {
      if (waiting().length >= limits.queue) {
        const cure = 'try again later, or start the agent with a larger --max-queue';
        fail('HONE-AGENT-005', `the queue is full: ${limits.queue} jobs wait`, 'queue', cure);
      }
      const { artifact, release } = uploads.hold(settings.artifact);
      const job: Job = {
        id: randomBytes(12).toString('hex'),
        settings,
        folder: artifact.folder,
        release,
        state: 'waiting',
        progress: '',
        version: 0,
        asked: Date.now(),
        ended: 0,
        result: null,
        error: null,
        process: undefined,
        watchers: new Set(),
      };
      all.set(job.id, job);
      next();
      return statusOf(job);
    },
    async status(id, version, waitMs) {
      const job = find(id);
      job.asked = Date.now();
      const open = job.state === 'waiting' || job.state === 'running';
      if (open && job.version <= version) await changed(job, waitMs);
      job.asked = Date.now();
      return statusOf(job);
    },
    cancel(id) {
      give(find(id), givenUp('its client cancelled it'));
    },
    get counts() {
      return { waiting: waiting().length, running: running() ? 1 : 0, ended };
    },
    close() {
      clearInterval(tidy);
      for (const job of all.values()) give(job, givenUp('the agent is shutting down'));
    },
  };
}

function changed(job: Job, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      job.watchers.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, waitMs);
    job.watchers.add(wake);
  });
}

function givenUp(why: string): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-016',
    message: `the job was given up: ${why}`,
    cure: 'ask for it again',
  });
}

function asError(thrown: unknown): HoneError {
  if (thrown instanceof HoneError) return thrown;
  return new HoneError({
    code: 'HONE-INTERNAL-000',
    message: thrown instanceof Error ? thrown.message : String(thrown),
    cure: 'please report this as a bug',
  });
}
