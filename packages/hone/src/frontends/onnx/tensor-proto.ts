/** Stand-alone TensorProto files, as the ONNX test data has them. */
import { fail } from 'hone-runtime/base/diagnostics';
import { type ByteSource, memorySource } from 'hone-runtime/base/io';
import type { Tensor } from 'hone-runtime/base/tensor';
import { externalFilesFrom } from './external-files.ts';
import { TENSOR } from './proto.ts';
import { readTensor } from './read-tensor.ts';
import { loadTensor } from './tensor-elements.ts';
import type { OnnxType } from './types.ts';
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

/** A value of the ONNX test data. */
export type OnnxValue =
  | Tensor
  | { readonly kind: 'sequence'; readonly items: readonly OnnxValue[] }
  | { readonly kind: 'optional'; readonly item: OnnxValue | null };

/** Reads a file of the ONNX test data whose declared type is known: a tensor, sequence or optional. */
export function readValueProto(bytes: Uint8Array, type: OnnxType, name = '<value>'): OnnxValue {
  if (type.kind !== 'sequence' && type.kind !== 'optional') return readTensorProto(bytes, name);
  const source = memorySource(bytes, name);
  const r = new WireReader(source);
  const { element } = type;
  const items: OnnxValue[] = [];
  while (r.next(source.size)) {
    // The fields of SequenceProto and OptionalProto: 3 tensors, 5 sequences, 7 optionals.
    if ((r.field === 3 || r.field === 5 || r.field === 7) && r.wire === 2) {
      const { offset, length } = r.range();
      items.push(readValueProto(bytes.slice(offset, offset + length), element, name));
    } else r.skip();
  }
  return type.kind === 'sequence'
    ? { kind: 'sequence', items }
    : { kind: 'optional', item: items[0] ?? null };
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
