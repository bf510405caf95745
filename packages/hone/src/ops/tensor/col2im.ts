/** Col2Im: sums overlapping blocks back into an image. */
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { acc, binary, cast, constant, iadd, imul, index, load, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { constantInts, inputType, ints, intsAttr, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { outAxes, reduceAxesOf } from '../lower.ts';
import { allOf, checkedShape, compiled, ifloordiv, imod } from './bodies.ts';
import { eachPosition } from './elements.ts';

interface Geometry {
  readonly image: readonly number[];
  readonly block: readonly number[];
  /** Number of blocks along each axis. */
  readonly blocks: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBegin: readonly number[];
}

function geometry(image: readonly number[], block: readonly number[], attrs: Attrs): Geometry {
  const ones = image.map(() => 1);
  const stride = intsAttr(attrs, 'strides') ?? ones;
  const dilation = intsAttr(attrs, 'dilations') ?? ones;
  const pads = intsAttr(attrs, 'pads') ?? [...image, ...image].map(() => 0);
  const blocks = image.map((extent, i) => {
    const around = (pads[i] as number) + (pads[i + image.length] as number);
    const reach = (dilation[i] as number) * ((block[i] as number) - 1) + 1;
    return Math.floor((extent + around - reach) / (stride[i] as number)) + 1;
  });
  return { image, block, blocks, stride, dilation, padBegin: pads.slice(0, image.length) };
}

function geometryOf(ctx: InferContext): Geometry {
  const image = checkedShape(ctx, constantInts(ctx, 1, 'image_shape'));
  const block = checkedShape(ctx, constantInts(ctx, 2, 'block_shape'));
  const { shape } = inputType(ctx, 0);
  const lists = ['strides', 'dilations'].map((name) => intsAttr(ctx.attrs, name)?.length);
  const pads = intsAttr(ctx.attrs, 'pads')?.length;
  const known = (length: number | undefined, want: number): boolean =>
    length === undefined || length === want;
  const valid =
    image.length > 0 &&
    block.length === image.length &&
    lists.every((length) => known(length, image.length)) &&
    known(pads, 2 * image.length) &&
    shape.length === 3;
  if (!valid) shapeError(ctx, `image [${image.join(',')}] of blocks [${block.join(',')}]`);
  const plan = geometry(image, block, ctx.attrs);
  const size = elementCount(block);
  if (plan.blocks.some((count) => count < 0) || elementCount(plan.blocks) !== shape[2]) {
    shapeError(ctx, `${shape[2]} columns for [${plan.blocks.join(',')}] blocks`);
  }
  if (size === 0 || (shape[1] as number) % size !== 0) {
    shapeError(ctx, `${shape[1]} rows of blocks of ${size}`);
  }
  return plan;
}

export const Col2Im = defineOp({
  kind: 'core',
  name: 'Col2Im',
  doc: 'Puts columns of blocks back into an image, adding where they overlap.',
  since: 18,
  attrs: { dilations: ints(), pads: ints(), strides: ints() },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const { image, block } = geometryOf(ctx);
    const channels = (shape[1] as number) / elementCount(block);
    return [{ dtype, shape: [shape[0] as number, channels, ...image] }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype } = inputType(ctx, 0);
      const plan = geometryOf(ctx);
      const shape = ctx.outputs[0]?.shape ?? [];
      const [n, c, ...pixel] = outAxes(shape.length) as [Expr, Expr, ...Expr[]];
      const within = reduceAxesOf(plan.image.length);
      const conditions: Expr[] = [];
      let row = c;
      let column: Expr = index(0);
      pixel.forEach((p, i) => {
        const stride = plan.stride[i] as number;
        const count = plan.blocks[i] as number;
        const w = within[i] as Expr;
        const shifted = iadd(
          iadd(p, plan.padBegin[i] as number),
          imul(w, -(plan.dilation[i] as number)),
        );
        conditions.push(
          binary('ge', shifted, index(0)),
          binary('lt', shifted, index(count * stride)),
        );
        if (stride > 1) conditions.push(binary('eq', imod(shifted, stride), index(0)));
        row = iadd(imul(row, plan.block[i] as number), w);
        column = iadd(imul(column, count), ifloordiv(shifted, stride));
      });
      const accDtype = dtype === 'f16' || dtype === 'bf16' ? 'f32' : dtype;
      const value = cast(accDtype, load('0', dtype, [n, row, column]));
      const zero = constant(accDtype, 0);
      return [
        {
          kind: 'reduce',
          axes: shape,
          reduceAxes: plan.block,
          steps: [
            { op: 'sum', value: select(allOf(conditions) as Expr, value, zero), dtype: accDtype },
          ],
          spans: 'outer',
          outIndex: outAxes(shape.length),
          value: cast(dtype, acc(0, accDtype)),
        },
      ];
    }),
  reference: ([x, image, block], attrs, ctx) => {
    const source = x as Tensor;
    const numbers = (tensor: Tensor | null | undefined): number[] => [
      ...toNumbers(tensor as Tensor),
    ];
    const plan = geometry(numbers(image), numbers(block), attrs);
    const { dtype, shape } = ctx.outputTypes[0] as { dtype: Tensor['dtype']; shape: number[] };
    const rank = plan.image.length;
    const [n, c] = shape as [number, number];
    const values = toNumbers(source);
    const out = new Float64Array(elementCount(shape));
    const strides = stridesOf(shape);
    eachPosition([n, c, ...plan.block, ...plan.blocks], (p, flat) => {
      let at =
        (p[0] as number) * (strides[0] as number) + (p[1] as number) * (strides[1] as number);
      for (let i = 0; i < rank; i++) {
        const start = (p[2 + rank + i] as number) * (plan.stride[i] as number);
        const step = (p[2 + i] as number) * (plan.dilation[i] as number);
        const pixel = start + step - (plan.padBegin[i] as number);
        if (pixel < 0 || pixel >= (plan.image[i] as number)) return;
        at += pixel * (strides[2 + i] as number);
      }
      out[at] = (out[at] as number) + (values[flat] as number);
    });
    return [fromNumbers(dtype, shape, out)];
  },
  cases: () => {
    const x = (...shape: number[]): Tensor =>
      fromNumbers('f32', shape, [...Array(shape.reduce((a, b) => a * b, 1)).keys()]);
    const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);
    return [
      { inputs: [x(1, 8, 6), list(3, 4), list(2, 2)] },
      {
        note: 'strides, dilations, pads',
        inputs: [x(1, 4, 9), list(5, 6), list(2, 2)],
        attrs: { strides: [2, 2], dilations: [2, 1], pads: [1, 0, 1, 1] },
      },
    ];
  },
});
