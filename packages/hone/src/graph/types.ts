/**
 * The Graph form: operators on typed values.
 *
 * A Graph is plain frozen data. Nodes are in topological order. Every value has one producer: a
 * node output, a graph input, or a constant. Shapes are static: symbolic dimensions are bound
 * when a model is imported. An operator has one meaning, the newest; importers upgrade old forms.
 */
import type { ByteSource } from 'hone-runtime/base/io';
import type { DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';

/** Index into `Graph.values`. */
export type ValueId = number & { readonly brand?: 'ValueId' };

export interface ValueType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Elements known at compile time: in memory, or raw little-endian bytes still in the model file. */
export type Constant =
  | { readonly kind: 'inline'; readonly tensor: Tensor }
  | { readonly kind: 'file'; readonly source: ByteSource; readonly offset: number };

export interface Value {
  readonly id: ValueId;
  /** The name in the source model, or one made from the producing node's. Unique in the graph. */
  readonly name: string;
  readonly type: ValueType;
  /** Present for constants only. */
  readonly constant?: Constant;
}

export type AttrValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Tensor
  | Graph
  | readonly Graph[];

export type Attrs = Readonly<Record<string, AttrValue>>;

export interface Node {
  /** Operator name, as ONNX spells it. */
  readonly op: string;
  /** '' for ai.onnx; else the operator's domain. */
  readonly domain: string;
  /** The node's name in the source model; how errors and reports call it. */
  readonly name: string;
  /** null: an optional input that is absent. */
  readonly inputs: readonly (ValueId | null)[];
  readonly outputs: readonly ValueId[];
  /** Every attribute of the operator, defaults filled in. */
  readonly attrs: Attrs;
}

/** Along an axis, an output holds only as many elements as another output, an i64 scalar, says. */
export interface OutputExtent {
  /** Position among the graph's outputs. */
  readonly output: number;
  readonly axis: number;
  /** Position of the output with the extent: one that the model's user does not see. */
  readonly from: number;
}

/** Along an axis, an input holds only as many elements as a hidden input, an i64 scalar, says. */
export interface InputRange {
  /** Position among the graph's inputs. */
  readonly input: number;
  readonly axis: number;
  /** Position of the input with the extent: one that the model's user does not give. */
  readonly from: number;
  /** The least extent; the most is the shape's. */
  readonly least: number;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  readonly values: readonly Value[];
  readonly nodes: readonly Node[];
  /**
   * Sizes that depend on data: shapes are bounds, these say how much of them is meant. Outputs that
   * give extents come last.
   */
  readonly extents?: readonly OutputExtent[];
  /** Inputs whose extents vary from run to run: shapes are the most. Inputs that give extents come last. */
  readonly ranges?: readonly InputRange[];
}
