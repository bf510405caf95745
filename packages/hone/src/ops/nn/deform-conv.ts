/** DeformConv: a 2-D convolution whose taps are moved by offsets from data. */
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
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, computeType, mul, widen } from '../math/scalar.ts';
import { type ImageSize, samplePlain, sampleWithZeros } from './bilinear.ts';
import { forEachIndex } from './index-loop.ts';
import { sample } from './samples.ts';
import { type NodeRef, type Window, windowOf, windowPositions } from './window.ts';

interface Geometry {
  readonly window: Window;
  readonly batch: number;
  readonly ic: number;
  readonly oc: number;
  readonly icPerGroup: number;
  readonly ocPerGroup: number;
  /** Channels that share one set of offsets, and taps of the kernel. */
  readonly icPerOffset: number;
  readonly taps: number;
  readonly image: ImageSize;
}

function geometry(
  ctx: NodeRef,
  attrs: Attrs,
  x: readonly number[],
  w: readonly number[],
): Geometry {
  if (x.length !== 4 || w.length !== 4) {
    shapeError(
      ctx,
      `input and weights have ranks ${x.length} and ${w.length}; only images (4) are supported`,
    );
  }
  const group = intAttr(attrs, 'group');
  const offsetGroup = intAttr(attrs, 'offset_group');
  const [batch, ic, oc] = [at(x, 0), at(x, 1), at(w, 0)];
  if (at(w, 1) * group !== ic) {
    shapeError(ctx, `input has ${ic} channels, but the weights take ${at(w, 1) * group}`);
  }
  if (oc % group !== 0 || ic % offsetGroup !== 0) {
    shapeError(
      ctx,
      `${oc} outputs in ${group} groups, ${ic} inputs in ${offsetGroup} offset groups`,
    );
  }
  const kernel = w.slice(2);
  const declared = intsAttr(attrs, 'kernel_shape');
  if (declared !== undefined && declared.join() !== kernel.join()) {
    shapeError(
      ctx,
      `kernel_shape is [${declared.join(',')}], but the weights have [${kernel.join(',')}]`,
    );
  }
  return {
    window: windowOf(ctx, { ...attrs, auto_pad: 'NOTSET' }, x.slice(2), kernel),
    batch,
    ic,
    oc,
    icPerGroup: at(w, 1),
    ocPerGroup: oc / group,
    icPerOffset: ic / offsetGroup,
    taps: elementCount(kernel),
    image: { height: at(x, 2), width: at(x, 3) },
  };
}

function geometryOf(ctx: InferContext): Geometry {
  return geometry(ctx, ctx.attrs, inputType(ctx, 0).shape, inputType(ctx, 1).shape);
}

/** x floordiv n, without the division by 1. */
function over(x: Expr, n: number): Expr {
  return n === 1 ? x : binary('floordiv', x, index(n));
}

export const deformConv = defineOp({
  kind: 'core',
  name: 'DeformConv',
  doc: 'Convolution of images at positions moved by offsets, with an optional mask.',
  since: 22,
  attrs: {
    dilations: ints(),
    group: int(1),
    kernel_shape: ints(),
    offset_group: int(1),
    pads: ints(),
    strides: ints(),
  },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const geo = geometryOf(ctx);
    const groups = geo.ic / geo.icPerOffset;
    const wanted: readonly (readonly [number, string, readonly number[]])[] = [
      [1, 'the weight', inputType(ctx, 1).shape],
      [2, 'the offset', [geo.batch, groups * geo.taps * 2, ...geo.window.output]],
      [3, 'the bias', [geo.oc]],
      [4, 'the mask', [geo.batch, groups * geo.taps, ...geo.window.output]],
    ];
    for (const [i, name, shape] of wanted) {
      const type = i < 3 ? inputType(ctx, i) : optionalType(ctx, i);
      if (type === undefined) continue;
      requireDType(ctx, type, [x.dtype], name);
      if (type.shape.join() !== shape.join()) {
        shapeError(
          ctx,
          `${name} has shape [${type.shape.join(',')}]; it takes [${shape.join(',')}]`,
        );
      }
    }
    return [{ dtype: x.dtype, shape: [geo.batch, geo.oc, ...geo.window.output] }];
  },
  lower: (ctx) => {
    const { dtype } = inputType(ctx, 0);
    const geo = geometryOf(ctx);
    const [n, oc, oy, ox] = [axis('i0'), axis('i1'), axis('i2'), axis('i3')];
    const [c, ky, kx] = [axis('r0'), axis('r1'), axis('r2')];
    const channel = iadd(imul(over(oc, geo.ocPerGroup), geo.icPerGroup), c);
    const tap = iadd(imul(ky, at(geo.window.kernel, 1)), kx);
    const ofGroup = iadd(imul(over(channel, geo.icPerOffset), geo.taps), tap);
    const accDtype = computeType(dtype);
    const moved = windowPositions(geo.window, [oy, ox], [ky, kx]).map((position, i) => {
      const offset = load('2', dtype, [n, iadd(imul(ofGroup, 2), i), oy, ox]);
      return add(cast(accDtype, position), widen(offset));
    });
    const pixel = (y: Expr, x: Expr): Expr => widen(load('0', dtype, [n, channel, y, x]));
    const value = sampleWithZeros(geo.image, pixel, at(moved, 0), at(moved, 1));
    const mask = optionalType(ctx, 4);
    const bias = optionalType(ctx, 3);
    const sum = acc(0, accDtype);
    const axes = [geo.batch, geo.oc, ...geo.window.output];
    return [
      {
        kind: 'contract',
        axes,
        reduceAxes: [geo.icPerGroup, ...geo.window.kernel],
        a: mask === undefined ? value : mul(value, widen(load('4', dtype, [n, ofGroup, oy, ox]))),
        b: widen(load('1', dtype, [oc, c, ky, kx])),
        accDtype,
        outIndex: outAxes(axes.length),
        epilogue: cast(dtype, bias === undefined ? sum : add(sum, widen(load('3', dtype, [oc])))),
        spec: { kind: 'general' },
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, w, offsets] = [given(inputs, 0), given(inputs, 1), toNumbers(given(inputs, 2))];
    const geo = geometry({ node: ctx.node, op: 'DeformConv' }, attrs, x.shape, w.shape);
    const [values, weights] = [toNumbers(x), toNumbers(w)];
    const bias = inputs[3] ? toNumbers(inputs[3]) : null;
    const mask = inputs[4] ? toNumbers(inputs[4]) : null;
    const { stride, dilation, padBegin, kernel, output } = geo.window;
    const [outSize, imageSize] = [elementCount(output), geo.image.height * geo.image.width];
    const groups = geo.ic / geo.icPerOffset;
    const shape = [geo.batch, geo.oc, ...output];
    const out: number[] = [];
    forEachIndex(shape, ([n = 0, oc = 0, oy = 0, ox = 0]) => {
      const place = oy * at(output, 1) + ox;
      let sum = bias === null ? 0 : (bias[oc] as number);
      for (let c = 0; c < geo.icPerGroup; c++) {
        const channel = Math.floor(oc / geo.ocPerGroup) * geo.icPerGroup + c;
        const from = (n * geo.ic + channel) * imageSize;
        const image = values.subarray(from, from + imageSize);
        forEachIndex(kernel, ([ky = 0, kx = 0], tap) => {
          const set = (n * groups + Math.floor(channel / geo.icPerOffset)) * geo.taps + tap;
          const y = oy * at(stride, 0) + ky * at(dilation, 0) - at(padBegin, 0);
          const column = ox * at(stride, 1) + kx * at(dilation, 1) - at(padBegin, 1);
          const value = samplePlain(
            geo.image,
            image,
            y + (offsets[set * 2 * outSize + place] as number),
            column + (offsets[(set * 2 + 1) * outSize + place] as number),
          );
          const share = mask === null ? 1 : (mask[set * outSize + place] as number);
          sum += value * share * (weights[(oc * geo.icPerGroup + c) * geo.taps + tap] as number);
        });
      }
      out.push(sum);
    });
    return [fromNumbers(x.dtype, shape, out)];
  },
  cases: () => [
    {
      note: 'padding, mask, bias',
      inputs: [
        sample([1, 2, 4, 4], 1),
        sample([2, 2, 2, 2], 2),
        sample([1, 8, 5, 5], 3),
        sample([2], 4),
        sample([1, 4, 5, 5], 5),
      ],
      attrs: { pads: [1, 1, 1, 1] },
    },
    {
      note: 'groups, offset groups, stride, dilation',
      inputs: [sample([2, 4, 6, 5], 1), sample([4, 2, 2, 2], 2), sample([2, 16, 2, 3], 3)],
      attrs: { group: 2, offset_group: 2, strides: [2, 1], dilations: [2, 2] },
    },
  ],
});
