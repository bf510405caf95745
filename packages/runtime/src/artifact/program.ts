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
  /** The model has maps here: the key of each position of the last axis. */
  readonly keys?: MapKeys;
  /** Axes whose extent depends on data: `shape` and `bytes` are bounds there. Absent: none. */
  readonly bounded?: readonly number[];
  /** Inputs: the least extent along each of these axes; any up to the shape's may be given. */
  readonly least?: readonly number[];
}

/** An i64 that runtimes set and the caller does not see: how much of some inputs is meant. */
export interface RangeSpec {
  readonly name: string;
  readonly of: readonly {
    readonly input: number;
    readonly axis: number;
    readonly least: number;
  }[];
}

/** An i64 that a run computes and its caller does not see: how much of some outputs is meant. */
export interface ExtentSpec {
  readonly name: string;
  readonly of: readonly { readonly output: number; readonly axis: number }[];
}

/** Keys of a map, all texts or all whole numbers. */
export type MapKeys = readonly string[] | readonly number[];

/** Where a kernel's buffer lies. Offsets are bytes, multiples of 64 in arena and weights. */
export type BufferRef =
  | { readonly space: 'arena'; readonly offset: number }
  | { readonly space: 'weights'; readonly offset: number }
  | { readonly space: 'input'; readonly index: number }
  | { readonly space: 'output'; readonly index: number }
  | MovedRef;

/**
 * Where something lies in iteration i of a loop: at `even` or `odd` as i is, and i strides of so many
 * bytes on. Both may move with loops around this one.
 */
export interface MovedRef {
  readonly space: 'moved';
  /** Position in the program's loops. */
  readonly loop: number;
  readonly even: BufferRef;
  readonly odd: BufferRef;
  readonly stride: number;
}

export interface KernelStep {
  readonly kind: 'kernel';
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

/**
 * Says which step is next; `target` is the position of one, or the end. No worker runs it: it is decided
 * on by whoever finished the step before.
 */
export type ControlStep = { readonly label: string; readonly target: number } & (
  | { readonly kind: 'jump' }
  /** To the target where a bool is false. */
  | { readonly kind: 'unless'; readonly condition: BufferRef }
  /** The first iteration of a loop begins, or its target is next: what lies behind the loop. */
  | { readonly kind: 'enter'; readonly loop: number }
  /** The next iteration begins at the target, or the loop is done. */
  | { readonly kind: 'repeat'; readonly loop: number }
  /** To the target where the loop ran an even number of iterations. */
  | { readonly kind: 'if-even'; readonly loop: number }
);

export type Step = KernelStep | ControlStep;

/** A loop: it goes on while `trips` are left and conditions hold, those of both that there are. */
export interface ProgramLoop {
  /** Most iterations; going on after them is an error of the run. */
  readonly limit: number;
  /** Is the limit what memory was planned for, or a guard against loops without end? */
  readonly limitIs: 'bound' | 'guard';
  /** Iterations, where the compiler knows how many. */
  readonly count?: number;
  /** An i64: the iteration's number; behind the loop, how many there were. */
  readonly iteration: BufferRef;
  /** An i64: how many iterations. */
  readonly trips?: BufferRef;
  /** A bool: is there a first iteration? */
  readonly start?: BufferRef;
  /** A bool that each iteration leaves: is there another? */
  readonly again?: BufferRef;
}

export interface Program {
  /** Steps of the Node runtime around this program, whose signature is then that of the compiled part. */
  readonly host?: HostProgram;
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The buffer of number k is input `inputs.length + k`. */
  readonly ranges?: readonly RangeSpec[];
  /** The buffer of number k is output `outputs.length + k`. */
  readonly extents?: readonly ExtentSpec[];
  /** Steps in order, but for what control steps say; all workers finish one before the next begins. */
  readonly steps: readonly Step[];
  readonly loops?: readonly ProgramLoop[];
  readonly arenaBytes: number;
  readonly weightsBytes: number;
  /** More workers than this would wait more than they work; 0 or absent: no limit. */
  readonly workerLimit?: number;
}

/** What runs a step: a C symbol, or the kind of a control step. */
export function kernelOf(step: Step): string {
  return step.kind === 'kernel' ? step.kernel : step.kind;
}

/** C symbols of all kernels, each once. */
export function kernelsOf(program: Program): readonly string[] {
  const names = program.steps.flatMap((step) => (step.kind === 'kernel' ? [step.kernel] : []));
  return [...new Set(names)];
}
