/** HannWindow, HammingWindow, BlackmanWindow: sums of cosines over a window. */
import { type DType, dtypeFromCode, isFloat } from 'hone-runtime/base/dtype';
import { fromNumbers } from 'hone-runtime/base/tensor';
import { axis, cast, constant } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { constantInt, int, intAttr, shapeError, typeError } from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { mapBody } from '../lower.ts';
import { outputOf } from '../math/loops.ts';
import { tensor } from '../math/samples.ts';
import { add, call, mul } from '../math/scalar.ts';

/** No window is longer: larger sizes are mistakes. */
const MAX_SIZE = 2 ** 28;

function sizeOf(ctx: InferContext): number {
  const size = constantInt(ctx, 0, 'size');
  if (!(size >= 0 && size <= MAX_SIZE)) shapeError(ctx, `a window of ${size} elements`);
  return size;
}

/** The floating-point dtype that an attribute asks for. */
export function outputDType(ctx: InferContext): DType {
  const code = intAttr(ctx.attrs, 'output_datatype');
  const dtype = dtypeFromCode(code);
  if (dtype === undefined || !isFloat(dtype)) typeError(ctx, `output_datatype ${code}`);
  return dtype;
}

/** What element n is the cosine of, per n. */
function stepOf(attrs: Attrs, size: number): number {
  const period = intAttr(attrs, 'periodic') !== 0 ? size : size - 1;
  return (2 * Math.PI) / Math.max(1, period);
}

/** Element n is Σ weights[k] · cos(k · step · n). */
function defineWindow(name: string, weights: readonly number[]): CoreOp {
  return defineOp({
    kind: 'core',
    name,
    doc: `The ${name.replace('Window', '')} window of a size known at compile time.`,
    since: 17,
    attrs: { output_datatype: int(1), periodic: int(1) },
    infer: (ctx) => [{ dtype: outputDType(ctx), shape: [sizeOf(ctx)] }],
    lower: (ctx) => {
      const size = sizeOf(ctx);
      const step = stepOf(ctx.attrs, size);
      const position = cast('f64', axis('i0'));
      const value = weights.reduce<Expr>(
        (sum, weight, k) =>
          k === 0 ? sum : add(sum, mul(call('cos', mul(position, k * step)), weight)),
        constant('f64', weights[0] ?? 0),
      );
      return [mapBody([size], cast(outputDType(ctx), value))];
    },
    reference: (_inputs, attrs, ctx) => {
      const { dtype, shape } = outputOf(ctx);
      const size = shape[0] ?? 0;
      const step = stepOf(attrs, size);
      const values = Array.from({ length: size }, (_, n) =>
        weights.reduce((sum, weight, k) => sum + weight * Math.cos(k * step * n), 0),
      );
      return [fromNumbers(dtype, shape, values)];
    },
    cases: () => [
      { inputs: [tensor('i32', [], [10])] },
      { note: 'symmetric', inputs: [tensor('i64', [], [7])], attrs: { periodic: 0 } },
      { note: 'one', inputs: [tensor('i32', [], [1])], attrs: { periodic: 0 } },
      { note: 'f16', inputs: [tensor('i32', [], [5])], attrs: { output_datatype: 10 } },
    ],
  });
}

export const WINDOWS: readonly OpDef[] = [
  defineWindow('HannWindow', [0.5, -0.5]),
  defineWindow('HammingWindow', [25 / 46, -21 / 46]),
  defineWindow('BlackmanWindow', [0.42, -0.5, 0.08]),
];
