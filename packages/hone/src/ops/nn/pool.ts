/** Pools over sliding windows: what they share, AveragePool and LpPool (MaxPool: max-pool.ts). */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import {
  acc,
  axis,
  binary,
  cast,
  constant,
  iadd,
  imul,
  index,
  load,
  unary,
} from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { ReduceBody } from '../../stages/types.ts';
import {
  inputType,
  int,
  intAttr,
  intsAttr,
  requireDType,
  shapeError,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { computeType, div, max, min, mul, sub, widen } from '../math/scalar.ts';
import { sample } from './samples.ts';
import { guarded } from './terms.ts';
import {
  axesFrom,
  insideWindow,
  type NodeRef,
  type Taps,
  WINDOW_ATTRS,
  type Window,
  windowOf,
  windowPositions,
  windowTaps,
} from './window.ts';

/** Attributes every pool has. */
export const POOL_ATTRS = {
  ...WINDOW_ATTRS,
  ceil_mode: int(0),
  kernel_shape: { type: 'ints', required: true },
} as const;

/** The windows of a pool over an input of this shape. */
export function poolWindow(ctx: NodeRef, attrs: Attrs, shape: readonly number[]): Window {
  const rank = shape.length - 2;
  if (rank < 1) shapeError(ctx, `input [${shape.join(',')}] has no spatial axes`);
  const kernel = intsAttr(attrs, 'kernel_shape') ?? [];
  if (kernel.length !== rank || kernel.some((k) => k < 1)) {
    shapeError(ctx, `kernel_shape [${kernel.join(',')}] does not fit ${rank} spatial axes`);
  }
  return windowOf(ctx, attrs, shape.slice(2), kernel);
}

/** Type of a pool's output. */
export function inferPool(ctx: InferContext, dtypes: readonly DType[]): ValueType {
  const x = inputType(ctx, 0);
  requireDType(ctx, x, dtypes);
  const win = poolWindow(ctx, ctx.attrs, x.shape);
  return { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...win.output] };
}

/** The fold of one window: `step` makes of a loaded element what is folded. */
export function poolBody(
  x: ValueType,
  win: Window,
  op: 'max' | 'sum',
  step: (element: Expr) => Expr,
  outside: number,
  finish: (folded: Expr) => Expr,
): ReduceBody {
  const rank = win.input.length;
  const positions = windowPositions(win, axesFrom('i', 2, rank), axesFrom('r', 0, rank));
  const element = widen(load('0', x.dtype, [axis('i0'), axis('i1'), ...positions]));
  const axes = [at(x.shape, 0), at(x.shape, 1), ...win.output];
  const dtype = computeType(x.dtype);
  return {
    kind: 'reduce',
    axes,
    reduceAxes: win.kernel,
    steps: [{ op, value: guarded(insideWindow(win, positions), step(element), outside), dtype }],
    spans: 'outer',
    outIndex: outAxes(axes.length),
    value: cast(x.dtype, finish(acc(0, dtype))),
  };
}

/** Calls `fold` with each window's taps and the base of its image. */
export function eachWindow(
  x: Tensor,
  win: Window,
  fold: (values: Float64Array, base: number, taps: Taps, image: number) => number,
): Tensor {
  const values = toNumbers(x);
  const size = elementCount(win.input);
  const taps = windowTaps(win);
  const images = at(x.shape, 0) * at(x.shape, 1);
  const out = new Float64Array(images * taps.length);
  for (let image = 0; image < images; image++) {
    taps.forEach((tap, o) => {
      out[image * taps.length + o] = fold(values, image * size, tap, image);
    });
  }
  return fromNumbers(x.dtype, [...x.shape.slice(0, 2), ...win.output], out);
}

/** Taps of the window at `o` that lie in [-before, extent + after), along axis i. */
function tapCount(win: Window, i: number, o: Expr, before: number, after: number): Expr {
  const [stride, dilation, kernel] = [at(win.stride, i), at(win.dilation, i), at(win.kernel, i)];
  const extent = at(win.input, i) + after;
  const start = iadd(imul(o, stride), -at(win.padBegin, i));
  const ceilDiv = (x: Expr): Expr =>
    dilation === 1 ? x : binary('floordiv', iadd(x, dilation - 1), index(dilation));
  const first = max(ceilDiv(sub(index(-before), start)), index(0));
  const end = min(ceilDiv(sub(index(extent), start)), index(kernel));
  return sub(end, first);
}

/** How many elements the average of each window counts. */
function countedTaps(win: Window, includePad: boolean): Expr | number {
  let known = 1;
  let varying: Expr | undefined;
  win.input.forEach((extent, i) => {
    const [before, after] = includePad ? [at(win.padBegin, i), at(win.padEnd, i)] : [0, 0];
    const last =
      (at(win.output, i) - 1) * at(win.stride, i) +
      (at(win.kernel, i) - 1) * at(win.dilation, i) -
      at(win.padBegin, i);
    if (at(win.padBegin, i) <= before && last < extent + after) {
      known *= at(win.kernel, i);
      return;
    }
    const count = tapCount(win, i, axis(`i${i + 2}`), before, after);
    varying = varying === undefined ? count : mul(varying, count);
  });
  return varying === undefined ? known : imul(varying, known);
}

export const averagePool = defineOp({
  kind: 'core',
  name: 'AveragePool',
  doc: 'Mean of each window, counting the padding or not.',
  since: 22,
  attrs: { ...POOL_ATTRS, count_include_pad: int(0) },
  infer: (ctx) => [inferPool(ctx, FLOATS)],
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const win = poolWindow(ctx, ctx.attrs, x.shape);
    const count = countedTaps(win, intAttr(ctx.attrs, 'count_include_pad') === 1);
    const dtype = computeType(x.dtype);
    const divisor = typeof count === 'number' ? constant(dtype, count) : cast(dtype, count);
    return [
      poolBody(
        x,
        win,
        'sum',
        (v) => v,
        0,
        (sum) => div(sum, divisor),
      ),
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const win = poolWindow({ node: ctx.node, op: 'AveragePool' }, attrs, x.shape);
    const includePad = intAttr(attrs, 'count_include_pad') === 1;
    return [
      eachWindow(x, win, (values, base, { input, padded }) => {
        const sum = input.reduce((total, offset) => total + (values[base + offset] as number), 0);
        return sum / (includePad ? padded : input.length);
      }),
    ];
  },
  cases: () => [...poolCases({}), ...poolCases({ count_include_pad: 1 })],
});

export const lpPool = defineOp({
  kind: 'core',
  name: 'LpPool',
  doc: 'p-norm of each window.',
  since: 22,
  attrs: { ...POOL_ATTRS, p: int(2) },
  infer: (ctx) => {
    checkNorm(ctx);
    return [inferPool(ctx, FLOATS)];
  },
  lower: (ctx: LowerContext) => {
    const x = inputType(ctx, 0);
    const win = poolWindow(ctx, ctx.attrs, x.shape);
    const p = intAttr(ctx.attrs, 'p');
    return [
      poolBody(
        x,
        win,
        'sum',
        (v) => powerOf(v, p),
        0,
        (sum) => rootOf(sum, p),
      ),
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const win = poolWindow({ node: ctx.node, op: 'LpPool' }, attrs, x.shape);
    const p = intAttr(attrs, 'p');
    return [
      eachWindow(x, win, (values, base, { input }) => {
        let sum = 0;
        for (const offset of input) sum += Math.abs(values[base + offset] as number) ** p;
        return sum ** (1 / p);
      }),
    ];
  },
  cases: () => [
    ...poolCases({}),
    ...poolCases({ p: 3 }).slice(0, 2),
    ...poolCases({ p: 1 }).slice(0, 1),
  ],
});

/** Below 1 it is no norm, and 0 has no root. */
export function checkNorm(ctx: InferContext): void {
  const p = intAttr(ctx.attrs, 'p');
  if (p < 1) typeError(ctx, `p is ${p}; a norm has 1 or more`);
}

/** |x|^p */
export function powerOf(x: Expr, p: number): Expr {
  if (p === 1) return unary('abs', x);
  return p === 2 ? mul(x, x) : binary('pow', unary('abs', x), constant(x.dtype, p));
}

/** x^(1/p) */
export function rootOf(x: Expr, p: number): Expr {
  if (p === 1) return x;
  return p === 2 ? unary('sqrt', x) : binary('pow', x, constant(x.dtype, 1 / p));
}

/** Test cases of windows, with further attributes. */
export function poolCases(extra: Attrs): readonly TestCase[] {
  const make = (note: string, x: readonly number[], attrs: Attrs): TestCase => ({
    note,
    inputs: [sample(x)],
    attrs: { ...attrs, ...extra },
  });
  return [
    make('2x2, stride 2', [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
    make('asymmetric pads', [1, 2, 5, 5], {
      kernel_shape: [3, 3],
      pads: [0, 1, 2, 1],
      strides: [2, 1],
    }),
    make('ceil mode', [1, 1, 5, 6], {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      ceil_mode: 1,
    }),
    make('auto_pad SAME_UPPER', [1, 1, 6, 7], {
      kernel_shape: [3, 2],
      strides: [2, 2],
      auto_pad: 'SAME_UPPER',
    }),
    make('auto_pad SAME_LOWER', [1, 1, 6, 7], {
      kernel_shape: [2, 4],
      auto_pad: 'SAME_LOWER',
    }),
    make('one spatial axis, dilated', [1, 2, 9], {
      kernel_shape: [3],
      dilations: [2],
      pads: [2, 1],
    }),
    make('three spatial axes', [1, 1, 4, 3, 5], {
      kernel_shape: [2, 2, 3],
      strides: [2, 1, 2],
      auto_pad: 'VALID',
    }),
  ];
}
