/**
 * Element types: their names, sizes and JavaScript storage.
 *
 * Names are used unchanged in printed forms, manifests, reports and the C ABI (`HONE_F32`, …).
 * f16 and bf16 are stored as their 16-bit patterns; bool is one byte, 0 or 1. Floats of 4 and 8 bits are
 * stored as patterns in a byte each, integers of 2 and 4 bits as a byte each, sign-extended: packing is
 * a matter of files.
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
  | 'string'
  | SmallFloat
  | SmallInt;

/** Floats of 4 and 8 bits, as ONNX names them. */
export type SmallFloat = 'f8e4m3fn' | 'f8e4m3fnuz' | 'f8e5m2' | 'f8e5m2fnuz' | 'f8e8m0' | 'f4e2m1';

/** Integers of 2 and 4 bits. */
export type SmallInt = 'i4' | 'u4' | 'i2' | 'u2';

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
  /** Bytes of one element in memory; 0 for strings, which have no fixed size. */
  readonly bytes: number;
  /** Bits of one element where fewer than its bytes hold. */
  readonly bits?: number;
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
  f8e4m3fn: { bytes: 1, kind: 'float', code: 17 },
  f8e4m3fnuz: { bytes: 1, kind: 'float', code: 18 },
  f8e5m2: { bytes: 1, kind: 'float', code: 19 },
  f8e5m2fnuz: { bytes: 1, kind: 'float', code: 20 },
  u4: { bytes: 1, bits: 4, kind: 'uint', code: 21 },
  i4: { bytes: 1, bits: 4, kind: 'int', code: 22 },
  f4e2m1: { bytes: 1, bits: 4, kind: 'float', code: 23 },
  f8e8m0: { bytes: 1, kind: 'float', code: 24 },
  u2: { bytes: 1, bits: 2, kind: 'uint', code: 25 },
  i2: { bytes: 1, bits: 2, kind: 'int', code: 26 },
};

export const DTYPES = Object.keys(INFO) as readonly DType[];

export function isDType(name: string): name is DType {
  return Object.hasOwn(INFO, name);
}

/** Bytes of one element (0 for strings). */
export function dtypeBytes(dtype: DType): number {
  return INFO[dtype].bytes;
}

/** Bits that count in one element: those a file packs (0 for strings). */
export function dtypeBits(dtype: DType): number {
  return INFO[dtype].bits ?? INFO[dtype].bytes * 8;
}

/** Stored as bit patterns in integers: f16, bf16 and the floats of 4 and 8 bits. */
export function isBitPattern(dtype: DType): boolean {
  return INFO[dtype].kind === 'float' && INFO[dtype].bytes < 4;
}

/** Integers of 2 and 4 bits. */
export function isSmallInt(dtype: DType): dtype is SmallInt {
  const { bits, kind } = INFO[dtype];
  return bits !== undefined && kind !== 'float';
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
