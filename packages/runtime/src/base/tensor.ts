/**
 * Host tensors: dtype, shape and row-major elements.
 *
 * Shapes are plain arrays of non-negative integers; a scalar has shape []. `toNumbers` and
 * `fromNumbers` are the working form of references and tests: doubles, rounded to the dtype on
 * the way back (integers wrap as C does, floats saturate to infinity).
 */
import {
  type DType,
  dtypeBytes,
  isBig,
  isSmallInt,
  type TensorData,
  type TypedArray,
} from './dtype.ts';
import { decoderOf, encoderOf, wrapSmallInt } from './bit-patterns.ts';

export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return strides;
}

/** A zeroed array that stores `count` elements of a non-string dtype. */
export function allocateData(dtype: DType, count: number): TypedArray {
  switch (dtype) {
    case 'f32':
      return new Float32Array(count);
    case 'f64':
      return new Float64Array(count);
    case 'f16':
    case 'bf16':
    case 'u16':
      return new Uint16Array(count);
    case 'i8':
      return new Int8Array(count);
    case 'i16':
      return new Int16Array(count);
    case 'i32':
      return new Int32Array(count);
    case 'i64':
      return new BigInt64Array(count);
    case 'i4':
    case 'i2':
      return new Int8Array(count);
    case 'u8':
    case 'bool':
    case 'u4':
    case 'u2':
    case 'f8e4m3fn':
    case 'f8e4m3fnuz':
    case 'f8e5m2':
    case 'f8e5m2fnuz':
    case 'f8e8m0':
    case 'f4e2m1':
      return new Uint8Array(count);
    case 'u32':
      return new Uint32Array(count);
    case 'u64':
      return new BigUint64Array(count);
    case 'string':
      throw new TypeError('string tensors have no typed array');
    default:
      return dtype satisfies never;
  }
}

/** Reads raw little-endian bytes as elements; copies when the bytes are not aligned for the dtype. */
export function viewBytes(dtype: DType, bytes: Uint8Array): TypedArray {
  const size = dtypeBytes(dtype);
  // Not slice(): on a Node Buffer that is a view.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const count = Math.floor(bytes.byteLength / size);
  const { buffer, byteOffset } = aligned;
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer, byteOffset, count);
    case 'f64':
      return new Float64Array(buffer, byteOffset, count);
    case 'f16':
    case 'bf16':
    case 'u16':
      return new Uint16Array(buffer, byteOffset, count);
    case 'i8':
      return new Int8Array(buffer, byteOffset, count);
    case 'i16':
      return new Int16Array(buffer, byteOffset, count);
    case 'i32':
      return new Int32Array(buffer, byteOffset, count);
    case 'i64':
      return new BigInt64Array(buffer, byteOffset, count);
    case 'i4':
    case 'i2':
      return new Int8Array(buffer, byteOffset, count);
    case 'u8':
    case 'bool':
    case 'u4':
    case 'u2':
    case 'f8e4m3fn':
    case 'f8e4m3fnuz':
    case 'f8e5m2':
    case 'f8e5m2fnuz':
    case 'f8e8m0':
    case 'f4e2m1':
      return new Uint8Array(buffer, byteOffset, count);
    case 'u32':
      return new Uint32Array(buffer, byteOffset, count);
    case 'u64':
      return new BigUint64Array(buffer, byteOffset, count);
    case 'string':
      throw new TypeError('string tensors have no bytes');
    default:
      return dtype satisfies never;
  }
}

/** The bytes of a non-string tensor, without a copy. */
export function bytesOf(tensor: Tensor): Uint8Array {
  const data = tensor.data;
  if (!ArrayBuffer.isView(data)) throw new TypeError('string tensors have no bytes');
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Elements as doubles (i64 and u64 lose precision above 2^53; bool is 0 or 1). */
export function toNumbers(tensor: Tensor): Float64Array {
  const { dtype, data } = tensor;
  const out = new Float64Array(data.length);
  if (dtype === 'string') throw new TypeError('string tensors have no numbers');
  const decode = decoderOf(dtype);
  if (decode !== undefined) {
    for (let i = 0; i < out.length; i++) out[i] = decode(data[i] as number);
    return out;
  }
  for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  return out;
}

/** A tensor from doubles, rounded to the dtype; integers are truncated and wrap. */
export function fromNumbers(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  const count = elementCount(shape);
  if (values.length !== count) {
    throw new RangeError(
      `shape [${shape.join(',')}] needs ${count} elements, got ${values.length}`,
    );
  }
  const data = allocateData(dtype, count);
  const encode = encoderOf(dtype);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < count; i++) data[i] = toBig(values[i] as number);
  } else if (encode !== undefined) {
    for (let i = 0; i < count; i++) data[i] = encode(values[i] as number);
  } else if (isSmallInt(dtype)) {
    for (let i = 0; i < count; i++) data[i] = wrapSmallInt(dtype, values[i] as number);
  } else if (dtype === 'bool') {
    for (let i = 0; i < count; i++) data[i] = values[i] === 0 ? 0 : 1;
  } else {
    for (let i = 0; i < count; i++) data[i] = values[i] as number;
  }
  return { dtype, shape, data };
}

/** Elements of an integer or bool tensor as bigints. */
export function toBigInts(tensor: Tensor): BigInt64Array | BigUint64Array {
  const { data, dtype } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return data;
  if (isBig(dtype) || dtype === 'string') throw new TypeError(`no integers in ${dtype}`);
  return BigInt64Array.from(toNumbers(tensor), (value) => toBig(value));
}

function toBig(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  if (!Number.isFinite(value)) return value > 0 ? 0x7fffffffffffffffn : -0x8000000000000000n;
  return BigInt(Math.trunc(value));
}
