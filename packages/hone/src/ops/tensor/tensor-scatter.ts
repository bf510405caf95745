/** TensorScatter: writes an update into a cache from a position of each sequence on. */
import { stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { binary, bound, iadd, index, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalType,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { f32, i64, uniform } from '../math/samples.ts';
import { compiled, imod } from './bodies.ts';
import {
  type Element,
  eachPosition,
  elementsOf,
  flatOf,
  newElements,
  tensorOf,
} from './elements.ts';

type NodeRef = { readonly node: string; readonly op: string };

function axisOf(ctx: NodeRef, attrs: Attrs, rank: number): number {
  const axis = normalizeAxis(ctx, intAttr(attrs, 'axis'), rank);
  if (axis === 0) shapeError(ctx, 'axis 0 is the batch');
  return axis;
}

export const TensorScatter = defineOp({
  kind: 'core',
  name: 'TensorScatter',
  doc: 'A cache with an update written into each sequence from its write index on.',
  since: 24,
  attrs: { axis: int(-2), mode: text('linear') },
  infer: (ctx) => {
    const type = inputType(ctx, 0);
    const update = inputType(ctx, 1);
    const axis = axisOf(ctx, ctx.attrs, type.shape.length);
    requireDType(ctx, update, [type.dtype], 'the update');
    const fits = update.shape.every((n, i) => {
      const extent = type.shape[i] ?? -1;
      return i === axis ? n <= extent : n === extent;
    });
    if (update.shape.length !== type.shape.length || !fits) {
      shapeError(ctx, `update [${update.shape.join(',')}] of [${type.shape.join(',')}]`);
    }
    const where = optionalType(ctx, 2);
    if (where !== undefined) {
      requireDType(ctx, where, ['i64'], 'write_indices');
      if (where.shape.length !== 1 || where.shape[0] !== type.shape[0]) {
        shapeError(ctx, `write_indices [${where.shape.join(',')}]`);
      }
    }
    const mode = textAttr(ctx.attrs, 'mode');
    if (mode !== 'linear' && mode !== 'circular') typeError(ctx, `mode ${mode}`);
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const axis = axisOf(ctx, ctx.attrs, shape.length);
      const extent = shape[axis] as number;
      const count = inputType(ctx, 1).shape[axis] as number;
      const axes = outAxes(shape.length);
      const begin = optionalType(ctx, 2) ? load('2', 'i64', [axes[0] as Expr]) : index(0);
      // How far into the update the position is; an update that does not fit is a fault.
      const isCircular = textAttr(ctx.attrs, 'mode') === 'circular';
      const most = isCircular ? extent : extent - count + 1;
      const isBefore = binary('lt', begin, index(0));
      const start = select(isBefore, index(most), isCircular ? imod(begin, extent) : begin);
      const offset = binary('sub', axes[axis] as Expr, bound(start, most));
      const within = isCircular ? imod(iadd(offset, extent), extent) : offset;
      const inside = binary(
        'and',
        binary('ge', within, index(0)),
        binary('lt', within, index(count)),
      );
      const from = axes.map((i, k) => (k === axis ? bound(within, Math.max(1, count)) : i));
      const value = select(inside, load('1', dtype, from), load('0', dtype, axes));
      return [mapBody(shape, count === 0 ? load('0', dtype, axes) : value)];
    }),
  reference: ([cache, update, where], attrs, ctx) => {
    const [into, what] = [cache, update] as [Tensor, Tensor];
    const node = { node: ctx.node, op: 'TensorScatter' };
    const axis = axisOf(node, attrs, into.shape.length);
    const extent = into.shape[axis] as number;
    const isCircular = textAttr(attrs, 'mode') === 'circular';
    const strides = stridesOf(into.shape);
    const old = elementsOf(into);
    const out = newElements(into.dtype, old.length);
    for (let i = 0; i < old.length; i++) out[i] = old[i] as Element;
    eachPosition(what.shape, (p, flat) => {
      const begin = where ? Number(elementsOf(where)[p[0] as number]) : 0;
      const to = (isCircular ? begin % extent : begin) + (p[axis] as number);
      if (begin < 0 || (!isCircular && to >= extent)) {
        shapeError(node, `position ${to} is outside ${extent}`);
      }
      const at = p.map((i, k) => (k === axis ? to % extent : i));
      out[flatOf(at, strides)] = elementsOf(what)[flat] as Element;
    });
    return [tensorOf(into.dtype, into.shape, out)];
  },
  cases: () => [
    { inputs: [uniform([2, 4, 3]), f32([2, 1, 3], [1, 2, 3, 4, 5, 6]), i64([2], [3, 0])] },
    { note: 'no indices', inputs: [uniform([2, 4, 3]), uniform([2, 2, 3], 5, 6)] },
    {
      note: 'circular, axis 1 of 4',
      inputs: [uniform([2, 4, 2, 1]), uniform([2, 3, 2, 1], 5, 6), i64([2], [2, 3])],
      attrs: { axis: 1, mode: 'circular' },
    },
    {
      note: 'circular, from beyond the end',
      inputs: [uniform([2, 4, 3]), uniform([2, 2, 3], 5, 6), i64([2], [4, 11])],
      attrs: { mode: 'circular' },
    },
  ],
});
