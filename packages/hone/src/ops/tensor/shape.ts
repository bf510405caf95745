/** Shape and Size: facts about the type. Their references never read the input's elements. */
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { axis, binary, constant, index, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, int, intAttr, optionalInt } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { mapBody } from '../lower.ts';

/** The asked part of the shape. */
function part(shape: readonly number[], attrs: Attrs): readonly number[] {
  const end = attrs['end'];
  // Array.slice counts from the end and clamps as the operator does.
  return shape.slice(intAttr(attrs, 'start'), typeof end === 'number' ? end : shape.length);
}

/** values[i0] as nested choices. */
function listExpr(values: readonly number[]): Expr {
  const [first = 0, ...rest] = values;
  return rest.reduce<Expr>(
    (otherwise, value, i) =>
      select(binary('eq', axis('i0'), index(i + 1)), constant('i64', value), otherwise),
    constant('i64', first),
  );
}

const x = (): Tensor => fromNumbers('f32', [2, 3, 4], new Array(24).fill(0));

export const Shape = defineOp({
  kind: 'core',
  name: 'Shape',
  doc: "The input's extents, or some of them.",
  since: 15,
  attrs: { start: int(0), end: optionalInt },
  infer: (ctx) => [{ dtype: 'i64', shape: [part(inputType(ctx, 0).shape, ctx.attrs).length] }],
  lower: (ctx) => {
    const extents = part(inputType(ctx, 0).shape, ctx.attrs);
    return [mapBody([extents.length], listExpr(extents))];
  },
  reference: ([source], attrs) => {
    const extents = part((source as Tensor).shape, attrs);
    return [fromNumbers('i64', [extents.length], extents)];
  },
  cases: () => [
    { inputs: [x()] },
    { note: 'part', inputs: [x()], attrs: { start: -2, end: 100 } },
    { note: 'empty', inputs: [x()], attrs: { start: 2, end: 1 } },
  ],
});

export const Size = defineOp({
  kind: 'core',
  name: 'Size',
  doc: 'The number of elements of the input.',
  since: 1,
  attrs: {},
  infer: (ctx) => {
    inputType(ctx, 0);
    return [{ dtype: 'i64', shape: [] }];
  },
  lower: (ctx) => [mapBody([], constant('i64', elementCount(inputType(ctx, 0).shape)))],
  reference: ([source]) => [fromNumbers('i64', [], [elementCount((source as Tensor).shape)])],
  cases: () => [{ inputs: [x()] }],
});
