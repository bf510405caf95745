/** MatMul, com.microsoft's FusedMatMul and MatMulInteger. */
import { type DType, isInteger } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toBigInts, toNumbers } from 'hone-runtime/base/tensor';
import { acc, cast, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { ContractBody } from '../../stages/types.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { fromBigInts, given, outputOf } from '../math/loops.ts';
import { computeType, mul, sub, widen } from '../math/scalar.ts';
import {
  type MatMulGeometry,
  matMulAccesses,
  matMulGeometry,
  matMulSpec,
  multiply,
  multiplyBig,
} from './matmul-geometry.ts';
import { sample } from './samples.ts';
import type { NodeRef } from './window.ts';

const MATMUL_DTYPES: readonly DType[] = [...FLOATS, 'i32', 'i64', 'u32', 'u64'];

function inferMatMul(ctx: InferContext, geo: MatMulGeometry, dtypes: readonly DType[]): ValueType {
  const a = inputType(ctx, 0);
  requireDType(ctx, a, dtypes);
  requireDType(ctx, inputType(ctx, 1), [a.dtype], 'the second operand');
  return { dtype: a.dtype, shape: geo.output };
}

function lowerMatMul(ctx: LowerContext, geo: MatMulGeometry, alpha: number): ContractBody {
  const a = inputType(ctx, 0);
  const b = inputType(ctx, 1);
  const use = matMulAccesses(geo);
  const accDtype = computeType(a.dtype);
  const sum = acc(0, accDtype);
  return {
    kind: 'contract',
    axes: geo.output,
    reduceAxes: [geo.k],
    a: widen(load('0', a.dtype, use.a)),
    b: widen(load('1', b.dtype, use.b)),
    accDtype,
    outIndex: outAxes(geo.output.length),
    epilogue: cast(a.dtype, alpha === 1 ? sum : mul(sum, alpha)),
    spec: matMulSpec(geo),
  };
}

function plainGeometry(ctx: InferContext): MatMulGeometry {
  return matMulGeometry(ctx, inputType(ctx, 0).shape, inputType(ctx, 1).shape);
}

export const matMul = defineOp({
  kind: 'core',
  name: 'MatMul',
  doc: "Matrix product with numpy's rules for vectors and batches.",
  since: 13,
  attrs: {},
  infer: (ctx) => [inferMatMul(ctx, plainGeometry(ctx), MATMUL_DTYPES)],
  lower: (ctx) => [lowerMatMul(ctx, plainGeometry(ctx), 1)],
  reference: (inputs, _attrs, ctx) => {
    const [a, b] = [given(inputs, 0), given(inputs, 1)];
    const { dtype, shape } = outputOf(ctx);
    const geo = matMulGeometry({ node: ctx.node, op: 'MatMul' }, a.shape, b.shape);
    return [
      isInteger(dtype)
        ? fromBigInts(dtype, shape, multiplyBig(geo, toBigInts(a), toBigInts(b)))
        : fromNumbers(dtype, shape, multiply(geo, toNumbers(a), toNumbers(b))),
    ];
  },
  cases: () => [
    matMulCase('matrices', [3, 4], [4, 5]),
    matMulCase('vector · vector', [4], [4]),
    matMulCase('vector · batch', [4], [2, 4, 3]),
    matMulCase('batch · vector', [2, 3, 4], [4]),
    matMulCase('batches broadcast', [2, 1, 3, 4], [5, 4, 2]),
    matMulCase('one matrix for all', [2, 3, 4], [4, 6]),
    matMulCase('i32', [2, 3], [3, 2], {}, 'i32'),
    matMulCase('u64', [2, 3], [3, 2], {}, 'u64'),
    matMulCase('f16', [2, 3], [3, 2], {}, 'f16'),
  ],
});

function matMulCase(
  note: string,
  a: readonly number[],
  b: readonly number[],
  attrs: Attrs = {},
  dtype: DType = 'f32',
): TestCase {
  return { note, inputs: [sample(a, 1, dtype), sample(b, 2, dtype)], attrs };
}

function fusedGeometry(
  ctx: NodeRef,
  attrs: Attrs,
  a: readonly number[],
  b: readonly number[],
): MatMulGeometry {
  if (intAttr(attrs, 'transBatchA') !== 0 || intAttr(attrs, 'transBatchB') !== 0) {
    shapeError(ctx, 'transBatchA and transBatchB are not supported');
  }
  return matMulGeometry(ctx, a, b, intAttr(attrs, 'transA') !== 0, intAttr(attrs, 'transB') !== 0);
}

export const fusedMatMul = defineOp({
  kind: 'core',
  name: 'FusedMatMul',
  domain: 'com.microsoft',
  doc: 'Matrix product of operands that may be transposed, times alpha.',
  since: 1,
  attrs: {
    alpha: float(1),
    transA: int(0),
    transB: int(0),
    transBatchA: int(0),
    transBatchB: int(0),
  },
  infer: (ctx) => {
    const geo = fusedGeometry(ctx, ctx.attrs, inputType(ctx, 0).shape, inputType(ctx, 1).shape);
    return [inferMatMul(ctx, geo, FLOATS)];
  },
  lower: (ctx) => {
    const geo = fusedGeometry(ctx, ctx.attrs, inputType(ctx, 0).shape, inputType(ctx, 1).shape);
    return [lowerMatMul(ctx, geo, intAttr(ctx.attrs, 'alpha'))];
  },
  reference: (inputs, attrs, ctx) => {
    const [a, b] = [given(inputs, 0), given(inputs, 1)];
    const geo = fusedGeometry({ node: ctx.node, op: 'FusedMatMul' }, attrs, a.shape, b.shape);
    const alpha = intAttr(attrs, 'alpha');
    const product = multiply(geo, toNumbers(a), toNumbers(b)).map((value) => value * alpha);
    return [fromNumbers(a.dtype, geo.output, product)];
  },
  cases: () => [
    matMulCase('both transposed', [2, 4, 3], [2, 5, 4], { transA: 1, transB: 1, alpha: 0.5 }),
    matMulCase('b transposed, broadcast', [2, 2, 3, 4], [5, 4], { transB: 1 }),
  ],
});

/** Zero points: one for all, or one per row of a (per column of b). */
function zeroPointType(ctx: InferContext, operand: 2 | 3, lines: number): ValueType | undefined {
  const type = optionalType(ctx, operand);
  if (type === undefined) return undefined;
  requireDType(ctx, type, [inputType(ctx, operand - 2).dtype], `the zero point (input ${operand})`);
  const [length = 1] = type.shape;
  if (type.shape.length > 1 || (length !== 1 && length !== lines)) {
    shapeError(
      ctx,
      `the zero point (input ${operand}) has shape [${type.shape.join(',')}]; it takes one value or ${lines}`,
    );
  }
  return type;
}

function zeroPointLoad(type: ValueType, operand: number, line: Expr): Expr {
  const position = type.shape.length === 0 ? [] : [type.shape[0] === 1 ? index(0) : line];
  return cast('i32', load(`${operand}`, type.dtype, position));
}

/** Operand elements less their zero points, as doubles. `line` gives the zero point's position. */
function lessZeroPoint(
  operand: Tensor,
  zero: Tensor | null | undefined,
  line: (flat: number) => number,
): Float64Array {
  const values = toNumbers(operand);
  if (zero === null || zero === undefined) return values;
  const zeros = toNumbers(zero);
  return values.map((value, i) => value - (zeros[zeros.length === 1 ? 0 : line(i)] as number));
}

const EIGHT_BITS: readonly DType[] = ['u8', 'i8'];

export const matMulInteger = defineOp({
  kind: 'core',
  name: 'MatMulInteger',
  doc: 'Matrix product of 8-bit integers less their zero points, summed in i32.',
  since: 10,
  attrs: {},
  infer: (ctx) => {
    requireDType(ctx, inputType(ctx, 0), EIGHT_BITS);
    requireDType(ctx, inputType(ctx, 1), EIGHT_BITS, 'the second operand');
    const geo = plainGeometry(ctx);
    zeroPointType(ctx, 2, geo.m);
    zeroPointType(ctx, 3, geo.n);
    return [{ dtype: 'i32', shape: geo.output }];
  },
  lower: (ctx) => {
    const geo = plainGeometry(ctx);
    const use = matMulAccesses(geo);
    const term = (operand: 0 | 1, position: readonly Expr[], line: Expr): Expr => {
      const x = cast('i32', load(`${operand}`, inputType(ctx, operand).dtype, position));
      const zero = optionalType(ctx, operand + 2);
      return zero === undefined ? x : sub(x, zeroPointLoad(zero, operand + 2, line));
    };
    const plain = optionalType(ctx, 2) === undefined && optionalType(ctx, 3) === undefined;
    return [
      {
        kind: 'contract',
        axes: geo.output,
        reduceAxes: [geo.k],
        a: term(0, use.a, use.row),
        b: term(1, use.b, use.column),
        accDtype: 'i32',
        outIndex: outAxes(geo.output.length),
        epilogue: acc(0, 'i32'),
        // With zero points the operands are not the stored elements any more.
        spec: plain ? matMulSpec(geo) : { kind: 'general' },
      },
    ];
  },
  reference: (inputs, _attrs, ctx) => {
    const [a, b] = [given(inputs, 0), given(inputs, 1)];
    const geo = matMulGeometry({ node: ctx.node, op: 'MatMulInteger' }, a.shape, b.shape);
    const product = multiply(
      geo,
      lessZeroPoint(a, inputs[2], (flat) => Math.floor(flat / geo.k) % geo.m),
      lessZeroPoint(b, inputs[3], (flat) => flat % geo.n),
    );
    return [fromNumbers('i32', geo.output, product)];
  },
  cases: () => [
    { note: 'no zero points', inputs: [sample([3, 4], 1, 'u8'), sample([4, 2], 2, 'i8')] },
    {
      note: 'zero points for all',
      inputs: [
        sample([2, 3, 4], 1, 'u8'),
        sample([4, 2], 2, 'u8'),
        fromNumbers('u8', [], [12]),
        fromNumbers('u8', [1], [3]),
      ],
    },
    {
      note: 'a zero point per row and per column',
      inputs: [
        sample([3, 4], 1, 'i8'),
        sample([4, 2], 2, 'i8'),
        fromNumbers('i8', [3], [1, -2, 3]),
        fromNumbers('i8', [2], [5, -6]),
      ],
    },
  ],
});
