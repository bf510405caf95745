/**
 * Text of tensors inside the graph and stage forms: `f32[2,2] {1, 2, 3, 4}`, `f32[8] splat 1`,
 * `f32[64,3] hex "…"` (exact bytes) or `f32[64,3] digest 1f2e…` (the reader must know the tensor).
 * All but `digest` read back exactly; a NaN reads back as NaN.
 */
import { createHash } from 'node:crypto';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { encoderOf } from 'hone-runtime/base/bit-patterns';
import {
  bytesOf,
  elementCount,
  fromNumbers,
  type Tensor,
  toNumbers,
  viewBytes,
} from 'hone-runtime/base/tensor';
import { printNumber, type Scanner } from '../expr/scanner.ts';

/** How constants with many elements are written. */
export interface TensorTextOptions {
  /** `digest` (the default) keeps text short; `full` reads back without help. */
  readonly constants?: 'full' | 'digest';
  /** How files that constants lie in are called; default: by their own names. */
  readonly fileName?: (name: string) => string;
}

/** Finds what text only names: tensors by digest. */
export interface TensorReadOptions {
  readonly tensorOf?: (digest: string) => Tensor | undefined;
}

const MAX_LISTED = 32;
const DIGEST_HEX = 32;

export function printType(dtype: DType, shape: readonly number[]): string {
  return `${dtype}[${shape.join(',')}]`;
}

/** SHA-256 of dtype, shape and bytes, shortened: equal tensors have equal digests. */
export function tensorDigest(tensor: Tensor): string {
  const hash = createHash('sha256').update(`${printType(tensor.dtype, tensor.shape)}\n`);
  if (ArrayBuffer.isView(tensor.data)) hash.update(bytesOf(tensor));
  else hash.update(JSON.stringify(tensor.data));
  return hash.digest('hex').slice(0, DIGEST_HEX);
}

export function printTensor(tensor: Tensor, options: TensorTextOptions = {}): string {
  return `${printType(tensor.dtype, tensor.shape)} ${printElements(tensor, options)}`;
}

/** The part of `printTensor` after the type. */
export function printElements(tensor: Tensor, options: TensorTextOptions): string {
  const { dtype, data } = tensor;
  const count = data.length;
  if (hasOddNaN(tensor)) return `hex "${hexOf(tensor)}"`;
  if (count > 1 && isSplat(tensor)) return `splat ${printElement(tensor, 0)}`;
  if (count <= MAX_LISTED || (dtype === 'string' && options.constants === 'full')) {
    return `{${Array.from({ length: count }, (_, i) => printElement(tensor, i)).join(', ')}}`;
  }
  return options.constants === 'full'
    ? `hex "${hexOf(tensor)}"`
    : `digest "${tensorDigest(tensor)}"`;
}

function hexOf(tensor: Tensor): string {
  return Buffer.from(bytesOf(tensor)).toString('hex');
}

/** NaNs of narrow floats are kept as bits, so unusual ones must be written as bits. */
function hasOddNaN({ dtype, data }: Tensor): boolean {
  const encode = encoderOf(dtype);
  if (encode === undefined) return false;
  const values = toNumbers({ dtype, shape: [data.length], data });
  return values.some((value, i) => Number.isNaN(value) && data[i] !== encode(Number.NaN));
}

function isSplat({ data }: Tensor): boolean {
  const first = data[0];
  for (let i = 1; i < data.length; i++) if (!Object.is(data[i], first)) return false;
  return true;
}

function printElement(tensor: Tensor, position: number): string {
  const element = tensor.data[position];
  if (typeof element === 'string') return JSON.stringify(element);
  if (typeof element === 'bigint') return String(element);
  const { dtype } = tensor;
  if (!isFloat(dtype)) return String(element);
  if (dtype === 'f64') return printNumber(element as number);
  if (dtype === 'f32') return printShort(element as number, Math.fround);
  const one = {
    dtype,
    shape: [1],
    data: (tensor.data as Uint16Array).subarray(position, position + 1),
  };
  return printNumber(toNumbers(one)[0] as number);
}

/** The shortest decimal that rounds to the same value. */
function printShort(value: number, round: (value: number) => number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return printNumber(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (round(short) === value) return printNumber(short);
  }
  return printNumber(Number(value.toPrecision(9)));
}

/** Reads `f32[1,2]`. */
export function readType(scanner: Scanner): { dtype: DType; shape: number[] } {
  const dtype = scanner.dtype();
  const shape = scanner.shape();
  if (shape.some((extent) => extent < 0)) scanner.fail('a shape has a negative extent');
  return { dtype, shape };
}

/** Reads what `printTensor` writes. */
export function readTensor(scanner: Scanner, options: TensorReadOptions = {}): Tensor {
  const { dtype, shape } = readType(scanner);
  return readElements(scanner, dtype, shape, options);
}

/** Reads the part after the type. */
export function readElements(
  scanner: Scanner,
  dtype: DType,
  shape: readonly number[],
  options: TensorReadOptions = {},
): Tensor {
  const count = elementCount(shape);
  if (count > 2 ** 31) scanner.fail('the tensor is too large for text');
  if (scanner.accept('digest')) {
    const digest = scanner.string();
    return options.tensorOf?.(digest) ?? scanner.fail(`no tensor with digest ${digest} is known`);
  }
  if (scanner.accept('hex')) {
    const bytes = Uint8Array.from(Buffer.from(scanner.string(), 'hex'));
    const data = viewBytes(dtype, bytes);
    if (data.length !== count) scanner.fail(`${data.length} elements where ${count} belong`);
    return { dtype, shape, data };
  }
  if (scanner.accept('splat')) {
    const element = readElement(scanner, dtype);
    return makeTensor(
      scanner,
      dtype,
      shape,
      new Array<number | bigint | string>(count).fill(element),
    );
  }
  scanner.expect('{');
  const elements = scanner.list('}', () => readElement(scanner, dtype));
  if (elements.length !== count) scanner.fail(`${elements.length} elements where ${count} belong`);
  return makeTensor(scanner, dtype, shape, elements);
}

type Element = number | bigint | string;

function readElement(scanner: Scanner, dtype: DType): Element {
  if (dtype === 'string') return scanner.string();
  if (dtype === 'i64' || dtype === 'u64') return scanner.bigint();
  return scanner.number();
}

function makeTensor(
  scanner: Scanner,
  dtype: DType,
  shape: readonly number[],
  elements: readonly Element[],
): Tensor {
  if (dtype === 'string') return { dtype, shape, data: elements as readonly string[] };
  if (dtype === 'i64') return { dtype, shape, data: BigInt64Array.from(elements as bigint[]) };
  if (dtype === 'u64') return { dtype, shape, data: BigUint64Array.from(elements as bigint[]) };
  const tensor = fromNumbers(dtype, shape, elements as number[]);
  if (!isFloat(dtype) && elements.some((value, i) => tensor.data[i] !== value)) {
    scanner.fail(`an element is outside ${dtype}`);
  }
  return tensor;
}
