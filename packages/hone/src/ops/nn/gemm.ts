/** Gemm: alpha · op(A) · op(B) + beta · C. */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, cast, load } from '../../expr/build.ts';
import type { Attrs } from '../../graph/types.ts';
import {
  broadcastShapes,
  float,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { NUMBERS } from '../math/dtypes.ts';
import { broadcastOffsets, given } from '../math/loops.ts';
import { add, computeType, loadInput, mul, widen } from '../math/scalar.ts';
import {
  type MatMulGeometry,
  matMulAccesses,
  matMulGeometry,
  matMulSpec,
  multiply,
} from './matmul-geometry.ts';
import { sample } from './samples.ts';
import type { NodeRef } from './window.ts';

function geometry(
  ctx: NodeRef,
  attrs: Attrs,
  a: readonly number[],
  b: readonly number[],
): MatMulGeometry {
  if (a.length !== 2 || b.length !== 2) {
    shapeError(ctx, `operands have ranks ${a.length} and ${b.length}; both must be matrices`);
  }
  return matMulGeometry(ctx, a, b, intAttr(attrs, 'transA') !== 0, intAttr(attrs, 'transB') !== 0);
}

export const gemm = defineOp({
  kind: 'core',
  name: 'Gemm',
  doc: 'alpha · A · B + beta · C of matrices that may be transposed; C broadcasts.',
  since: 13,
  attrs: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  // Opset 6 and older ask for broadcasting by an attribute; now C always broadcasts.
  upgrade: (_b, { inputs, attrs }) => {
    const { broadcast: _, ...rest } = attrs;
    return { inputs, attrs: rest };
  },
  infer: (ctx) => {
    const a = inputType(ctx, 0);
    requireDType(ctx, a, NUMBERS);
    requireDType(ctx, inputType(ctx, 1), [a.dtype], 'the second operand');
    const geo = geometry(ctx, ctx.attrs, a.shape, inputType(ctx, 1).shape);
    const c = optionalType(ctx, 2);
    if (c !== undefined) {
      requireDType(ctx, c, [a.dtype], 'C');
      if (broadcastShapes(ctx, c.shape, geo.output).join() !== geo.output.join()) {
        shapeError(ctx, `C [${c.shape.join(',')}] does not broadcast to [${geo.output.join(',')}]`);
      }
    }
    return [{ dtype: a.dtype, shape: geo.output }];
  },
  lower: (ctx) => {
    const a = inputType(ctx, 0);
    const b = inputType(ctx, 1);
    const geo = geometry(ctx, ctx.attrs, a.shape, b.shape);
    const use = matMulAccesses(geo);
    const accDtype = computeType(a.dtype);
    const alpha = intAttr(ctx.attrs, 'alpha');
    const beta = intAttr(ctx.attrs, 'beta');
    const whole = Number.isInteger(alpha) && Number.isInteger(beta);
    if (!whole && accDtype !== 'f32' && accDtype !== 'f64') {
      return `alpha ${alpha} and beta ${beta} of integer matrices are not whole numbers`;
    }
    const sum = acc(0, accDtype);
    const product = alpha === 1 ? sum : mul(sum, alpha);
    const hasC = optionalType(ctx, 2) !== undefined && beta !== 0;
    const c = hasC ? widen(loadInput(ctx, 2, [use.row, use.column])) : undefined;
    const value = c === undefined ? product : add(product, beta === 1 ? c : mul(c, beta));
    return [
      {
        kind: 'contract',
        axes: geo.output,
        reduceAxes: [geo.k],
        a: widen(load('0', a.dtype, use.a)),
        b: widen(load('1', b.dtype, use.b)),
        accDtype,
        outIndex: outAxes(2),
        epilogue: cast(a.dtype, value),
        spec: matMulSpec(geo),
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const [a, b] = [given(inputs, 0), given(inputs, 1)];
    const c: Tensor | null = inputs[2] ?? null;
    const geo = geometry({ node: ctx.node, op: 'Gemm' }, attrs, a.shape, b.shape);
    const [alpha, beta] = [intAttr(attrs, 'alpha'), intAttr(attrs, 'beta')];
    const out = multiply(geo, toNumbers(a), toNumbers(b));
    const addend = c === null ? new Float64Array(1) : toNumbers(c);
    const offsets = broadcastOffsets(c === null ? [] : c.shape, geo.output);
    for (let i = 0; i < elementCount(geo.output); i++) {
      const product = alpha * (out[i] as number);
      out[i] = beta === 0 ? product : product + beta * (addend[offsets[i] as number] as number);
    }
    return [fromNumbers(a.dtype, geo.output, out)];
  },
  cases: () => [
    { note: 'no C', inputs: [sample([2, 3], 1), sample([3, 4], 2)] },
    {
      note: 'all attributes, row of C',
      inputs: [sample([3, 2], 1), sample([4, 3], 2), sample([1, 4], 3)],
      attrs: { alpha: 0.25, beta: 0.35, transA: 1, transB: 1 },
    },
    { note: 'vector C', inputs: [sample([2, 3], 1), sample([3, 4], 2), sample([4], 3)] },
    { note: 'column C', inputs: [sample([2, 3], 1), sample([3, 4], 2), sample([2, 1], 3)] },
    { note: 'scalar C', inputs: [sample([2, 3], 1), sample([3, 4], 2), sample([], 3)] },
    {
      note: 'matrix C, transB, f16',
      inputs: [sample([2, 3], 1, 'f16'), sample([4, 3], 2, 'f16'), sample([2, 4], 3, 'f16')],
      attrs: { transB: 1, alpha: 2 },
    },
    {
      note: 'i32',
      inputs: [sample([2, 3], 1, 'i32'), sample([3, 2], 2, 'i32'), sample([2], 3, 'i32')],
      attrs: { alpha: 2, beta: -1 },
    },
  ],
});
