/** Expand and Tile: repetition. */
import { fromNumbers, stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { index, load } from '../../expr/build.ts';
import { constantInts, broadcastShapes, inputType, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { broadcastLoad, mapBody, outAxes } from '../lower.ts';
import { constantTensor } from '../../graph/walk.ts';
import { checkedShape, compiled, imod } from './bodies.ts';
import { flatOf, gatherBy, scalarOf, stridedCopy } from './elements.ts';

const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);

function expanded(ctx: InferContext): readonly number[] {
  const wanted = checkedShape(ctx, constantInts(ctx, 1, 'shape'));
  return checkedShape(ctx, broadcastShapes(ctx, inputType(ctx, 0).shape, wanted));
}

export const Expand = defineOp({
  kind: 'core',
  name: 'Expand',
  doc: 'Broadcasts the input against a shape.',
  since: 13,
  attrs: {},
  infer: (ctx) => [{ dtype: inputType(ctx, 0).dtype, shape: expanded(ctx) }],
  lower: (ctx) =>
    compiled(ctx, () => {
      const shape = expanded(ctx);
      return [mapBody(shape, broadcastLoad(0, inputType(ctx, 0), outAxes(shape.length)))];
    }),
  reference: ([x], _attrs, ctx) => {
    const source = x as Tensor;
    const shape = ctx.outputTypes[0]?.shape ?? [];
    const skip = shape.length - source.shape.length;
    const own = stridesOf(source.shape);
    const strides = shape.map((_, i) =>
      i < skip || source.shape[i - skip] === 1 ? 0 : (own[i - skip] as number),
    );
    return [stridedCopy(source, shape, 0, strides)];
  },
  cases: () => [
    { inputs: [fromNumbers('f32', [3, 1], [1, 2, 3]), list(2, 1, 4)] },
    { note: 'shape is smaller', inputs: [fromNumbers('f32', [2, 2], [1, 2, 3, 4]), list(1)] },
    { note: 'scalar', inputs: [fromNumbers('bool', [], [1]), list(3)] },
  ],
});

function repeats(ctx: InferContext): number[] {
  const { shape } = inputType(ctx, 0);
  const given = constantInts(ctx, 1, 'repeats');
  if (given.length !== shape.length) {
    shapeError(ctx, `${given.length} repeats for rank ${shape.length}`);
  }
  return given;
}

export const Tile = defineOp({
  kind: 'core',
  name: 'Tile',
  doc: 'Repeats the input along each dimension.',
  since: 13,
  attrs: {},
  upgrade: (b, node) => {
    const [x = null, tiles = null, axis = null] = node.inputs;
    if (node.opset >= 6 || x === null || tiles === null || axis === null) {
      return { inputs: node.inputs, attrs: node.attrs };
    }
    const read = (id: number): number => scalarOf(constantTensor(b.graph.value(id)));
    const at = read(axis);
    const times = read(tiles);
    const list_ = b.typeOf(x).shape.map((_, i) => (i === at ? times : 1));
    return { inputs: [x, b.ints(list_)], attrs: {} };
  },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const times = repeats(ctx);
    return [
      {
        dtype,
        shape: checkedShape(
          ctx,
          shape.map((extent, i) => extent * (times[i] as number)),
        ),
      },
    ];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const times = repeats(ctx);
      const from = outAxes(shape.length).map((at, i) => {
        if (shape[i] === 1) return index(0);
        return times[i] === 1 ? at : imod(at, shape[i] as number);
      });
      const out = shape.map((extent, i) => extent * (times[i] as number));
      return [mapBody(out, load('0', dtype, from))];
    }),
  reference: ([x, times]) => {
    const source = x as Tensor;
    const by = toNumbers(times as Tensor);
    const strides = stridesOf(source.shape);
    const shape = source.shape.map((extent, i) => extent * (by[i] as number));
    return [
      gatherBy(source, shape, (p) =>
        flatOf(
          p.map((at, i) => at % (source.shape[i] as number)),
          strides,
        ),
      ),
    ];
  },
  cases: () => [
    { inputs: [fromNumbers('f32', [2, 2], [1, 2, 3, 4]), list(2, 3)] },
    { note: 'extent 1', inputs: [fromNumbers('f32', [1, 3], [1, 2, 3]), list(4, 1)] },
    { note: 'no repeats', inputs: [fromNumbers('i32', [2], [1, 2]), list(0)] },
  ],
});
