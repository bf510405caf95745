/**
 * QLinearMatMul and QLinearConv: integer products, scaled and quantised again. They decompose into
 * MatMulInteger or ConvInteger, one multiplication and QuantizeLinear.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type ReferenceContext, type TestCase } from '../define-op.ts';
import { integerLimits } from '../math/saturate.ts';
import { given, gridOffsets, outputOf } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { roundHalfEven } from '../math/special.ts';
import { convInteger } from '../nn/conv.ts';
import { matMulInteger } from '../nn/matmul.ts';
import { sample } from '../nn/samples.ts';

const QUANTIZED: readonly DType[] = ['u8', 'i8'];
const SCALES: readonly DType[] = ['f32', 'f16', 'bf16'];

/** x · w of the integer operator that does the work: inputs 0, 3, 2 and 5 of the quantised one. */
function integerContext(ctx: InferContext, op: string): InferContext {
  const inputs = [0, 3, 2, 5].map((k) => ctx.inputs[k] ?? null);
  return { ...ctx, op, inputs, outputCount: 1 };
}

/** The output's type, after checks of the scales: one each, or `rows` and `columns`. */
function resultType(
  ctx: InferContext,
  product: ValueType,
  rows: number,
  columns: number,
): ValueType {
  const scales = [
    [1, rows],
    [4, columns],
    [6, 1],
  ] as const;
  for (const [k, most] of scales) {
    const scale = inputType(ctx, k);
    requireDType(ctx, scale, SCALES, `the scale (input ${k})`);
    const count = elementCount(scale.shape);
    if (scale.shape.length > 1 || (count !== 1 && count !== most)) {
      shapeError(ctx, `the scale (input ${k}) has shape [${scale.shape.join(',')}]`);
    }
  }
  const zero = inputType(ctx, 7);
  requireDType(ctx, zero, QUANTIZED, 'the zero point of the output');
  if (zero.shape.length > 1 || elementCount(zero.shape) !== 1) {
    shapeError(
      ctx,
      `the zero point of the output (input 7) has shape [${zero.shape.join(',')}]; it takes one value`,
    );
  }
  return { dtype: zero.dtype, shape: product.shape };
}

/** Scales as f32 of a shape that broadcasts to the product; one-element lists become scalars. */
function scaleAs(b: OpBuilder, id: ValueId | null, shape: readonly number[]): ValueId {
  const wide = b.op('Cast', [id], { to: dtypeCode('f32') });
  const count = elementCount(b.typeOf(wide).shape);
  return b.reshape(wide, count === 1 ? [] : shape);
}

function requantized(
  b: OpBuilder,
  sum: ValueId,
  scale: ValueId,
  inputs: readonly (ValueId | null)[],
): ValueId {
  const real = b.op('Mul', [b.op('Cast', [sum], { to: dtypeCode('f32') }), scale]);
  const zero = b.op('Reshape', [inputs[7] ?? null, b.ints([])]);
  return b.op('QuantizeLinear', [real, scaleAs(b, inputs[6] ?? null, []), zero]);
}

/** The reference's last part: sums with the scale of each, quantised. */
function quantized(
  sums: Float64Array,
  scaleAt: (i: number) => number,
  inputs: readonly (Tensor | null)[],
  out: ValueType,
): Tensor {
  const step = at([...toNumbers(given(inputs, 6))], 0);
  const zero = at([...toNumbers(given(inputs, 7))], 0);
  const [low, high] = integerLimits(out.dtype).map(Number) as [number, number];
  const values = sums.map((sum, i) => {
    const whole = roundHalfEven(Math.fround((sum * scaleAt(i)) / step));
    return Math.min(Math.max(whole + zero, low), high);
  });
  return fromNumbers(out.dtype, out.shape, values);
}

/** Products in f32, as the compiled form has them. */
function scaleProduct(inputs: readonly (Tensor | null)[]): (a: number, w: number) => number {
  const [first, second] = [toNumbers(given(inputs, 1)), toNumbers(given(inputs, 4))];
  const one = (list: Float64Array, k: number): number => list[list.length === 1 ? 0 : k] as number;
  return (a, w) => Math.fround(one(first, a) * one(second, w));
}

function integerSums(
  op: typeof matMulInteger | typeof convInteger,
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  ctx: ReferenceContext,
): Float64Array {
  const types = [{ ...outputOf(ctx), dtype: 'i32' } as const];
  const picked = [0, 3, 2, 5].map((k) => inputs[k] ?? null);
  const [sums] = op.reference(picked, attrs, { ...ctx, outputTypes: types });
  return toNumbers(sums as Tensor);
}

export const qLinearMatMul = defineOp({
  kind: 'composite',
  name: 'QLinearMatMul',
  doc: 'Matrix product of quantised operands, quantised again.',
  since: 21,
  attrs: {},
  infer: (ctx) => {
    const product = at(matMulInteger.infer(integerContext(ctx, 'MatMulInteger')), 0);
    const [rows, columns] = [product.shape.at(-2) ?? 1, product.shape.at(-1) ?? 1];
    return [resultType(ctx, product, rows, columns)];
  },
  decompose: (b, inputs) => {
    const [a, bb, aZero, bZero] = [0, 3, 2, 5].map((k) => inputs[k] ?? null);
    const sum = b.op('MatMulInteger', [a ?? null, bb ?? null, aZero ?? null, bZero ?? null]);
    const rows = scaleAs(b, inputs[1] ?? null, [-1, 1]);
    const columns = scaleAs(b, inputs[4] ?? null, [-1]);
    return [requantized(b, sum, b.op('Mul', [rows, columns]), inputs)];
  },
  reference: (inputs, attrs, ctx) => {
    const out = outputOf(ctx);
    const columns = out.shape.at(-1) ?? 1;
    const rows = out.shape.at(-2) ?? 1;
    const scale = scaleProduct(inputs);
    const sums = integerSums(matMulInteger, inputs, attrs, ctx);
    return [
      quantized(sums, (i) => scale(Math.floor(i / columns) % rows, i % columns), inputs, out),
    ];
  },
  cases: () => [
    qCase('one scale each', [sample([3, 4], 1, 'u8'), sample([4, 2], 2, 'u8')], [1], [1]),
    qCase('batches, i8', [sample([2, 3, 4], 1, 'i8'), sample([4, 2], 2, 'i8')], [1], [1]),
    qCase('per row and column', [sample([3, 4], 1, 'i8'), sample([4, 2], 2, 'i8')], [3], [2]),
  ],
});

/** Inputs of a quantised product with some scales and zero points. */
function qCase(
  note: string,
  [x, w]: readonly [Tensor, Tensor],
  xScales: readonly [number],
  wScales: readonly [number],
  attrs: Attrs = {},
  bias?: Tensor,
): TestCase {
  const list = (n: number, by: number): number[] =>
    Array.from({ length: n }, (_, i) => by + i / 64);
  const [m, n] = [xScales[0], wScales[0]];
  return {
    note,
    attrs,
    inputs: [
      x,
      m === 1 ? f32([], [0.0625]) : f32([m], list(m, 0.03125)),
      tensor(x.dtype, [], [3]),
      w,
      n === 1 ? f32([1], [0.125]) : f32([n], list(n, 0.0625)),
      tensor(w.dtype, [], [2]),
      f32([], [0.75]),
      tensor(x.dtype, [], [5]),
      ...(bias === undefined ? [] : [bias]),
    ],
  };
}

export const qLinearConv = defineOp({
  kind: 'composite',
  name: 'QLinearConv',
  doc: 'Convolution of quantised operands with an optional bias, quantised again.',
  since: 10,
  attrs: convInteger.attrs,
  infer: (ctx) => {
    const product = at(convInteger.infer(integerContext(ctx, 'ConvInteger')), 0);
    const bias = optionalType(ctx, 8);
    if (bias !== undefined) {
      requireDType(ctx, bias, ['i32'], 'the bias');
      if (bias.shape.join() !== `${product.shape[1]}`) {
        shapeError(
          ctx,
          `the bias has shape [${bias.shape.join(',')}]; it takes [${product.shape[1]}]`,
        );
      }
    }
    return [resultType(ctx, product, 1, at(product.shape, 1))];
  },
  decompose: (b, inputs, ctx) => {
    const [x, w, xZero, wZero] = [0, 3, 2, 5].map((k) => inputs[k] ?? null);
    const operands = [x ?? null, w ?? null, xZero ?? null, wZero ?? null];
    const sum = b.op('ConvInteger', operands, ctx.attrs);
    const channels = [
      -1,
      ...inputType(ctx, 0)
        .shape.slice(2)
        .map(() => 1),
    ];
    const bias = inputs[8] ?? null;
    const biased = bias === null ? sum : b.op('Add', [sum, b.reshape(bias, channels)]);
    const scale = b.op('Mul', [
      scaleAs(b, inputs[1] ?? null, []),
      scaleAs(b, inputs[4] ?? null, channels),
    ]);
    return [requantized(b, biased, scale, inputs)];
  },
  reference: (inputs, attrs, ctx) => {
    const out = outputOf(ctx);
    const channel = gridOffsets(
      out.shape,
      out.shape.map((_, i) => (i === 1 ? 1 : 0)),
    );
    const scale = scaleProduct(inputs);
    const bias = inputs[8] ? toNumbers(inputs[8]) : undefined;
    // Sums have 32 bits with the bias in them, too.
    const sums = integerSums(convInteger, inputs, attrs, ctx).map(
      (sum, i) => (sum + (bias?.[channel[i] as number] ?? 0)) | 0,
    );
    return [quantized(sums, (i) => scale(0, channel[i] as number), inputs, out)];
  },
  cases: () => [
    qCase(
      'one scale each',
      [sample([1, 2, 4, 4], 1, 'u8'), sample([3, 2, 3, 3], 2, 'u8')],
      [1],
      [1],
    ),
    qCase(
      'per channel, padded, bias',
      [sample([1, 2, 4, 4], 1, 'i8'), sample([3, 2, 3, 3], 2, 'i8')],
      [1],
      [3],
      { pads: [1, 1, 1, 1] },
      tensor('i32', [3], [10, -20, 30]),
    ),
    qCase(
      'a sum beyond 32 bits',
      [sample([1, 1, 3, 3], 1, 'u8'), tensor('u8', [2, 1, 3, 3], Array(18).fill(0))],
      [1],
      [1],
      {},
      tensor('i32', [2], [-(2 ** 31) + 1, 2 ** 31 - 1]),
    ),
  ],
});
