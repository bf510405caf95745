/** Split. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { iadd, load } from '../../expr/build.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalInt,
  optionalInts,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled } from './bodies.ts';
import { stridedCopy } from './elements.ts';
import { attrToInput } from './reshape.ts';

/** Extents of the parts along the axis. */
function parts(ctx: InferContext, axis: number): number[] {
  const extent = inputType(ctx, 0).shape[axis];
  if (extent === undefined) shapeError(ctx, 'a scalar cannot be split');
  const given = optionalInts(ctx, 1, 'split');
  if (given !== undefined) {
    const sum = given.reduce((total, size) => total + size, 0);
    if (sum !== extent || given.some((size) => size < 0)) {
      shapeError(ctx, `parts [${given.join(',')}] do not add up to extent ${extent}`);
    }
    if (given.length < ctx.outputCount) {
      shapeError(ctx, `${given.length} parts for ${ctx.outputCount} outputs`);
    }
    return given;
  }
  const wanted = ctx.attrs['num_outputs'];
  const count = typeof wanted === 'number' ? wanted : ctx.outputCount;
  if (!(count > 0 && count < 2 ** 16)) shapeError(ctx, `${count} outputs`);
  const size = Math.ceil(extent / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(size, extent - i * size)));
}

export const Split = defineOp({
  kind: 'core',
  name: 'Split',
  doc: 'Cuts a tensor into consecutive parts along an axis.',
  since: 18,
  attrs: { axis: int(0), num_outputs: optionalInt },
  upgrade: (b, node) => attrToInput(b, node, 'split', 1),
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
    return parts(ctx, axis).map((size) => ({
      dtype,
      shape: shape.map((extent, i) => (i === axis ? size : extent)),
    }));
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
      let next = 0;
      return ctx.outputs.map((type) => {
        const start = next;
        next += type.shape[axis] as number;
        const from = outAxes(shape.length).map((at, i) => (i === axis ? iadd(at, start) : at));
        return mapBody(type.shape, load('0', dtype, from));
      });
    }),
  reference: ([x], attrs, ctx) => {
    const source = x as Tensor;
    const rank = source.shape.length;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const strides = stridesOf(source.shape);
    let next = 0;
    return ctx.outputTypes.map((type) => {
      const part = stridedCopy(source, type.shape, next * (strides[axis] as number), strides);
      next += type.shape[axis] as number;
      return part;
    });
  },
  cases: () => {
    const x = fromNumbers('f32', [2, 7], [...Array(14).keys()]);
    return [
      { inputs: [x], attrs: { axis: 1, num_outputs: 3 }, outputs: 3 },
      {
        note: 'given parts',
        inputs: [x, fromNumbers('i64', [3], [1, 0, 6])],
        attrs: { axis: -1 },
        outputs: 3,
      },
      { note: 'equal parts', inputs: [x], outputs: 2 },
    ];
  },
});
