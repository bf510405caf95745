/** Conv and ConvInteger: convolutions of any rank with groups, strides, dilations and padding. */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { ContractBody, ConvSpec } from '../../stages/types.ts';
import {
  inputType,
  int,
  intAttr,
  ints,
  intsAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext, type LowerContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { computeType, widen } from '../math/scalar.ts';
import { sample } from './samples.ts';
import { guarded } from './terms.ts';
import {
  axesFrom,
  insideWindow,
  type NodeRef,
  WINDOW_ATTRS,
  type Window,
  windowOf,
  windowPositions,
  windowTaps,
} from './window.ts';

const ATTRS = { ...WINDOW_ATTRS, group: int(1), kernel_shape: ints() };

interface Geometry {
  readonly window: Window;
  readonly group: number;
  readonly batch: number;
  readonly ic: number;
  readonly oc: number;
  /** Channels of one group. */
  readonly icPerGroup: number;
  readonly ocPerGroup: number;
}

function geometry(
  ctx: NodeRef,
  attrs: Attrs,
  x: readonly number[],
  w: readonly number[],
): Geometry {
  if (x.length < 3) shapeError(ctx, `input [${x.join(',')}] has no spatial axes`);
  if (w.length !== x.length) {
    shapeError(ctx, `input has rank ${x.length}, but the weights have rank ${w.length}`);
  }
  const group = intAttr(attrs, 'group');
  const [batch, ic, oc, icPerGroup] = [at(x, 0), at(x, 1), at(w, 0), at(w, 1)];
  if (group < 1) shapeError(ctx, `group is ${group}`);
  if (icPerGroup * group !== ic) {
    shapeError(
      ctx,
      `input has ${ic} channels, but the weights take ${icPerGroup * group} (${icPerGroup} in each of ${group} groups)`,
    );
  }
  if (oc % group !== 0) shapeError(ctx, `${oc} output channels do not divide into ${group} groups`);
  const kernel = w.slice(2);
  const declared = intsAttr(attrs, 'kernel_shape');
  if (declared !== undefined && declared.join() !== kernel.join()) {
    shapeError(
      ctx,
      `kernel_shape is [${declared.join(',')}], but the weights have [${kernel.join(',')}]`,
    );
  }
  const window = windowOf(ctx, attrs, x.slice(2), kernel);
  return { window, group, batch, ic, oc, icPerGroup, ocPerGroup: oc / group };
}

function inferShape(ctx: InferContext): number[] {
  const { batch, oc, window } = geometry(
    ctx,
    ctx.attrs,
    inputType(ctx, 0).shape,
    inputType(ctx, 1).shape,
  );
  return [batch, oc, ...window.output];
}

function specOf(geo: Geometry): ConvSpec {
  const { window: win, group, batch, ic, oc } = geo;
  return {
    kind: 'conv',
    batch,
    group,
    ic,
    oc,
    input: win.input,
    output: win.output,
    kernel: win.kernel,
    stride: win.stride,
    dilation: win.dilation,
    padBegin: win.padBegin,
  };
}

/** Everything of the stage but its values: accesses of input and weights, and the bounds test. */
function accesses(geo: Geometry): {
  readonly inputIndex: readonly Expr[];
  readonly inside: Expr | undefined;
  readonly weightIndex: readonly Expr[];
  readonly axes: readonly number[];
  readonly reduceAxes: readonly number[];
} {
  const { window: win, group, icPerGroup, ocPerGroup } = geo;
  const rank = win.input.length;
  const taps = axesFrom('r', 1, rank);
  const positions = windowPositions(win, axesFrom('i', 2, rank), taps);
  const ofGroup = ocPerGroup === 1 ? axis('i1') : binary('floordiv', axis('i1'), index(ocPerGroup));
  const channel = group === 1 ? axis('r0') : iadd(imul(ofGroup, icPerGroup), axis('r0'));
  return {
    inputIndex: [axis('i0'), channel, ...positions],
    inside: insideWindow(win, positions),
    weightIndex: [axis('i1'), axis('r0'), ...taps],
    axes: [geo.batch, geo.oc, ...win.output],
    reduceAxes: [icPerGroup, ...win.kernel],
  };
}

function lowerConv(ctx: LowerContext): readonly ContractBody[] {
  const x = inputType(ctx, 0);
  const w = inputType(ctx, 1);
  const geo = geometry(ctx, ctx.attrs, x.shape, w.shape);
  const use = accesses(geo);
  const accDtype = computeType(x.dtype);
  const bias = optionalType(ctx, 2);
  const sum = acc(0, accDtype);
  const value =
    bias === undefined ? sum : binary('add', sum, widen(load('2', bias.dtype, [axis('i1')])));
  return [
    {
      kind: 'contract',
      axes: use.axes,
      reduceAxes: use.reduceAxes,
      a: guarded(use.inside, widen(load('0', x.dtype, use.inputIndex)), 0),
      b: widen(load('1', w.dtype, use.weightIndex)),
      accDtype,
      outIndex: outAxes(use.axes.length),
      epilogue: cast(x.dtype, value),
      spec: specOf(geo),
    },
  ];
}

/** The convolution of doubles; `x` and `w` are row-major. */
function convolve(
  geo: Geometry,
  x: Float64Array,
  w: Float64Array,
  bias?: Float64Array,
): Float64Array {
  const { window: win, group, batch, ic, oc, icPerGroup, ocPerGroup } = geo;
  const inSize = elementCount(win.input);
  const outSize = elementCount(win.output);
  const kernelSize = elementCount(win.kernel);
  const out = new Float64Array(batch * oc * outSize);
  const taps = windowTaps(win);
  for (let n = 0; n < batch; n++) {
    for (let g = 0; g < group; g++) {
      const xBase = (n * ic + g * icPerGroup) * inSize;
      for (let m = g * ocPerGroup; m < (g + 1) * ocPerGroup; m++) {
        const wBase = m * icPerGroup * kernelSize;
        const start = bias === undefined ? 0 : (bias[m] as number);
        for (let o = 0; o < outSize; o++) {
          const { input, kernel } = at(taps, o);
          let sum = start;
          for (let c = 0; c < icPerGroup; c++) {
            const xRow = xBase + c * inSize;
            const wRow = wBase + c * kernelSize;
            for (let t = 0; t < input.length; t++) {
              sum +=
                (x[xRow + (input[t] as number)] as number) *
                (w[wRow + (kernel[t] as number)] as number);
            }
          }
          out[(n * oc + m) * outSize + o] = sum;
        }
      }
    }
  }
  return out;
}

export const conv = defineOp({
  kind: 'core',
  name: 'Conv',
  doc: 'Convolution with groups, strides, dilations, padding and an optional bias.',
  since: 22,
  attrs: ATTRS,
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    requireDType(ctx, inputType(ctx, 1), [x.dtype], 'the weight');
    const shape = inferShape(ctx);
    const bias = optionalType(ctx, 2);
    if (bias !== undefined) {
      requireDType(ctx, bias, [x.dtype], 'the bias');
      if (bias.shape.length !== 1 || bias.shape[0] !== shape[1]) {
        shapeError(
          ctx,
          `the bias has shape [${bias.shape.join(',')}], but there are ${shape[1]} output channels`,
        );
      }
    }
    return [{ dtype: x.dtype, shape }];
  },
  lower: lowerConv,
  reference: (inputs, attrs, ctx) => {
    const [x, w, bias] = [given(inputs, 0), given(inputs, 1), inputs[2] ?? null];
    const geo = geometry({ node: ctx.node, op: 'Conv' }, attrs, x.shape, w.shape);
    const out = convolve(
      geo,
      toNumbers(x),
      toNumbers(w),
      bias === null ? undefined : toNumbers(bias),
    );
    return [fromNumbers(x.dtype, [geo.batch, geo.oc, ...geo.window.output], out)];
  },
  cases: () => convCases('f32', false),
});

const INTEGER_INPUTS: readonly DType[] = ['u8', 'i8'];

function zeroPointShape(ctx: InferContext, index_: number, channels: number): void {
  const type = optionalType(ctx, index_);
  if (type === undefined) return;
  const count = elementCount(type.shape);
  if (type.shape.length <= 1 && (count === 1 || (index_ === 3 && count === channels))) return;
  shapeError(ctx, `the zero point (input ${index_}) has shape [${type.shape.join(',')}]`);
}

/** Load of a zero point as i32: one for all, or one per output channel. */
function zeroPoint(type: ValueType, operand: number): Expr {
  const at_ = type.shape.length === 0 ? [] : [type.shape[0] === 1 ? index(0) : axis('i1')];
  return cast('i32', load(`${operand}`, type.dtype, at_));
}

export const convInteger = defineOp({
  kind: 'core',
  name: 'ConvInteger',
  doc: 'Convolution of 8-bit integers less their zero points, summed in i32.',
  since: 10,
  attrs: ATTRS,
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    const w = inputType(ctx, 1);
    requireDType(ctx, x, INTEGER_INPUTS);
    requireDType(ctx, w, INTEGER_INPUTS, 'the weight');
    const shape = inferShape(ctx);
    for (const [index_, type] of [
      [2, x],
      [3, w],
    ] as const) {
      const zero = optionalType(ctx, index_);
      if (zero !== undefined)
        requireDType(ctx, zero, [type.dtype], `the zero point (input ${index_})`);
      zeroPointShape(ctx, index_, at(shape, 1));
    }
    return [{ dtype: 'i32', shape }];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const w = inputType(ctx, 1);
    const geo = geometry(ctx, ctx.attrs, x.shape, w.shape);
    const use = accesses(geo);
    const xZero = optionalType(ctx, 2);
    const wZero = optionalType(ctx, 3);
    const minus = (value: Expr, zero: ValueType | undefined, operand: number): Expr =>
      zero === undefined ? value : binary('sub', value, zeroPoint(zero, operand));
    const a = minus(cast('i32', load('0', x.dtype, use.inputIndex)), xZero, 2);
    return [
      {
        kind: 'contract',
        axes: use.axes,
        reduceAxes: use.reduceAxes,
        a: guarded(use.inside, a, 0),
        b: minus(cast('i32', load('1', w.dtype, use.weightIndex)), wZero, 3),
        accDtype: 'i32',
        outIndex: outAxes(use.axes.length),
        epilogue: acc(0, 'i32'),
        // With zero points the operands are not the stored elements any more.
        spec: xZero === undefined && wZero === undefined ? specOf(geo) : { kind: 'general' },
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, w] = [given(inputs, 0), given(inputs, 1)];
    const geo = geometry({ node: ctx.node, op: 'ConvInteger' }, attrs, x.shape, w.shape);
    const xZero = inputs[2] ? at([...toNumbers(inputs[2])], 0) : 0;
    const wZero = inputs[3] ? [...toNumbers(inputs[3])] : [0];
    const perChannel = elementCount(w.shape) / geo.oc;
    const weights = toNumbers(w).map(
      (value, i) => value - at(wZero, wZero.length === 1 ? 0 : Math.floor(i / perChannel)),
    );
    const out = convolve(
      geo,
      toNumbers(x).map((value) => value - xZero),
      weights,
    );
    return [fromNumbers('i32', [geo.batch, geo.oc, ...geo.window.output], out)];
  },
  cases: () => [
    ...convCases('u8', true),
    {
      note: 'zero points per channel',
      inputs: [
        sample([1, 2, 4, 4], 1, 'u8'),
        sample([3, 2, 3, 3], 2, 'i8'),
        fromNumbers('u8', [], [7]),
        fromNumbers('i8', [3], [1, -2, 3]),
      ],
      attrs: { pads: [1, 1, 1, 1] },
    },
  ],
});

function convCases(dtype: DType, integer: boolean): readonly TestCase[] {
  const make = (
    note: string,
    x: readonly number[],
    w: readonly number[],
    attrs: Attrs = {},
    bias = false,
  ): TestCase => ({
    note,
    inputs: [
      sample(x, 1, dtype),
      sample(w, 2, dtype),
      ...(bias ? [sample([at(w, 0)], 3, dtype)] : []),
    ],
    attrs,
  });
  return [
    make('3x3 with padding', [2, 3, 5, 6], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }, !integer),
    make('1x1', [1, 5, 4, 4], [6, 5, 1, 1]),
    make(
      'groups, strides, dilations, asymmetric pads',
      [1, 4, 8, 9],
      [6, 2, 3, 2],
      { group: 2, strides: [2, 1], dilations: [1, 2], pads: [0, 1, 2, 3] },
      !integer,
    ),
    make('depthwise', [1, 4, 6, 6], [4, 1, 3, 3], { group: 4, auto_pad: 'SAME_UPPER' }),
    make('auto_pad SAME_LOWER, stride 2', [1, 2, 6, 7], [3, 2, 2, 3], {
      auto_pad: 'SAME_LOWER',
      strides: [2, 2],
    }),
    make('auto_pad VALID', [1, 2, 6, 7], [3, 2, 3, 3], { auto_pad: 'VALID', strides: [2, 3] }),
    make('one spatial axis', [2, 3, 10], [4, 3, 3], { pads: [2, 0], strides: [2] }, !integer),
    make('three spatial axes', [1, 2, 4, 5, 3], [2, 2, 2, 3, 2], { pads: [0, 1, 0, 1, 1, 1] }),
  ];
}
