/** Sequences of ONNX among the outputs of a run, as lists. */
import { elementCount, stridesOf, type Tensor, toNumbers } from '../base/tensor.ts';

/**
 * The tensors of a sequence that a model gives under this name, as many as there are, each of its shape:
 * `x.0`, `x.1`, … where their number is fixed, else the rows of `x`, cut as `x.sizes` says where they
 * differ.
 */
export function sequenceOf(
  outputs: Readonly<Record<string, Tensor>>,
  name: string,
): readonly Tensor[] {
  const rows = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
  if (rows === undefined) {
    const items: Tensor[] = [];
    for (let i = 0; Object.hasOwn(outputs, `${name}.${i}`); i++) {
      const item = outputs[`${name}.${i}`];
      if (item !== undefined) items.push(item);
    }
    return items;
  }
  const [count = 0, ...room] = rows.shape;
  const sizes = Object.hasOwn(outputs, `${name}.sizes`) ? outputs[`${name}.sizes`] : undefined;
  const numbers = sizes === undefined ? undefined : toNumbers(sizes);
  const rank = room.length;
  return Array.from({ length: count }, (_, i) => {
    const shape = room.map((extent, axis) => numbers?.[i * rank + axis] ?? extent);
    return cut(rows, i, shape);
  });
}

/** The begin, along every axis, of a row. */
function cut(rows: Tensor, row: number, shape: readonly number[]): Tensor {
  const strides = stridesOf(rows.shape);
  const count = elementCount(shape);
  const start = row * (strides[0] ?? 1);
  const data = rows.data.slice(start, start + count) as Exclude<Tensor['data'], readonly string[]>;
  for (let i = 0; i < count; i++) {
    let rest = i;
    let place = start;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      place += (rest % extent) * (strides[axis + 1] ?? 1);
      rest = Math.floor(rest / extent);
    }
    data[i] = rows.data[place] as never;
  }
  return { ...rows, shape, data } as Tensor;
}
