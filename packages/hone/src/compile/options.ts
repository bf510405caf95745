/** What a user can ask of a compilation. All optional; defaults in the comments. */
import type { ContractOptions } from '../kernels/index.ts';
import type { Registry } from '../ops/registry.ts';

export interface CompileOptions {
  /** Shapes of inputs by name, for dimensions the model leaves open. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Sizes of symbolic dimensions by name. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Size of open leading dimensions; default 1. */
  readonly batch?: number;
  /** Target name or family; default: this machine. */
  readonly target?: string;
  /** Limit for the C compiler; default 300,000. */
  readonly timeoutMs?: number;
  readonly registry?: Registry;
  /** false: every operator is a kernel of its own. Default true. */
  readonly fuse?: boolean;
  readonly contract?: ContractOptions;
  readonly onProgress?: (message: string) => void;
}
