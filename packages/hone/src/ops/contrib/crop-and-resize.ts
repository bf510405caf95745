/** com.microsoft's CropAndResize: regions of images, given in parts of their sides, sampled to one size. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  constantInts,
  float,
  inputType,
  intAttr,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { MICROSOFT } from './alias.ts';
import { castTo } from './attend.ts';

function cropShape(ctx: InferContext): readonly [number, number, number, number] {
  const [x, rois] = [inputType(ctx, 0), inputType(ctx, 1)];
  const batches = inputType(ctx, 2).shape;
  const areBoxes = rois.shape.length === 2 && rois.shape[1] === 4;
  if (x.shape.length !== 4 || !areBoxes || batches.join() !== `${rois.shape[0]}`) {
    shapeError(ctx, `regions [${rois.shape.join(',')}] of images [${x.shape.join(',')}]`);
  }
  const [height = 0, width = 0, ...others] = constantInts(ctx, 3, 'crop_size');
  if (others.length > 0) shapeError(ctx, `crop_size has ${others.length + 2} elements`);
  if (height < 1 || width < 1) shapeError(ctx, `a crop of ${height} × ${width} is not possible`);
  return [at(rois.shape, 0), at(x.shape, 1), height, width];
}

/** Along one side: positions [regions, steps], as floats, of a region from `first` to `last`. */
function sideNodes(
  b: OpBuilder,
  rois: ValueId,
  side: 0 | 1,
  extent: number,
  steps: number,
): ValueId {
  const column = (k: number): ValueId => b.op('Gather', [rois, b.ints([k])], { axis: 1 });
  const [first, last] = [column(side), column(side + 2)];
  const room = b.scalar(extent - 1);
  if (steps === 1) {
    return b.op('Mul', [b.op('Mul', [b.op('Add', [first, last]), b.scalar(0.5)]), room]);
  }
  const grid = b.op('Cast', [b.reshape(b.positions(steps), [1, steps])], { to: dtypeCode('f32') });
  const span = b.op('Div', [b.op('Mul', [b.op('Sub', [last, first]), room]), b.scalar(steps - 1)]);
  return b.op('Add', [b.op('Mul', [first, room]), b.op('Mul', [grid, span])]);
}

export const cropAndResize: CompositeOp = defineOp({
  kind: 'composite',
  name: 'CropAndResize',
  domain: MICROSOFT,
  doc: 'Regions of images (in parts of their sides) sampled to one size.',
  since: 1,
  attrs: { extrapolation_value: float(0), mode: text('bilinear') },
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, ['f32']);
    requireDType(ctx, inputType(ctx, 1), ['f32'], 'rois');
    requireDType(ctx, inputType(ctx, 2), ['i32', 'i64'], 'batch_indices');
    if (!['bilinear', 'nearest'].includes(textAttr(ctx.attrs, 'mode'))) {
      typeError(ctx, `mode ${textAttr(ctx.attrs, 'mode')}`);
    }
    if (elementCount(x.shape.slice(2)) === 0) shapeError(ctx, `images of [${x.shape.join(',')}]`);
    return [{ dtype: 'f32', shape: cropShape(ctx) }];
  },
  // Two gathers of rows and columns each, for the pixel below a position and the one above.
  decompose: (b, inputs, ctx) => {
    const [count, channels, rows, columns] = cropShape(ctx);
    const [height, width] = inputType(ctx, 0).shape.slice(2) as [number, number];
    const images = b.op('Gather', [inputs[0] ?? null, inputs[2] ?? null], { axis: 0 });
    const rois = inputs[1] as ValueId;
    const isNearest = textAttr(ctx.attrs, 'mode') === 'nearest';
    const side = (k: 0 | 1, extent: number, steps: number) => {
      const shape = k === 0 ? [count, 1, steps, 1] : [count, 1, 1, steps];
      const position = b.reshape(sideNodes(b, rois, k, extent, steps), shape);
      const [least, most] = [b.scalar(0), b.scalar(extent - 1)];
      const inside = b.op('And', [
        b.op('GreaterOrEqual', [position, least]),
        b.op('LessOrEqual', [position, most]),
      ]);
      const safe = b.op('Clip', [position, least, most]);
      const low = isNearest
        ? b.op('Floor', [b.op('Add', [safe, b.scalar(0.5)])])
        : b.op('Floor', [safe]);
      return { inside, low, high: b.op('Ceil', [safe]), over: b.op('Sub', [safe, low]) };
    };
    const [y, x] = [side(0, height, rows), side(1, width, columns)];
    const pick = (from: ValueId, axis: 2 | 3, at_: ValueId, shape: readonly number[]): ValueId => {
      const indices = b.op('Expand', [castTo(b, at_, 'i64'), b.ints(shape)]);
      return b.op('GatherElements', [from, indices], { axis });
    };
    const row = (place: ValueId): ValueId => pick(images, 2, place, [count, channels, rows, width]);
    const both = (place: ValueId): { readonly left: ValueId; readonly right: ValueId } => {
      const line = row(place);
      const out = [count, channels, rows, columns];
      return {
        left: pick(line, 3, x.low, out),
        right: isNearest ? line : pick(line, 3, x.high, out),
      };
    };
    const mix = (from: ValueId, to: ValueId, part: ValueId): ValueId =>
      b.op('Add', [from, b.op('Mul', [b.op('Sub', [to, from]), part])]);
    const top = both(y.low);
    const value = isNearest
      ? top.left
      : ((): ValueId => {
          const bottom = both(y.high);
          return mix(
            mix(top.left, top.right, x.over),
            mix(bottom.left, bottom.right, x.over),
            y.over,
          );
        })();
    const outside = b.scalar(intAttr(ctx.attrs, 'extrapolation_value'));
    return [b.op('Where', [b.op('And', [y.inside, x.inside]), value, outside])];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, rois, batches] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
    const { shape } = at(ctx.outputTypes, 0);
    const [count, channels, rows, columns] = shape as [number, number, number, number];
    const [, , height, width] = x.shape as [number, number, number, number];
    const [values, boxes] = [toNumbers(x), toNumbers(rois)];
    const isEmpty = elementCount(shape) === 0;
    const images = toNumbers(batches).map((n) =>
      isEmpty ? 0 : checkedIndex(ctx.node, n, at(x.shape, 0)),
    );
    const isNearest = textAttr(attrs, 'mode') === 'nearest';
    const out: number[] = [];
    const place = (r: number, side: 0 | 1, extent: number, step: number, steps: number): number => {
      const [first, last] = [boxes[r * 4 + side] as number, boxes[r * 4 + side + 2] as number];
      if (steps === 1) return 0.5 * (first + last) * (extent - 1);
      return first * (extent - 1) + (step * (last - first) * (extent - 1)) / (steps - 1);
    };
    for (let r = 0; r < count; r++) {
      for (let c = 0; c < channels; c++) {
        const plane = ((images[r] as number) * channels + c) * height * width;
        const pixel = (i: number, j: number): number => values[plane + i * width + j] as number;
        for (let p = 0; p < rows * columns; p++) {
          const y = place(r, 0, height, Math.floor(p / columns), rows);
          const u = place(r, 1, width, p % columns, columns);
          if (!(y >= 0 && y <= height - 1 && u >= 0 && u <= width - 1)) {
            out.push(intAttr(attrs, 'extrapolation_value'));
          } else if (isNearest) {
            out.push(pixel(Math.floor(y + 0.5), Math.floor(u + 0.5)));
          } else {
            const [top, left] = [Math.floor(y), Math.floor(u)];
            const line = (i: number): number =>
              pixel(i, left) + (pixel(i, Math.ceil(u)) - pixel(i, left)) * (u - left);
            out.push(line(top) + (line(Math.ceil(y)) - line(top)) * (y - top));
          }
        }
      }
    }
    return [fromNumbers('f32', shape, out)];
  },
  cases: () => {
    const boxes = f32([3, 4], [0, 0, 1, 1, 0.2, 0.65, 0.8, 0.15, -0.3, 0.25, 0.6, 1.4]);
    const inputs = [sample([2, 2, 5, 6]), boxes, tensor('i32', [3], [0, 1, 1])];
    return [
      { inputs: [...inputs, tensor('i32', [2], [3, 4])], attrs: { extrapolation_value: -7 } },
      { note: 'one pixel', inputs: [...inputs, tensor('i32', [2], [1, 1])] },
      {
        note: 'nearest',
        inputs: [...inputs, tensor('i32', [2], [2, 3])],
        attrs: { mode: 'nearest' },
      },
    ];
  },
});
