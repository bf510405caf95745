/** Reads the answers of an agent. Nothing of them is believed before it was looked at. */
import { count, type Field, hasMember, list, member, text } from 'hone-runtime/artifact/json';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { BenchReport } from '../../bench/report.ts';
import type {
  AgentFacts,
  Conditions,
  JobResult,
  JobState,
  JobStatus,
  MachineFacts,
  WireError,
} from './protocol.ts';

const STATES: readonly JobState[] = ['waiting', 'running', 'done', 'failed'];

/** What every row of a report must have for anything to be made of it. */
const ROW_NUMBERS = [
  'batch',
  'concurrency',
  'threads',
  'p50_ms',
  'p90_ms',
  'p95_ms',
  'p99_ms',
  'mean_ms',
  'throughput_avg',
  'throughput_max',
  'runs',
] as const;

export function readFacts(field: Field): AgentFacts {
  const limits = member(field, 'limits');
  const jobs = member(field, 'jobs');
  return {
    protocol: count(member(field, 'protocol')),
    hone: text(member(field, 'hone')),
    name: nullable(member(field, 'name'), text),
    target: text(member(field, 'target')),
    machine: readMachine(member(field, 'machine')),
    limits: {
      upload_bytes: count(member(limits, 'upload_bytes')),
      unpacked_bytes: count(member(limits, 'unpacked_bytes')),
      queue: count(member(limits, 'queue')),
      job_ms: count(member(limits, 'job_ms')),
    },
    trusted_keys: list(member(field, 'trusted_keys')).map(text),
    jobs: { waiting: count(member(jobs, 'waiting')), running: count(member(jobs, 'running')) },
  };
}

export function readStatus(field: Field): JobStatus {
  const state = STATES.find((known) => known === member(field, 'state').value);
  return {
    job: text(member(field, 'job')),
    state: state ?? wrong(member(field, 'state'), 'is no state of a job'),
    ahead: count(member(field, 'ahead')),
    progress: text(member(field, 'progress')),
    version: count(member(field, 'version')),
    result: nullable(member(field, 'result'), readResult),
    error: nullable(member(field, 'error'), readError),
  };
}

export function readMachine(field: Field): MachineFacts {
  return {
    cpu: text(member(field, 'cpu')),
    cpus: count(member(field, 'cpus')),
    cores: count(member(field, 'cores')),
    memory_bytes: count(member(field, 'memory_bytes')),
    l1_bytes: nullable(member(field, 'l1_bytes'), count),
    l2_bytes: nullable(member(field, 'l2_bytes'), count),
    l3_bytes: nullable(member(field, 'l3_bytes'), count),
    os: text(member(field, 'os')),
    instance: nullable(member(field, 'instance'), text),
  };
}

function readResult(field: Field): JobResult {
  return {
    artifact: text(member(field, 'artifact')),
    started: text(member(field, 'started')),
    seconds: finite(member(field, 'seconds')),
    target: text(member(field, 'target')),
    machine: readMachine(member(field, 'machine')),
    conditions: readConditions(member(field, 'conditions')),
    report: readReport(member(field, 'report')),
  };
}

export function readConditions(field: Field): Conditions {
  return {
    load_before: finite(member(field, 'load_before')),
    load_after: finite(member(field, 'load_after')),
    governor: nullable(member(field, 'governor'), text),
  };
}

/** The rows' figures are looked at; texts in it are shown as they are, escaped. */
function readReport(field: Field): BenchReport {
  const rows = list(member(field, 'results'));
  for (const row of rows) {
    text(member(row, 'model'));
    text(member(row, 'precision'));
    for (const key of ROW_NUMBERS) finite(member(row, key));
  }
  const machine = member(field, 'machine');
  if (hasMember(machine, 'peak'))
    nullable(member(machine, 'peak'), (peak) => finite(member(peak, 'fp32_gflops')));
  return field.value as BenchReport;
}

function readError(field: Field): WireError {
  return {
    code: text(member(field, 'code')),
    message: text(member(field, 'message')),
    subject: nullable(member(field, 'subject'), text),
    cure: nullable(member(field, 'cure'), text),
  };
}

export function nullable<T>(field: Field, read: (field: Field) => T): T | null {
  return field.value === null ? null : read(field);
}

/** A number from 0 on. */
export function finite(field: Field): number {
  const { value } = field;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  return wrong(field, 'is no figure');
}

function wrong(field: Field, problem: string): never {
  throw new HoneError({
    code: 'HONE-AGENT-010',
    message: `${field.path} ${problem}`,
    subject: field.path,
  });
}
