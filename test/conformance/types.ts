/** What passes between the conformance run, its child processes and its report. */

/**
 * kernels: compiled, with hand-written routines and steps of the Node runtime forbidden; checks of bounds, which
 * compute nothing, are none. naive: compiled
 * without fusion, every stage by its naive lowering.
 */
export type Path = 'interpreter' | 'compiled' | 'kernels' | 'naive';
export const PATHS: readonly Path[] = ['interpreter', 'compiled', 'kernels', 'naive'];
/** Those of a run that is not told. */
export const USUAL_PATHS: readonly Path[] = ['interpreter', 'compiled', 'kernels'];

/**
 * pass: right. fail: wrong, or a fault of ours. refused: a coded error that says why. folded (on
 * the compiled paths): right, but every input had to be bound, so no code was left to run. random: right in
 * shape, dtype and distribution, where the test asks for random elements.
 */
export type Status = 'pass' | 'fail' | 'refused' | 'folded' | 'random';

export interface Outcome {
  readonly status: Status;
  /** Of refusals. */
  readonly code?: string;
  readonly reason?: string;
}

/** What decides the sizes of a test's tensors. */
export interface Sizes {
  /** Bounds that were asked for, as they would be written behind --bound. */
  readonly bounds: readonly string[];
  /** Does the run decide extents of its outputs? */
  readonly isOfRun: boolean;
  /** Inputs bound to the test's values because the importer or the compiler needs them as constants. */
  readonly bound: readonly string[];
  /** Why they are; empty where none is. */
  readonly why: string;
}

export const NO_SIZES: Sizes = { bounds: [], isOfRun: false, bound: [], why: '' };

export interface TestResult {
  readonly test: string;
  /** The operator of a model with one node; otherwise what kind of model it is, in brackets. */
  readonly operator: string;
  readonly sizes: Sizes;
  readonly outcomes: Readonly<Partial<Record<Path, Outcome>>>;
}

/** What a child process is asked to do. */
export interface BatchRequest {
  readonly suite: string;
  readonly tests: readonly string[];
  readonly paths: readonly Path[];
  readonly target: string;
}

/** What it says, a piece at a time, so that a crash loses only what was not done. */
export interface BatchMessage {
  readonly test: string;
  readonly operator: string;
  readonly sizes: Sizes;
  readonly path: Path;
  readonly outcome: Outcome;
}
