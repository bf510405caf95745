/** ConvTranspose: each output element gathers the inputs whose windows reach it. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  ints,
  intsAttr,
  optionalType,
  requireDType,
  shapeError,
  textAttr,
} from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, computeType, widen } from '../math/scalar.ts';
import { forEachIndex } from './index-loop.ts';
import { sample } from './samples.ts';
import { guarded } from './terms.ts';
import {
  allOf,
  axesFrom,
  explicitPads,
  type NodeRef,
  spatialAttr,
  WINDOW_ATTRS,
} from './window.ts';

/** One entry per spatial axis in every list. */
export interface ConvTransposeGeometry {
  readonly batch: number;
  readonly ic: number;
  readonly oc: number;
  readonly group: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBegin: readonly number[];
}

/** Extent and begin padding along one spatial axis. */
function extentOf(
  mode: string,
  full: number,
  wanted: number | undefined,
  pads: readonly [number, number],
): readonly [extent: number, padBegin: number] {
  if (wanted === undefined) {
    const [begin, end] = mode === 'VALID' ? [0, 0] : pads;
    return [full - begin - end, begin];
  }
  const total = Math.max(0, full - wanted);
  const half = Math.floor(total / 2);
  return [wanted, mode === 'SAME_UPPER' ? half : total - half];
}

function geometry(
  ctx: NodeRef,
  attrs: Attrs,
  x: readonly number[],
  w: readonly number[],
): ConvTransposeGeometry {
  if (x.length < 3) shapeError(ctx, `input [${x.join(',')}] has no spatial axes`);
  if (w.length !== x.length) {
    shapeError(ctx, `input has rank ${x.length}, but the weights have rank ${w.length}`);
  }
  const group = intAttr(attrs, 'group');
  const ic = at(x, 1);
  if (at(w, 0) !== ic) {
    shapeError(ctx, `input has ${ic} channels, but the weights take ${w[0]}`);
  }
  if (group < 1 || ic % group !== 0) {
    shapeError(ctx, `${ic} channels do not divide into ${group} groups`);
  }
  const kernel = w.slice(2);
  const declared = intsAttr(attrs, 'kernel_shape');
  if (declared !== undefined && declared.join() !== kernel.join()) {
    shapeError(
      ctx,
      `kernel_shape is [${declared.join(',')}], but the weights have [${kernel.join(',')}]`,
    );
  }
  const input = x.slice(2);
  const rank = input.length;
  const stride = spatialAttr(ctx, attrs, 'strides', rank);
  const dilation = spatialAttr(ctx, attrs, 'dilations', rank);
  const mode = textAttr(attrs, 'auto_pad');
  const pads = explicitPads(ctx, attrs, rank);
  const extra = intsAttr(attrs, 'output_padding') ?? new Array<number>(rank).fill(0);
  if (extra.length !== rank) {
    shapeError(ctx, `output_padding has ${extra.length} entries for ${rank} spatial axes`);
  }
  // Some exporters give the whole shape: the last entries are the spatial ones.
  const wanted = intsAttr(attrs, 'output_shape')?.slice(-rank) ?? [];
  if (wanted.length > 0 && wanted.length < rank) {
    shapeError(ctx, `output_shape has ${wanted.length} entries for ${rank} spatial axes`);
  }
  const same = mode === 'SAME_UPPER' || mode === 'SAME_LOWER';
  const output: number[] = [];
  const padBegin: number[] = [];
  for (let i = 0; i < rank; i++) {
    const span = (at(kernel, i) - 1) * at(dilation, i) + 1;
    const full = at(stride, i) * (at(input, i) - 1) + at(extra, i) + span;
    const asked = wanted[i] ?? (same ? at(input, i) * at(stride, i) : undefined);
    const [extent, begin] = extentOf(mode, full, asked, [at(pads.begin, i), at(pads.end, i)]);
    if (extent < 1) {
      shapeError(ctx, `the padding leaves ${extent} outputs along spatial axis ${i}`);
    }
    output.push(extent);
    padBegin.push(begin);
  }
  const oc = at(w, 1) * group;
  return { batch: at(x, 0), ic, oc, group, input, output, kernel, stride, dilation, padBegin };
}

/** The resolved geometry of a node: padding and output extents as numbers. */
export function convTransposeGeometry(ctx: InferContext): ConvTransposeGeometry {
  return geometry(ctx, ctx.attrs, inputType(ctx, 0).shape, inputType(ctx, 1).shape);
}

/** What one spatial axis contributes: taps to fold over, the input read and the weight used. */
interface Reach {
  readonly taps: number;
  readonly input: Expr;
  readonly weight: Expr;
  /** What must hold for there to be such an input, and such a weight. */
  readonly inputTests: readonly Expr[];
  readonly weightTests: readonly Expr[];
}

/**
 * Output o is reached from input p through tap k where p·stride + k·dilation = o + padBegin.
 *
 * Undilated, the taps that reach o are phase, phase + stride, … with phase = (o + padBegin) mod
 * stride: only those are folded. Dilated, all taps are, and most find no whole input position.
 */
function reachOf(geo: ConvTransposeGeometry, i: number, o: Expr, tap: Expr): Reach {
  const [stride, dilation, extent] = [at(geo.stride, i), at(geo.dilation, i), at(geo.input, i)];
  const [kernel, begin] = [at(geo.kernel, i), at(geo.padBegin, i)];
  const place = iadd(o, begin);
  const farthest = at(geo.output, i) - 1 + begin;
  const tests: Expr[] = [];
  if (dilation === 1) {
    const taps = Math.ceil(kernel / stride);
    const phase = stride === 1 ? index(0) : binary('mod', place, index(stride));
    const last = stride === 1 ? place : binary('floordiv', place, index(stride));
    const input = iadd(last, imul(tap, -1));
    const weight = iadd(phase, imul(tap, stride));
    if (Math.floor(begin / stride) < taps - 1) tests.push(binary('ge', input, index(0)));
    if (Math.floor(farthest / stride) >= extent) tests.push(binary('lt', input, index(extent)));
    const uneven = kernel % stride !== 0;
    const weightTests = uneven ? [binary('lt', weight, index(kernel))] : [];
    return { taps, input, weight, inputTests: tests, weightTests };
  }
  const moved = iadd(place, imul(tap, -dilation));
  if (stride > 1) tests.push(binary('eq', binary('mod', moved, index(stride)), index(0)));
  if (begin < (kernel - 1) * dilation) tests.push(binary('ge', moved, index(0)));
  if (farthest > (extent - 1) * stride) tests.push(binary('lt', moved, index(extent * stride)));
  const input = stride === 1 ? moved : binary('floordiv', moved, index(stride));
  return { taps: kernel, input, weight: tap, inputTests: tests, weightTests: [] };
}

export const convTranspose = defineOp({
  kind: 'core',
  name: 'ConvTranspose',
  doc: 'Transposed convolution with groups, strides, dilations, padding and an optional bias.',
  since: 22,
  attrs: {
    ...WINDOW_ATTRS,
    group: int(1),
    kernel_shape: ints(),
    output_padding: ints(),
    output_shape: ints(),
  },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    requireDType(ctx, inputType(ctx, 1), [x.dtype], 'the weight');
    const geo = convTransposeGeometry(ctx);
    const bias = optionalType(ctx, 2);
    if (bias !== undefined) {
      requireDType(ctx, bias, [x.dtype], 'the bias');
      if (bias.shape.length !== 1 || bias.shape[0] !== geo.oc) {
        shapeError(
          ctx,
          `the bias has shape [${bias.shape.join(',')}], but there are ${geo.oc} output channels`,
        );
      }
    }
    return [{ dtype: x.dtype, shape: [geo.batch, geo.oc, ...geo.output] }];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const geo = convTransposeGeometry(ctx);
    const rank = geo.input.length;
    const [icPerGroup, ocPerGroup] = [geo.ic / geo.group, geo.oc / geo.group];
    const out = axesFrom('i', 2, rank);
    const taps = axesFrom('r', 1, rank);
    const reaches = geo.input.map((_, i) => reachOf(geo, i, at(out, i), at(taps, i)));
    const oc = axis('i1');
    const grouped = geo.group > 1;
    const ofGroup = imul(binary('floordiv', oc, index(ocPerGroup)), icPerGroup);
    const channel = grouped ? iadd(ofGroup, axis('r0')) : axis('r0');
    const ocInGroup = grouped ? binary('mod', oc, index(ocPerGroup)) : oc;
    const element = widen(
      load('0', x.dtype, [axis('i0'), channel, ...reaches.map((reach) => reach.input)]),
    );
    const weight = widen(
      load('1', inputType(ctx, 1).dtype, [channel, ocInGroup, ...reaches.map((r) => r.weight)]),
    );
    const accDtype = computeType(x.dtype);
    const sum = acc(0, accDtype);
    const bias = optionalType(ctx, 2);
    const value = bias === undefined ? sum : add(sum, widen(load('2', bias.dtype, [oc])));
    const axes = [geo.batch, geo.oc, ...geo.output];
    const tests = reaches.flatMap((reach) => [...reach.inputTests, ...reach.weightTests]);
    return [
      {
        kind: 'contract',
        axes,
        reduceAxes: [icPerGroup, ...reaches.map((reach) => reach.taps)],
        // Where there is no weight, what is read is 0 too: zeros times what is no number are none.
        a: guarded(allOf(tests), element, 0),
        b: guarded(allOf(reaches.flatMap((reach) => reach.weightTests)), weight, 0),
        accDtype,
        outIndex: outAxes(axes.length),
        epilogue: cast(x.dtype, value),
        spec: { kind: 'general' },
      },
    ];
  },
  // Scatters, where the lowering gathers.
  reference: (inputs, attrs, ctx) => {
    const [x, w, bias] = [given(inputs, 0), given(inputs, 1), inputs[2] ?? null];
    const geo = geometry({ node: ctx.node, op: 'ConvTranspose' }, attrs, x.shape, w.shape);
    const [values, weights] = [toNumbers(x), toNumbers(w)];
    const outSize = elementCount(geo.output);
    const kernelSize = elementCount(geo.kernel);
    const [icPerGroup, ocPerGroup] = [geo.ic / geo.group, geo.oc / geo.group];
    const start = bias === null ? null : toNumbers(bias);
    const out = Float64Array.from({ length: geo.batch * geo.oc * outSize }, (_, i) =>
      start === null ? 0 : (start[Math.floor(i / outSize) % geo.oc] as number),
    );
    forEachIndex([geo.batch, geo.ic, ...geo.input], (position, flat) => {
      const [n, c] = [at(position, 0), at(position, 1)];
      const g = Math.floor(c / icPerGroup);
      forEachIndex(geo.kernel, (tap, tapFlat) => {
        let target = 0;
        for (let i = 0; i < tap.length; i++) {
          const o =
            at(position, i + 2) * at(geo.stride, i) +
            at(tap, i) * at(geo.dilation, i) -
            at(geo.padBegin, i);
          if (o < 0 || o >= at(geo.output, i)) return;
          target = target * at(geo.output, i) + o;
        }
        for (let m = 0; m < ocPerGroup; m++) {
          const to = (n * geo.oc + g * ocPerGroup + m) * outSize + target;
          const weight = weights[(c * ocPerGroup + m) * kernelSize + tapFlat] as number;
          out[to] = (out[to] as number) + (values[flat] as number) * weight;
        }
      });
    });
    return [fromNumbers(x.dtype, [geo.batch, geo.oc, ...geo.output], out)];
  },
  cases: () => {
    const make = (
      note: string,
      x: readonly number[],
      w: readonly number[],
      attrs: Attrs = {},
      bias = 0,
    ): TestCase => ({
      note,
      inputs: [sample(x, 1), sample(w, 2), ...(bias === 0 ? [] : [sample([bias], 3)])],
      attrs,
    });
    return [
      make('stride 2, bias', [1, 2, 3, 4], [2, 3, 3, 3], { strides: [2, 2] }, 3),
      make('asymmetric pads, output_padding', [2, 2, 3, 4], [2, 2, 3, 2], {
        strides: [3, 2],
        pads: [1, 0, 2, 1],
        output_padding: [2, 1],
      }),
      make('groups, dilations', [1, 4, 4, 3], [4, 2, 2, 3], { group: 2, dilations: [2, 1] }, 4),
      make('stride and dilation, padding', [1, 2, 4, 4], [2, 1, 3, 3], {
        strides: [2, 3],
        dilations: [2, 2],
        pads: [1, 2, 1, 0],
      }),
      make('stride larger than the kernel', [1, 1, 3, 3], [1, 2, 2, 1], { strides: [3, 2] }),
      make('depthwise', [1, 3, 4, 4], [3, 1, 2, 2], { group: 3, strides: [2, 2] }),
      make('auto_pad SAME_UPPER', [1, 1, 3, 3], [1, 2, 3, 3], {
        auto_pad: 'SAME_UPPER',
        strides: [2, 2],
      }),
      make('output_shape, SAME_LOWER', [1, 1, 3, 3], [1, 2, 3, 3], {
        auto_pad: 'SAME_LOWER',
        strides: [3, 2],
        output_shape: [10, 8],
      }),
      make('one spatial axis', [1, 2, 5], [2, 1, 4], { strides: [2], pads: [1, 1] }),
      make('three spatial axes', [1, 1, 2, 3, 2], [1, 2, 2, 2, 3], { strides: [1, 2, 1] }),
    ];
  },
});
