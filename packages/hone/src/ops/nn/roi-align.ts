/** RoiAlign: pools regions of images, each sampled at a regular grid of points. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, bound, cast, constant, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import type { StageBody } from '../../stages/types.ts';
import { extentOfRun } from '../tensor/bodies.ts';
import { checkedIndex, pictureOf } from '../tensor/elements.ts';
import { HONE_DOMAIN } from '../tensor/positions.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, computeType, div, max, mul, sub, widen } from '../math/scalar.ts';
import { type ImageReach, type ImageSize, sampleInRegion } from './bilinear.ts';
import { sample } from './samples.ts';

function outShape(ctx: InferContext): readonly number[] {
  const [x, rois, batches] = [inputType(ctx, 0), inputType(ctx, 1), inputType(ctx, 2)];
  const [count] = rois.shape;
  if (x.shape.length !== 4) shapeError(ctx, `input has rank ${x.shape.length}; it takes 4`);
  // A sample moved to the border of an image needs one.
  if (x.shape.slice(2).includes(0))
    shapeError(ctx, `images of [${x.shape.join(',')}] have no pixel`);
  if (rois.shape.length !== 2 || rois.shape[1] !== 4) {
    shapeError(ctx, `rois have shape [${rois.shape.join(',')}]; they take [count,4]`);
  }
  if (batches.shape.join() !== `${count}`) {
    shapeError(ctx, `batch_indices have shape [${batches.shape.join(',')}] for ${count} regions`);
  }
  const [height, width] = [intAttr(ctx.attrs, 'output_height'), intAttr(ctx.attrs, 'output_width')];
  if (height < 1 || width < 1) typeError(ctx, `the output is ${height} × ${width}`);
  return [at(rois.shape, 0), at(x.shape, 1), height, width];
}

/** Where a region begins and how long it is, along y (1) or x (0). */
function region(
  coordinate: (k: number) => Expr,
  side: 0 | 1,
  attrs: Attrs,
): { from: Expr; length: Expr } {
  const halfPixel = textAttr(attrs, 'coordinate_transformation_mode') === 'half_pixel';
  const scale = intAttr(attrs, 'spatial_scale');
  const place = (k: number): Expr => {
    const scaled = mul(coordinate(k), scale);
    return halfPixel ? sub(scaled, 0.5) : scaled;
  };
  const from = place(side);
  const length = sub(place(side + 2), from);
  return { from, length: halfPixel ? length : max(length, 1) };
}

/** One sample of doubles as RoiAlign takes it, as its four weighted pixels. */
function weighted(
  plane: () => Float64Array,
  size: ImageSize,
  y: number,
  x: number,
): readonly number[] {
  if (y < -1 || y > size.height || x < -1 || x > size.width) return [0, 0, 0, 0];
  const along = (position: number, extent: number): readonly [number, number, number] => {
    const low = Math.min(Math.floor(Math.max(position, 0)), extent - 1);
    if (low === extent - 1) return [low, low, 0];
    return [low, low + 1, Math.max(position, 0) - low];
  };
  const [top, bottom, down] = along(y, size.height);
  const [left, right, over] = along(x, size.width);
  const image = plane();
  const pixel = (row: number, column: number): number => image[row * size.width + column] as number;
  return [
    pixel(top, left) * (1 - down) * (1 - over),
    pixel(top, right) * (1 - down) * over,
    pixel(bottom, left) * down * (1 - over),
    pixel(bottom, right) * down * over,
  ];
}

export const roiAlign = defineOp({
  kind: 'core',
  name: 'RoiAlign',
  doc: 'Mean (or largest) of samples in the cells of regions of images.',
  since: 22,
  attrs: {
    coordinate_transformation_mode: text('half_pixel'),
    mode: text('avg'),
    output_height: int(1),
    output_width: int(1),
    sampling_ratio: int(0),
    spatial_scale: float(1),
  },
  // Before opset 16 regions were never moved by half a pixel.
  upgrade: (_b, { opset, inputs, attrs }) => ({
    inputs,
    attrs: opset < 16 ? { coordinate_transformation_mode: 'output_half_pixel', ...attrs } : attrs,
  }),
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    requireDType(ctx, inputType(ctx, 1), [x.dtype], 'rois');
    requireDType(ctx, inputType(ctx, 2), ['i64'], 'batch_indices');
    return [{ dtype: x.dtype, shape: outShape(ctx) }];
  },
  lower: (ctx) => lowered(ctx),
  reference: (inputs, attrs, ctx) => {
    const [x, rois, batches] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
    const [values, boxes, images] = [toNumbers(x), toNumbers(rois), toNumbers(batches)];
    const [channels, height, width] = [at(x.shape, 1), at(x.shape, 2), at(x.shape, 3)];
    const [rows, columns] = [intAttr(attrs, 'output_height'), intAttr(attrs, 'output_width')];
    const halfPixel = textAttr(attrs, 'coordinate_transformation_mode') === 'half_pixel';
    const scale = intAttr(attrs, 'spatial_scale');
    const ratio = intAttr(attrs, 'sampling_ratio');
    const mean = textAttr(attrs, 'mode') === 'avg';
    const out: number[] = [];
    images.forEach((image, r) => {
      const edge = (k: number): number =>
        (boxes[r * 4 + k] as number) * scale - (halfPixel ? 0.5 : 0);
      const extent = (length: number): number => (halfPixel ? length : Math.max(length, 1));
      const [cellHeight, cellWidth] = [
        extent(edge(3) - edge(1)) / rows,
        extent(edge(2) - edge(0)) / columns,
      ];
      const [down, across] = [
        ratio > 0 ? ratio : Math.ceil(cellHeight),
        ratio > 0 ? ratio : Math.ceil(cellWidth),
      ];
      for (let c = 0; c < channels; c++) {
        // Which image it is matters, and is checked, where a sample is inside.
        const plane = (): Float64Array => {
          const place = checkedIndex(ctx.node, image, at(x.shape, 0)) * channels + c;
          return values.subarray(place * height * width, (place + 1) * height * width);
        };
        for (let i = 0; i < rows * columns; i++) {
          const parts: number[] = [];
          for (let s = 0; s < down * across; s++) {
            const dy = (Math.floor(s / across) + 0.5) / down;
            const dx = ((s % across) + 0.5) / across;
            const y = edge(1) + cellHeight * (Math.floor(i / columns) + dy);
            const column = edge(0) + cellWidth * ((i % columns) + dx);
            parts.push(...weighted(plane, { height, width }, y, column));
          }
          const sum = parts.reduce((total, part) => total + part, 0);
          const top = parts.reduce((most, part) => Math.max(most, part), Number.NEGATIVE_INFINITY);
          out.push(mean ? sum / Math.max(down * across, 1) : top);
        }
      }
    });
    return [fromNumbers(x.dtype, at(ctx.outputTypes, 0).shape, out)];
  },
  cases: () => cases(),
});

/**
 * The same of images that are the begin of their room: the last input says how many rows and columns of it. No
 * model has this operator: the importer makes it where extents are data.
 */
export const sizedRoiAlign = defineOp({
  kind: 'core',
  name: 'SizedRoiAlign',
  domain: HONE_DOMAIN,
  doc: 'As RoiAlign, of images with room: the last input has their extents.',
  since: 1,
  attrs: roiAlign.attrs,
  infer: (ctx) => {
    requireDType(ctx, inputType(ctx, 3), ['i64'], 'extents');
    if (inputType(ctx, 3).shape.join() !== '2') shapeError(ctx, 'not two extents');
    return roiAlign.infer(ctx);
  },
  lower: (ctx) => {
    const rooms = inputType(ctx, 0).shape.slice(2);
    return lowered(
      ctx,
      rooms.map((room, i) => extentOfRun('3', i, room)),
    );
  },
  reference: ([x, rois, batches, extents], attrs, ctx) => {
    const meant = pictureOf(x as Tensor, extents as Tensor);
    return roiAlign.reference([meant, rois ?? null, batches ?? null], attrs, ctx);
  },
  cases: () =>
    [
      [7, 6],
      [4, 5],
      [1, 2],
    ].flatMap((meant) =>
      cases().map(({ inputs, note, ...item }) => ({
        ...item,
        note: `${note}, ${meant.join(' × ')} pixels`,
        inputs: [...inputs, fromNumbers('i64', [2], meant)],
      })),
    ),
});

/** `meant`: how far the images reach, where that is data; their room is more. */
function lowered(ctx: LowerContext, meant: readonly Expr[] = []): readonly StageBody[] | string {
  const x = inputType(ctx, 0);
  const ratio = intAttr(ctx.attrs, 'sampling_ratio');
  if (ratio < 1) return 'sampling_ratio 0 takes a number of samples that depends on input data';
  const shape = outShape(ctx);
  const dtype = computeType(x.dtype);
  const [r, c] = [axis('i0'), axis('i1')];
  const coordinate = (k: number): Expr => widen(load('1', x.dtype, [r, index(k)]));
  const position = (side: 0 | 1): Expr => {
    const { from, length } = region(coordinate, side, ctx.attrs);
    const [cell, point] = side === 1 ? [axis('i2'), axis('r0')] : [axis('i3'), axis('r1')];
    const size = div(length, at(shape, side === 1 ? 2 : 3));
    const inCell = div(add(cast(dtype, point), 0.5), ratio);
    return add(from, mul(size, add(cast(dtype, cell), inCell)));
  };
  const image = bound(load('2', 'i64', [r]), at(x.shape, 0));
  const pixel = (y: Expr, column: Expr): Expr => widen(load('0', x.dtype, [image, c, y, column]));
  const mean = textAttr(ctx.attrs, 'mode') === 'avg';
  const reach = (side: 0 | 1): ImageReach => {
    const [room, own] = [at(x.shape, side + 2), meant[side]];
    return own === undefined ? { room } : { room, meant: own };
  };
  const value = sampleInRegion(
    [reach(0), reach(1)],
    pixel,
    position(1),
    position(0),
    // The largest is taken of the weighted pixels, not of their sums.
    (parts) => parts.reduce((sum, part) => binary(mean ? 'add' : 'max', sum, part)),
  );
  const folded = acc(0, dtype);
  return [
    {
      kind: 'reduce',
      axes: shape,
      reduceAxes: [ratio, ratio],
      steps: [{ op: mean ? 'sum' : 'max', value, dtype }],
      spans: 'outer',
      outIndex: outAxes(4),
      value: cast(x.dtype, mean ? div(folded, constant(dtype, ratio * ratio)) : folded),
    },
  ];
}

function cases(): readonly TestCase[] {
  const boxes = fromNumbers('f32', [3, 4], [0, 0, 5, 6, 1.5, 2.25, 4, 3, -3, 2, 9, 7.5]);
  const inputs = [sample([2, 2, 7, 6]), boxes, fromNumbers('i64', [3], [0, 1, 0])];
  const size = { output_height: 3, output_width: 2 };
  return [
    { note: 'mean, half pixel', inputs, attrs: { ...size, sampling_ratio: 2 } },
    {
      note: 'largest, scaled',
      inputs,
      attrs: {
        ...size,
        mode: 'max',
        sampling_ratio: 3,
        spatial_scale: 0.5,
        coordinate_transformation_mode: 'output_half_pixel',
      },
    },
    { note: 'as many samples as pixels', inputs, attrs: size },
  ];
}
