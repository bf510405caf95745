/**
 * Plain loops over tensors for the references of the tensor operators. Elements are moved without
 * conversion, so every dtype works: strings, and 64-bit integers exactly.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType, TensorData } from 'hone-runtime/base/dtype';
import { allocateData, elementCount, stridesOf, type Tensor } from 'hone-runtime/base/tensor';

export type Element = number | bigint | string;

/** Any storage as a list of elements to read and write. */
export interface Elements {
  readonly length: number;
  [index: number]: Element;
}

/** Storage of a new tensor: zeros, or empty strings. */
export function newElements(dtype: DType, count: number): Elements {
  const data = dtype === 'string' ? new Array<string>(count).fill('') : allocateData(dtype, count);
  return data as Elements;
}

export function elementsOf(tensor: Tensor): Elements {
  return tensor.data as Elements;
}

export function tensorOf(dtype: DType, shape: readonly number[], elements: Elements): Tensor {
  return { dtype, shape, data: elements as TensorData };
}

/** The first element as a number; for scalars and one-element lists. */
export function scalarOf(tensor: Tensor): number {
  return Number(elementsOf(tensor)[0]);
}

/** Visits every position of a shape in row-major order. The position array is reused. */
export function eachPosition(
  shape: readonly number[],
  visit: (position: readonly number[], flat: number) => void,
): void {
  const count = elementCount(shape);
  const position = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < count; flat++) {
    visit(position, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis] = (position[axis] as number) + 1;
      if ((position[axis] as number) < (shape[axis] as number)) break;
      position[axis] = 0;
    }
  }
}

/** Row-major position of an index. */
export function flatOf(position: readonly number[], strides: readonly number[]): number {
  let flat = 0;
  for (let axis = 0; axis < strides.length; axis++) {
    flat += (position[axis] as number) * (strides[axis] as number);
  }
  return flat;
}

/** out[p] = source[offset + Σ p[axis] · strides[axis]]: transposes, slices, broadcasts. */
export function stridedCopy(
  source: Tensor,
  shape: readonly number[],
  offset: number,
  strides: readonly number[],
): Tensor {
  const count = elementCount(shape);
  const from = elementsOf(source);
  const out = newElements(source.dtype, count);
  const rank = shape.length;
  const inner = rank === 0 ? 1 : (shape[rank - 1] as number);
  const step = rank === 0 ? 0 : (strides[rank - 1] as number);
  let flat = 0;
  if (count > 0) {
    eachPosition(shape.slice(0, -1), (position) => {
      let at = offset + flatOf(position, strides.slice(0, position.length));
      for (let i = 0; i < inner; i++, at += step) out[flat++] = from[at] as Element;
    });
  }
  return tensorOf(source.dtype, shape, out);
}

/**
 * out[p] = source[from(p)], where `from` gives a row-major position of the source; -1 gives `fill`
 * (zero or the empty string when not stated).
 */
export function gatherBy(
  source: Tensor,
  shape: readonly number[],
  from: (position: readonly number[]) => number,
  fill?: Element,
): Tensor {
  const elements = elementsOf(source);
  const out = newElements(source.dtype, elementCount(shape));
  eachPosition(shape, (position, flat) => {
    const at = from(position);
    if (at >= 0) out[flat] = elements[at] as Element;
    else if (fill !== undefined) out[flat] = fill;
  });
  return tensorOf(source.dtype, shape, out);
}

/**
 * The picture [n, c, …] at the begin of its room. Extents are those of a run: less than 1 counts as 1, as there
 * is nothing to sample, and more than the room as that.
 */
export function pictureOf(x: Tensor, extents: Tensor): Tensor {
  const meant = Array.from(elementsOf(extents), Number);
  const shape = x.shape.map((room, axis) =>
    axis < 2 ? room : Math.min(Math.max(meant[axis - 2] ?? room, 1), room),
  );
  return stridedCopy(x, shape, 0, stridesOf(x.shape));
}

/** Copies a block of `shape` from a tensor into a larger one at `start`. */
export function placeBlock(
  target: Elements,
  targetShape: readonly number[],
  source: Tensor,
  start: readonly number[],
): void {
  const strides = stridesOf(targetShape);
  const elements = elementsOf(source);
  const base = flatOf(start, strides);
  eachPosition(source.shape, (position, flat) => {
    target[base + flatOf(position, strides)] = elements[flat] as Element;
  });
}

/** A data index in [-extent, extent) as one in [0, extent); anything else is a coded error. */
export function checkedIndex(node: string, value: Element | undefined, extent: number): number {
  const number = Number(value);
  const index = number < 0 ? number + extent : number;
  if (!(index >= 0 && index < extent)) {
    fail(
      'HONE-RUN-010',
      `node ${node}: index ${number} is outside [-${extent}, ${extent})`,
      node,
      'check the indices in the input data',
    );
  }
  return index;
}

/** A length from data, in [0, most]; anything else is a coded error. */
export function checkedLength(node: string, value: number, most: number): number {
  if (!(value >= 0 && value <= most)) {
    fail(
      'HONE-RUN-010',
      `node ${node}: a sequence has length ${value}, the input ${most}`,
      node,
      'check the lengths in the input data',
    );
  }
  return value;
}
