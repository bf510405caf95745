/** ArgMax and ArgMin: the position of an extreme along one axis. */
import { at } from 'hone-runtime/base/diagnostics';
import { acc } from '../../expr/build.ts';
import { inputType, int, intAttr, normalizeAxis, requireDType, shapeError } from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { NUMBERS } from './dtypes.ts';
import { given, outputOf, reduceLoop } from './loops.ts';
import { reducedShape, reduceLoad } from './reduce-family.ts';
import { f32, i64, tensor, uniform } from './samples.ts';
import { widen } from './scalar.ts';

function axisOf(ctx: InferContext): number {
  const { shape } = inputType(ctx, 0);
  if (shape.length === 0) shapeError(ctx, 'the input is a scalar; it needs an axis');
  return normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
}

/**
 * Position of the best element; `better` is strict, so the first of equals wins unless `last`. Nothing is better
 * than a NaN that comes first, and no other NaN is better than anything.
 */
function bestOf<T>(x: readonly T[], better: (a: T, b: T) => boolean, last: boolean): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) {
    const [here, there] = [x[i] as T, x[best] as T];
    if (better(here, there) || (last && here === there)) best = i;
  }
  return best;
}

function defineArg(name: string, op: 'argmax' | 'argmin', doc: string): CoreOp {
  const better = <T extends number | bigint>(a: T, b: T): boolean =>
    op === 'argmax' ? a > b : a < b;
  return defineOp({
    kind: 'core',
    name,
    doc,
    since: 13,
    attrs: { axis: int(0), keepdims: int(1), select_last_index: int(0) },
    infer(ctx) {
      const type = inputType(ctx, 0);
      requireDType(ctx, type, NUMBERS);
      const axis = axisOf(ctx);
      if (type.shape[axis] === 0) shapeError(ctx, `axis ${axis} is empty: there is no position`);
      const keep = intAttr(ctx.attrs, 'keepdims') !== 0;
      return [{ dtype: 'i64', shape: reducedShape(type.shape, [axis], keep) }];
    },
    lower(ctx) {
      const type = inputType(ctx, 0);
      const axis = axisOf(ctx);
      const out = at(ctx.outputs, 0);
      const value = widen(reduceLoad(type, [axis], intAttr(ctx.attrs, 'keepdims') !== 0));
      const lastOfEquals = intAttr(ctx.attrs, 'select_last_index') !== 0;
      return [
        {
          kind: 'reduce',
          axes: out.shape,
          reduceAxes: [at(type.shape, axis)],
          steps: [{ op, dtype: 'i64', value, lastOfEquals }],
          spans: 'outer',
          outIndex: outAxes(out.shape.length),
          value: acc(0, 'i64'),
        },
      ];
    },
    reference(inputs, attrs, ctx) {
      const input = given(inputs, 0);
      const last = intAttr(attrs, 'select_last_index') !== 0;
      const axis = normalizeAxis(
        { node: ctx.node, op: name },
        intAttr(attrs, 'axis'),
        input.shape.length,
      );
      const out = outputOf(ctx);
      return [
        reduceLoop(input, [axis], out, {
          number: (x) => bestOf([...x], better, last),
          big: (x) => BigInt(bestOf(x, better, last)),
        }),
      ];
    },
    cases: () => [
      { inputs: [uniform([3, 4])] },
      {
        note: 'last axis, dropped',
        inputs: [uniform([2, 3, 4])],
        attrs: { axis: -1, keepdims: 0 },
      },
      {
        note: 'first of equals',
        inputs: [f32([2, 4], [1, 3, 3, 1, 2, 2, 2, 2])],
        attrs: { axis: 1 },
      },
      {
        note: 'last of equals',
        inputs: [f32([2, 4], [1, 3, 3, 1, 2, 2, 2, 2])],
        attrs: { axis: 1, select_last_index: 1 },
      },
      { note: 'i64', inputs: [i64([3], [2n ** 60n, 2n ** 60n + 1n, -5])] },
      { note: 'u8', inputs: [tensor('u8', [2, 2], [1, 255, 9, 3])], attrs: { axis: 1 } },
      { note: 'f16', inputs: [uniform([2, 5], -2, 2, 'f16')], attrs: { axis: 1 } },
      { note: 'no lists', inputs: [f32([0, 3], [])], attrs: { axis: 1 } },
    ],
  });
}

export const ARG_REDUCTIONS: readonly OpDef[] = [
  defineArg('ArgMax', 'argmax', 'Position of the largest element along an axis.'),
  defineArg('ArgMin', 'argmin', 'Position of the smallest element along an axis.'),
];
