/** Tensors as ONNX TensorProto messages: numbers in raw_data, strings in string_data. */
import { dtypeBits, dtypeCode } from 'hone-runtime/base/dtype';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import { packElements } from './packed-elements.ts';
import { TENSOR } from './proto.ts';
import { WireWriter } from './wire-writer.ts';

/** Appends the fields of a TensorProto. */
export function putTensor(writer: WireWriter, tensor: Tensor, name = ''): void {
  if (tensor.shape.length > 0) writer.packedInts(TENSOR.dims, tensor.shape);
  writer.int(TENSOR.dataType, dtypeCode(tensor.dtype));
  if (name !== '') writer.string(TENSOR.name, name);
  if (tensor.dtype === 'string') {
    for (const text of tensor.data as readonly string[]) writer.string(TENSOR.stringData, text);
  } else {
    const isPacked = dtypeBits(tensor.dtype) < 8;
    writer.bytes(TENSOR.rawData, isPacked ? packElements(tensor) : bytesOf(tensor));
  }
}

/** A tensor as a file of the ONNX test data (`input_0.pb`). */
export function writeTensorProto(tensor: Tensor, name = ''): Uint8Array {
  const writer = new WireWriter();
  putTensor(writer, tensor, name);
  return writer.finish();
}
