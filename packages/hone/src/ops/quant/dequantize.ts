/** DequantizeLinear: y = (x - zero point) · scale, in f32. */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode, dtypeFromCode } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { cast } from '../../expr/build.ts';
import { inputType, int, intAttr, requireDType, typeError } from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { requireSame } from '../math/binary-family.ts';
import { given, outputOf } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { isLiteral, loadInput, mul, sub } from '../math/scalar.ts';
import { checkZeroPoint, granularityOf, parameterLoad, parameterOffsets } from './granularity.ts';

const QUANTIZED: readonly DType[] = [
  'u8',
  'i8',
  'u16',
  'i16',
  'i32',
  'u4',
  'i4',
  'u2',
  'i2',
  'f8e4m3fn',
  'f8e4m3fnuz',
  'f8e5m2',
  'f8e5m2fnuz',
  'f4e2m1',
];
const SCALES: readonly DType[] = ['f32', 'f16', 'bf16'];

function resultType(ctx: InferContext): DType {
  const code = intAttr(ctx.attrs, 'output_dtype');
  const dtype = code === 0 ? inputType(ctx, 1).dtype : dtypeFromCode(code);
  if (dtype === undefined) {
    typeError(ctx, `it dequantises to ONNX data type ${code}, which Hone does not have yet`);
  }
  requireDType(ctx, { dtype, shape: [] }, SCALES, 'the output');
  return dtype;
}

export const dequantizeLinear = defineOp({
  kind: 'core',
  name: 'DequantizeLinear',
  doc: 'Integers (or narrow floats) to floats by a scale and a zero point: per tensor, per axis or in blocks.',
  since: 25,
  attrs: { axis: int(1), block_size: int(0), output_dtype: int(0) },
  infer(ctx) {
    const x = inputType(ctx, 0);
    const scale = inputType(ctx, 1);
    requireDType(ctx, x, QUANTIZED);
    requireDType(ctx, scale, SCALES, 'the scale');
    const zero = ctx.inputs[2]?.type;
    if (zero !== undefined) {
      requireSame(ctx, x, zero, 'the zero point');
      checkZeroPoint(ctx, scale.shape, zero.shape);
    }
    granularityOf(ctx, x.shape, scale.shape, ctx.attrs);
    return [{ dtype: resultType(ctx), shape: x.shape }];
  },
  lower(ctx) {
    const { dtype, shape } = at(ctx.outputs, 0);
    const axes = outAxes(shape.length);
    const scaleType = inputType(ctx, 1);
    const grain = granularityOf(ctx, shape, scaleType.shape, ctx.attrs);
    const scale = cast('f32', parameterLoad(ctx, 1, scaleType, axes, grain));
    const x = loadInput(ctx, 0, axes);
    const zero = ctx.inputs[2] ? parameterLoad(ctx, 2, inputType(ctx, 2), axes, grain) : undefined;
    if (zero === undefined || isLiteral(zero, 0)) {
      return [mapBody(shape, cast(dtype, mul(cast('f32', x), scale)))];
    }
    // Up to 16 bits are exact in f32; 32 bits are subtracted as integers first.
    const wide = x.dtype === 'i32' ? 'i32' : 'f32';
    const shifted = cast('f32', sub(cast(wide, x), cast(wide, zero)));
    return [mapBody(shape, cast(dtype, mul(shifted, scale)))];
  },
  reference(inputs, attrs, ctx) {
    const [x, scale] = [given(inputs, 0), given(inputs, 1)];
    const node = { node: ctx.node, op: 'DequantizeLinear' };
    const grain = granularityOf(node, x.shape, scale.shape, attrs);
    const offsets = parameterOffsets(x.shape, scale.shape, grain);
    const scales = toNumbers(scale);
    const zeros = inputs[2] ? toNumbers(inputs[2]) : undefined;
    const values = toNumbers(x).map((value, i) => {
      const k = offsets[i] as number;
      return (value - (zeros?.[k] ?? 0)) * (scales[k] as number);
    });
    return [fromNumbers(outputOf(ctx).dtype, x.shape, values)];
  },
  cases: dequantizeCases,
});

function dequantizeCases(): readonly TestCase[] {
  const bytes = (): ReturnType<typeof tensor> => tensor('u8', [2, 3], [0, 3, 128, 255, 7, 9]);
  return [
    { note: 'per tensor', inputs: [bytes(), f32([], [0.5]), tensor('u8', [], [128])] },
    { note: 'one-element vectors', inputs: [bytes(), f32([1], [2]), tensor('u8', [1], [1])] },
    { note: 'no zero point', inputs: [bytes(), f32([], [2])] },
    {
      note: 'per axis',
      inputs: [bytes(), f32([3], [1, 2, 0.25]), tensor('u8', [3], [0, 7, 128])],
    },
    {
      note: 'axis 0',
      inputs: [bytes(), f32([2], [2, 0.25]), tensor('u8', [2], [7, 128])],
      attrs: { axis: -2 },
    },
    {
      note: 'blocks',
      inputs: [bytes(), f32([2, 2], [1, 2, 3, 4]), tensor('u8', [2, 2], [0, 1, 2, 3])],
      attrs: { axis: 1, block_size: 2 },
    },
    { note: 'i32', inputs: [tensor('i32', [3], [-7, 2 ** 30, 5]), f32([], [0.125])] },
    {
      note: 'i16',
      inputs: [tensor('i16', [3], [-7, 3000, 5]), f32([], [2]), tensor('i16', [], [-5])],
    },
    { note: 'f16 scale', inputs: [bytes(), tensor('f16', [], [0.5]), tensor('u8', [], [3])] },
    {
      note: 'f16 output',
      inputs: [bytes(), f32([], [0.5]), tensor('u8', [], [3])],
      attrs: { output_dtype: dtypeCode('f16') },
    },
    ...(['u4', 'i4', 'u2', 'i2'] as const).map((dtype) => ({
      note: dtype,
      inputs: [tensor(dtype, [4], [0, 1, 2, 3]), f32([], [2]), tensor(dtype, [], [1])],
    })),
    {
      note: 'i4 in blocks',
      inputs: [
        tensor('i4', [2, 4], [-8, 7, 1, 2, 3, -4, 5, 6]),
        f32([2, 2], [1, 2, 0.5, 4]),
        tensor('i4', [2, 2], [0, 1, -2, 3]),
      ],
      attrs: { axis: 1, block_size: 2 },
    },
    ...(['f8e4m3fn', 'f8e4m3fnuz', 'f8e5m2', 'f8e5m2fnuz', 'f4e2m1'] as const).map((dtype) => ({
      note: dtype,
      inputs: [tensor(dtype, [5], [0, 0.5, 1, -3, 6]), f32([], [0.25]), tensor(dtype, [], [0])],
    })),
    { note: 'empty', inputs: [tensor('i8', [0, 2], []), f32([], [1])] },
  ];
}
