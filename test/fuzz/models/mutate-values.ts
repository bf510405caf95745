/** Odd numbers, dtypes, shapes, tensors and attributes: what mutations put into a model. */
import type { OnnxAttribute, OnnxDim, OnnxTensor, OnnxType } from 'hone/frontends/onnx/types';
import { elementBits } from 'hone/frontends/onnx/proto';
import { memorySource } from 'hone-runtime/base/io';
import type { Random } from 'hone-runtime/base/random';

const EXTENTS = [0, 1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 127];
const ODD_EXTENTS = [-1, 255, 1000, 65_537, 2 ** 31, 2 ** 40];
const INTEGERS = [0, 1, -1, 2, -2, 3, 4, 5, 7, 8, 13, 16, 100];
const ODD_INTEGERS = [-(2 ** 31), 2 ** 31 - 1, 2 ** 33, -(2 ** 63), 2 ** 63, 65_536, 1_000_000];
const FLOATS = [0, 1, -1, 0.5, 2, -0, 1e-5, 0.1, 3];
const ODD_FLOATS = [Number.NaN, Number.POSITIVE_INFINITY, -Infinity, 1e38, -1e38, 1e-42, 2 ** 63];
const TEXTS = [
  ...['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID', 'constant', 'reflect', 'edge', 'wrap'],
  ...['nearest', 'linear', 'cubic', 'bilinear', 'half_pixel', 'align_corners', 'asymmetric'],
  ...['add', 'mul', 'min', 'max', 'none', 'mean', 'sum', 'DCR', 'CRD', 'forward', 'reverse'],
  ...['bidirectional', 'Relu', 'Tanh', 'Sigmoid', 'zeros', 'border', 'reflection', 'tanh', ''],
];
const DATA_TYPES = [1, 1, 1, 10, 16, 11, 7, 7, 6, 3, 2, 9, 5, 4, 12, 13, 8, 0, 14, 17, 21, 22];

export function oneOf<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)] as T;
}

/** Mostly from `usual`, sometimes from `odd`. */
function either(usual: readonly number[], odd: readonly number[], random: Random): number {
  return oneOf(random.integer(6) === 0 ? odd : usual, random);
}

export function integer(random: Random): number {
  return either(INTEGERS, ODD_INTEGERS, random);
}

function float(random: Random): number {
  return either(FLOATS, ODD_FLOATS, random);
}

export function dataType(random: Random): number {
  return oneOf(DATA_TYPES, random);
}

/** A shape after one change. */
export function changedShape<T extends OnnxDim>(
  shape: readonly T[],
  random: Random,
): (T | number)[] {
  const extent = either(EXTENTS, ODD_EXTENTS, random);
  const at = random.integer(Math.max(1, shape.length));
  switch (random.integer(6)) {
    case 0:
      return shape.toSpliced(at, 0, oneOf([1, extent], random) as T);
    case 1:
      return shape.toSpliced(at, 1);
    case 2:
      return shape.toReversed();
    default:
      return shape.length === 0 ? [extent] : (shape as readonly (T | number)[]).with(at, extent);
  }
}

export function changedType(type: OnnxType, random: Random): OnnxType {
  if (type.kind !== 'tensor' || random.integer(30) === 0)
    return { kind: 'sequence', element: type };
  if (random.integer(4) === 0) return { ...type, dataType: dataType(random) };
  const shape: readonly OnnxDim[] = type.shape ?? [];
  if (random.integer(12) === 0) return { ...type, shape: null };
  if (random.integer(12) === 0) return { ...type, shape: shape.map(() => 'N') };
  return { ...type, shape: changedShape(shape, random) };
}

/** A tensor of this type and shape with drawn bytes; undefined where it would be large. */
function filledTensor(
  name: string,
  code: number,
  dims: readonly number[],
  random: Random,
): OnnxTensor | undefined {
  const count = dims.reduce((product, extent) => product * extent, 1);
  const length = Math.ceil((count * elementBits(code)) / 8);
  if (!(count >= 0 && length <= 1 << 18)) return undefined;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const style = random.integer(4);
  for (let i = 0; i + 8 <= length && code === 7; i += 8) {
    view.setBigInt64(i, BigInt.asIntN(64, BigInt(integer(random))), true);
  }
  for (let i = 0; i + 4 <= length && code === 1; i += 4) view.setFloat32(i, float(random), true);
  if (code !== 7 && code !== 1) {
    for (let i = 0; i < length; i++) {
      bytes[i] = style === 0 ? random.integer(256) : style === 1 ? 255 : random.integer(4);
    }
  }
  return tensorOf(name, code, dims, bytes);
}

function tensorOf(
  name: string,
  dataType: number,
  dims: readonly number[],
  bytes: Uint8Array,
): OnnxTensor {
  const payload = { kind: 'raw', offset: 0, length: bytes.length } as const;
  return { name, dataType, dims, payload, source: memorySource(bytes) };
}

/** A tensor after one change: of its shape, its type, its elements, or how many there are. */
export function changedTensor(tensor: OnnxTensor, random: Random): OnnxTensor {
  const { name, dims, payload, source } = tensor;
  switch (random.integer(7)) {
    case 0:
      return { ...tensor, dims: changedShape(dims, random) };
    case 1:
      return { ...tensor, dataType: dataType(random) };
    case 2:
    case 3:
      return filledTensor(name, tensor.dataType, changedShape(dims, random), random) ?? tensor;
    case 4:
      return filledTensor(name, dataType(random), dims, random) ?? tensor;
    case 5: {
      if (payload.kind !== 'raw') return tensor;
      const bytes = source.read(payload.offset, payload.length).slice();
      if (bytes.length > 0)
        bytes[random.integer(bytes.length)] = oneOf([0, 1, 127, 128, 255], random);
      return tensorOf(name, tensor.dataType, dims, bytes);
    }
    default:
      return filledTensor(name, tensor.dataType, dims, random) ?? tensor;
  }
}

/** An attribute after one change; graphs are changed by the caller. */
export function changedAttribute(attribute: OnnxAttribute, random: Random): OnnxAttribute {
  const { name } = attribute;
  if (random.integer(24) === 0) return { name, kind: 'int', value: integer(random) };
  switch (attribute.kind) {
    case 'int':
      return {
        ...attribute,
        value: attribute.value + oneOf([1, -1], random) * random.integer(2) || integer(random),
      };
    case 'float':
      return { ...attribute, value: float(random) };
    case 'string':
      return { ...attribute, value: oneOf(TEXTS, random) };
    case 'ints':
      return { ...attribute, value: changedList(attribute.value, () => integer(random), random) };
    case 'floats':
      return { ...attribute, value: changedList(attribute.value, () => float(random), random) };
    case 'strings':
      return {
        ...attribute,
        value: changedList(attribute.value, () => oneOf(TEXTS, random), random),
      };
    case 'tensor':
      return { ...attribute, value: changedTensor(attribute.value, random) };
    default:
      return attribute;
  }
}

function changedList<T>(list: readonly T[], draw: () => T, random: Random): readonly T[] {
  const at = random.integer(Math.max(1, list.length));
  switch (random.integer(5)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, draw());
    case 2:
      return list.toReversed();
    default:
      return list.length === 0 ? [draw()] : list.with(at, draw());
  }
}
