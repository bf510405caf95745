/**
 * The compiled program as data: which kernel runs on which memory, step by step. Backends turn it
 * into tables of the library; the manifest keeps the signatures.
 */
import type { DType } from '../base/dtype.ts';
import type { HostProgram } from '../host/program.ts';

/** An input or output of the model as its user sees it. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes of the tensor, row-major. */
  readonly bytes: number;
}

/** Where a kernel's buffer lies. Offsets are bytes, multiples of 64 in arena and weights. */
export type BufferRef =
  | { readonly space: 'arena'; readonly offset: number }
  | { readonly space: 'weights'; readonly offset: number }
  | { readonly space: 'input'; readonly index: number }
  | { readonly space: 'output'; readonly index: number };

export interface Step {
  /** C symbol of the kernel; several steps may share one. */
  readonly kernel: string;
  readonly buffers: readonly BufferRef[];
  /** Values of the kernel's integer parameters. */
  readonly dims: readonly number[];
  /** What the step does, for profiles, e.g. "conv1 + relu1". */
  readonly label: string;
  /**
   * Most parts worth cutting the step into; 0 or absent: its kernel has barriers, so exactly one
   * for every worker.
   */
  readonly parts?: number;
}

export interface Program {
  /** Steps of the Node runtime around this program, whose signature is then that of the compiled part. */
  readonly host?: HostProgram;
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Steps run in order; all workers finish a step before the next begins. */
  readonly steps: readonly Step[];
  readonly arenaBytes: number;
  readonly weightsBytes: number;
  /** More workers than this would wait more than they work; 0 or absent: no limit. */
  readonly workerLimit?: number;
}
