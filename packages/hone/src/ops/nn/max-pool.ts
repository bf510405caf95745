/** MaxPool, with the positions of the largest elements on request. */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, stridesOf } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import type { ReduceBody } from '../../stages/types.ts';
import { inputType, int, intAttr } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { widen } from '../math/scalar.ts';
import { eachWindow, inferPool, POOL_ATTRS, poolBody, poolCases, poolWindow } from './pool.ts';
import { sample } from './samples.ts';
import { guarded } from './terms.ts';
import { axesFrom, insideWindow, type Window, windowPositions } from './window.ts';

function lowest(dtype: DType): number {
  if (dtype === 'u8') return 0;
  return dtype === 'i8' ? -128 : Number.NEGATIVE_INFINITY;
}

const MAX_DTYPES: readonly DType[] = [...FLOATS, 'u8', 'i8'];

export const maxPool = defineOp({
  kind: 'core',
  name: 'MaxPool',
  doc: 'Largest element of each window; optionally the position it came from.',
  since: 22,
  attrs: { ...POOL_ATTRS, storage_order: int(0) },
  infer: (ctx) => {
    const out = inferPool(ctx, MAX_DTYPES);
    return ctx.outputCount > 1 ? [out, { dtype: 'i64', shape: out.shape }] : [out];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const win = poolWindow(ctx, ctx.attrs, x.shape);
    const largest = poolBody(
      x,
      win,
      'max',
      (v) => v,
      lowest(x.dtype),
      (v) => v,
    );
    if (ctx.outputs.length < 2) return [largest];
    return [largest, indicesBody(x, win, intAttr(ctx.attrs, 'storage_order') === 1)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const win = poolWindow({ node: ctx.node, op: 'MaxPool' }, attrs, x.shape);
    const columnMajor = intAttr(attrs, 'storage_order') === 1;
    const from: number[] = [];
    const y = eachWindow(x, win, (values, base, { input }) => {
      let best = -1;
      for (const offset of input) {
        const value = values[base + offset] as number;
        const top = best < 0 ? Number.NEGATIVE_INFINITY : (values[base + best] as number);
        if (best < 0 || value > top || Number.isNaN(value)) best = offset;
      }
      const place = columnMajor ? transposedOffset(win.input, best) : best;
      from.push(best < 0 ? -1 : base + place);
      return best < 0 ? lowest(x.dtype) : (values[base + best] as number);
    });
    return ctx.outputTypes.length > 1 ? [y, fromNumbers('i64', y.shape, from)] : [y];
  },
  cases: () => [
    ...poolCases({}),
    { note: 'u8', inputs: [sample([1, 2, 4, 4], 1, 'u8')], attrs: { kernel_shape: [2, 2] } },
    {
      note: 'i8, padded',
      inputs: [sample([1, 1, 4, 4], 1, 'i8')],
      attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
    },
    {
      note: 'Indices',
      inputs: [sample([2, 1, 4, 5])],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
      outputs: 2,
    },
    {
      note: 'Indices of zeros, padded; a window of padding only',
      inputs: [fromNumbers('u8', [1, 1, 2, 2], [0, 0, 0, 3])],
      attrs: { kernel_shape: [1, 2], pads: [1, 1, 1, 1] },
      outputs: 2,
    },
    {
      note: 'Indices column by column, padded',
      inputs: [sample([1, 2, 4, 5])],
      attrs: { kernel_shape: [3, 2], pads: [1, 1, 1, 0], storage_order: 1 },
      outputs: 2,
    },
  ],
});

/** Where each window's first largest element lies in the whole tensor. */
function indicesBody(x: ValueType, win: Window, columnMajor: boolean): ReduceBody {
  const rank = win.input.length;
  /** Input positions of a window's tap, given by its row-major number. */
  const positionsOf = (tap: Expr): readonly Expr[] => {
    const strides = stridesOf(win.kernel);
    const taps = win.kernel.map((extent, i) => mod(floorDivide(tap, at(strides, i)), extent));
    return windowPositions(win, axesFrom('i', 2, rank), taps);
  };
  const tried = positionsOf(axis('r0'));
  const loaded = load('0', x.dtype, [axis('i0'), axis('i1'), ...tried]);
  // Padding is below every integer, so that it is never taken for one.
  const element = isFloat(x.dtype) ? widen(loaded) : cast('i32', loaded);
  const least = isFloat(x.dtype) ? Number.NEGATIVE_INFINITY : -256;
  const value = guarded(insideWindow(win, tried), element, least);
  const best = positionsOf(acc(0, 'i64'));
  const weights = columnMajor
    ? stridesOf([...win.input].reverse()).reverse()
    : stridesOf(win.input);
  const image = iadd(imul(axis('i0'), at(x.shape, 1)), axis('i1'));
  const flat = best.reduce(
    (sum, position, i) => iadd(sum, imul(position, at(weights, i))),
    imul(image, elementCount(win.input)),
  );
  const axes = [at(x.shape, 0), at(x.shape, 1), ...win.output];
  return {
    kind: 'reduce',
    axes,
    reduceAxes: [elementCount(win.kernel)],
    steps: [{ op: 'argmax', value, dtype: 'i64' }],
    spans: 'outer',
    outIndex: outAxes(axes.length),
    // A window of nothing but padding has no largest element.
    value: guarded(insideWindow(win, best), flat, -1),
  };
}

function floorDivide(x: Expr, n: number): Expr {
  return n === 1 ? x : binary('floordiv', x, index(n));
}

function mod(x: Expr, n: number): Expr {
  return n === 1 ? index(0) : binary('mod', x, index(n));
}

/** Offset of an element when the image is stored column by column. */
function transposedOffset(extents: readonly number[], offset: number): number {
  const weights = stridesOf([...extents].reverse()).reverse();
  return stridesOf(extents).reduce(
    (sum, stride, i) => sum + (Math.floor(offset / stride) % at(extents, i)) * at(weights, i),
    0,
  );
}
