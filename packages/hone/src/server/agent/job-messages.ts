/** What the process of one job is told, and what it says. */
import type { BenchReport } from '../../bench/report.ts';
import type { Conditions, JobSettings, WireError } from './protocol.ts';

export interface JobOrder {
  readonly folder: string;
  readonly settings: JobSettings;
}

export type JobMessage =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'done'; readonly report: BenchReport; readonly conditions: Conditions }
  | { readonly kind: 'failed'; readonly error: WireError };
