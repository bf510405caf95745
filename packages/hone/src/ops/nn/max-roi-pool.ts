/** MaxRoiPool: the largest pixels in the cells of regions, whose corners are rounded to whole pixels. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { float, inputType, intAttr, intsAttr, requireDType, shapeError } from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32 } from '../math/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { sample } from './samples.ts';

function outShape(ctx: InferContext): readonly [number, number, number, number] {
  const [x, rois] = [inputType(ctx, 0).shape, inputType(ctx, 1).shape];
  const cells = intsAttr(ctx.attrs, 'pooled_shape') ?? [];
  if (x.length !== 4) shapeError(ctx, `input has rank ${x.length}; it takes 4`);
  if (rois.length !== 2 || rois[1] !== 5) {
    shapeError(ctx, `rois have shape [${rois.join(',')}]; they take [count,5]`);
  }
  if (cells.length !== 2 || cells.some((extent) => extent < 1)) {
    shapeError(ctx, `pooled_shape [${cells.join(',')}] is not two sizes`);
  }
  return [at(rois, 0), at(x, 1), at(cells, 0), at(cells, 1)];
}

/** Of one side: which pixels belong to which cell, [regions, cells, extent] bools, and which cells have any. */
function cellNodes(
  b: OpBuilder,
  rois: ValueId,
  columns: readonly [number, number],
  scale: number,
  cells: number,
  extent: number,
): { readonly inside: ValueId; readonly any: ValueId } {
  const { dtype } = b.typeOf(rois);
  const number = (value: number): ValueId => b.scalar(value, dtype);
  // To the nearest pixel, halves away from zero.
  const corner = (k: number): ValueId => {
    const place = b.op('Mul', [b.op('Gather', [rois, b.ints([k])], { axis: 1 }), number(scale)]);
    const size = b.op('Floor', [b.op('Add', [b.op('Abs', [place]), number(0.5)])]);
    return b.op('Mul', [b.op('Sign', [place]), size]);
  };
  const [first, last] = [corner(columns[0]), corner(columns[1])];
  const length = b.op('Max', [b.op('Add', [b.op('Sub', [last, first]), number(1)]), number(1)]);
  const size = b.op('Div', [length, number(cells)]);
  const list = (count: number, from = 0): ValueId =>
    b.op('Add', [b.op('Cast', [b.positions(count)], { to: dtypeCode(dtype) }), number(from)]);
  const inRange = (x: ValueId): ValueId =>
    b.op('Clip', [b.op('Add', [x, first]), number(0), number(extent)]);
  const begin = inRange(b.op('Floor', [b.op('Mul', [size, list(cells)])]));
  const end = inRange(b.op('Ceil', [b.op('Mul', [size, list(cells, 1)])]));
  const [from, to] = [begin, end].map((x) => b.op('Unsqueeze', [x, b.ints([2])]));
  const pixels = list(extent);
  const inside = b.op('And', [
    b.op('GreaterOrEqual', [pixels, from ?? null]),
    b.op('Less', [pixels, to ?? null]),
  ]);
  return { inside, any: b.op('Greater', [end, begin]) };
}

export const maxRoiPool: CompositeOp = defineOp({
  kind: 'composite',
  name: 'MaxRoiPool',
  doc: 'The largest pixel in each cell of regions of images; 0 where a cell has none.',
  since: 22,
  attrs: { pooled_shape: { type: 'ints', required: true }, spatial_scale: float(1) },
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, ['f32', 'f64', 'f16', 'bf16']);
    requireDType(ctx, inputType(ctx, 1), [x.dtype], 'rois');
    return [{ dtype: x.dtype, shape: outShape(ctx) }];
  },
  // Rows are folded before columns, so that a cell reads a column of pixels and then a row of cells.
  decompose: (b, inputs, ctx) => {
    const [count, channels, rows, columns] = outShape(ctx);
    const [x, rois] = [inputs[0] as ValueId, inputs[1] as ValueId];
    const { dtype, shape } = inputType(ctx, 0);
    const [height, width] = [at(shape, 2), at(shape, 3)];
    const scale = intAttr(ctx.attrs, 'spatial_scale');
    const batch = b.op('Cast', [b.op('Gather', [rois, b.scalar(0, 'i64')], { axis: 1 })], {
      to: dtypeCode('i64'),
    });
    const images = b.op('Gather', [x, batch], { axis: 0 });
    const lowest = b.scalar(Number.NEGATIVE_INFINITY, dtype);
    const down = cellNodes(b, rois, [2, 4], scale, rows, height);
    const across = cellNodes(b, rois, [1, 3], scale, columns, width);
    const reshape = (id: ValueId, to: readonly number[]): ValueId => b.reshape(id, to);
    const tall = b.op('Where', [
      reshape(down.inside, [count, 1, rows, height, 1]),
      reshape(images, [count, channels, 1, height, width]),
      lowest,
    ]);
    const lines = b.op('ReduceMax', [tall, b.ints([3])], { keepdims: 0 });
    const wide = b.op('Where', [
      reshape(across.inside, [count, 1, 1, columns, width]),
      reshape(lines, [count, channels, rows, 1, width]),
      lowest,
    ]);
    const largest = b.op('ReduceMax', [wide, b.ints([4])], { keepdims: 0 });
    const any = b.op('And', [
      reshape(down.any, [count, 1, rows, 1]),
      reshape(across.any, [count, 1, 1, columns]),
    ]);
    return [b.op('Where', [any, largest, b.scalar(0, dtype)])];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, rois] = [given(inputs, 0), given(inputs, 1)];
    const { dtype, shape } = at(ctx.outputTypes, 0);
    const [, channels, rows, columns] = shape as [number, number, number, number];
    const [images, , height, width] = x.shape as [number, number, number, number];
    const [values, boxes] = [toNumbers(x), toNumbers(rois)];
    const scale = intAttr(attrs, 'spatial_scale');
    const round = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
    const range = (
      ends: readonly [number, number],
      cell: number,
      cells: number,
      extent: number,
    ): readonly [number, number] => {
      const [first, last] = ends.map((end) => round(Math.fround(end * scale))) as [number, number];
      const size = Math.fround(Math.max(last - first + 1, 1) / cells);
      const limit = (value: number): number => Math.min(Math.max(value + first, 0), extent);
      const [from, to] = [cell * size, (cell + 1) * size].map(Math.fround) as [number, number];
      return [limit(Math.floor(from)), limit(Math.ceil(to))];
    };
    const regions = elementCount(shape) === 0 ? 0 : at(shape, 0);
    const chosen = Array.from({ length: regions }, (_, r) =>
      checkedIndex(ctx.node, Math.trunc(boxes[r * 5] as number), images),
    );
    const out = Array.from({ length: elementCount(shape) }, (_, i) => {
      const [column, row] = [i % columns, Math.floor(i / columns) % rows];
      const channel = Math.floor(i / columns / rows) % channels;
      const r = Math.floor(i / columns / rows / channels);
      const box = (k: number): number => boxes[r * 5 + k] as number;
      const image = at(chosen, r);
      const [top, bottom] = range([box(2), box(4)], row, rows, height);
      const [left, right] = range([box(1), box(3)], column, columns, width);
      let most = Number.NEGATIVE_INFINITY;
      for (let y = top; y < bottom; y++) {
        for (let u = left; u < right; u++) {
          const pixel = ((image * channels + channel) * height + y) * width + u;
          most = Math.max(most, values[pixel] as number);
        }
      }
      return bottom > top && right > left ? most : 0;
    });
    return [fromNumbers(dtype, shape, out)];
  },
  cases: () => {
    const boxes = f32([3, 5], [0, 0, 0, 4, 5, 1, 1.5, 2, 3, 2, 0, 4.5, -2, 9, 3]);
    const inputs = [sample([2, 2, 6, 7]), boxes];
    return [
      { inputs, attrs: { pooled_shape: [3, 2] } },
      {
        note: 'scaled, cells without pixels',
        inputs,
        attrs: { pooled_shape: [2, 4], spatial_scale: 1.75 },
      },
    ];
  },
});
