/**
 * Elements of ONNX tensors: where they lie as raw bytes, or decoded into host tensors.
 *
 * Payload sizes are checked against the dimensions before anything is allocated.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import {
  type DType,
  dtypeBits,
  dtypeBytes,
  dtypeFromCode,
  type TensorData,
} from 'hone-runtime/base/dtype';
import type { ByteSource } from 'hone-runtime/base/io';
import { allocateData, elementCount, type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import { packedBytes, unpackElements } from './packed-elements.ts';
import { dataTypeName, typedField } from './proto.ts';
import type { ExternalFiles, OnnxSparseTensor, OnnxTensor, Run } from './types.ts';
import { WireReader } from './wire-reader.ts';

const EXPORT_AGAIN = 'the model is damaged or not valid ONNX: fetch or export it again';
/** Dense form of a sparse tensor, at most. */
const MAX_DENSE_BYTES = 256 * 1024 * 1024;

/** Raw little-endian elements in a file. */
export interface StoredElements {
  readonly source: ByteSource;
  readonly offset: number;
}

/** How messages call a tensor. */
function subjectOf(tensor: OnnxTensor): string {
  return tensor.name === '' ? 'a tensor without a name' : `tensor ${tensor.name}`;
}

/** The element type of a TensorProto.DataType; an error where Hone has none. */
export function dtypeOf(dataType: number, subject: string): DType {
  const dtype = dtypeFromCode(dataType);
  if (dtype !== undefined) return dtype;
  return fail(
    'HONE-ONNX-012',
    `${subject} has elements of type ${dataTypeName(dataType)}, which is not supported`,
    subject,
    'export the model with float, integer, bool or string tensors',
  );
}

/** Where the elements lie as raw bytes; undefined where they have to be decoded. */
export function storedElements(
  tensor: OnnxTensor,
  external: ExternalFiles,
): StoredElements | undefined {
  const dtype = dtypeOf(tensor.dataType, subjectOf(tensor));
  if (dtype === 'string' || dtypeBits(dtype) < 8) return undefined;
  return rawElements(tensor, dtype, checkedCount(tensor) * dtypeBytes(dtype), external);
}

/** The bytes of raw or external data, or of packed floats. */
function rawElements(
  tensor: OnnxTensor,
  dtype: DType,
  bytes: number,
  external: ExternalFiles,
): StoredElements | undefined {
  const { payload } = tensor;
  if (payload.kind === 'raw') {
    checkBytes(tensor, bytes, payload.length);
    return { source: tensor.source, offset: payload.offset };
  }
  if (payload.kind === 'external') {
    const source = external.open(payload.location, tensor.name);
    const length = payload.length ?? Math.max(0, source.size - payload.offset);
    if (payload.offset + length > source.size) {
      fail(
        'HONE-ONNX-013',
        `${subjectOf(tensor)} lies at bytes ${payload.offset} to ${payload.offset + length} of ${source.name}, which ends at ${source.size}`,
        source.name,
        'the external data file is truncated or of another model: fetch it again',
      );
    }
    // Without a stated length the rest of the file may belong to other tensors.
    checkBytes(tensor, bytes, payload.length ?? Math.min(length, bytes));
    return { source, offset: payload.offset };
  }
  if (payload.kind !== 'typed' || payload.field !== typedField(dtype)) return undefined;
  const [run] = payload.runs;
  // Packed floats and doubles are the raw bytes themselves.
  if (run?.packed && payload.runs.length === 1 && (dtype === 'f32' || dtype === 'f64')) {
    checkBytes(tensor, bytes, run.length);
    return { source: tensor.source, offset: run.offset };
  }
  return undefined;
}

/** The tensor with its elements in memory. */
export function loadTensor(tensor: OnnxTensor, external: ExternalFiles): Tensor {
  const dtype = dtypeOf(tensor.dataType, subjectOf(tensor));
  const shape = tensor.dims;
  const count = checkedCount(tensor);
  const stored = storedElements(tensor, external);
  if (stored !== undefined) {
    const bytes = stored.source.read(stored.offset, count * dtypeBytes(dtype));
    const data = viewBytes(dtype, bytes);
    return { dtype, shape, data: dtype === 'bool' ? normalBools(data as Uint8Array) : data };
  }
  return {
    dtype,
    shape,
    data:
      dtypeBits(dtype) < 8 && dtype !== 'string'
        ? packedElements(tensor, dtype, count, external)
        : typedElements(tensor, dtype, count),
  };
}

/** Elements of less than a byte: unpacked from raw data, or from the low bytes of int32_data. */
function packedElements(
  tensor: OnnxTensor,
  dtype: DType,
  count: number,
  external: ExternalFiles,
): TensorData {
  const size = packedBytes(dtype, count);
  const stored = rawElements(tensor, dtype, size, external);
  const bytes =
    stored === undefined
      ? (typedElements(tensor, 'u8', size) as Uint8Array)
      : stored.source.read(stored.offset, size);
  return unpackElements(dtype, bytes, count);
}

/** The dense form of a sparse tensor (COO: linear indices, or one row of coordinates a value). */
export function loadSparse(sparse: OnnxSparseTensor, external: ExternalFiles): Tensor {
  const values = loadTensor(sparse.values, external);
  const indices = loadTensor(sparse.indices, external);
  const subject = subjectOf(sparse.values);
  const shape = sparse.dims;
  const count = elementCount(shape);
  const rank = shape.length;
  const rows = values.data.length;
  const linear = indices.shape.length === 1;
  const fits = indices.dtype === 'i64' && indices.data.length === (linear ? rows : rows * rank);
  const sane = shape.every((dim) => dim >= 0) && count * 8 <= MAX_DENSE_BYTES;
  if (!fits || !sane || values.dtype === 'string') {
    fail(
      'HONE-ONNX-010',
      `${subject}: its sparse values, indices and shape [${shape.join(',')}] do not fit together`,
      subject,
      EXPORT_AGAIN,
    );
  }
  const data = allocateData(values.dtype, count);
  for (let row = 0; row < rows; row++) {
    let at = linear ? Number(indices.data[row]) : 0;
    for (let axis = 0; axis < rank && !linear; axis++) {
      at = at * (shape[axis] as number) + Number(indices.data[row * rank + axis]);
    }
    if (!(at >= 0 && at < count)) {
      fail('HONE-ONNX-010', `${subject}: sparse index ${at} is outside`, subject, EXPORT_AGAIN);
    }
    data[at] = values.data[row] as number;
  }
  return { dtype: values.dtype, shape, data };
}

function checkedCount(tensor: OnnxTensor): number {
  const count = elementCount(tensor.dims);
  if (!Number.isSafeInteger(count * 8)) {
    const message = `${subjectOf(tensor)} has ${count} elements`;
    fail('HONE-ONNX-010', message, tensor.name, EXPORT_AGAIN);
  }
  return count;
}

function checkBytes(tensor: OnnxTensor, wanted: number, have: number): void {
  if (wanted === have) return;
  fail(
    'HONE-ONNX-010',
    `${subjectOf(tensor)} of ${tensor.source.name} has shape [${tensor.dims.join(',')}], which takes ${wanted} bytes, but ${have} are stored`,
    tensor.name,
    EXPORT_AGAIN,
  );
}

function normalBools(data: Uint8Array): Uint8Array {
  return data.every((value) => value <= 1) ? data : data.map((value) => (value === 0 ? 0 : 1));
}

/** Decodes a typed field. Its bytes bound the number of elements, so sizes are checked first. */
function typedElements(tensor: OnnxTensor, dtype: DType, count: number): TensorData {
  const { payload, source } = tensor;
  const runs = payload.kind === 'typed' ? payload.runs : [];
  const stored = runs.reduce((sum, run) => sum + run.length, 0);
  const field = payload.kind === 'typed' ? payload.field : typedField(dtype);
  if (field !== typedField(dtype) || count > stored) {
    fail(
      'HONE-ONNX-010',
      `${subjectOf(tensor)} of ${source.name} has ${count} elements of ${dtype}, which its ${stored} bytes of data do not give`,
      tensor.name,
      EXPORT_AGAIN,
    );
  }
  if (dtype === 'string') {
    const texts: string[] = [];
    readRuns(source, runs, (r) => texts.push(r.string()));
    checkCount(tensor, count, texts.length);
    return texts;
  }
  if (dtype === 'i64' || dtype === 'u64') {
    const halves = new Uint32Array(count * 2);
    let next = 0;
    readVarints(source, runs, (low, high) => {
      halves[next++] = low;
      halves[next++] = high;
    });
    checkCount(tensor, count, next / 2);
    return dtype === 'i64' ? new BigInt64Array(halves.buffer) : new BigUint64Array(halves.buffer);
  }
  const data = allocateData(dtype, count);
  let next = 0;
  if (dtype === 'f32' || dtype === 'f64') {
    const bytes = dtype === 'f32' ? 4 : 8;
    for (const run of runs) {
      const stride = run.packed ? bytes : bytes + 1;
      const view = viewOf(source.read(run.offset, run.length));
      for (let at = stride - bytes; at + bytes <= view.byteLength; at += stride) {
        data[next++] = bytes === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
      }
    }
  } else {
    // int32_data carries f16 and bf16 as bit patterns; typed arrays keep the low bits.
    readVarints(source, runs, (low) => {
      data[next++] = dtype === 'bool' ? (low === 0 ? 0 : 1) : low;
    });
  }
  checkCount(tensor, count, next);
  return data;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checkCount(tensor: OnnxTensor, wanted: number, have: number): void {
  if (wanted === have) return;
  fail(
    'HONE-ONNX-010',
    `${subjectOf(tensor)} of ${tensor.source.name} has shape [${tensor.dims.join(',')}] but ${have} elements`,
    tensor.name,
    EXPORT_AGAIN,
  );
}

/** Calls `each` for every field of unpacked runs. */
function readRuns(source: ByteSource, runs: readonly Run[], each: (r: WireReader) => void): void {
  const r = new WireReader(source);
  for (const run of runs) {
    r.position = run.offset;
    while (r.next(run.offset + run.length)) each(r);
  }
}

/** Calls `each` with the 32-bit halves of every varint of packed and unpacked runs. */
function readVarints(
  source: ByteSource,
  runs: readonly Run[],
  each: (low: number, high: number) => void,
): void {
  for (const run of runs) {
    const bytes = source.read(run.offset, run.length);
    let at = 0;
    while (at < bytes.length) {
      // Field numbers of tensor data are below 16: tags take one byte.
      if (!run.packed) at++;
      let low = 0;
      let high = 0;
      let shift = 0;
      for (; at < bytes.length; shift += 7) {
        const byte = bytes[at++] as number;
        const bits = byte & 0x7f;
        if (shift < 28) low |= bits << shift;
        else if (shift === 28) {
          low |= bits << 28;
          high |= bits >>> 4;
        } else if (shift < 64) high |= bits << (shift - 32);
        if (byte < 0x80) break;
      }
      each(low >>> 0, high >>> 0);
    }
  }
}
