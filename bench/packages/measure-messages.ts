/** What the process that measures one model is told, and what it says. */
import type { BenchSettings } from 'hone/bench/bench';
import type { BenchReport } from 'hone/bench/report';
import type { PackageModel } from './entry.ts';

export interface MeasureOrder {
  /** How the report calls it. */
  readonly id: string;
  readonly onnx: string;
  readonly model: Omit<PackageModel, 'path' | 'pieces' | 'expected'>;
  /** Takes the artifact. */
  readonly folder: string;
  readonly settings: Pick<BenchSettings, 'threads' | 'durationMs' | 'sessions'>;
}

export type MeasureMessage =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'done'; readonly report: BenchReport }
  /** Nothing could be measured on this machine. */
  | { readonly kind: 'failed'; readonly error: MeasureError };

export interface MeasureError {
  readonly code: string;
  readonly message: string;
  readonly cure: string | null;
}
