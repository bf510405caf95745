/**
 * com.microsoft's QGemm (a quantised fully connected layer, whose result may stay real) and
 * QLinearSoftmax (whose older form flattens around its axis).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  broadcastShapes,
  float,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { broadcastOffsets, given, gridOffsets, outputOf } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { matMulGeometry, multiply } from '../nn/matmul-geometry.ts';
import { sample } from '../nn/samples.ts';
import { softmax } from '../nn/softmax.ts';
import {
  alikeParameters,
  checkParameters,
  checkTriple,
  dequantizeNode,
  EIGHT_BITS,
  quantizeNode,
  realOf,
  realResult,
  scalarOf,
  stepsOf,
  tripleFrom,
} from './real-form.ts';

interface GemmShapes {
  readonly output: readonly number[];
  readonly columns: number;
  /** The axis of b that runs over output columns. */
  readonly columnAxis: number;
}

function gemmShapes(ctx: InferContext): GemmShapes {
  const [a, b] = [inputType(ctx, 0), inputType(ctx, 3)];
  if (a.shape.length !== 2 || b.shape.length !== 2) {
    shapeError(
      ctx,
      `operands have ranks ${a.shape.length} and ${b.shape.length}; both must be matrices`,
    );
  }
  const transB = intAttr(ctx.attrs, 'transB') !== 0;
  const geo = matMulGeometry(ctx, a.shape, b.shape, intAttr(ctx.attrs, 'transA') !== 0, transB);
  return { output: geo.output, columns: geo.n, columnAxis: transB ? 0 : 1 };
}

/** C in real numbers: i32 in steps of alpha · scale of a · scale of b. */
function biasNode(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  attrs: Attrs,
  columns: number,
): ValueId | null {
  const c = inputs[6] ?? null;
  if (c === null) return null;
  const scaleA = scalarOf(b, inputs[1] as ValueId);
  const scaleB = inputs[4] as ValueId;
  const perColumn = elementCount(b.typeOf(scaleB).shape) !== 1;
  const list = (): ValueId => b.op('Reshape', [scaleB, b.ints([-1])]);
  const steps = b.op('Mul', [scaleA, perColumn ? list() : scalarOf(b, scaleB)]);
  const scaled = b.op('Mul', [steps, b.scalar(intAttr(attrs, 'alpha'))]);
  const { shape } = b.typeOf(c);
  const axis = shape.length - 1;
  // One step for each column, where C has columns.
  if (perColumn && shape[axis] !== columns) {
    return b.op('Mul', [b.op('Cast', [c], { to: 1 }), scaled]);
  }
  return b.op('DequantizeLinear', [c, scaled], perColumn ? { axis } : {});
}

export const qGemm = defineOp({
  kind: 'composite',
  name: 'QGemm',
  domain: 'com.microsoft',
  doc: 'alpha · A · B + C of quantised matrices, quantised again where an output scale is given.',
  since: 1,
  attrs: { alpha: float(1), transA: int(0), transB: int(0) },
  infer: (ctx) => {
    const a = checkTriple(ctx, tripleFrom(0));
    requireDType(ctx, inputType(ctx, 3), EIGHT_BITS, 'the second operand');
    const { output, columns } = gemmShapes(ctx);
    requireDType(ctx, inputType(ctx, 4), ['f32'], 'the scale of the second operand');
    for (const k of [4, 5]) {
      const count = elementCount(optionalType(ctx, k)?.shape ?? []);
      if (count !== 1 && count !== columns) shapeError(ctx, `input ${k} has ${count} elements`);
    }
    const c = optionalType(ctx, 6);
    if (c !== undefined) {
      requireDType(ctx, c, ['i32'], 'C');
      if (broadcastShapes(ctx, output, c.shape).join() !== output.join()) {
        shapeError(ctx, `C [${c.shape.join(',')}] does not broadcast to [${output.join(',')}]`);
      }
    }
    if (optionalType(ctx, 7) === undefined) return [{ dtype: 'f32', shape: output }];
    const dtype = optionalType(ctx, 8)?.dtype ?? a.dtype;
    checkParameters(ctx, dtype, 7, 8);
    return [{ dtype, shape: output }];
  },
  decompose: (b, inputs, ctx) => {
    const { columns, columnAxis } = gemmShapes(ctx);
    const a = dequantizeNode(b, inputs, tripleFrom(0));
    const parameters = alikeParameters(b, [inputs[4] ?? null, inputs[5] ?? null]);
    const weights = b.op('DequantizeLinear', [inputs[3] ?? null, ...parameters], {
      axis: columnAxis,
    });
    const bias = biasNode(b, inputs, ctx.attrs, columns);
    const operands = [a, weights, ...(bias === null ? [] : [bias])];
    const { alpha, transA, transB } = ctx.attrs;
    const product = b.op('Gemm', operands, {
      alpha: Number(alpha),
      transA: Number(transA),
      transB: Number(transB),
    });
    const { dtype } = at(ctx.outputs, 0);
    return [dtype === 'f32' ? product : quantizeNode(b, inputs, product, 7, 8, dtype)];
  },
  reference: (inputs, attrs, ctx) => {
    const [a, w] = [given(inputs, 0), given(inputs, 3)];
    const node = { node: ctx.node, op: 'QGemm' };
    const [transA, transB] = [intAttr(attrs, 'transA') !== 0, intAttr(attrs, 'transB') !== 0];
    const geo = matMulGeometry(node, a.shape, w.shape, transA, transB);
    const column = gridOffsets(w.shape, transB ? [1, 0] : [0, 1]);
    const list = (k: number, otherwise: number): Float64Array =>
      inputs[k] ? toNumbers(inputs[k] as Tensor) : Float64Array.of(otherwise);
    const [scaleA, zeroA] = [list(1, 1)[0] as number, list(2, 0)[0] as number];
    const [scaleB, zeroB] = [list(4, 1), list(5, 0)];
    const pick = (values: Float64Array, c: number): number =>
      values[values.length === 1 ? 0 : c] as number;
    const sums = multiply(
      geo,
      toNumbers(a).map((value) => value - zeroA),
      toNumbers(w).map((value, i) => value - pick(zeroB, column[i] as number)),
    );
    const bias = inputs[6];
    const offsets = bias ? broadcastOffsets(bias.shape, geo.output) : undefined;
    const biases = bias ? toNumbers(bias) : undefined;
    const alpha = intAttr(attrs, 'alpha');
    const values = sums.map((sum, i) => {
      const whole = sum + (biases?.[offsets?.[i] ?? 0] ?? 0);
      return whole * alpha * scaleA * pick(scaleB, i % geo.n);
    });
    const real = fromNumbers('f32', geo.output, values);
    const { dtype } = outputOf(ctx);
    return [dtype === 'f32' ? real : stepsOf(inputs, real, 7, 8, dtype)];
  },
  cases: () => {
    const a = [sample([3, 4], 1, 'u8'), f32([], [0.5]), tensor('u8', [], [9])];
    const w = [sample([2, 4], 2, 'i8'), f32([2], [0.25, 0.5]), tensor('i8', [2], [0, 0])];
    const one = [sample([4, 2], 2, 'i8'), f32([], [0.25]), tensor('i8', [], [3])];
    const c = tensor('i32', [2], [100, -50]);
    const y = [f32([], [4]), tensor('u8', [], [100])];
    return [
      { note: 'per column, transposed', attrs: { transB: 1 }, inputs: [...a, ...w, c, ...y] },
      {
        note: 'a zero point for each column, one scale',
        inputs: [...a, one[0] ?? null, f32([], [0.25]), tensor('i8', [2], [3, -4]), c],
      },
      { note: 'real result', inputs: [...a, ...one, c] },
      { note: 'no C', attrs: { alpha: 0.5 }, inputs: [...a, ...one, null, ...y] },
    ];
  },
});

/** Before opset 13 everything from the axis on was one row. */
function softmaxRows(attrs: Attrs, shape: readonly number[], axis: number): number[] {
  if (intAttr(attrs, 'opset') >= 13) return [...shape];
  return [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
}

export const qLinearSoftmax = defineOp({
  kind: 'composite',
  name: 'QLinearSoftmax',
  domain: 'com.microsoft',
  doc: 'Softmax of a quantised tensor, quantised again.',
  since: 1,
  attrs: { axis: int(-1), opset: requiredInt },
  infer: (ctx) => {
    const x = checkTriple(ctx, tripleFrom(0));
    normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), x.shape.length);
    const dtype = optionalType(ctx, 4)?.dtype ?? x.dtype;
    checkParameters(ctx, dtype, 3, 4);
    return [{ dtype, shape: x.shape }];
  },
  decompose: (b, inputs, ctx) => {
    const { dtype, shape } = at(ctx.outputs, 0);
    const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
    const rows = softmaxRows(ctx.attrs, shape, axis);
    const x = dequantizeNode(b, inputs, tripleFrom(0));
    const flat = rows.length === shape.length && rows.every((n, i) => n === shape[i]);
    const soft = flat
      ? b.op('Softmax', [x], { axis: intAttr(ctx.attrs, 'opset') >= 13 ? axis : rows.length - 1 })
      : b.reshape(b.op('Softmax', [b.reshape(x, rows)], { axis: 1 }), shape);
    return [quantizeNode(b, inputs, soft, 3, 4, dtype)];
  },
  reference: (inputs, attrs, ctx) => {
    const { dtype, shape } = outputOf(ctx);
    const axis = (intAttr(attrs, 'axis') + shape.length) % shape.length;
    const rows = softmaxRows(attrs, shape, axis);
    const x = { ...realOf(inputs, tripleFrom(0)), shape: rows };
    const along = intAttr(attrs, 'opset') >= 13 ? axis : 1;
    const soft = realResult(softmax, { axis: along }, [x], rows, ctx);
    return [stepsOf(inputs, { ...soft, shape }, 3, 4, dtype)];
  },
  cases: () => {
    const y = [f32([], [1 / 256]), tensor('u8', [], [0])];
    const x = [sample([2, 3, 4], 1, 'u8'), f32([], [0.0625]), tensor('u8', [], [9])];
    return [
      { attrs: { opset: 13 }, inputs: [...x, ...y] },
      { note: 'flattened', attrs: { opset: 11, axis: 1 }, inputs: [...x, ...y] },
      { note: 'an inner axis', attrs: { opset: 17, axis: 1 }, inputs: [...x, ...y] },
    ];
  },
});
