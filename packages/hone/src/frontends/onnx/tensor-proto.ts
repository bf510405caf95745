/** Stand-alone TensorProto files, as the ONNX test data has them. */
import { fail } from 'hone-runtime/base/diagnostics';
import { type ByteSource, memorySource } from 'hone-runtime/base/io';
import type { Tensor } from 'hone-runtime/base/tensor';
import { externalFilesFrom } from './external-files.ts';
import { TENSOR } from './proto.ts';
import { readTensor } from './read-tensor.ts';
import { loadTensor } from './tensor-elements.ts';
import { WireReader } from './wire-reader.ts';

/**
 * Reads a tensor file (`input_0.pb`). Sequences and optionals, which share the file name in the
 * ONNX test data, are refused with HONE-ONNX-040.
 */
export function readTensorProto(bytes: Uint8Array, name = '<tensor>'): Tensor {
  const source = memorySource(bytes, name);
  if (isContainer(source)) {
    fail(
      'HONE-ONNX-040',
      `${name} does not hold a tensor: it is empty, a sequence, an optional or a map`,
      name,
      'give a file with one tensor (TensorProto)',
    );
  }
  const tensor = readTensor(new WireReader(source), source.size);
  return loadTensor(tensor, externalFilesFrom({}, name));
}

/**
 * Sequences and optionals keep their values in field 3, which tensors do not use; a tensor always
 * has its element type in field 2.
 */
function isContainer(source: ByteSource): boolean {
  const r = new WireReader(source);
  let hasType = false;
  while (r.next(source.size)) {
    if (r.field === 3 && r.wire === 2) return true;
    if (r.field === TENSOR.dataType) hasType = true;
    r.skip();
  }
  return !hasType;
}
