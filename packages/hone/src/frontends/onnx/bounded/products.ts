/** Matrix products of other forms: operands transposed, 8-bit integers less a zero point. */
import { at } from 'hone-runtime/base/diagnostics';
import { atBound } from './at-bound.ts';
import { align, common } from './elementwise.ts';
import { type Int, isKnown } from './ints.ts';
import { Parts } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** The batch axis that stands behind the rows, put in front. */
function batchFirst(use: Use, x: Sized, moves: boolean): Sized {
  if (!moves) return x;
  const rank = x.sizes.length;
  const perm = [...x.sizes.keys()].map((axis) =>
    axis < rank - 2 ? axis + 1 : axis === rank - 2 ? 0 : axis,
  );
  return new Parts(use).op('Transpose', [x], { perm });
}

const fusedMatMul: Rule = (use) => {
  const { s } = use;
  const isSet = (name: string): boolean => intOf(use, name) !== 0;
  const a = batchFirst(use, given(use, 0), isSet('transBatchA'));
  const b = batchFirst(use, given(use, 1), isSet('transBatchB'));
  const [ra, rb] = [a.sizes.length, b.sizes.length];
  if (ra < 2 || rb < 2) s.cannot('a vector as an operand');
  const [innerA, rows] = isSet('transA') ? [ra - 2, ra - 1] : [ra - 1, ra - 2];
  const [innerB, columns] = isSet('transB') ? [rb - 1, rb - 2] : [rb - 2, rb - 1];
  const extent = common(use, sizeAt(a, innerA), sizeAt(b, innerB));
  const isOpen = !isKnown(sizeAt(a, innerA)) || !isKnown(sizeAt(b, innerB));
  const filled = (x: Sized, axis: number): Sized =>
    isOpen ? s.masked(s.fit(x, axis, extent), 0, [axis]) : x;
  const { operands, sizes } = align(use, [filled(a, innerA), filled(b, innerB)], 2);
  const { transBatchA: _, transBatchB: __, ...attrs } = use.attrs;
  const [p, q] = [at(operands, 0), at(operands, 1)];
  return atBound({ ...use, attrs }, [p, q], [[...sizes, sizeAt(a, rows), sizeAt(b, columns)]]);
};

/** The zero point of an operand, to be broadcast to it: one for all, or one per row (column). */
function zeroPoint(use: Use, k: number, isRows: boolean): Sized | undefined {
  const zero = use.inputs[k];
  if (zero == null) return undefined;
  if (zero.sizes.length === 0 || !isRows) return zero;
  return new Parts(use).reshape(zero, [sizeAt(zero, 0), 1]);
}

const matMulInteger: Rule = (use) => {
  const { s } = use;
  const [a, b] = [given(use, 0), given(use, 1)];
  const [ra, rb] = [a.sizes.length, b.sizes.length];
  if (ra < 2 || rb < 2) s.cannot('a vector as an operand');
  const extent = common(use, sizeAt(a, ra - 1), sizeAt(b, rb - 2));
  const isOpen = !isKnown(sizeAt(a, ra - 1)) || !isKnown(sizeAt(b, rb - 2));
  // Room that is the zero point counts as 0.
  const filled = (x: Sized, axis: number, zero: Sized | undefined): Sized => {
    if (!isOpen) return x;
    const fitted = s.fit(x, axis, extent);
    const fill = zero === undefined ? s.number(0, s.dtype(x)) : zero.id;
    return s.maskedWith(fitted, fill, [axis]);
  };
  const { operands, sizes } = align(
    use,
    [filled(a, ra - 1, zeroPoint(use, 2, true)), filled(b, rb - 2, zeroPoint(use, 3, false))],
    2,
  );
  const whole: Int[] = [...sizes, sizeAt(a, ra - 2), sizeAt(b, rb - 1)];
  const inputs = [at(operands, 0), at(operands, 1), use.inputs[2] ?? null, use.inputs[3] ?? null];
  return atBound(use, inputs, [whole]);
};

export const PRODUCTS: ReadonlyMap<string, Rule> = new Map([
  ['com.microsoft:FusedMatMul', fusedMatMul],
  ['MatMulInteger', matMulInteger],
]);
