/** ReverseSequence. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { binary, bound, index, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { inputType, int, intAttr, requireDType, shapeError } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled } from './bodies.ts';
import { checkedLength, elementsOf, flatOf, gatherBy } from './elements.ts';

export const ReverseSequence = defineOp({
  kind: 'core',
  name: 'ReverseSequence',
  doc: 'Reverses the first elements of each sequence of a batch, as many as its length says.',
  since: 10,
  attrs: { batch_axis: int(1), time_axis: int(0) },
  infer: (ctx) => {
    const type = inputType(ctx, 0);
    const batch = intAttr(ctx.attrs, 'batch_axis');
    const time = intAttr(ctx.attrs, 'time_axis');
    if (batch + time !== 1 || batch * time !== 0 || type.shape.length < 2) {
      shapeError(ctx, `axes ${batch} and ${time} of [${type.shape.join(',')}]`);
    }
    const lengths = inputType(ctx, 1);
    requireDType(ctx, lengths, ['i64'], 'sequence_lens');
    if (lengths.shape.length !== 1 || lengths.shape[0] !== type.shape[batch]) {
      shapeError(ctx, `lengths [${lengths.shape.join(',')}] for ${type.shape[batch]} sequences`);
    }
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const time = intAttr(ctx.attrs, 'time_axis');
      const axes = outAxes(shape.length);
      const at = axes[time] as Expr;
      const length = load('1', 'i64', [axes[intAttr(ctx.attrs, 'batch_axis')] as Expr]);
      const mirrored = binary('sub', binary('sub', length, at), index(1));
      // A length below 0 leads outside, as one beyond the axis does by itself.
      const extent = shape[time] as number;
      const kept = select(binary('lt', length, index(0)), index(extent), at);
      const source = bound(select(binary('lt', at, length), mirrored, kept), extent);
      const from = axes.map((axis, i) => (i === time ? source : axis));
      return [mapBody(shape, load('0', dtype, from))];
    }),
  reference: ([x, lengths], attrs, { node }) => {
    const source = x as Tensor;
    const counts = elementsOf(lengths as Tensor);
    const [batch, time] = [intAttr(attrs, 'batch_axis'), intAttr(attrs, 'time_axis')];
    const strides = stridesOf(source.shape);
    const extent = source.shape[time] as number;
    // A length matters, and is checked, where there are elements.
    if (source.data.length > 0) {
      for (const count of Array.from<unknown>(counts)) checkedLength(node, Number(count), extent);
    }
    return [
      gatherBy(source, source.shape, (p) => {
        const count = Number(counts[p[batch] as number]);
        const at = p[time] as number;
        const from = [...p];
        if (at < count) from[time] = count - 1 - at;
        return flatOf(from, strides);
      }),
    ];
  },
  cases: () => {
    const x = fromNumbers('f32', [4, 3, 2], [...Array(24).keys()]);
    return [
      { inputs: [x, fromNumbers('i64', [3], [4, 1, 2])] },
      {
        inputs: [x, fromNumbers('i64', [4], [3, 0, 2, 1])],
        attrs: { batch_axis: 0, time_axis: 1 },
      },
    ];
  },
});
