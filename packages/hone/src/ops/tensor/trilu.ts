/** Trilu: the upper or lower triangle. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { binary, iadd, index, isIndex, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import {
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  requireOne,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled, knownInput, onlyElement, zeroExpr } from './bodies.ts';
import { flatOf, gatherBy, scalarOf } from './elements.ts';

/** No matrix has this many rows or columns: diagonals further out are all the same. */
const FAR = 2 ** 40;

const FARTHEST = BigInt64Array.of(2n ** 63n - 1n);

/** The diagonal's number: 0 unless given, at compile time or as data. */
function diagonal(ctx: InferContext): Expr {
  const known = knownInput(ctx, 1);
  if (known !== undefined) return index(Math.max(-FAR, Math.min(FAR, scalarOf(known))));
  const type = optionalType(ctx, 1);
  return type === undefined ? index(0) : load('1', type.dtype, onlyElement(type));
}

export const Trilu = defineOp({
  kind: 'core',
  name: 'Trilu',
  doc: 'Keeps the triangle above (or below) a diagonal of each matrix; the rest becomes 0.',
  since: 14,
  attrs: { upper: int(1) },
  infer: (ctx) => {
    const type = inputType(ctx, 0);
    if (type.shape.length < 2) shapeError(ctx, `rank ${type.shape.length} has no matrices`);
    const k = optionalType(ctx, 1);
    if (k !== undefined) requireDType(ctx, k, ['i64'], 'k');
    requireOne(ctx, 1, 'k');
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const axes = outAxes(shape.length);
      const [row, column] = axes.slice(-2) as [Expr, Expr];
      const k = diagonal(ctx);
      // Nothing is added to a number that is data: the sum may not fit.
      const [place, edge] = isIndex(k)
        ? [column, iadd(row, Number(k.value))]
        : [binary('sub', column, row), k];
      const keep = binary(intAttr(ctx.attrs, 'upper') !== 0 ? 'ge' : 'le', place, edge);
      return [mapBody(shape, select(keep, load('0', dtype, axes), zeroExpr(dtype)))];
    }),
  reference: ([x, k], attrs) => {
    const source = x as Tensor;
    const shift = k ? scalarOf(k) : 0;
    const upper = intAttr(attrs, 'upper') !== 0;
    const strides = stridesOf(source.shape);
    return [
      gatherBy(source, source.shape, (p) => {
        const distance = (p.at(-1) as number) - (p.at(-2) as number) - shift;
        return (upper ? distance >= 0 : distance <= 0) ? flatOf(p, strides) : -1;
      }),
    ];
  },
  cases: () => {
    const x = fromNumbers('f32', [2, 3, 4], [...Array(24).keys()]);
    return [
      { inputs: [x] },
      { note: 'lower', inputs: [x, fromNumbers('i64', [], [-1])], attrs: { upper: 0 } },
      { note: 'i64', inputs: [fromNumbers('i64', [2, 2], [1, 2, 3, 4])] },
      { note: 'far out', inputs: [x, { dtype: 'i64', shape: [1], data: FARTHEST }] },
    ];
  },
});
