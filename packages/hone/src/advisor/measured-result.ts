/**
 * One measurement of a model on a machine: what was measured, how, where, when and what else went
 * on. Times are milliseconds, rates items a second. Keys are a contract: add, never rename.
 */
import { count, type Field, list, member, object, text } from 'hone-runtime/artifact/json';
import { fail } from 'hone-runtime/base/diagnostics';
import type { OperatorWork, WorkItem, WorkKind, Workload } from './model-types.ts';

/** Lines of a later version are left out when read. */
export const RESULT_VERSION = 1;

export interface ResultMachine {
  /** Row of the catalogue, or whatever its owner calls it. */
  readonly name: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly l3_bytes: number | null;
  readonly os: string;
  /** Measured peaks over `threads`; null where they could not be. */
  readonly peak: {
    readonly fp32_gflops: number;
    readonly bf16_gflops: number | null;
    readonly int8_gops: number | null;
    readonly read_gbytes_per_second: number | null;
  } | null;
}

export interface MeasuredResult {
  /** ISO 8601. */
  readonly measured_at: string;
  /** `here`: by this machine itself; else the address of an agent. */
  readonly by: string;
  readonly hone: string;
  readonly machine: ResultMachine;
  readonly model: {
    readonly name: string;
    /** Of the file that was compiled. */
    readonly sha256: string;
    /** Of all inputs, in order, with the batch that was measured. */
    readonly shapes: readonly (readonly number[])[];
    /** Of one run. */
    readonly flops: number;
    /** What the model asks of a machine, so that predictions can be compared; null: not known. */
    readonly workload: Workload | null;
  };
  readonly artifact: {
    /** Digest of the manifest. */
    readonly sha256: string;
    readonly target: string;
  };
  readonly setting: {
    readonly precision: string;
    readonly batch: number;
    readonly concurrency: number;
    readonly threads: number;
  };
  readonly p50_ms: number;
  readonly p90_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly mean_ms: number;
  readonly throughput_per_s: number;
  readonly peak_rss_bytes: number;
  readonly runs: number;
  readonly conditions: {
    /** The machine was busy: the figures are of its better half. */
    readonly disturbed: boolean;
    readonly load_before: number;
    readonly load_after: number;
    readonly governor: string | null;
  };
}

/** Reads one; throws for what is none, HONE-ADVISE-042 for one of a later version. */
export function readMeasuredResult(field: Field): MeasuredResult {
  const version = count(member(field, 'version'));
  if (version !== RESULT_VERSION) {
    const cure = 'use the newer version, or measure again';
    fail(
      'HONE-ADVISE-042',
      `${field.path} has version ${version}, this is ${RESULT_VERSION}`,
      field.path,
      cure,
    );
  }
  const at = (...keys: readonly string[]): Field => keys.reduce(member, field);
  const measured = text(at('measured_at'));
  if (Number.isNaN(Date.parse(measured))) wrong(at('measured_at'), 'is no date');
  return {
    measured_at: measured,
    by: text(at('by')),
    hone: text(at('hone')),
    machine: {
      name: text(at('machine', 'name')),
      cpu: text(at('machine', 'cpu')),
      cores: positive(at('machine', 'cores')),
      memory_bytes: positive(at('machine', 'memory_bytes')),
      l3_bytes: nullable(at('machine', 'l3_bytes'), positive),
      os: text(at('machine', 'os')),
      peak: nullable(at('machine', 'peak'), (peak) => ({
        fp32_gflops: positive(member(peak, 'fp32_gflops')),
        bf16_gflops: nullable(member(peak, 'bf16_gflops'), positive),
        int8_gops: nullable(member(peak, 'int8_gops'), positive),
        read_gbytes_per_second: nullable(member(peak, 'read_gbytes_per_second'), positive),
      })),
    },
    model: {
      name: text(at('model', 'name')),
      sha256: text(at('model', 'sha256')),
      shapes: list(at('model', 'shapes')).map((shape) => list(shape).map(count)),
      flops: figure(at('model', 'flops')),
      workload: nullable(at('model', 'workload'), readWorkload),
    },
    artifact: { sha256: text(at('artifact', 'sha256')), target: text(at('artifact', 'target')) },
    setting: {
      precision: text(at('setting', 'precision')),
      batch: positive(at('setting', 'batch')),
      concurrency: positive(at('setting', 'concurrency')),
      threads: positive(at('setting', 'threads')),
    },
    p50_ms: positive(at('p50_ms')),
    p90_ms: positive(at('p90_ms')),
    p95_ms: positive(at('p95_ms')),
    p99_ms: positive(at('p99_ms')),
    mean_ms: positive(at('mean_ms')),
    throughput_per_s: positive(at('throughput_per_s')),
    peak_rss_bytes: figure(at('peak_rss_bytes')),
    runs: positive(at('runs')),
    conditions: {
      disturbed: at('conditions', 'disturbed').value === true,
      load_before: figure(at('conditions', 'load_before')),
      load_after: figure(at('conditions', 'load_after')),
      governor: nullable(at('conditions', 'governor'), text),
    },
  };
}

const WORK_KINDS: readonly WorkKind[] = [
  'conv',
  'pointwise',
  'depthwise',
  'matmul',
  'attention',
  'elementwise',
];

function readWorkload(field: Field): Workload {
  const items = (key: string): WorkItem[] => list(member(field, key)).map(readWorkItem);
  const operators = member(field, 'operators');
  return {
    name: text(member(field, 'name')),
    fused: items('fused'),
    eager: items('eager'),
    inputBytes: figure(member(field, 'inputBytes')),
    outputBytes: figure(member(field, 'outputBytes')),
    parameterBytes: figure(member(field, 'parameterBytes')),
    liveBytes: figure(member(field, 'liveBytes')),
    operators: Object.fromEntries(
      Object.keys(object(operators)).map((op) => [op, readOperator(member(operators, op))]),
    ),
  };
}

function readOperator(field: Field): OperatorWork {
  return {
    nodes: count(member(field, 'nodes')),
    flops: figure(member(field, 'flops')),
    bytes: figure(member(field, 'bytes')),
  };
}

function readWorkItem(field: Field): WorkItem {
  const kind = WORK_KINDS.find((known) => known === member(field, 'kind').value);
  return {
    kind: kind ?? wrong(member(field, 'kind'), 'is no kind of work'),
    count: positive(member(field, 'count')),
    flops: figure(member(field, 'flops')),
    weightBytes: figure(member(field, 'weightBytes')),
    activationBytes: figure(member(field, 'activationBytes')),
  };
}

function nullable<T>(field: Field, read: (field: Field) => T): T | null {
  return field.value === null ? null : read(field);
}

function figure(field: Field): number {
  const { value } = field;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  return wrong(field, 'is no figure');
}

function positive(field: Field): number {
  const value = figure(field);
  return value > 0 ? value : wrong(field, 'is not above 0');
}

function wrong(field: Field, problem: string): never {
  fail('HONE-ADVISE-041', `${field.path} ${problem}`, field.path, 'measure again');
}
