/** Matrix products. */
import { at } from 'hone-runtime/base/diagnostics';
import { align, common } from './elementwise.ts';
import { isKnown } from './ints.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Brings two tensors to one extent along an axis each; its room is zero in both. */
function inner(use: Use, a: Sized, axisA: number, b: Sized, axisB: number): [Sized, Sized] {
  const extent = common(use, sizeAt(a, axisA), sizeAt(b, axisB));
  if (isKnown(sizeAt(a, axisA)) && isKnown(sizeAt(b, axisB))) return [a, b];
  const { s } = use;
  return [
    s.masked(s.fit(a, axisA, extent), 0, [axisA]),
    s.masked(s.fit(b, axisB, extent), 0, [axisB]),
  ];
}

const matMul: Rule = (use) => {
  const { s } = use;
  const [a, b] = [given(use, 0), given(use, 1)];
  const [ra, rb] = [a.sizes.length, b.sizes.length];
  if (ra < 2 || rb < 2) {
    // A vector is a row, or a column, that is taken out again.
    const [x, y] = inner(use, a, ra - 1, b, Math.max(0, rb - 2));
    const columns = rb < 2 ? [] : [...y.sizes.slice(0, -2), sizeAt(y, rb - 1)];
    return [s.made(s.op('MatMul', [x.id, y.id]), [...x.sizes.slice(0, -1), ...columns])];
  }
  const [x, y] = inner(use, a, ra - 1, b, rb - 2);
  const aligned = align(use, [x, y], 2);
  const [p, q] = [at(aligned.operands, 0), at(aligned.operands, 1)];
  const sizes = [...aligned.sizes, sizeAt(p, p.sizes.length - 2), sizeAt(q, q.sizes.length - 1)];
  s.room(sizes);
  return [s.made(s.op('MatMul', [p.id, q.id]), sizes)];
};

const gemm: Rule = (use) => {
  const { s } = use;
  const [transA, transB] = [intOf(use, 'transA') !== 0, intOf(use, 'transB') !== 0];
  const [a, b] = inner(use, given(use, 0), transA ? 0 : 1, given(use, 1), transB ? 1 : 0);
  const sizes = [sizeAt(a, transA ? 1 : 0), sizeAt(b, transB ? 0 : 1)];
  const c = use.inputs[2];
  const fitted =
    c == null
      ? null
      : c.sizes.reduce((y: Sized, _, i) => {
          const extent = at(sizes, i + 2 - c.sizes.length);
          return s.fit(y, i, extent);
        }, c);
  return [s.made(s.op('Gemm', [a.id, b.id, fitted?.id ?? null], use.attrs), sizes)];
};

export const CONTRACTION: ReadonlyMap<string, Rule> = new Map([
  ['MatMul', matMul],
  ['Gemm', gemm],
]);
