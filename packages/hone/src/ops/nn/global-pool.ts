/** GlobalAveragePool, GlobalMaxPool and GlobalLpPool: one value per image and channel. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, cast, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, int, intAttr, requireDType, shapeError } from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { computeType, div, widen } from '../math/scalar.ts';
import { checkNorm, powerOf, rootOf } from './pool.ts';
import { sample } from './samples.ts';
import { axesFrom } from './window.ts';

interface GlobalPool {
  readonly name: string;
  readonly doc: string;
  readonly attrs?: CoreOp['attrs'];
  readonly op: 'sum' | 'max';
  readonly step: (element: Expr, attrs: Attrs) => Expr;
  readonly finish: (folded: Expr, count: number, attrs: Attrs) => Expr;
  readonly plain: (image: Float64Array, attrs: Attrs) => number;
}

function outShape(ctx: InferContext): number[] {
  const { shape } = inputType(ctx, 0);
  if (shape.length < 3) shapeError(ctx, `input [${shape.join(',')}] has no spatial axes`);
  return shape.map((extent, i) => (i < 2 ? extent : 1));
}

function globalPool(def: GlobalPool): CoreOp {
  return defineOp({
    kind: 'core',
    name: def.name,
    doc: def.doc,
    since: 22,
    attrs: def.attrs ?? {},
    infer: (ctx) => {
      const x = inputType(ctx, 0);
      requireDType(ctx, x, FLOATS);
      if (def.attrs?.['p'] !== undefined) checkNorm(ctx);
      return [{ dtype: x.dtype, shape: outShape(ctx) }];
    },
    lower: (ctx) => {
      const x = inputType(ctx, 0);
      const spatial = x.shape.slice(2);
      const at_ = [axis('i0'), axis('i1'), ...axesFrom('r', 0, spatial.length)];
      const dtype = computeType(x.dtype);
      const value = def.step(widen(load('0', x.dtype, at_)), ctx.attrs);
      const result = def.finish(acc(0, dtype), elementCount(spatial), ctx.attrs);
      return [
        {
          kind: 'reduce',
          axes: x.shape.slice(0, 2),
          reduceAxes: spatial,
          steps: [{ op: def.op, value, dtype }],
          spans: 'outer',
          outIndex: [axis('i0'), axis('i1'), ...spatial.map(() => index(0))],
          value: cast(x.dtype, result),
        },
      ];
    },
    reference: (inputs, attrs) => {
      const x = given(inputs, 0);
      const values = toNumbers(x);
      const images = at(x.shape, 0) * at(x.shape, 1);
      const size = images === 0 ? 0 : values.length / images;
      const out = Array.from({ length: images }, (_, i) =>
        def.plain(values.subarray(i * size, (i + 1) * size), attrs),
      );
      return [
        fromNumbers(
          x.dtype,
          x.shape.map((extent, i) => (i < 2 ? extent : 1)),
          out,
        ),
      ];
    },
    cases,
  });
}

const cases = (): readonly TestCase[] => [
  { note: 'two spatial axes', inputs: [sample([2, 3, 4, 5])] },
  { note: 'one spatial axis', inputs: [sample([1, 2, 7])] },
  { note: 'three spatial axes, f16', inputs: [sample([1, 2, 2, 3, 2], 1, 'f16')] },
];

export const GLOBAL_POOLS: readonly CoreOp[] = [
  globalPool({
    name: 'GlobalAveragePool',
    doc: 'Mean over all spatial positions.',
    op: 'sum',
    step: (x) => x,
    finish: (sum, count) => div(sum, count),
    plain: (image) => image.reduce((sum, x) => sum + x, 0) / image.length,
  }),
  globalPool({
    name: 'GlobalMaxPool',
    doc: 'Largest element over all spatial positions.',
    op: 'max',
    step: (x) => x,
    finish: (top) => top,
    plain: (image) => image.reduce((top, x) => Math.max(top, x), Number.NEGATIVE_INFINITY),
  }),
  globalPool({
    name: 'GlobalLpPool',
    doc: 'p-norm over all spatial positions.',
    attrs: { p: int(2) },
    op: 'sum',
    step: (x, attrs) => powerOf(x, intAttr(attrs, 'p')),
    finish: (sum, _count, attrs) => rootOf(sum, intAttr(attrs, 'p')),
    plain: (image, attrs) => {
      const p = intAttr(attrs, 'p');
      return image.reduce((sum, x) => sum + Math.abs(x) ** p, 0) ** (1 / p);
    },
  }),
];
