/**
 * What the pushing of transposes knows of values: which are transposes of others, and how an
 * operand looks from in front of a transpose.
 */
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueId } from '../graph/types.ts';
import type { Rebuild } from './pass.ts';
import {
  extended,
  inverse,
  isReshape,
  type Permutation,
  permuted,
  permuteTensor,
  samePermutation,
} from './permute.ts';

/** A new value that is `base` with its axes permuted. */
export interface View {
  readonly base: ValueId;
  readonly perm: Permutation;
}

export type Views = ReadonlyMap<ValueId, View>;

/**
 * An operand that broadcasts against a transpose by `perm`, as it has to be in front of it: the
 * base of such a transpose, a permuted constant, a scalar as it is, or a value whose elements stay
 * in order. Undefined where it would have to be transposed.
 */
export function operandBefore(
  r: Rebuild,
  views: Views,
  id: ValueId,
  perm: Permutation,
): ValueId | undefined {
  const view = views.get(id);
  if (view !== undefined && samePermutation(view.perm, perm)) return view.base;
  const { shape } = r.b.typeOf(id);
  if (shape.length > perm.length) return undefined;
  // One element has the same shape under every permutation.
  if (elementCount(shape) === 1) return id;
  const full = extended(shape, perm.length);
  const back = inverse(perm);
  const tensor = r.constant(id);
  if (tensor !== undefined) {
    const name = `${r.b.graph.value(id).name}.transposed`;
    return r.b.constant(permuteTensor({ ...tensor, shape: full }, back), name);
  }
  return isReshape(full, back) ? reshaped(r, id, permuted(full, back)) : undefined;
}

export function reshaped(r: Rebuild, id: ValueId, shape: readonly number[]): ValueId {
  if (r.b.typeOf(id).shape.join() === shape.join()) return id;
  return r.b.reshape(id, shape);
}
