/** Permutations of axes, and of the shapes and constants they are applied to. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, stridesOf, type Tensor } from 'hone-runtime/base/tensor';

/** Output axis j of a transpose is input axis perm[j]. */
export type Permutation = readonly number[];

export function permuted<T>(items: readonly T[], perm: Permutation): T[] {
  return perm.map((axis) => at(items, axis));
}

export function inverse(perm: Permutation): number[] {
  const out = new Array<number>(perm.length).fill(0);
  perm.forEach((axis, i) => {
    out[axis] = i;
  });
  return out;
}

/** First by `first`, then by `second`, as one permutation. */
export function composed(first: Permutation, second: Permutation): number[] {
  return second.map((axis) => at(first, axis));
}

export function isIdentity(perm: Permutation): boolean {
  return perm.every((axis, i) => axis === i);
}

export function samePermutation(a: Permutation, b: Permutation): boolean {
  return a.length === b.length && a.every((axis, i) => axis === b[i]);
}

/** Does it only move axes of extent 1? Then the elements stay in order: it is a reshape. */
export function isReshape(shape: readonly number[], perm: Permutation): boolean {
  const moved = perm.filter((axis) => shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || axis > at(moved, i - 1));
}

/** A constant with its axes permuted. */
export function permuteTensor(tensor: Tensor, perm: Permutation): Tensor {
  const shape = permuted(tensor.shape, perm);
  const strides = permuted(stridesOf(tensor.shape), perm);
  const count = elementCount(shape);
  const source: ArrayLike<unknown> = tensor.data;
  const data = tensor.data.slice() as unknown[];
  const position = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < count; i++) {
    data[i] = source[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += at(strides, axis);
      const next = (position[axis] ?? 0) + 1;
      if (next < at(shape, axis)) {
        position[axis] = next;
        break;
      }
      from -= at(strides, axis) * at(shape, axis);
      position[axis] = 0;
    }
  }
  return { dtype: tensor.dtype, shape, data: data as unknown as Tensor['data'] };
}

/** A shape with leading 1s up to a rank, as broadcasting sees it. */
export function extended(shape: readonly number[], rank: number): number[] {
  return [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape];
}
