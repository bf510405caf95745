/** ai.onnx.ml: operators that prepare features. All but string forms are written as core operators. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  requireDType,
  shapeError,
  text,
  textAttr,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext } from '../define-op.ts';
import { collect, elementAt, given, outputOf } from '../math/loops.ts';
import { f32, i64, uniform } from '../math/samples.ts';
import { checkedIndex } from '../tensor/elements.ts';
import {
  floats,
  ML,
  numbersOf,
  NUMERIC,
  numericInput,
  rowsOf,
  strings,
  textsOf,
} from './attributes.ts';
import { toF32 } from './post-transform.ts';

export const arrayFeatureExtractor = defineOp({
  kind: 'composite',
  name: 'ArrayFeatureExtractor',
  domain: ML,
  doc: 'Chosen positions of the last axis.',
  since: 1,
  attrs: {},
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    const positions = inputType(ctx, 1);
    requireDType(ctx, positions, ['i64'], 'the positions');
    if (shape.length === 0) shapeError(ctx, 'a scalar has no positions');
    const count = elementCount(positions.shape);
    return [{ dtype, shape: shape.length <= 1 ? [1, count] : [...shape.slice(0, -1), count] }];
  },
  decompose: (b, inputs, ctx) => {
    const { shape } = inputType(ctx, 0);
    const flat = b.op('Reshape', [at(inputs, 1), b.ints([-1])]);
    const picked = b.op('Gather', [at(inputs, 0), flat], { axis: shape.length - 1 });
    return [b.reshape(picked, at(ctx.outputs, 0).shape)];
  },
  reference: (inputs, _, ctx) => {
    const x = given(inputs, 0);
    const positions = toNumbers(given(inputs, 1));
    const width = x.shape.at(-1) ?? 1;
    const count = positions.length;
    const isEmpty = elementCount(outputOf(ctx).shape) === 0;
    const columns = isEmpty
      ? []
      : Array.from(positions, (at_) => checkedIndex(ctx.node, at_, width));
    return [
      collect(outputOf(ctx), (i) => {
        const row = Math.floor(i / count);
        return elementAt(x, row * width + at(columns, i % count));
      }),
    ];
  },
  cases: () => [
    { inputs: [uniform([2, 4]), i64([2], [3, 0])] },
    { note: 'one row', inputs: [uniform([4]), i64([1, 2], [1, 1])] },
    { note: 'integers', inputs: [i64([2, 1, 3], [1, 2, 3, 4, 5, 6]), i64([1], [2])] },
  ],
});

export const binarizer = defineOp({
  kind: 'composite',
  name: 'Binarizer',
  domain: ML,
  doc: '1 above a threshold, else 0.',
  since: 1,
  attrs: { threshold: float(0) },
  infer: (ctx) => [numericInput(ctx)],
  decompose: (b, inputs, ctx) => {
    const { dtype } = inputType(ctx, 0);
    const limit = b.scalar(ctx.attrs['threshold'] as number, dtype === 'f64' ? 'f64' : 'f32');
    const wide = dtype === 'f64' ? at(inputs, 0) : toF32(b, at(inputs, 0) as ValueId);
    return [b.op('Cast', [b.op('Greater', [wide, limit])], { to: dtypeCode(dtype) })];
  },
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const limit = attrs['threshold'] as number;
    return [
      fromNumbers(
        x.dtype,
        x.shape,
        toNumbers(x).map((value) => (value > limit ? 1 : 0)),
      ),
    ];
  },
  cases: () => [
    { inputs: [uniform([3, 4])], attrs: { threshold: 0.5 } },
    { note: 'integers', inputs: [i64([3], [-1, 0, 1])] },
  ],
});

/** A value per feature, or one for all. */
function perFeature(ctx: InferContext, name: string, features: number): readonly number[] {
  const list = numbersOf(ctx.attrs, name) ?? [name === 'scale' ? 1 : 0];
  if (list.length !== 1 && list.length !== features) {
    shapeError(ctx, `attribute ${name} has ${list.length} values for ${features} features`);
  }
  return list;
}

export const scaler = defineOp({
  kind: 'composite',
  name: 'Scaler',
  domain: ML,
  doc: '(x - offset) · scale, per feature.',
  since: 1,
  attrs: { offset: floats, scale: floats },
  infer(ctx) {
    const { shape } = numericInput(ctx);
    for (const name of ['offset', 'scale']) perFeature(ctx, name, shape.at(-1) ?? 1);
    return [{ dtype: 'f32', shape }];
  },
  decompose: (b, inputs, ctx) => {
    const features = inputType(ctx, 0).shape.at(-1) ?? 1;
    const list = (name: string): ValueId => {
      const values = perFeature(ctx, name, features);
      return b.constant(fromNumbers('f32', values.length === 1 ? [] : [values.length], values));
    };
    const moved = b.op('Sub', [toF32(b, at(inputs, 0) as ValueId), list('offset')]);
    return [b.op('Mul', [moved, list('scale')])];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const features = x.shape.at(-1) ?? 1;
    const pick = (name: string, otherwise: number, i: number): number => {
      const list = numbersOf(attrs, name) ?? [otherwise];
      return list[list.length === 1 ? 0 : i % features] as number;
    };
    const values = toNumbers(x).map((v, i) => (v - pick('offset', 0, i)) * pick('scale', 1, i));
    return [fromNumbers('f32', outputOf(ctx).shape, values)];
  },
  cases: () => [
    { inputs: [uniform([2, 3])], attrs: { offset: [1, 2, 3], scale: [0.5, 2, -1] } },
    {
      note: 'one for all',
      inputs: [i64([2, 2], [1, 2, 3, 4])],
      attrs: { offset: [1], scale: [3] },
    },
  ],
});

export const normalizer = defineOp({
  kind: 'composite',
  name: 'Normalizer',
  domain: ML,
  doc: 'Rows divided by their largest element, sum or length.',
  since: 1,
  attrs: { norm: text('MAX') },
  infer: (ctx) => {
    const { shape } = numericInput(ctx);
    if (shape.length === 0) shapeError(ctx, 'a scalar is no row');
    return [{ dtype: 'f32', shape }];
  },
  decompose: (b, inputs, ctx) => {
    const x = toF32(b, at(inputs, 0) as ValueId);
    const last = b.ints([-1]);
    const size = normNodes(b, textAttr(ctx.attrs, 'norm'), x, last);
    const isZero = b.op('Equal', [size, b.scalar(0)]);
    return [b.op('Div', [x, b.op('Where', [isZero, b.scalar(1), size])])];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const width = x.shape.at(-1) ?? 1;
    const values = toNumbers(x);
    const out = new Float64Array(values.length);
    for (let row = 0; row < values.length; row += width) {
      const part = [...values.subarray(row, row + width)];
      const size = normOf(textAttr(attrs, 'norm'), part);
      part.forEach((value, i) => {
        out[row + i] = size === 0 ? value : value / size;
      });
    }
    return [fromNumbers('f32', outputOf(ctx).shape, out)];
  },
  cases: () =>
    ['MAX', 'L1', 'L2'].map((norm) => ({
      note: norm,
      inputs: [f32([3, 2], [1, -2, 3, 4, 0, 0])],
      attrs: { norm },
    })),
});

function normNodes(b: OpBuilder, norm: string, x: ValueId, last: ValueId): ValueId {
  if (norm === 'L1') return b.op('ReduceL1', [x, last]);
  return b.op(norm === 'L2' ? 'ReduceL2' : 'ReduceMax', [x, last]);
}

function normOf(norm: string, row: readonly number[]): number {
  if (norm === 'L1') return row.reduce((sum, x) => sum + Math.abs(x), 0);
  // Math.hypot of infinity and NaN is infinity.
  return norm === 'L2' ? Math.sqrt(row.reduce((sum, x) => sum + x * x, 0)) : Math.max(...row);
}

interface Imputed {
  readonly values: readonly number[];
  readonly replaced: number;
}

function imputedOf(ctx: InferContext): Imputed {
  const { dtype, shape } = inputType(ctx, 0);
  const isInt = dtype === 'i64' || dtype === 'i32';
  const values = numbersOf(ctx.attrs, isInt ? 'imputed_value_int64s' : 'imputed_value_floats');
  const features = shape.at(-1) ?? 1;
  if (values === undefined || (values.length !== 1 && values.length !== features)) {
    shapeError(ctx, `it has ${values?.length ?? 0} values for ${features} features`);
  }
  const name = isInt ? 'replaced_value_int64' : 'replaced_value_float';
  return { values, replaced: ctx.attrs[name] as number };
}

export const imputer = defineOp({
  kind: 'composite',
  name: 'Imputer',
  domain: ML,
  doc: 'Replaces one value (or NaN) by another, per feature.',
  since: 1,
  attrs: {
    imputed_value_floats: floats,
    imputed_value_int64s: { type: 'ints' },
    replaced_value_float: float(0),
    replaced_value_int64: int(0),
  },
  infer(ctx) {
    const type = numericInput(ctx);
    imputedOf(ctx);
    return [type];
  },
  decompose: (b, inputs, ctx) => {
    const x = at(inputs, 0);
    const { dtype } = inputType(ctx, 0);
    const { values, replaced } = imputedOf(ctx);
    const hit = Number.isNaN(replaced)
      ? b.op('IsNaN', [x])
      : b.op('Equal', [x, b.scalar(replaced, dtype)]);
    const shape = values.length === 1 ? [] : [values.length];
    return [b.op('Where', [hit, b.constant(fromNumbers(dtype, shape, values)), x])];
  },
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const context = { node: '', op: 'Imputer', outputCount: 1, attrs };
    const { values, replaced } = imputedOf({ ...context, inputs: [{ type: x, constant: null }] });
    const features = x.shape.at(-1) ?? 1;
    const out = toNumbers(x).map((value, i) => {
      const isHit = Number.isNaN(replaced) ? Number.isNaN(value) : value === replaced;
      return isHit ? (values[values.length === 1 ? 0 : i % features] as number) : value;
    });
    return [fromNumbers(x.dtype, x.shape, out)];
  },
  cases: () => [
    {
      inputs: [f32([2, 2], [Number.NaN, 1, 2, Number.NaN])],
      attrs: { imputed_value_floats: [7, 8], replaced_value_float: Number.NaN },
    },
    {
      note: 'integers',
      inputs: [i64([3], [0, 1, 0])],
      attrs: { imputed_value_int64s: [5], replaced_value_int64: 0 },
    },
  ],
});

export const featureVectorizer = defineOp({
  kind: 'composite',
  name: 'FeatureVectorizer',
  domain: ML,
  doc: 'Features of several inputs side by side, each input cut to its stated number.',
  since: 1,
  attrs: { inputdimensions: { type: 'ints' } },
  infer(ctx) {
    const widths = widthsOf(ctx);
    const [rows] = rowsOf(inputType(ctx, 0).shape);
    return [{ dtype: 'f32', shape: [rows, widths.reduce((a, b) => a + b, 0)] }];
  },
  decompose: (b, inputs, ctx) => {
    const parts = widthsOf(ctx).map((width, k) => {
      const [rows, features] = rowsOf(inputType(ctx, k).shape);
      const flat = b.reshape(toF32(b, at(inputs, k) as ValueId), [rows, features]);
      if (width === features) return flat;
      if (width > features) {
        return b.op('Pad', [flat, b.ints([0, 0, 0, width - features])]);
      }
      return b.op('Slice', [flat, b.ints([0]), b.ints([width]), b.ints([1])]);
    });
    return [b.op('Concat', parts, { axis: 1 })];
  },
  reference: (inputs, attrs, ctx) => {
    const { shape } = outputOf(ctx);
    const [rows = 0, columns = 0] = shape;
    const out = new Float64Array(rows * columns);
    let start = 0;
    const dims = numbersOf(attrs, 'inputdimensions');
    inputs.forEach((input, k) => {
      const x = input as Tensor;
      const [, features] = rowsOf(x.shape);
      const width = dims?.[k] ?? features;
      const values = toNumbers(x);
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < Math.min(width, features); i++) {
          out[row * columns + start + i] = values[row * features + i] as number;
        }
      }
      start += width;
    });
    return [fromNumbers('f32', shape, out)];
  },
  cases: () => [
    {
      inputs: [uniform([2, 3]), i64([2, 2], [1, 2, 3, 4]), uniform([2, 1])],
      attrs: { inputdimensions: [2, 2, 2] },
    },
  ],
});

function widthsOf(ctx: InferContext): readonly number[] {
  const dims = numbersOf(ctx.attrs, 'inputdimensions');
  const [rows] = rowsOf(inputType(ctx, 0).shape);
  return ctx.inputs.map((_, k) => {
    const type = inputType(ctx, k);
    requireDType(ctx, type, NUMERIC);
    const [own, features] = rowsOf(type.shape);
    if (own !== rows) shapeError(ctx, `inputs have ${rows} and ${own} rows`);
    return dims?.[k] ?? features;
  });
}

export const oneHotEncoder = defineOp({
  kind: 'composite',
  name: 'OneHotEncoder',
  domain: ML,
  doc: 'A new last axis with a 1 at the category of each element, zeros elsewhere.',
  since: 1,
  attrs: { cats_int64s: { type: 'ints' }, cats_strings: strings, zeros: int(1) },
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, [...NUMERIC, 'string']);
    return [{ dtype: 'f32', shape: [...shape, categories(ctx).length] }];
  },
  hostCall: ({ attrs }) => ({
    routine: 'one_hot',
    attrs: { categories: textsOf(attrs, 'cats_strings') ?? [] },
  }),
  decompose(b, inputs, ctx) {
    const { dtype } = inputType(ctx, 0);
    if (dtype === 'string') return 'strings have no compiled form';
    if (intAttr(ctx.attrs, 'zeros') === 0) {
      return 'with zeros = 0 a category that is not listed is an error of the run';
    }
    const values = b.constant(fromNumbers(dtype, [categories(ctx).length], numbersIn(ctx)));
    const column = b.op('Unsqueeze', [at(inputs, 0), b.ints([-1])]);
    return [b.op('Cast', [b.op('Equal', [column, values])], { to: dtypeCode('f32') })];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const out = outputOf(ctx);
    const texts = textsOf(attrs, 'cats_strings') ?? [];
    const list: readonly (number | string)[] =
      x.dtype === 'string' ? texts : (numbersOf(attrs, 'cats_int64s') ?? []);
    const values: ArrayLike<number | string> =
      x.dtype === 'string' ? (x.data as readonly string[]) : toNumbers(x);
    const hits = Float64Array.from({ length: elementCount(out.shape) }, (_, i) =>
      list[i % list.length] === values[Math.floor(i / list.length)] ? 1 : 0,
    );
    return [fromNumbers('f32', out.shape, hits)];
  },
  cases: () => [
    { inputs: [i64([2, 2], [1, 5, 9, 3])], attrs: { cats_int64s: [1, 3, 5] } },
    {
      note: 'texts',
      inputs: [{ dtype: 'string', shape: [3], data: ['b', 'a', 'x'] }],
      attrs: { cats_strings: ['a', 'b'] },
    },
  ],
});

function categories(ctx: InferContext | LowerContext): readonly (number | string)[] {
  const name = inputType(ctx, 0).dtype === 'string' ? 'cats_strings' : 'cats_int64s';
  const list = numbersOf(ctx.attrs, name);
  return list ?? shapeError(ctx, `attribute ${name} is missing`);
}

function numbersIn(ctx: LowerContext): readonly number[] {
  return numbersOf(ctx.attrs, 'cats_int64s') ?? [];
}
