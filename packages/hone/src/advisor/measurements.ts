/** Published measurements, one a row, and the public topologies that they are of. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Precision } from './catalogue-types.ts';
import { parseCsv } from './csv.ts';

/** What was timed: the device alone, a loop in one process, or a server with its client. */
export type Scope =
  | 'kernel'
  | 'loop'
  | 'server'
  | 'server-dynamic'
  | 'mlperf-offline'
  | 'mlperf-single'
  | 'mlperf-server';

export interface Measurement {
  readonly line: number;
  /** As the source calls it. */
  readonly model: string;
  /** Name of a public topology; '' where it is none that we can rebuild. */
  readonly topology: string;
  readonly accelerator: string;
  readonly devices: number;
  readonly engine: string;
  readonly scope: Scope;
  readonly version: string;
  readonly precision: Precision;
  /** undefined: not stated, or whatever a server gathered. */
  readonly batch: number | undefined;
  /** Requests in flight, where stated. */
  readonly inFlight: number | undefined;
  /** Items a second of all devices; NaN where not given. */
  readonly throughput: number;
  /** True: it was computed from the latency by the source. */
  readonly throughputDerived: boolean;
  /** Of a batch; undefined where not given or not usable. */
  readonly latencyMs: number | undefined;
  readonly p99Ms: number | undefined;
  readonly source: string;
  readonly date: string;
  readonly note: string;
}

const SCOPES: ReadonlySet<string> = new Set<Scope>([
  'kernel',
  'loop',
  'server',
  'server-dynamic',
  'mlperf-offline',
  'mlperf-single',
  'mlperf-server',
]);
const PRECISIONS: ReadonlySet<string> = new Set<Precision>([
  'fp32',
  'tf32',
  'bf16',
  'fp16',
  'int8',
]);

/** Throws HONE-ADVISE-001 for a row that is not one. */
export function parseMeasurements(text: string, file: string): readonly Measurement[] {
  return parseCsv(text, file).map(({ line, cells }) => {
    const cell = (name: string): string => cells[name] ?? '';
    const number = (name: string): number | undefined => {
      if (cell(name) === '') return undefined;
      const value = Number(cell(name));
      if (Number.isFinite(value) && value > 0) return value;
      return fail(
        'HONE-ADVISE-001',
        `${file}:${line}: ${name} is "${cell(name)}"`,
        `${file}:${line}`,
        'a positive number, or nothing',
      );
    };
    const known = SCOPES.has(cell('scope')) && PRECISIONS.has(cell('precision'));
    if (!known) {
      fail(
        'HONE-ADVISE-001',
        `${file}:${line}: scope "${cell('scope')}", precision "${cell('precision')}"`,
        `${file}:${line}`,
        `scopes: ${[...SCOPES].join(', ')}; precisions: ${[...PRECISIONS].join(', ')}`,
      );
    }
    // An average spoilt by the host's outliers says nothing about the device.
    const spoilt = cell('note').includes('outliers');
    return {
      line,
      model: cell('model'),
      topology: cell('topology'),
      accelerator: cell('accelerator'),
      devices: number('devices') ?? 1,
      engine: cell('engine'),
      scope: cell('scope') as Scope,
      version: cell('version'),
      precision: cell('precision') as Precision,
      batch: number('batch'),
      inFlight: number('in_flight'),
      throughput: number('throughput_per_s') ?? Number.NaN,
      throughputDerived: cell('throughput_derived') === '1',
      latencyMs: spoilt ? undefined : number('latency_ms'),
      p99Ms: number('p99_ms'),
      source: cell('source'),
      date: cell('date'),
      note: cell('note'),
    };
  });
}
