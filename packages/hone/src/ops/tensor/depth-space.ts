/** DepthToSpace and SpaceToDepth: blocks of pixels moved into channels and back. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { iadd, imul, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import {
  inputType,
  intAttr,
  requiredInt,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled, ifloordiv, imod } from './bodies.ts';
import { flatOf, gatherBy } from './elements.ts';

type Image = readonly [number, number, number, number];

function imageOf(ctx: InferContext): { image: Image; block: number } {
  const { shape } = inputType(ctx, 0);
  const block = intAttr(ctx.attrs, 'blocksize');
  if (shape.length !== 4) shapeError(ctx, `rank ${shape.length}, not 4`);
  if (!(block > 0)) shapeError(ctx, `blocksize ${block}`);
  return { image: shape as unknown as Image, block };
}

const x = (...shape: number[]): Tensor =>
  fromNumbers('f32', shape, [...Array(shape.reduce((a, b) => a * b, 1)).keys()]);

export const DepthToSpace = defineOp({
  kind: 'core',
  name: 'DepthToSpace',
  doc: 'Spreads groups of block² channels over block × block pixels.',
  since: 13,
  attrs: { blocksize: requiredInt, mode: text('DCR') },
  infer: (ctx) => {
    const { image, block } = imageOf(ctx);
    const [n, c, h, w] = image;
    const mode = textAttr(ctx.attrs, 'mode');
    if (mode !== 'DCR' && mode !== 'CRD') typeError(ctx, `mode ${mode} is neither DCR nor CRD`);
    if (c % block ** 2 !== 0) shapeError(ctx, `${c} channels in blocks of ${block}`);
    return [{ dtype: inputType(ctx, 0).dtype, shape: [n, c / block ** 2, h * block, w * block] }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { image, block } = imageOf(ctx);
      const [n, c, h, w] = image;
      const kept = c / block ** 2;
      const [i, channel, y, x_] = outAxes(4) as [Expr, Expr, Expr, Expr];
      const within = iadd(imul(imod(y, block), block), imod(x_, block));
      const from =
        textAttr(ctx.attrs, 'mode') === 'DCR'
          ? iadd(imul(within, kept), channel)
          : iadd(imul(channel, block ** 2), within);
      const at = [i, from, ifloordiv(y, block), ifloordiv(x_, block)];
      const value = load('0', inputType(ctx, 0).dtype, at);
      return [mapBody([n, kept, h * block, w * block], value)];
    }),
  reference: ([data], attrs) => {
    const source = data as Tensor;
    const [n, c, h, w] = source.shape as unknown as Image;
    const block = intAttr(attrs, 'blocksize');
    const kept = c / block ** 2;
    const strides = stridesOf(source.shape);
    const dcr = textAttr(attrs, 'mode') === 'DCR';
    return [
      gatherBy(source, [n, kept, h * block, w * block], (p) => {
        const [i, channel, y, x_] = p as unknown as Image;
        const within = (y % block) * block + (x_ % block);
        const from = dcr ? within * kept + channel : channel * block ** 2 + within;
        return flatOf([i, from, Math.floor(y / block), Math.floor(x_ / block)], strides);
      }),
    ];
  },
  cases: () => [
    { inputs: [x(1, 8, 2, 3)], attrs: { blocksize: 2 } },
    { inputs: [x(1, 8, 2, 3)], attrs: { blocksize: 2, mode: 'CRD' } },
  ],
});

export const SpaceToDepth = defineOp({
  kind: 'core',
  name: 'SpaceToDepth',
  doc: 'Gathers block × block pixels into channels.',
  since: 13,
  attrs: { blocksize: requiredInt },
  infer: (ctx) => {
    const { image, block } = imageOf(ctx);
    const [n, c, h, w] = image;
    if (h % block !== 0 || w % block !== 0) shapeError(ctx, `${h} × ${w} in blocks of ${block}`);
    return [{ dtype: inputType(ctx, 0).dtype, shape: [n, c * block ** 2, h / block, w / block] }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { image, block } = imageOf(ctx);
      const [n, c, h, w] = image;
      const [i, channel, y, x_] = outAxes(4) as [Expr, Expr, Expr, Expr];
      const within = ifloordiv(channel, c);
      const at = [
        i,
        imod(channel, c),
        iadd(imul(y, block), ifloordiv(within, block)),
        iadd(imul(x_, block), imod(within, block)),
      ];
      const value = load('0', inputType(ctx, 0).dtype, at);
      return [mapBody([n, c * block ** 2, h / block, w / block], value)];
    }),
  reference: ([data], attrs) => {
    const source = data as Tensor;
    const [n, c, h, w] = source.shape as unknown as Image;
    const block = intAttr(attrs, 'blocksize');
    const strides = stridesOf(source.shape);
    return [
      gatherBy(source, [n, c * block ** 2, h / block, w / block], (p) => {
        const [i, channel, y, x_] = p as unknown as Image;
        const within = Math.floor(channel / c);
        const row = y * block + Math.floor(within / block);
        return flatOf([i, channel % c, row, x_ * block + (within % block)], strides);
      }),
    ];
  },
  cases: () => [{ inputs: [x(1, 2, 4, 6)], attrs: { blocksize: 2 } }],
});
