/**
 * NumPy's .npy files as tensors. Reads versions 1 to 3, both byte orders and both memory orders;
 * writes version 1, little-endian, row-major. Floats that NumPy lacks (bf16, 4 and 8 bits)
 * are written as f32, integers of 2 and 4 bits as 8.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import {
  type DType,
  dtypeBytes,
  dtypeKind,
  isBitPattern,
  isSmallInt,
} from 'hone-runtime/base/dtype';
import {
  allocateData,
  bytesOf,
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
  viewBytes,
} from 'hone-runtime/base/tensor';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const FROM_NPY: Readonly<Record<string, DType>> = {
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
  i1: 'i8',
  i2: 'i16',
  i4: 'i32',
  i8: 'i64',
  u1: 'u8',
  u2: 'u16',
  u4: 'u32',
  u8: 'u64',
  b1: 'bool',
};
const TO_NPY: Partial<Record<DType, string>> = Object.fromEntries(
  Object.entries(FROM_NPY).map(([name, dtype]) => [dtype, name]),
);
const CURE = 'write it with numpy.save(file, array), without pickled objects';

export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

/** The tensor in the bytes of a .npy file; `name` is the file, for errors. */
export function parseNpy(bytes: Uint8Array, name: string): Tensor {
  if (!isNpy(bytes)) bad(name, 'is not a .npy file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = (bytes[6] ?? 1) >= 2;
  if (bytes.length < (long ? 12 : 10)) bad(name, 'is truncated');
  const begin = long ? 12 : 10;
  const headerBytes = long ? view.getUint32(8, true) : view.getUint16(8, true);
  if (begin + headerBytes > bytes.length) bad(name, 'is truncated');
  const header = new TextDecoder('latin1').decode(bytes.subarray(begin, begin + headerBytes));
  const descr = /'descr'\s*:\s*'([<>|=])(\w+)'/.exec(header);
  const dtype = FROM_NPY[descr?.[2] ?? ''];
  const dims = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === null || dims === undefined) bad(name, 'has a header that cannot be read');
  if (dtype === undefined) bad(name, `holds elements of type ${descr[2]}, which are no numbers`);
  const shape = dims
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => Number.parseInt(part, 10));
  if (shape.some((extent) => !(extent >= 0))) bad(name, 'has a shape that cannot be read');
  const size = elementCount(shape) * dtypeBytes(dtype);
  const body = bytes.subarray(begin + headerBytes);
  if (body.length < size)
    bad(name, `is truncated: ${size} bytes of data expected, ${body.length} found`);
  // The file's own bytes serve where they lie and are as the processor has them.
  const isSwapped = descr[1] === '>';
  const isAligned = body.byteOffset % dtypeBytes(dtype) === 0;
  const exact =
    isSwapped || !isAligned ? Uint8Array.from(body.subarray(0, size)) : body.subarray(0, size);
  if (isSwapped) swapBytes(exact, dtypeBytes(dtype));
  const tensor: Tensor = { dtype, shape, data: viewBytes(dtype, exact) };
  return /'fortran_order'\s*:\s*True/.test(header) ? fromColumnMajor(tensor) : tensor;
}

/** The bytes of a .npy file. */
export function formatNpy(tensor: Tensor): Uint8Array {
  const { dtype } = tensor;
  if (isBitPattern(dtype) && dtype !== 'f16') {
    return formatNpy(fromNumbers('f32', tensor.shape, toNumbers(tensor)));
  }
  if (isSmallInt(dtype)) {
    return formatNpy({ ...tensor, dtype: dtypeKind(dtype) === 'int' ? 'i8' : 'u8' });
  }
  const code = TO_NPY[tensor.dtype];
  if (code === undefined) {
    fail('HONE-IO-004', `.npy cannot hold ${tensor.dtype} elements`, undefined, 'leave it out');
  }
  const order = dtypeBytes(tensor.dtype) === 1 ? '|' : '<';
  const dims = tensor.shape.map((extent) => `${extent},`).join(' ');
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${dims}), }`;
  // The data begins at a multiple of 64 bytes; the header ends with a newline.
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = new Uint8Array(10 + padded.length);
  head.set(MAGIC);
  head.set([1, 0, padded.length & 255, padded.length >> 8], 6);
  head.set(new TextEncoder().encode(padded), 10);
  return Buffer.concat([head, bytesOf(tensor)]);
}

function bad(name: string, problem: string): never {
  fail('HONE-INPUT-010', `${name} ${problem}`, name, CURE);
}

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

function fromColumnMajor(tensor: Tensor): Tensor {
  const { dtype, shape } = tensor;
  if (dtype === 'string') return tensor;
  const source = tensor.data;
  const out = allocateData(dtype, source.length);
  const strides = stridesOf([...shape].reverse()).reverse();
  const rowMajor = stridesOf(shape);
  for (let at = 0; at < source.length; at++) {
    let from = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      const index = Math.floor(at / (rowMajor[axis] ?? 1)) % (shape[axis] ?? 1);
      from += index * (strides[axis] ?? 1);
    }
    out[at] = source[from] as never;
  }
  return { dtype, shape, data: out };
}
