/** MaxUnpool: pooled elements at the places they came from; compiled, a ScatterElements. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import {
  constantInts,
  inputType,
  ints,
  intsAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given, outputOf } from '../math/loops.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { forEachIndex } from './index-loop.ts';
import { explicitPads, type NodeRef, spatialAttr } from './window.ts';

/** Extents before pooling, of which the indices speak. */
function unpooled(ctx: NodeRef, attrs: Attrs, shape: readonly number[]): readonly number[] {
  const rank = shape.length - 2;
  const kernel = intsAttr(attrs, 'kernel_shape') ?? [];
  if (rank < 1 || kernel.length !== rank) {
    shapeError(ctx, `kernel_shape [${kernel.join(',')}] does not fit [${shape.join(',')}]`);
  }
  const stride = spatialAttr(ctx, attrs, 'strides', rank);
  const { begin, end } = explicitPads(ctx, attrs, rank);
  const spatial = kernel.map(
    (k, i) => (at(shape, i + 2) - 1) * at(stride, i) + k - at(begin, i) - at(end, i),
  );
  if (spatial.some((extent) => extent < 0)) shapeError(ctx, `an image of [${spatial.join(',')}]`);
  return [...shape.slice(0, 2), ...spatial];
}

export const maxUnpool = defineOp({
  kind: 'composite',
  name: 'MaxUnpool',
  doc: 'Puts pooled elements back where they came from, zeros elsewhere.',
  since: 22,
  attrs: { kernel_shape: { type: 'ints', required: true }, pads: ints(), strides: ints() },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    requireDType(ctx, inputType(ctx, 1), ['i64'], 'indices');
    if (inputType(ctx, 1).shape.join() !== x.shape.join()) {
      shapeError(ctx, `indices have shape [${inputType(ctx, 1).shape.join(',')}], not the input's`);
    }
    const inner = unpooled(ctx, ctx.attrs, x.shape);
    if (optionalType(ctx, 2) === undefined) return [{ dtype: x.dtype, shape: inner }];
    const shape = constantInts(ctx, 2, 'output_shape');
    if (shape.length !== inner.length || shape.some((extent, i) => extent < at(inner, i))) {
      shapeError(ctx, `output_shape [${shape.join(',')}] does not hold [${inner.join(',')}]`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  decompose: (b, [x = null, indices = null], ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const inner = unpooled(ctx, ctx.attrs, shape);
    const count = elementCount(inner);
    const flat = (id: ValueId | null): ValueId => b.op('Reshape', [id, b.ints([-1])]);
    const zeros = b.filled(dtype, [count]);
    const placed = b.op('ScatterElements', [zeros, flat(indices), flat(x)], { axis: 0 });
    const small = b.reshape(placed, inner);
    const outer = at(ctx.outputs, 0).shape;
    const ends = outer.map((extent, i) => extent - at(inner, i));
    if (ends.every((end) => end === 0)) return [small];
    return [b.op('Pad', [small, b.ints([...inner.map(() => 0), ...ends])])];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, indices] = [given(inputs, 0), toNumbers(given(inputs, 1))];
    const inner = unpooled({ node: ctx.node, op: 'MaxUnpool' }, attrs, x.shape);
    const placed = new Float64Array(elementCount(inner));
    toNumbers(x).forEach((value, i) => {
      placed[checkedIndex(ctx.node, indices[i], placed.length)] = value;
    });
    const { shape } = outputOf(ctx);
    const out = new Float64Array(elementCount(shape));
    forEachIndex(inner, (index, flat) => {
      const to = index.reduce((sum, position, i) => sum * at(shape, i) + position, 0);
      out[to] = placed[flat] as number;
    });
    return [fromNumbers(x.dtype, shape, out)];
  },
  cases: () => [
    {
      note: 'by twos',
      inputs: [
        fromNumbers('f32', [1, 1, 2, 2], [1, 2, 3, 4]),
        fromNumbers('i64', [1, 1, 2, 2], [5, 7, 8, 10]),
      ],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      note: 'larger output',
      inputs: [
        fromNumbers('f32', [1, 1, 2, 2], [5, 6, 7, 8]),
        fromNumbers('i64', [1, 1, 2, 2], [5, 7, 13, 15]),
        fromNumbers('i64', [4], [1, 1, 5, 5]),
      ],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    },
  ],
});
