/** LpNormalization and LRN (local response normalisation over channels). */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, constant, load } from '../../expr/build.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  requireDType,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, choose, div, eq, mul, widen } from '../math/scalar.ts';
import { eachGroup, foldAxes } from './normalize.ts';
import { powerOf, rootOf } from './pool.ts';
import { sample } from './samples.ts';
import { guarded } from './terms.ts';
import { insideWindow, type Window, windowPositions } from './window.ts';

export const lpNormalization = defineOp({
  kind: 'core',
  name: 'LpNormalization',
  doc: 'Divides by the 1- or 2-norm along an axis; rows of norm 0 stay 0.',
  since: 22,
  attrs: { axis: int(-1), p: int(2) },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), x.shape.length);
    const p = intAttr(ctx.attrs, 'p');
    if (p !== 1 && p !== 2) typeError(ctx, `p is ${p}; it takes 1 or 2`);
    return [x];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const along = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), x.shape.length);
    const p = intAttr(ctx.attrs, 'p');
    const { axes, reduceAxes, position, element } = foldAxes(x, (i) => i === along);
    const { dtype } = element;
    const norm = rootOf(acc(0, dtype), p);
    const value = choose(eq(norm, 0), constant(dtype, 0), div(element, norm));
    return [
      {
        kind: 'reduce',
        axes,
        reduceAxes,
        steps: [{ op: 'sum', value: powerOf(element, p), dtype }],
        spans: 'all',
        outIndex: position,
        value: cast(x.dtype, value),
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'LpNormalization' };
    const along = normalizeAxis(node, intAttr(attrs, 'axis'), x.shape.length);
    const p = intAttr(attrs, 'p');
    const values = toNumbers(x);
    const out = new Float64Array(values.length);
    eachGroup(
      x.shape,
      (i) => i === along,
      (positions) => {
        const sum = positions.reduce((total, q) => total + Math.abs(values[q] as number) ** p, 0);
        const norm = sum ** (1 / p);
        for (const q of positions) out[q] = norm === 0 ? 0 : (values[q] as number) / norm;
      },
    );
    return [fromNumbers(x.dtype, x.shape, out)];
  },
  cases: () => [
    { note: '2-norm, last axis', inputs: [sample([2, 3, 4])] },
    { note: '1-norm, axis 1', inputs: [sample([2, 3, 4])], attrs: { axis: 1, p: 1 } },
    { note: 'a row of zeros', inputs: [fromNumbers('f32', [2, 2], [0, 0, 3, 4])] },
  ],
});

/** The channels that take part in each channel's sum, as a window over the channel axis. */
function channelWindow(channels: number, size: number): Window {
  return {
    input: [channels],
    output: [channels],
    kernel: [size],
    stride: [1],
    dilation: [1],
    padBegin: [Math.floor((size - 1) / 2)],
    padEnd: [Math.ceil((size - 1) / 2)],
  };
}

export const lrn = defineOp({
  kind: 'core',
  name: 'LRN',
  doc: 'Divides by a power of the sum of squares over neighbouring channels.',
  since: 13,
  attrs: { alpha: float(1e-4), beta: float(0.75), bias: float(1), size: requiredInt },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    if (x.shape.length < 2) shapeError(ctx, `input [${x.shape.join(',')}] has no channels`);
    if (intAttr(ctx.attrs, 'size') < 1) typeError(ctx, `size is ${intAttr(ctx.attrs, 'size')}`);
    return [x];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const size = intAttr(ctx.attrs, 'size');
    const win = channelWindow(at(x.shape, 1), size);
    const position = outAxes(x.shape.length);
    const channel = windowPositions(win, [axis('i1')], [axis('r0')]);
    const neighbour = position.map((index, i) => (i === 1 ? at(channel, 0) : index));
    const element = widen(load('0', x.dtype, neighbour));
    const { dtype } = element;
    const alpha = intAttr(ctx.attrs, 'alpha') / size;
    const base = add(mul(acc(0, dtype), alpha), intAttr(ctx.attrs, 'bias'));
    const power = binary('pow', base, constant(dtype, intAttr(ctx.attrs, 'beta')));
    return [
      {
        kind: 'reduce',
        axes: x.shape,
        reduceAxes: [size],
        steps: [
          {
            op: 'sum',
            value: guarded(insideWindow(win, channel), mul(element, element), 0),
            dtype,
          },
        ],
        spans: 'outer',
        outIndex: position,
        value: cast(x.dtype, div(widen(load('0', x.dtype, position)), power)),
      },
    ];
  },
  reference: (inputs, attrs) => {
    const x = given(inputs, 0);
    const [size, alpha] = [intAttr(attrs, 'size'), intAttr(attrs, 'alpha')];
    const [beta, bias] = [intAttr(attrs, 'beta'), intAttr(attrs, 'bias')];
    const values = toNumbers(x);
    const channels = at(x.shape, 1);
    const inner = elementCount(x.shape.slice(2));
    const out = values.map((value, p) => {
      const c = Math.floor(p / inner) % channels;
      const from = Math.max(0, c - Math.floor((size - 1) / 2));
      const to = Math.min(channels - 1, c + Math.ceil((size - 1) / 2));
      let sum = 0;
      for (let k = from; k <= to; k++) sum += (values[p + (k - c) * inner] as number) ** 2;
      return value / (bias + (alpha / size) * sum) ** beta;
    });
    return [fromNumbers(x.dtype, x.shape, out)];
  },
  cases: () => [
    { note: 'odd size', inputs: [sample([2, 5, 2, 3])], attrs: { size: 3, alpha: 0.5 } },
    {
      note: 'even size, larger than the channels',
      inputs: [sample([1, 3, 4])],
      attrs: { size: 4, alpha: 2, beta: 0.5, bias: 2 },
    },
  ],
});
