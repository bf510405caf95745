/**
 * An ONNX model as plain data: what the file says, nothing interpreted.
 *
 * Tensor payloads are not in here, only where they lie in the file. Integers beyond 2^53 lose
 * precision; those beyond the int64 range's last double are clamped to it, so that "to the end"
 * markers (INT64_MAX) stay positive when they become int64 again.
 */
import type { ByteSource } from 'hone-runtime/base/io';

/** Bytes of the model file. `packed`: values without tags (raw elements or packed varints). */
export interface Run {
  readonly offset: number;
  readonly length: number;
  readonly packed: boolean;
}

export type OnnxPayload =
  | { readonly kind: 'none' }
  | { readonly kind: 'raw'; readonly offset: number; readonly length: number }
  /** Elements in a typed field (float_data, int32_data, …), by field number. */
  | { readonly kind: 'typed'; readonly field: number; readonly runs: readonly Run[] }
  | {
      readonly kind: 'external';
      readonly location: string;
      readonly offset: number;
      /** Undefined: up to the end of the file. */
      readonly length: number | undefined;
    };

export interface OnnxTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly payload: OnnxPayload;
  /** Where the payload lies. */
  readonly source: ByteSource;
}

export interface OnnxSparseTensor {
  readonly values: OnnxTensor;
  readonly indices: OnnxTensor;
  readonly dims: readonly number[];
}

/** A number, a symbol, or null where the file says nothing. */
export type OnnxDim = number | string | null;

export type OnnxType =
  | {
      readonly kind: 'tensor';
      readonly dataType: number;
      /** Null: even the rank is unknown. */
      readonly shape: readonly OnnxDim[] | null;
    }
  | { readonly kind: 'sequence' | 'optional'; readonly element: OnnxType }
  /** TensorProto.DataType of the keys; what they stand for. */
  | { readonly kind: 'map'; readonly keyType: number; readonly value: OnnxType }
  | { readonly kind: 'sparse' | 'opaque' | 'unknown' };

export interface OnnxValueInfo {
  readonly name: string;
  readonly type: OnnxType;
}

export type OnnxAttributeValue =
  | { readonly kind: 'int' | 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints' | 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'tensors'; readonly value: readonly OnnxTensor[] }
  | { readonly kind: 'graph'; readonly value: OnnxGraph }
  | { readonly kind: 'graphs'; readonly value: readonly OnnxGraph[] }
  | { readonly kind: 'sparse'; readonly value: OnnxSparseTensor }
  /** Inside a function: the value of the caller's attribute of that name. */
  | { readonly kind: 'reference'; readonly value: string }
  /** Type attributes and whatever newer files bring. */
  | { readonly kind: 'other'; readonly value: number };

export type OnnxAttribute = OnnxAttributeValue & { readonly name: string };

export interface OnnxNode {
  readonly op: string;
  /** '' for ai.onnx, however the file spells it. */
  readonly domain: string;
  /** As in the file, possibly empty. */
  readonly name: string;
  /** '' for an absent optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
  /** Which of several functions of one name is meant; usually ''. */
  readonly overload: string;
}

export interface OnnxGraph {
  readonly name: string;
  /** Each behind those it reads; so need not the file have them. */
  readonly nodes: readonly OnnxNode[];
  /** Where the file has each of the nodes; absent where that is the place in `nodes`. */
  readonly positions?: readonly number[];
  /** As in the file: may name initializers too. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly valueInfo: readonly OnnxValueInfo[];
  readonly initializers: readonly OnnxTensor[];
  readonly sparseInitializers: readonly OnnxSparseTensor[];
}

export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes without a default. */
  readonly attributes: readonly string[];
  readonly attributeDefaults: readonly OnnxAttribute[];
  readonly valueInfo: readonly OnnxValueInfo[];
  /** Each behind those it reads. */
  readonly nodes: readonly OnnxNode[];
  readonly opsets: ReadonlyMap<string, number>;
}

export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: number;
  readonly graph: OnnxGraph;
  /** Opset by domain ('' for ai.onnx). */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly functions: readonly OnnxFunction[];
  /** The model file; constants of an imported graph read from it. */
  readonly source: ByteSource;
  /** Files of external data. */
  readonly external: ExternalFiles;
  /** Closes the model file and every external one. */
  close(): void;
}

/** Opens files of external tensor data by their location relative to the model. */
export interface ExternalFiles {
  open(location: string, tensor: string): ByteSource;
  close(): void;
}
