/**
 * Element types: their names, sizes and JavaScript storage.
 *
 * Names are used unchanged in printed forms, manifests, reports and the C ABI (`HONE_F32`, …).
 * f16 and bf16 are stored as their 16-bit patterns; bool is one byte, 0 or 1.
 */

export type DType =
  | 'f32'
  | 'f64'
  | 'f16'
  | 'bf16'
  | 'i8'
  | 'i16'
  | 'i32'
  | 'i64'
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'bool'
  | 'string';

/** Storage of a tensor's elements in row-major order. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[];

export type TypedArray = Exclude<TensorData, readonly string[]>;

export type DTypeKind = 'float' | 'int' | 'uint' | 'bool' | 'string';

interface DTypeInfo {
  /** Bytes of one element; 0 for strings, which have no fixed size. */
  readonly bytes: number;
  readonly kind: DTypeKind;
  /** Number used in the C ABI and in artifacts; ONNX's TensorProto.DataType value. */
  readonly code: number;
}

const INFO: Readonly<Record<DType, DTypeInfo>> = {
  f32: { bytes: 4, kind: 'float', code: 1 },
  u8: { bytes: 1, kind: 'uint', code: 2 },
  i8: { bytes: 1, kind: 'int', code: 3 },
  u16: { bytes: 2, kind: 'uint', code: 4 },
  i16: { bytes: 2, kind: 'int', code: 5 },
  i32: { bytes: 4, kind: 'int', code: 6 },
  i64: { bytes: 8, kind: 'int', code: 7 },
  string: { bytes: 0, kind: 'string', code: 8 },
  bool: { bytes: 1, kind: 'bool', code: 9 },
  f16: { bytes: 2, kind: 'float', code: 10 },
  f64: { bytes: 8, kind: 'float', code: 11 },
  u32: { bytes: 4, kind: 'uint', code: 12 },
  u64: { bytes: 8, kind: 'uint', code: 13 },
  bf16: { bytes: 2, kind: 'float', code: 16 },
};

export const DTYPES = Object.keys(INFO) as readonly DType[];

export function isDType(name: string): name is DType {
  return Object.hasOwn(INFO, name);
}

/** Bytes of one element (0 for strings). */
export function dtypeBytes(dtype: DType): number {
  return INFO[dtype].bytes;
}

export function dtypeKind(dtype: DType): DTypeKind {
  return INFO[dtype].kind;
}

/** The C ABI's number of a dtype, equal to ONNX's TensorProto.DataType. */
export function dtypeCode(dtype: DType): number {
  return INFO[dtype].code;
}

export function dtypeFromCode(code: number): DType | undefined {
  return DTYPES.find((dtype) => INFO[dtype].code === code);
}

export function isFloat(dtype: DType): boolean {
  return INFO[dtype].kind === 'float';
}

/** True for signed and unsigned integers, not for bool. */
export function isInteger(dtype: DType): boolean {
  const kind = INFO[dtype].kind;
  return kind === 'int' || kind === 'uint';
}

/** True for i64 and u64, whose elements are bigints in JavaScript. */
export function isBig(dtype: DType): boolean {
  return dtype === 'i64' || dtype === 'u64';
}
