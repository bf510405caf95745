/**
 * QuantizeLinear: y = saturate(round(x / scale) + zero point); a narrow float is the nearest of
 * x / scale, and takes no zero point but 0. The quotient is rounded to the
 * precision the model asks for (the scale's dtype by default) before ties go to even, so that a
 * compiled model and the reference agree on every tie.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode, dtypeFromCode, isSmallInt } from 'hone-runtime/base/dtype';
import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16 } from 'hone-runtime/base/half';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { binary, cast, constant } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, int, intAttr, requireDType, typeError } from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { castExpr, toSmallFloat } from '../math/cast.ts';
import { integerLimits } from '../math/saturate.ts';
import { given, outputOf } from '../math/loops.ts';
import { f32, tensor, uniform } from '../math/samples.ts';
import { roundHalfEven } from '../math/special.ts';
import { add, call, div, isLiteral, loadInput } from '../math/scalar.ts';
import { checkZeroPoint, granularityOf, parameterLoad, parameterOffsets } from './granularity.ts';

const NARROW_FLOATS: readonly DType[] = [
  'f8e4m3fn',
  'f8e4m3fnuz',
  'f8e5m2',
  'f8e5m2fnuz',
  'f4e2m1',
];
const QUANTIZED: readonly DType[] = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u4',
  'i4',
  'u2',
  'i2',
  ...NARROW_FLOATS,
];
const INPUTS: readonly DType[] = ['f32', 'f16', 'bf16', 'i32'];

/** The output's dtype: the zero point's, else what the attribute says, else u8. */
function resultType(ctx: InferContext): DType {
  const zero = ctx.inputs[2]?.type.dtype;
  const code = intAttr(ctx.attrs, 'output_dtype');
  const dtype = zero ?? (code === 0 ? 'u8' : dtypeFromCode(code));
  if (dtype === undefined) {
    typeError(ctx, `it quantises to ONNX data type ${code}, which Hone does not have yet`);
  }
  requireDType(ctx, { dtype, shape: [] }, QUANTIZED, 'the output');
  return dtype;
}

/** The dtype of the division. */
function precisionOf(attrs: Attrs, scale: DType): DType {
  return dtypeFromCode(intAttr(attrs, 'precision')) ?? (scale === 'i32' ? 'f32' : scale);
}

function roundTo(dtype: DType): (x: number) => number {
  if (dtype === 'f16') return (x) => f16ToNumber(numberToF16(x));
  if (dtype === 'bf16') return (x) => bf16ToNumber(numberToBf16(x));
  return dtype === 'f64' ? (x) => x : Math.fround;
}

/** To an integer; a cast saturates by itself from 8 bits up. */
function saturated(x: Expr, dtype: DType): Expr {
  if (!isSmallInt(dtype)) return cast(dtype, x);
  const [low, high] = integerLimits(dtype).map((limit) => constant(x.dtype, Number(limit)));
  return cast(dtype, binary('min', binary('max', x, low as Expr), high as Expr));
}

export const quantizeLinear = defineOp({
  kind: 'core',
  name: 'QuantizeLinear',
  doc: 'Floats to integers (or narrow floats) by a scale and a zero point: per tensor, per axis or in blocks.',
  since: 25,
  attrs: {
    axis: int(1),
    block_size: int(0),
    output_dtype: int(0),
    precision: int(0),
    saturate: int(1),
  },
  infer(ctx) {
    const x = inputType(ctx, 0);
    const scale = inputType(ctx, 1);
    requireDType(ctx, x, INPUTS);
    requireDType(ctx, scale, INPUTS, 'the scale');
    granularityOf(ctx, x.shape, scale.shape, ctx.attrs);
    const zero = ctx.inputs[2]?.type;
    if (zero !== undefined) checkZeroPoint(ctx, scale.shape, zero.shape);
    return [{ dtype: resultType(ctx), shape: x.shape }];
  },
  lower(ctx) {
    const { dtype, shape } = at(ctx.outputs, 0);
    const axes = outAxes(shape.length);
    const scale = inputType(ctx, 1);
    const grain = granularityOf(ctx, shape, scale.shape, ctx.attrs);
    const precision = precisionOf(ctx.attrs, scale.dtype);
    const wide = precision === 'f64' ? 'f64' : 'f32';
    const quotient = div(
      cast(wide, cast(precision, loadInput(ctx, 0, axes))),
      cast(wide, cast(precision, parameterLoad(ctx, 1, scale, axes, grain))),
    );
    if (NARROW_FLOATS.includes(dtype)) {
      const mode = { saturate: intAttr(ctx.attrs, 'saturate') !== 0, round: 'nearest' };
      return [mapBody(shape, castExpr(cast(precision, quotient), dtype, mode))];
    }
    const whole = call('round', cast(wide, cast(precision, quotient)));
    if (!ctx.inputs[2]) return [mapBody(shape, saturated(whole, dtype))];
    const zero = parameterLoad(ctx, 2, inputType(ctx, 2), axes, grain);
    const shifted = isLiteral(zero, 0) ? whole : add(whole, cast(wide, zero));
    return [mapBody(shape, saturated(shifted, dtype))];
  },
  reference(inputs, attrs, ctx) {
    const [x, scale] = [given(inputs, 0), given(inputs, 1)];
    const node = { node: ctx.node, op: 'QuantizeLinear' };
    const grain = granularityOf(node, x.shape, scale.shape, attrs);
    const offsets = parameterOffsets(x.shape, scale.shape, grain);
    const round = roundTo(precisionOf(attrs, scale.dtype));
    const { dtype } = outputOf(ctx);
    const isFloatTarget = NARROW_FLOATS.includes(dtype);
    const mode = { saturate: intAttr(attrs, 'saturate') !== 0, round: 'nearest' };
    const [low, high] = isFloatTarget ? [0, 0] : integerLimits(dtype).map(Number);
    const scales = toNumbers(scale);
    const zeros = inputs[2] ? toNumbers(inputs[2]) : undefined;
    const values = toNumbers(x).map((value, i) => {
      const k = offsets[i] as number;
      const quotient = round(round(value) / round(scales[k] as number));
      if (isFloatTarget) return toSmallFloat(quotient, dtype, mode);
      const whole = roundHalfEven(quotient) + (zeros?.[k] ?? 0);
      return Math.min(Math.max(whole, low as number), high as number);
    });
    return [fromNumbers(dtype, x.shape, values)];
  },
  cases: quantizeCases,
});

function quantizeCases(): readonly TestCase[] {
  const ties = (): ReturnType<typeof f32> => f32([2, 4], [0.5, 1.5, 2.5, -0.5, -300, 300, 3.4, 7]);
  return [
    { note: 'per tensor', inputs: [ties(), f32([], [1]), tensor('u8', [], [10])] },
    { note: 'i8', inputs: [ties(), f32([1], [0.5]), tensor('i8', [1], [-3])] },
    { note: 'no zero point', inputs: [ties(), f32([], [2])] },
    {
      note: 'output dtype',
      inputs: [ties(), f32([], [2])],
      attrs: { output_dtype: dtypeCode('i8') },
    },
    {
      note: 'per axis',
      inputs: [uniform([2, 3, 2], -9, 9), f32([3], [1, 2, 0.25]), tensor('u8', [3], [0, 7, 128])],
    },
    {
      note: 'negative axis',
      inputs: [uniform([2, 3], -9, 9), f32([3], [1, 2, 0.25]), tensor('i16', [3], [0, 7, -5])],
      attrs: { axis: -1 },
    },
    {
      note: 'blocks',
      inputs: [
        uniform([2, 5], -9, 9),
        f32([2, 3], [1, 2, 0.25, 0.5, 4, 3]),
        tensor('u8', [2, 3], [0, 1, 2, 3, 4, 5]),
      ],
      attrs: { axis: 1, block_size: 2 },
    },
    { note: 'u16', inputs: [uniform([6], -9, 9), f32([], [0.001]), tensor('u16', [], [32767])] },
    { note: 'f16', inputs: [uniform([6], -9, 9, 'f16'), tensor('f16', [], [0.1])] },
    {
      note: 'i32',
      inputs: [tensor('i32', [3], [-7, 8, 1000]), f32([], [2]), tensor('i8', [], [1])],
    },
    ...(['u4', 'i4', 'u2', 'i2'] as const).map((dtype) => ({
      note: dtype,
      inputs: [ties(), f32([], [0.5]), tensor(dtype, [], [1])],
    })),
    {
      note: 'i4 per axis',
      inputs: [uniform([2, 3], -9, 9), f32([3], [1, 2, 0.25]), tensor('i4', [3], [0, 7, -5])],
    },
    ...NARROW_FLOATS.flatMap((dtype) =>
      [0, 1].map((saturate) => ({
        note: `${dtype}, saturate ${saturate}`,
        inputs: [ties(), f32([], [0.001]), tensor(dtype, [], [0])],
        attrs: { saturate },
      })),
    ),
    { note: 'empty', inputs: [f32([0, 2], []), f32([], [1]), tensor('u8', [], [0])] },
  ];
}
