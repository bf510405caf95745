/** Tensors with room for more elements than are meant. */
import { allocateData, elementCount, stridesOf, type Tensor } from './tensor.ts';

/** The part at the begin of every axis, one element after the other; `start`: where the tensor begins. */
export function prefixOf(
  tensor: Tensor,
  shape: readonly number[],
  room = tensor.shape,
  start = 0,
): Tensor {
  if (
    start === 0 &&
    room === tensor.shape &&
    shape.every((extent, axis) => extent === room[axis])
  ) {
    return tensor;
  }
  const strides = stridesOf(room);
  const count = elementCount(shape);
  const data = tensor.data.slice(start, start + count) as Exclude<
    Tensor['data'],
    readonly string[]
  >;
  for (let i = 0; i < count; i++) {
    let rest = i;
    let place = start;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      place += (rest % extent) * (strides[axis] ?? 1);
      rest = Math.floor(rest / extent);
    }
    data[i] = tensor.data[place] as never;
  }
  return { ...tensor, shape, data } as Tensor;
}

/** The tensor at the begin of every axis of a larger one; the rest is zero. */
export function placedIn(tensor: Tensor, room: readonly number[]): Tensor {
  const { dtype, shape } = tensor;
  if (dtype === 'string' || shape.every((extent, axis) => extent === room[axis])) return tensor;
  const strides = stridesOf(room);
  const data = allocateData(dtype, elementCount(room));
  const count = elementCount(shape);
  for (let i = 0; i < count; i++) {
    let rest = i;
    let place = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      place += (rest % extent) * (strides[axis] ?? 1);
      rest = Math.floor(rest / extent);
    }
    data[place] = tensor.data[i] as never;
  }
  return { dtype, shape: room, data } as Tensor;
}
