/**
 * What a user can ask of a compilation. All optional; defaults in the comments. What shapes the
 * artifact is recorded in its manifest: a new option has a line in `recorded-options.ts`.
 */
import type { BoundOptions } from '../frontends/onnx/bounded/bounds.ts';
import type { ContractOptions } from '../kernels/index.ts';
import type { AutocastPolicy } from '../passes/autocast.ts';
import type { Registry } from '../ops/registry.ts';
import type { ChannelExponents } from '../passes/even-channels.ts';
import type { PrecisionPlan } from '../passes/precision-plan.ts';
import type { BiasCorrections } from './calibrate/bias.ts';
import type { CalibrationRecord, CalibrationRequest } from './calibrate/request.ts';
import type { OperatorsRecord } from './load-operators.ts';
import type { SearchRecord, SearchSettings } from './precision-search/types.ts';

export const PRECISIONS = ['fp32', 'bf16', 'fp16', 'int8', 'auto'] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface CompileOptions {
  /** Shapes of inputs by name, for dimensions the model leaves open. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Sizes of symbolic dimensions by name. */
  readonly dims?: Readonly<Record<string, number>>;
  /**
   * Least sizes where they vary from run to run, by INPUT[AXIS] or named dimension; `shapes` and `dims` have
   * the most. Default: sizes are fixed.
   */
  readonly least?: Readonly<Record<string, number>>;
  /** Size of open leading dimensions; default 1. */
  readonly batch?: number;
  /**
   * Bounds of what depends on data, by tensors (or TENSOR[AXIS]): most of their values, or of their extents.
   * Runs beyond are errors. Default: what the model says, else what is assumed (docs/data-dependent-sizes.md).
   */
  readonly bounds?: BoundOptions;
  /**
   * Target name or family, or several: the artifact then has a library for each, of which a machine
   * loads the best it can run. Default: this machine.
   */
  readonly target?: string | readonly string[];
  /** true: the artifact has a static library (lib/TARGET.a) beside each shared one. */
  readonly static?: boolean;
  /** Functions of the C interface are NAME_open, …, so that several models fit into one program. */
  readonly prefix?: string;
  /** Most nodes that may be steps of the Node runtime; more are HONE-COMPILE-043. Default: any number. */
  readonly maxFallback?: number;
  /** Limit for the C compiler; default 300,000. */
  readonly timeoutMs?: number;
  /** false: objects compiled before are not used again. Default true. */
  readonly objectCache?: boolean;
  /** Operators to know: the standard ones, or those of `registerOperator` and `loadOperators`. */
  readonly registry?: Registry;
  /** Files that `registry` has operators of, for the manifest; given by `loadOperators`. */
  readonly operators?: readonly OperatorsRecord[];
  /** Samples that say what ranges values have, and how ranges are chosen. */
  readonly calibration?: CalibrationRequest;
  /** What precision "auto" may lose, by which metric; default 1 % of agreement. */
  readonly search?: SearchSettings;
  /** What precision "auto" found; for a rebuild, with `plan`. */
  readonly searched?: SearchRecord;
  /** What is added to biases, by node; a choice, kept with `plan`. */
  readonly biases?: BiasCorrections;
  /** Powers of two that channels are divided by before they are quantised; a choice, kept with `plan`. */
  readonly channels?: ChannelExponents;
  /** Why contractions have their precision, by name; a choice, kept with `plan`. */
  readonly reasons?: ReadonlyMap<string, string>;
  /** What a calibration was made with; for a rebuild, with `plan`. */
  readonly calibrated?: CalibrationRecord;
  /** Precision of values and contractions, by name: a choice, kept in choices.json. */
  readonly plan?: PrecisionPlan;
  /** false: every operator is a kernel of its own. Default true. */
  readonly fuse?: boolean;
  readonly contract?: ContractOptions;
  /** What values are kept in and contractions multiply; they sum in 32 bits. Default fp32; int8 needs `calibration`. */
  readonly precision?: Precision;
  /** What 16-bit precisions narrow. Default all. */
  readonly autocast?: AutocastPolicy;
  /** Least work of a worker in ns, by a rough estimate; 0: any number. Default 40,000. */
  readonly workPerWorkerNs?: number;
  /**
   * Most bytes of weights and working memory together, for each target; inputs and outputs apart.
   * Default: packed weights of little more than the parameters' size.
   */
  readonly memoryBytes?: number;
  readonly onProgress?: (message: string) => void;
}
