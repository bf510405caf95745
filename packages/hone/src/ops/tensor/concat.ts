/** Concat. */
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import {
  inputType,
  intAttr,
  normalizeAxis,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { compiled } from './bodies.ts';
import { newElements, placeBlock, tensorOf } from './elements.ts';

export const Concat = defineOp({
  kind: 'core',
  name: 'Concat',
  doc: 'Joins tensors one after the other along an axis.',
  since: 4,
  attrs: { axis: requiredInt },
  upgrade: (_b, { inputs, attrs }) => ({ inputs, attrs: { axis: 1, ...attrs } }),
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
    if (shape.length === 0) shapeError(ctx, 'scalars cannot be joined');
    let extent = 0;
    for (let k = 0; k < ctx.inputs.length; k++) {
      const type = inputType(ctx, k);
      if (type.dtype !== dtype) typeError(ctx, `inputs are ${dtype} and ${type.dtype}`);
      const fits =
        type.shape.length === shape.length &&
        type.shape.every((size, i) => i === axis || size === shape[i]);
      if (!fits) {
        shapeError(
          ctx,
          `[${shape.join(',')}] and [${type.shape.join(',')}] differ outside axis ${axis}`,
        );
      }
      extent += type.shape[axis] as number;
    }
    return [{ dtype, shape: shape.map((size, i) => (i === axis ? extent : size)) }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      if (ctx.inputs.length === 1) return [{ kind: 'alias' }];
      const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), inputType(ctx, 0).shape.length);
      let next = 0;
      const offsets = ctx.inputs.map((_, k) => {
        const offset = next;
        next += inputType(ctx, k).shape[axis] as number;
        return offset;
      });
      return [{ kind: 'concat', axis, offsets }];
    }),
  reference: (inputs, attrs, ctx) => {
    const tensors = inputs as readonly Tensor[];
    const { dtype, shape } = ctx.outputTypes[0] as { dtype: Tensor['dtype']; shape: number[] };
    const axis = (intAttr(attrs, 'axis') + shape.length) % shape.length;
    const out = newElements(dtype, elementCount(shape));
    let offset = 0;
    for (const tensor of tensors) {
      placeBlock(
        out,
        shape,
        tensor,
        shape.map((_, i) => (i === axis ? offset : 0)),
      );
      offset += tensor.shape[axis] as number;
    }
    return [tensorOf(dtype, shape, out)];
  },
  cases: () => {
    const a = fromNumbers('f32', [2, 2], [1, 2, 3, 4]);
    const b = fromNumbers('f32', [2, 3], [5, 6, 7, 8, 9, 10]);
    return [
      { inputs: [a, b], attrs: { axis: 1 } },
      { note: 'from the end', inputs: [a, b, a], attrs: { axis: -1 } },
      { note: 'one input', inputs: [a], attrs: { axis: 0 } },
      {
        note: 'i64, one empty',
        inputs: [fromNumbers('i64', [2], [1, 2]), fromNumbers('i64', [0], [])],
        attrs: { axis: 0 },
      },
    ];
  },
});
