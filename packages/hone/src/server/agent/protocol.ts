/**
 * What an agent and its clients say to each other: JSON over HTTP, under /v1. Both sides check what
 * they are given; numbers have their units in their names. Keys are a contract: add, never rename.
 */
import { count, list, member, parseJson, text } from 'hone-runtime/artifact/json';
import { type ErrorCode, fail, HoneError } from 'hone-runtime/base/diagnostics';
import type { BenchReport } from '../../bench/report.ts';

/** Agents of another protocol are refused by the client. */
export const PROTOCOL = 1;

/** The longest that an agent keeps a question about a job open. */
export const POLL_MS = 15_000;

export interface AgentLimits {
  /** Of a packed artifact. */
  readonly uploadBytes: number;
  /** Of what it unpacks to, and of all unpacked artifacts together. */
  readonly unpackedBytes: number;
  /** Jobs that may wait while one runs. */
  readonly queue: number;
  /** Of one job, from its begin. */
  readonly jobMs: number;
}

/** One measurement that is asked for. */
export interface JobSettings {
  /** As the upload answered. */
  readonly artifact: string;
  /** How the report calls the model. */
  readonly label: string;
  /** Default: the physical cores of the agent. */
  readonly threads?: number;
  readonly concurrency: readonly number[];
  readonly durationMs: number;
  readonly sessions: number;
}

export interface MachineFacts {
  readonly cpu: string;
  readonly cpus: number;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly l1_bytes: number | null;
  readonly l2_bytes: number | null;
  readonly l3_bytes: number | null;
  readonly os: string;
  /** Instance type, where the machine says so itself (EC2). */
  readonly instance: string | null;
}

export interface AgentFacts {
  readonly protocol: number;
  readonly hone: string;
  /** Given to it by who started it. */
  readonly name: string | null;
  /** What to compile for. */
  readonly target: string;
  readonly machine: MachineFacts;
  readonly limits: {
    readonly upload_bytes: number;
    readonly unpacked_bytes: number;
    readonly queue: number;
    readonly job_ms: number;
  };
  /** Ids of the keys that may have signed what it runs. */
  readonly trusted_keys: readonly string[];
  readonly jobs: { readonly waiting: number; readonly running: number };
}

/** What the machine was doing besides. */
export interface Conditions {
  /** Processes that wanted a processor, over the last minute. */
  readonly load_before: number;
  readonly load_after: number;
  /** Frequency governor; null where the system has none. */
  readonly governor: string | null;
}

export interface JobResult {
  readonly artifact: string;
  /** ISO 8601, by the agent's clock. */
  readonly started: string;
  readonly seconds: number;
  readonly target: string;
  readonly machine: MachineFacts;
  readonly conditions: Conditions;
  readonly report: BenchReport;
}

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly subject: string | null;
  readonly cure: string | null;
}

export type JobState = 'waiting' | 'running' | 'done' | 'failed';

export interface JobStatus {
  readonly job: string;
  readonly state: JobState;
  /** Jobs before it. */
  readonly ahead: number;
  /** What is being done. */
  readonly progress: string;
  /** Counts up with every change; a question may wait for a later one. */
  readonly version: number;
  readonly result: JobResult | null;
  readonly error: WireError | null;
}

export function wireError(error: HoneError): { readonly error: WireError } {
  const { code, message, subject, cure } = error;
  return { error: { code, message, subject: subject ?? null, cure: cure ?? null } };
}

/** Runs a reader of JSON; what it refuses becomes an error of ours. */
export function readAs<T>(code: ErrorCode, cure: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HoneError)) throw error;
    return fail(code, error.message, error.subject, cure);
  }
}

const MAX_CONCURRENCY = 64;
const MAX_SETTINGS = 16;
const MAX_THREADS = 256;
const MAX_LABEL = 200;
const MAX_SESSIONS = 20;

/** The body of a new job; throws HONE-AGENT-002 (form) or -015 (beyond the limits). */
export function parseJobSettings(body: string, limits: AgentLimits): JobSettings {
  const settings = readAs('HONE-AGENT-002', 'see docs/agent.md for the form', () => {
    const root = parseJson(body, 'the body');
    const threads = member(root, 'threads');
    return {
      artifact: text(member(root, 'artifact')),
      label: text(member(root, 'label')),
      ...(threads.value === null ? {} : { threads: count(threads) }),
      concurrency: list(member(root, 'concurrency')).map(count),
      durationMs: count(member(root, 'duration_ms')),
      sessions: count(member(root, 'sessions')),
    };
  });
  const { threads, concurrency, durationMs, sessions, label } = settings;
  within('threads', threads ?? 1, MAX_THREADS);
  within('sessions', sessions, MAX_SESSIONS);
  within('concurrency (its length)', concurrency.length, MAX_SETTINGS);
  within('label (its length)', label.length, MAX_LABEL);
  for (const lanes of concurrency) within('concurrency', lanes, MAX_CONCURRENCY);
  within('duration_ms, for all concurrencies,', durationMs * concurrency.length, limits.jobMs);
  return settings;
}

export function printJobSettings(settings: JobSettings): string {
  const { artifact, label, threads, concurrency, durationMs, sessions } = settings;
  return JSON.stringify({
    artifact,
    label,
    threads: threads ?? null,
    concurrency,
    duration_ms: durationMs,
    sessions,
  });
}

function within(what: string, value: number, most: number): void {
  if (value >= 1 && value <= most) return;
  fail(
    'HONE-AGENT-015',
    `${what} is ${value}; this agent takes 1 to ${most}`,
    what,
    'ask for less, or start the agent with other limits',
  );
}
