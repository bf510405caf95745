/**
 * Elements of less than a byte, as ONNX packs them: two or four in a byte, the first in the low bits,
 * the last byte filled up with zeros. In memory each takes a byte (`base/dtype.ts`).
 */
import { wrapSmallInt } from 'hone-runtime/base/bit-patterns';
import { type DType, dtypeBits, isSmallInt, type TypedArray } from 'hone-runtime/base/dtype';
import { allocateData, type Tensor } from 'hone-runtime/base/tensor';

/** Bytes that `count` packed elements take. */
export function packedBytes(dtype: DType, count: number): number {
  return Math.ceil((count * dtypeBits(dtype)) / 8);
}

export function unpackElements(dtype: DType, bytes: ArrayLike<number>, count: number): TypedArray {
  const bits = dtypeBits(dtype);
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const data = allocateData(dtype, count);
  for (let i = 0; i < count; i++) {
    const byte = bytes[Math.floor(i / perByte)] as number;
    const pattern = (byte >> (bits * (i % perByte))) & mask;
    data[i] = isSmallInt(dtype) ? wrapSmallInt(dtype, pattern) : pattern;
  }
  return data;
}

export function packElements({ dtype, data }: Tensor): Uint8Array {
  const bits = dtypeBits(dtype);
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const out = new Uint8Array(packedBytes(dtype, data.length));
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor(i / perByte);
    out[at] = (out[at] as number) | ((Number(data[i]) & mask) << (bits * (i % perByte)));
  }
  return out;
}
