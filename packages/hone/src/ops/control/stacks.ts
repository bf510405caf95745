/** Taking slices of tensors along an axis and stacking them, for the operators that iterate. */
import { at } from 'hone-runtime/base/diagnostics';
import { bytesOf, elementCount, type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import type { ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';

/** The shape without one axis. */
export function withoutAxis(shape: readonly number[], axis: number): number[] {
  return shape.filter((_, i) => i !== axis);
}

/** The shape with an axis of `extent` at position `axis`. */
export function withAxis(shape: readonly number[], axis: number, extent: number): number[] {
  return [...shape.slice(0, axis), extent, ...shape.slice(axis)];
}

/** Slice `index` of a tensor along an axis; the axis goes away. */
export function takeSlice(x: Tensor, axis: number, index: number): Tensor {
  const shape = withoutAxis(x.shape, axis);
  const outer = elementCount(x.shape.slice(0, axis));
  const inner = elementCount(x.shape.slice(axis + 1));
  const extent = at(x.shape, axis);
  if (x.dtype === 'string') {
    const data = Array.from({ length: outer * inner }, (_, i) => {
      const row = Math.floor(i / inner);
      return x.data[(row * extent + index) * inner + (i % inner)] as string;
    });
    return { dtype: x.dtype, shape, data };
  }
  const bytes = bytesOf(x);
  const size = inner * dtypeBytes(x.dtype);
  const out = new Uint8Array(outer * size);
  for (let o = 0; o < outer; o++) {
    const from = (o * extent + index) * size;
    out.set(bytes.subarray(from, from + size), o * size);
  }
  return { dtype: x.dtype, shape, data: viewBytes(x.dtype, out) };
}

/** Tensors of one shape stacked along a new axis. `type` is the result's. */
export function stack(slices: readonly Tensor[], axis: number, type: ValueType): Tensor {
  const { dtype, shape } = type;
  const outer = elementCount(shape.slice(0, axis));
  const inner = elementCount(shape.slice(axis + 1));
  if (dtype === 'string') {
    const data: string[] = [];
    for (let o = 0; o < outer; o++) {
      for (const slice of slices) {
        for (let i = 0; i < inner; i++) data.push(slice.data[o * inner + i] as string);
      }
    }
    return { dtype, shape, data };
  }
  const size = inner * dtypeBytes(dtype);
  const out = new Uint8Array(outer * slices.length * size);
  slices.forEach((slice, s) => {
    const bytes = bytesOf(slice);
    for (let o = 0; o < outer; o++) {
      out.set(bytes.subarray(o * size, (o + 1) * size), (o * slices.length + s) * size);
    }
  });
  return { dtype, shape, data: viewBytes(dtype, out) };
}

/** `takeSlice` as nodes. */
export function sliceNodes(b: OpBuilder, x: ValueId, axis: number, index: number): ValueId {
  const { shape } = b.typeOf(x);
  const part =
    shape[axis] === 1
      ? x
      : b.op('Slice', [x, b.ints([index]), b.ints([index + 1]), b.ints([axis]), b.ints([1])]);
  return b.reshape(part, withoutAxis(shape, axis));
}

/** `stack` as nodes. */
export function stackNodes(b: OpBuilder, slices: readonly ValueId[], axis: number): ValueId {
  const rows = slices.map((id) => b.reshape(id, withAxis(b.typeOf(id).shape, axis, 1)));
  return rows.length === 1 ? at(rows, 0) : b.op('Concat', rows, { axis });
}

/** Rows in the opposite order. */
export function reversedRows(b: OpBuilder, rows: ValueId): ValueId {
  const count = b.typeOf(rows).shape[0] ?? 0;
  const ends = [b.ints([count - 1]), b.ints([-count - 1])];
  return b.op('Slice', [rows, ...ends, b.ints([0]), b.ints([-1])]);
}
