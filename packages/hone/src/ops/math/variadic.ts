/** Min, Max, Sum and Mean of any number of broadcast tensors. */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { broadcastShapes, inputType, requireDType } from '../checks.ts';
import { type CoreOp, defineOp, type OpDef } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { requireSame } from './binary-family.ts';
import { FLOATS, NUMBERS } from './dtypes.ts';
import { elementwise, given, largest, outputOf, type ScalarFunction, smallest } from './loops.ts';
import { f32, specials, tensor, uniform } from './samples.ts';
import { add, div, loadInput, max, min, widen } from './scalar.ts';
import { dropConsumedInputs } from './upgrades.ts';

interface VariadicSpec {
  readonly name: string;
  readonly doc: string;
  readonly dtypes: readonly DType[];
  readonly scalar: ScalarFunction;
  readonly combine: (a: Expr, b: Expr) => Expr;
  readonly finish?: (x: Expr, count: number) => Expr;
}

function defineVariadic(spec: VariadicSpec): CoreOp {
  return defineOp({
    kind: 'core',
    name: spec.name,
    doc: spec.doc,
    since: 13,
    attrs: {},
    upgrade: dropConsumedInputs,
    infer(ctx) {
      const types = ctx.inputs.map((_, k) => inputType(ctx, k));
      const first = inputType(ctx, 0);
      requireDType(ctx, first, spec.dtypes);
      types.forEach((type, k) => {
        requireSame(ctx, first, type, `input ${k}`);
      });
      return [{ dtype: first.dtype, shape: broadcastShapes(ctx, ...types.map((t) => t.shape)) }];
    },
    lower(ctx) {
      const { dtype, shape } = at(ctx.outputs, 0);
      const axes = outAxes(shape.length);
      const loads = ctx.inputs.map((_, k) => widen(loadInput(ctx, k, axes)));
      const all = loads.reduce(spec.combine);
      return [mapBody(shape, cast(dtype, spec.finish?.(all, loads.length) ?? all))];
    },
    reference(inputs, _, ctx) {
      const tensors = inputs.map((_tensor, k) => given(inputs, k));
      return [elementwise(tensors, outputOf(ctx), spec.scalar)];
    },
    cases: () => [
      {
        inputs: [
          uniform([2, 3]),
          uniform([2, 3], -2, 2, 'f32', 2),
          uniform([2, 3], -2, 2, 'f32', 3),
        ],
      },
      { note: 'one input', inputs: [uniform([4])] },
      { note: 'broadcast', inputs: [uniform([3, 1]), uniform([4]), uniform([2, 1, 1])] },
      { note: 'special values', inputs: [specials(), f32([1], [0.5])] },
      { note: 'empty', inputs: [f32([0], []), f32([1], [1])] },
      ...spec.dtypes
        .filter((dtype) => dtype !== 'f32')
        .map((dtype) => ({
          note: dtype,
          inputs: [tensor(dtype, [3], [1, 5, 9]), tensor(dtype, [3], [3, 4, 5])],
        })),
    ],
  });
}

export const VARIADIC: readonly OpDef[] = [
  defineVariadic({
    name: 'Min',
    doc: 'The smallest of all inputs; NaN where any is NaN.',
    dtypes: NUMBERS,
    scalar: { number: Math.min, big: (...x) => x.reduce(smallest) },
    combine: min,
  }),
  defineVariadic({
    name: 'Max',
    doc: 'The largest of all inputs; NaN where any is NaN.',
    dtypes: NUMBERS,
    scalar: { number: Math.max, big: (...x) => x.reduce(largest) },
    combine: max,
  }),
  defineVariadic({
    name: 'Sum',
    doc: 'The sum of all inputs.',
    dtypes: FLOATS,
    scalar: { number: (...x) => x.reduce((a, b) => a + b) },
    combine: add,
  }),
  defineVariadic({
    name: 'Mean',
    doc: 'The mean of all inputs.',
    dtypes: FLOATS,
    scalar: { number: (...x) => x.reduce((a, b) => a + b) / x.length },
    combine: add,
    finish: (sum, count) => div(sum, count),
  }),
];
