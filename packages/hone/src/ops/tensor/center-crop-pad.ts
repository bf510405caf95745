/** CenterCropPad: a composite of one Pad. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { constantInts, inputType, ints, intsAttr, normalizeAxis, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { checkedShape } from './bodies.ts';
import { flatOf, gatherBy } from './elements.ts';

/** Wanted extent per dimension. */
function wanted(ctx: InferContext): readonly number[] {
  const { shape } = inputType(ctx, 0);
  const sizes = constantInts(ctx, 1, 'shape');
  const asked = intsAttr(ctx.attrs, 'axes');
  if (shape.length === 0 && (asked?.length ?? 0) > 0) shapeError(ctx, 'a scalar has no axes');
  const axes = (asked ?? shape.map((_, i) => i)).map((axis) =>
    normalizeAxis(ctx, axis, shape.length),
  );
  if (sizes.length !== axes.length) shapeError(ctx, `${sizes.length} extents, ${axes.length} axes`);
  return checkedShape(
    ctx,
    shape.map((extent, i) => (axes.includes(i) ? (sizes[axes.indexOf(i)] as number) : extent)),
  );
}

export const CenterCropPad = defineOp({
  kind: 'composite',
  name: 'CenterCropPad',
  doc: 'Crops or zero-pads each side equally, so that the middle stays in the middle.',
  since: 18,
  attrs: { axes: ints() },
  infer: (ctx) => [{ dtype: inputType(ctx, 0).dtype, shape: wanted(ctx) }],
  decompose: (b, [x = null], ctx) => {
    const { shape } = inputType(ctx, 0);
    const more = wanted(ctx).map((size, i) => size - (shape[i] as number));
    // Odd differences: the extra element is cut or added at the end.
    const begins = more.map((count) => Math.trunc(count / 2));
    const ends = more.map((count, i) => count - (begins[i] as number));
    return [b.op('Pad', [x, b.ints([...begins, ...ends])])];
  },
  reference: ([x], _attrs, ctx) => {
    const source = x as Tensor;
    const shape = ctx.outputTypes[0]?.shape ?? [];
    const strides = stridesOf(source.shape);
    return [
      gatherBy(source, shape, (p) => {
        const from = p.map((at, i) => {
          const [has, gets] = [source.shape[i] as number, shape[i] as number];
          const inner = at + Math.trunc((has - gets) / 2);
          return inner >= 0 && inner < has ? inner : Number.NaN;
        });
        const flat = flatOf(from, strides);
        return Number.isNaN(flat) ? -1 : flat;
      }),
    ];
  },
  cases: () => {
    const x = fromNumbers('f32', [4, 5], [...Array(20).keys()]);
    const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);
    return [
      { inputs: [x, list(2, 8)] },
      { note: 'axes, odd', inputs: [x, list(2)], attrs: { axes: [-1] } },
      { note: 'odd pad', inputs: [x, list(7, 4)] },
    ];
  },
});
