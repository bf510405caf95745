/** What lowering a stage gives: a loop function and what its buffers are. */
import type { Target } from 'hone-runtime/target/types';
import type { DType, TypedArray } from 'hone-runtime/base/dtype';
import type { LoopFn } from '../loop/types.ts';
import type { Buffer, Stage } from '../stages/types.ts';

/** What the compiler passes for a buffer parameter of a kernel. */
export type KernelBuffer =
  | { readonly kind: 'operand'; readonly operand: number }
  | { readonly kind: 'output'; readonly output: number }
  /** A constant operand in the kernel's own order, made at compile time. */
  | {
      readonly kind: 'packed';
      readonly operand: number;
      readonly packing: string;
      /** Of the packed elements; default: the operand's. */
      readonly dtype?: DType;
      readonly pack: () => TypedArray;
    }
  /** Memory of the step alone, shared by its workers. */
  | {
      readonly kind: 'workspace';
      readonly name: string;
      readonly dtype: DType;
      readonly count: number;
    };

export interface Kernel {
  /** Row of the kernel table, e.g. "conv_f32_14x2". */
  readonly row: string;
  /** Why this row. */
  readonly why: string;
  readonly fn: LoopFn;
  /** One per `fn.buffers`. */
  readonly buffers: readonly KernelBuffer[];
  /** What its weights take beyond their own size, where the kernel can do without. */
  readonly bought?: Bought;
}

/** Memory that buys speed. */
export interface Bought {
  readonly bytes: number;
  /** About what doing without costs in all, of one core. */
  readonly cycles: number;
}

export interface KernelContext {
  readonly stage: Stage;
  readonly buffers: readonly Buffer[];
  readonly target: Target;
}
