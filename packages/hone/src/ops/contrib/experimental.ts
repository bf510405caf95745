/**
 * Operators that ai.onnx had as experiments up to opset 9 and then dropped. Models of that time, mostly
 * converted from Core ML and Caffe2, still contain them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, stridesOf, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  constantInts,
  float,
  inputType,
  intAttr,
  intsAttr,
  requireDType,
  shapeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { collect, elementAt, given } from '../math/loops.ts';
import { i64, uniform } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';

interface Elementwise {
  readonly name: string;
  readonly doc: string;
  /** Defaults of attributes. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly nodes: (b: OpBuilder, x: ValueId, scalar: (name: string) => ValueId) => ValueId;
  readonly value: (x: number, number: (name: string) => number) => number;
}

function elementwise({ name, doc, numbers, nodes, value }: Elementwise): CompositeOp {
  const attrs = Object.fromEntries(Object.entries(numbers).map(([key, n]) => [key, float(n)]));
  return defineOp({
    kind: 'composite',
    name,
    doc,
    since: 1,
    attrs,
    infer: (ctx: InferContext) => {
      const x = inputType(ctx, 0);
      requireDType(ctx, x, FLOATS);
      return [x];
    },
    decompose: (b, inputs, ctx) => {
      const { dtype } = inputType(ctx, 0);
      const scalar = (key: string): ValueId => b.scalar(intAttr(ctx.attrs, key), dtype);
      return [nodes(b, inputs[0] as ValueId, scalar)];
    },
    reference: (inputs, own) => {
      const x = given(inputs, 0);
      const number = (key: string): number => intAttr(own, key);
      return [
        fromNumbers(
          x.dtype,
          x.shape,
          toNumbers(x).map((item) => value(item, number)),
        ),
      ];
    },
    cases: () => [
      { inputs: [uniform([2, 3])] },
      {
        note: 'with numbers',
        inputs: [uniform([4])],
        attrs: Object.fromEntries(Object.keys(numbers).map((key, i) => [key, 0.5 + i])),
      },
    ],
  });
}

const imageScaler: CompositeOp = defineOp({
  kind: 'composite',
  name: 'ImageScaler',
  doc: 'Images times a number, plus one for each channel.',
  since: 1,
  attrs: { bias: { type: 'floats' }, scale: float(1) },
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const bias = intsAttr(ctx.attrs, 'bias') ?? [];
    if (x.shape.length !== 4 || bias.length !== x.shape[1]) {
      shapeError(ctx, `${bias.length} biases do not fit images [${x.shape.join(',')}]`);
    }
    return [x];
  },
  decompose: (b, inputs, ctx) => {
    const { dtype } = inputType(ctx, 0);
    const bias = intsAttr(ctx.attrs, 'bias') ?? [];
    const scaled = b.op('Mul', [inputs[0] ?? null, b.scalar(intAttr(ctx.attrs, 'scale'), dtype)]);
    const channels = b.constant(fromNumbers(dtype, [bias.length, 1, 1], bias));
    return [b.op('Add', [scaled, channels])];
  },
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const bias = intsAttr(attrs, 'bias') ?? [];
    const pixels = elementCount(x.shape.slice(2));
    const values = toNumbers(x).map(
      (value, i) =>
        value * intAttr(attrs, 'scale') + at(bias, Math.floor(i / pixels) % bias.length),
    );
    return [fromNumbers(x.dtype, x.shape, values)];
  },
  cases: () => [{ inputs: [sample([2, 3, 2, 2])], attrs: { bias: [1, -2, 0.5], scale: 0.25 } }],
});

/** First row and column, and the size, of what is kept. */
function window(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  shape: readonly number[],
): readonly [number, number, number, number] {
  const [left = 0, top = 0, right = 0, bottom = 0] = intsAttr(attrs, 'border') ?? [];
  const [height = 0, width = 0] = shape.slice(2);
  const [rows = height - top - bottom, columns = width - left - right] =
    intsAttr(attrs, 'scale') ?? [];
  const isInside = top + rows <= height && left + columns <= width && rows > 0 && columns > 0;
  if (shape.length !== 4 || !isInside || left < 0 || top < 0) {
    shapeError(ctx, `a crop of ${rows} × ${columns} does not lie in [${shape.join(',')}]`);
  }
  return [top, left, rows, columns];
}

const crop: CompositeOp = defineOp({
  kind: 'composite',
  name: 'Crop',
  doc: 'A part of images, within a border or of a size from its corner on.',
  since: 1,
  attrs: { border: { type: 'ints' }, scale: { type: 'ints' } },
  infer: (ctx: InferContext) => {
    const { dtype, shape } = inputType(ctx, 0);
    const [, , rows, columns] = window(ctx, ctx.attrs, shape);
    return [{ dtype, shape: [...shape.slice(0, 2), rows, columns] }];
  },
  decompose: (b, inputs, ctx) => {
    const [top, left, rows, columns] = window(ctx, ctx.attrs, inputType(ctx, 0).shape);
    const [starts, ends] = [b.ints([top, left]), b.ints([top + rows, left + columns])];
    return [b.op('Slice', [inputs[0] ?? null, starts, ends, b.ints([2, 3])])];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const [top, left] = window({ node: ctx.node, op: 'Crop' }, attrs, x.shape);
    const type = at(ctx.outputTypes, 0);
    const [height, width] = x.shape.slice(2) as [number, number];
    const [rows, columns] = type.shape.slice(2) as [number, number];
    return [
      collect(type, (i) => {
        const plane = Math.floor(i / (rows * columns));
        const [row, column] = [Math.floor(i / columns) % rows, i % columns];
        return elementAt(x, (plane * height + top + row) * width + left + column);
      }),
    ];
  },
  cases: () => [
    { inputs: [sample([1, 2, 4, 5])], attrs: { border: [1, 0, 2, 1] } },
    {
      note: 'of a size',
      inputs: [sample([2, 1, 4, 5])],
      attrs: { border: [1, 1, 0, 0], scale: [2, 3] },
    },
  ],
});

/** Where each axis begins, and the shape of what is kept. */
function sliced(ctx: InferContext): {
  readonly from: readonly number[];
  readonly shape: readonly number[];
} {
  const { shape } = inputType(ctx, 0);
  const [starts, ends] = [constantInts(ctx, 1, 'starts'), constantInts(ctx, 2, 'ends')];
  const axes = ctx.inputs[3] ? constantInts(ctx, 3, 'axes') : starts.map((_, i) => i);
  if (axes.length !== starts.length || axes.length !== ends.length) {
    shapeError(ctx, `${starts.length} starts, ${ends.length} ends and ${axes.length} axes`);
  }
  if (new Set(axes).size !== axes.length) shapeError(ctx, `axes [${axes.join(',')}] repeat`);
  const from = shape.map(() => 0);
  const out = [...shape];
  for (const [i, axis] of axes.entries()) {
    const extent = shape[axis];
    if (extent === undefined) shapeError(ctx, `axis ${axis} is outside rank ${shape.length}`);
    const place = (value: number): number =>
      Math.min(Math.max(value < 0 ? value + extent : value, 0), extent);
    from[axis] = place(at(starts, i));
    out[axis] = Math.max(0, place(at(ends, i)) - at(from, axis));
  }
  return { from, shape: out };
}

const dynamicSlice: CompositeOp = defineOp({
  kind: 'composite',
  name: 'DynamicSlice',
  doc: 'Slice of ai.onnx from before its ends were inputs.',
  since: 1,
  attrs: {},
  infer: (ctx: InferContext) => [{ dtype: inputType(ctx, 0).dtype, shape: sliced(ctx).shape }],
  decompose: (b, inputs, ctx) => {
    const { from, shape } = sliced(ctx);
    const ends = from.map((start, i) => start + at(shape, i));
    const axes = b.ints(from.map((_, i) => i));
    return [b.op('Slice', [inputs[0] ?? null, b.ints(from), b.ints(ends), axes])];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const known = inputs.map((tensor) =>
      tensor === null ? null : { type: tensor, constant: () => tensor },
    );
    const own = { node: ctx.node, op: 'DynamicSlice', inputs: known, attrs, outputCount: 1 };
    const { from, shape } = sliced(own);
    const [strides, outStrides] = [stridesOf(x.shape), stridesOf(shape)];
    return [
      collect({ dtype: x.dtype, shape }, (i) =>
        elementAt(
          x,
          shape.reduce((sum, extent, k) => {
            const place = Math.floor(i / at(outStrides, k)) % extent;
            return sum + (at(from, k) + place) * at(strides, k);
          }, 0),
        ),
      ),
    ];
  },
  cases: () => [
    { inputs: [sample([3, 4]), i64([2], [1, 0]), i64([2], [3, -1])] },
    { note: 'an axis', inputs: [sample([3, 4]), i64([1], [1]), i64([1], [9]), i64([1], [1])] },
  ],
});

export const EXPERIMENTAL: readonly OpDef[] = [
  elementwise({
    name: 'Affine',
    doc: 'alpha · x + beta.',
    numbers: { alpha: 1, beta: 0 },
    nodes: (b, x, scalar) => b.op('Add', [b.op('Mul', [x, scalar('alpha')]), scalar('beta')]),
    value: (x, number) => number('alpha') * x + number('beta'),
  }),
  elementwise({
    name: 'Scale',
    doc: 'scale · x.',
    numbers: { scale: 1 },
    nodes: (b, x, scalar) => b.op('Mul', [x, scalar('scale')]),
    value: (x, number) => number('scale') * x,
  }),
  elementwise({
    name: 'ScaledTanh',
    doc: 'alpha · tanh(beta · x).',
    numbers: { alpha: 1, beta: 1 },
    nodes: (b, x, scalar) =>
      b.op('Mul', [b.op('Tanh', [b.op('Mul', [x, scalar('beta')])]), scalar('alpha')]),
    value: (x, number) => number('alpha') * Math.tanh(number('beta') * x),
  }),
  elementwise({
    name: 'ParametricSoftplus',
    doc: 'alpha · log(1 + e^(beta · x)).',
    numbers: { alpha: 1, beta: 1 },
    nodes: (b, x, scalar) =>
      b.op('Mul', [b.op('Softplus', [b.op('Mul', [x, scalar('beta')])]), scalar('alpha')]),
    value: (x, number) => {
      const y = number('beta') * x;
      return number('alpha') * (Math.max(y, 0) + Math.log1p(Math.exp(-Math.abs(y))));
    },
  }),
  imageScaler,
  crop,
  dynamicSlice,
];
