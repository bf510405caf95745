/** Trilu: the upper or lower triangle. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { binary, constant, iadd, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { inputType, int, intAttr, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled, knownInput, onlyElement, zeroExpr } from './bodies.ts';
import { flatOf, gatherBy, scalarOf } from './elements.ts';

/** The diagonal's number: 0 unless given, at compile time or as data. */
function diagonal(ctx: InferContext): Expr {
  const known = knownInput(ctx, 1);
  if (known !== undefined && known.data.length > 0) return constant('i64', scalarOf(known));
  const type = optionalType(ctx, 1);
  return type === undefined ? constant('i64', 0) : load('1', type.dtype, onlyElement(type));
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
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const axes = outAxes(shape.length);
      const [row, column] = axes.slice(-2) as [Expr, Expr];
      const k = diagonal(ctx);
      const edge = k.kind === 'const' ? iadd(row, Number(k.value)) : binary('add', row, k);
      const keep = binary(intAttr(ctx.attrs, 'upper') !== 0 ? 'ge' : 'le', column, edge);
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
    ];
  },
});
