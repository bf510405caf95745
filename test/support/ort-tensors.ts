/** Our tensors as onnxruntime-node's, and back. */
import { ORT_TYPES } from 'hone/bench/engine-onnxruntime';
import type { DType } from 'hone-runtime/base/dtype';
import { type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';

/** Can onnxruntime-node be handed such tensors from JavaScript? */
export function hasOrtType(dtype: DType): boolean {
  return ORT_TYPES[dtype] !== undefined;
}

/** Shares the tensor's memory. Throws where there is no such type. */
export function toOrt({ dtype, data, shape }: Tensor): ort.Tensor {
  const type = ORT_TYPES[dtype];
  if (type === undefined) throw new Error(`${dtype} has no type of the peer`);
  return new ort.Tensor(type, data as Float32Array, shape);
}

/** A copy; throws where it is missing or of another type. */
export function fromOrt(tensor: ort.Tensor | undefined, dtype: DType): Tensor {
  if (tensor === undefined || tensor.type !== ORT_TYPES[dtype]) {
    throw new Error(`the peer gives ${tensor?.type}, not ${dtype}`);
  }
  if (dtype === 'string') return { dtype, shape: tensor.dims, data: tensor.data as string[] };
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  const copy = new Uint8Array(buffer, byteOffset, byteLength).slice();
  return { dtype, shape: tensor.dims, data: viewBytes(dtype, copy) };
}
