/** OneHot. */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { binary, cast, index, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { constantInt, inputType, int, intAttr, normalizeAxis, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { checkedShape, compiled } from './bodies.ts';
import { eachPosition, type Element, elementsOf, newElements, tensorOf } from './elements.ts';

function parts(ctx: InferContext): { axis: number; depth: number; shape: readonly number[] } {
  const { shape } = inputType(ctx, 0);
  const depth = constantInt(ctx, 1, 'depth');
  const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length + 1);
  if (inputType(ctx, 2).shape.join() !== '2') shapeError(ctx, 'values are not [off, on]');
  const out = [...shape.slice(0, axis), depth, ...shape.slice(axis)];
  return { axis, depth, shape: checkedShape(ctx, out) };
}

export const OneHot = defineOp({
  kind: 'core',
  name: 'OneHot',
  doc: 'A new axis of `depth` positions: the "on" value at each index, "off" elsewhere.',
  since: 11,
  attrs: { axis: int(-1) },
  infer: (ctx) => [{ dtype: inputType(ctx, 2).dtype, shape: parts(ctx).shape }],
  lower: (ctx) =>
    compiled(ctx, () => {
      const indices = inputType(ctx, 0);
      const { dtype } = inputType(ctx, 2);
      const { axis, depth, shape } = parts(ctx);
      const axes = outAxes(shape.length);
      const others = axes.filter((_, i) => i !== axis);
      const given = cast('i64', load('0', indices.dtype, others));
      const at = select(binary('lt', given, index(0)), binary('add', given, index(depth)), given);
      const hit = binary('eq', at, axes[axis] as Expr);
      return [
        mapBody(shape, select(hit, load('2', dtype, [index(1)]), load('2', dtype, [index(0)]))),
      ];
    }),
  reference: ([indices, size, values], attrs) => {
    const source = indices as Tensor;
    const choice = values as Tensor;
    const depth = Math.trunc(toNumbers(size as Tensor)[0] as number);
    const rank = source.shape.length + 1;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const shape = [...source.shape.slice(0, axis), depth, ...source.shape.slice(axis)];
    const given = toNumbers(source);
    const [off, on] = elementsOf(choice) as unknown as [Element, Element];
    const out = newElements(choice.dtype, elementCount(shape));
    const inner = elementCount(source.shape.slice(axis));
    eachPosition(shape, (p, flat) => {
      const outer = Math.floor(flat / (depth * inner));
      const value = Math.trunc(given[outer * inner + (flat % inner)] as number);
      out[flat] = (value < 0 ? value + depth : value) === p[axis] ? on : off;
    });
    return [tensorOf(choice.dtype, shape, out)];
  },
  cases: () => {
    const values = fromNumbers('f32', [2], [-1, 5]);
    const depth = fromNumbers('i64', [], [4]);
    return [
      { inputs: [fromNumbers('i64', [3], [0, -1, 9]), depth, values] },
      {
        note: 'axis 1',
        inputs: [fromNumbers('f32', [2, 2], [0, 1, 2, 3]), depth, values],
        attrs: { axis: 1 },
      },
      {
        note: 'i64 values',
        inputs: [
          fromNumbers('i32', [2], [1, 3]),
          fromNumbers('i64', [1], [4]),
          fromNumbers('i64', [2], [0, 1]),
        ],
        attrs: { axis: 0 },
      },
    ];
  },
});
