/**
 * com.microsoft's products with quantised weights and real results: MatMulIntegerToFloat on data
 * that is quantised already, DynamicQuantizeMatMul on data that is quantised by its own range.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type ReferenceContext } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, tensor, uniform } from '../math/samples.ts';
import { type MatMulGeometry, matMulGeometry, multiply } from '../nn/matmul-geometry.ts';
import { sample } from '../nn/samples.ts';
import { dynamicQuantizeLinear } from './dynamic-quantize.ts';
import { alikeParameters, EIGHT_BITS, scalarOf } from './real-form.ts';

/** Positions of the weights' parameters and of the bias. */
interface Places {
  readonly scale: number;
  readonly zero: number;
  readonly bias: number;
}

function checkProduct(ctx: InferContext, places: Places): MatMulGeometry {
  const [a, w] = [inputType(ctx, 0), inputType(ctx, 1)];
  requireDType(ctx, w, EIGHT_BITS, 'the weights');
  const geo = matMulGeometry(ctx, a.shape, w.shape);
  requireDType(ctx, inputType(ctx, places.scale), ['f32'], 'the scale of the weights');
  const zero = optionalType(ctx, places.zero);
  if (zero !== undefined) requireDType(ctx, zero, [w.dtype], 'the zero point of the weights');
  for (const k of [places.scale, places.zero]) {
    const count = elementCount(optionalType(ctx, k)?.shape ?? []);
    if (count !== 1 && count !== geo.n) shapeError(ctx, `input ${k} has ${count} elements`);
  }
  const bias = optionalType(ctx, places.bias);
  if (bias !== undefined) {
    requireDType(ctx, bias, ['f32'], 'the bias');
    // One number for each column.
    if (bias.shape.length !== 1 || bias.shape[0] !== geo.n) {
      shapeError(ctx, `the bias has shape [${bias.shape.join(',')}]; it takes [${geo.n}]`);
    }
  }
  return geo;
}

/** The weights in f32, one scale in all or one for each column. */
function weightsNode(b: OpBuilder, inputs: readonly (ValueId | null)[], places: Places): ValueId {
  const rank = b.typeOf(inputs[1] as ValueId).shape.length;
  const parameters = alikeParameters(b, [
    inputs[places.scale] ?? null,
    inputs[places.zero] ?? null,
  ]);
  return b.op('DequantizeLinear', [inputs[1] ?? null, ...parameters], { axis: rank - 1 });
}

function biased(b: OpBuilder, product: ValueId, bias: ValueId | null | undefined): ValueId {
  return bias === null || bias === undefined ? product : b.op('Add', [product, bias]);
}

/** (a - its zero point) · (w - its zero points), scaled, plus the bias. */
function productOf(
  inputs: readonly (Tensor | null)[],
  data: { readonly steps: Tensor; readonly scale: number; readonly zero: number },
  places: Places,
  ctx: ReferenceContext,
): Tensor {
  const w = given(inputs, 1);
  const geo = matMulGeometry({ node: ctx.node, op: 'MatMul' }, data.steps.shape, w.shape);
  const list = (k: number, otherwise: number): Float64Array =>
    inputs[k] ? toNumbers(inputs[k] as Tensor) : Float64Array.of(otherwise);
  const pick = (values: Float64Array, c: number): number =>
    values[values.length === 1 ? 0 : c] as number;
  const [scales, zeros, bias] = [list(places.scale, 1), list(places.zero, 0), list(places.bias, 0)];
  const sums = multiply(
    geo,
    toNumbers(data.steps).map((value) => value - data.zero),
    toNumbers(w).map((value, i) => value - pick(zeros, i % geo.n)),
  );
  const values = sums.map(
    (sum, i) => sum * data.scale * pick(scales, i % geo.n) + pick(bias, i % geo.n),
  );
  return fromNumbers('f32', geo.output, values);
}

const TO_FLOAT: Places = { scale: 3, zero: 5, bias: 6 };

export const matMulIntegerToFloat = defineOp({
  kind: 'composite',
  name: 'MatMulIntegerToFloat',
  domain: 'com.microsoft',
  doc: 'Matrix product of quantised operands in real numbers, plus an optional bias.',
  since: 1,
  attrs: {},
  infer: (ctx) => {
    const a = inputType(ctx, 0);
    requireDType(ctx, a, EIGHT_BITS);
    const geo = checkProduct(ctx, TO_FLOAT);
    requireDType(ctx, inputType(ctx, 2), ['f32'], 'the scale of the data');
    for (const k of [2, 4]) {
      if (elementCount(optionalType(ctx, k)?.shape ?? []) !== 1) {
        shapeError(ctx, `input ${k} has several elements; the data takes one scale`);
      }
    }
    return [{ dtype: 'f32', shape: geo.output }];
  },
  decompose: (b, inputs) => {
    const zero = inputs[4] ?? null;
    const parameters = [inputs[2] as ValueId, ...(zero === null ? [] : [zero])];
    const a = b.op('DequantizeLinear', [
      inputs[0] ?? null,
      ...parameters.map((id) => scalarOf(b, id)),
    ]);
    const product = b.op('MatMul', [a, weightsNode(b, inputs, TO_FLOAT)]);
    return [biased(b, product, inputs[6])];
  },
  reference: (inputs, _attrs, ctx) => {
    const scale = at([...toNumbers(given(inputs, 2))], 0);
    const zero = inputs[4] ? at([...toNumbers(inputs[4])], 0) : 0;
    return [productOf(inputs, { steps: given(inputs, 0), scale, zero }, TO_FLOAT, ctx)];
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-4 } },
  cases: () => {
    const data = sample([3, 4], 1, 'u8');
    const weights = sample([4, 2], 2, 'i8');
    return [
      {
        inputs: [data, weights, f32([1], [0.5]), f32([1], [0.25]), tensor('u8', [1], [7])],
      },
      {
        note: 'per column, bias',
        inputs: [
          ...[data, weights, f32([], [0.5]), f32([2], [0.25, 0.125])],
          ...[tensor('u8', [], [7]), tensor('i8', [2], [0, 0]), f32([2], [1, -2])],
        ],
      },
      {
        note: 'a zero point for each column, one scale',
        inputs: [
          ...[data, weights, f32([], [0.5]), f32([1], [0.25])],
          ...[tensor('u8', [], [7]), tensor('i8', [2], [3, -4])],
        ],
      },
    ];
  },
});

const DYNAMIC: Places = { scale: 2, zero: 3, bias: 4 };

export const dynamicQuantizeMatMul = defineOp({
  kind: 'composite',
  name: 'DynamicQuantizeMatMul',
  domain: 'com.microsoft',
  doc: 'Matrix product of data quantised by its own range and quantised weights, in real numbers.',
  since: 1,
  attrs: {},
  infer: (ctx) => {
    requireDType(ctx, inputType(ctx, 0), ['f32']);
    return [{ dtype: 'f32', shape: checkProduct(ctx, DYNAMIC).output }];
  },
  decompose: (b, inputs) => {
    const quantized = b.ops('DynamicQuantizeLinear', [inputs[0] ?? null], {}, { outputs: 3 });
    const a = b.op('DequantizeLinear', quantized);
    const product = b.op('MatMul', [a, weightsNode(b, inputs, DYNAMIC)]);
    return [biased(b, product, inputs[4])];
  },
  reference: (inputs, _attrs, ctx) => {
    const x = given(inputs, 0);
    const [steps, scale, zero] = dynamicQuantizeLinear.reference([x]);
    const number = (tensor: Tensor | undefined): number => at([...toNumbers(tensor as Tensor)], 0);
    const data = { steps: steps as Tensor, scale: number(scale), zero: number(zero) };
    return [productOf(inputs, data, DYNAMIC, ctx)];
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-4 } },
  cases: () => [
    {
      inputs: [uniform([3, 4]), sample([4, 2], 2, 'i8'), f32([1], [0.25]), tensor('i8', [1], [0])],
    },
    {
      note: 'per column, bias',
      inputs: [
        ...[uniform([2, 3, 4]), sample([4, 2], 2, 'u8'), f32([2], [0.25, 0.125])],
        ...[tensor('u8', [2], [5, 6]), f32([2], [1, -2])],
      ],
    },
  ],
});
