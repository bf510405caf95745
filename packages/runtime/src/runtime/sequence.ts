/** Sequences of ONNX among the outputs of a run, as lists. */
import { prefixOf } from '../base/prefix.ts';
import { elementCount, type Tensor, toNumbers } from '../base/tensor.ts';

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
    return prefixOf(rows, shape, room, i * elementCount(room));
  });
}
