/**
 * Steps that only the Node runtime runs: texts, which kernels and the C interface do not know.
 *
 * A model with such steps has a compiled part between them. Values are called by name; steps run in
 * order, and the compiled part (`native`) takes and gives values of the names of its own signature.
 */
import type { DType } from '../base/dtype.ts';
import type { Tensor } from '../base/tensor.ts';

/** A value as its user sees it; texts have 0 bytes. */
export interface HostSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** As in TensorSpec. */
  readonly keys?: readonly string[] | readonly number[];
  /** As in TensorSpec. */
  readonly bounded?: readonly number[];
}

/** Along an axis, an output has as many elements as a value, an i64 scalar, says: steps give it whole. */
export interface HostExtent {
  readonly output: string;
  readonly axis: number;
  readonly from: string;
}

export type HostAttr = number | string | readonly number[] | readonly string[] | Tensor;
export type HostAttrs = Readonly<Record<string, HostAttr>>;

/** One of several runs of the compiled part, where steps on texts interrupt it. */
export interface NativePhase {
  /** The input of the compiled part that says which it is. */
  readonly input: string;
  readonly number: number;
  /** The outputs that it makes; all others are without meaning. */
  readonly gives: readonly string[];
  /** Inputs that earlier phases make, and the values they are. Zeros stand for those that are not there yet. */
  readonly keeps: Readonly<Record<string, string>>;
}

export type HostStep =
  | { readonly kind: 'native'; readonly phase?: NativePhase }
  | { readonly kind: 'constant'; readonly name: string; readonly tensor: Tensor }
  | {
      readonly kind: 'routine';
      /** The node's name in the model, for errors. */
      readonly node: string;
      readonly routine: string;
      readonly attrs: HostAttrs;
      /** null: an optional input that is absent. */
      readonly inputs: readonly (string | null)[];
      readonly outputs: readonly HostSpec[];
    };

export interface HostProgram {
  /** Signature of the whole model; the manifest's own is that of its compiled part. */
  readonly inputs: readonly HostSpec[];
  readonly outputs: readonly HostSpec[];
  readonly steps: readonly HostStep[];
  /** Of outputs that steps give; the compiled part cuts its own. Absent: none. */
  readonly extents?: readonly HostExtent[];
}
