/** DFT along an axis, forward and inverse; compiled, products with the transform's matrix. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, stridesOf, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalConstantInt,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given, gridOffsets } from '../math/loops.ts';
import { i64, uniform } from '../math/samples.ts';
import { attrsWithout } from '../tensor/reshape.ts';
import {
  pointsRead,
  resultOf,
  type Transform,
  transformLine,
  transformRows,
  whyTooLarge,
} from './fourier.ts';

interface Geometry {
  readonly axis: number;
  readonly transform: Transform;
  readonly shape: readonly number[];
}

function geometry(
  ctx: { node: string; op: string },
  attrs: Attrs,
  shape: readonly number[],
  given: { readonly length: number | undefined; readonly axis: number | undefined },
): Geometry {
  const rank = shape.length;
  const parts = shape.at(-1);
  if (rank < 2 || (parts !== 1 && parts !== 2)) {
    shapeError(ctx, `input [${shape.join(',')}] does not end in 1 or 2 numbers per point`);
  }
  const axis = normalizeAxis(ctx, given.axis ?? -2, rank);
  if (axis === rank - 1) shapeError(ctx, 'the axis is that of the complex parts');
  const points = at(shape, axis);
  const inverse = intAttr(attrs, 'inverse') !== 0;
  const onesided = intAttr(attrs, 'onesided') !== 0;
  const length = given.length ?? (inverse && onesided ? 2 * (points - 1) : points);
  if (!(length >= 1)) shapeError(ctx, `a transform of ${length} points`);
  if (onesided && !inverse && parts === 2) shapeError(ctx, 'half a spectrum of complex numbers');
  const transform: Transform = { points, parts, length, inverse, onesided };
  const out = resultOf(transform);
  const outer = shape.map((extent, i) => (i === axis ? out.points : extent));
  return { axis, transform, shape: [...outer.slice(0, -1), out.parts] };
}

function geometryOf(ctx: InferContext): Geometry {
  return geometry(ctx, ctx.attrs, inputType(ctx, 0).shape, {
    length: optionalConstantInt(ctx, 1, 'dft_length'),
    axis: optionalConstantInt(ctx, 2, 'axis'),
  });
}

export const dft = defineOp({
  kind: 'composite',
  name: 'DFT',
  doc: 'Discrete Fourier transform along an axis; complex numbers are pairs on the last axis.',
  since: 20,
  attrs: { inverse: int(0), onesided: int(0) },
  upgrade: (b, { inputs: [x = null, length = null], attrs }) => ({
    inputs: [x, length, b.ints([typeof attrs['axis'] === 'number' ? attrs['axis'] : 1])],
    attrs: attrsWithout(attrs, 'axis'),
  }),
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    return [{ dtype, shape: geometryOf(ctx).shape }];
  },
  decompose: (b, [x = null], ctx) => {
    const { axis, transform: given, shape } = geometryOf(ctx);
    // What is cut off may be no number: it is not multiplied by 0 instead.
    const transform = { ...given, points: pointsRead(given) };
    const reason = whyTooLarge(transform);
    if (reason !== null) return reason;
    const ends = [[0], [transform.points], [axis]].map((list) => b.ints(list));
    const read = transform.points < given.points ? b.op('Slice', [x, ...ends]) : x;
    const rank = shape.length;
    const others = shape.flatMap((_, i) => (i === axis || i === rank - 1 ? [] : [i]));
    const perm = [...others, axis, rank - 1];
    const back = perm.map((_, i) => perm.indexOf(i));
    const inner = b.op('Transpose', [read], { perm });
    const outer = others.map((i) => at(shape, i));
    const rows = b.reshape(inner, [elementCount(outer), transform.points * transform.parts]);
    const out = resultOf(transform);
    const done = b.reshape(transformRows(b, rows, transform), [...outer, out.points, out.parts]);
    return [b.op('Transpose', [done], { perm: back })];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const first = (k: number): number | undefined =>
      inputs[k] ? toNumbers(given(inputs, k))[0] : undefined;
    const node = { node: ctx.node, op: 'DFT' };
    const { axis, transform, shape } = geometry(node, attrs, x.shape, {
      length: first(1),
      axis: first(2),
    });
    const values = toNumbers(x);
    const out = new Float64Array(elementCount(shape));
    const { parts } = resultOf(transform);
    // Lines begin where the position along the axis and the complex part are 0.
    const begins = (from: readonly number[]): Int32Array => {
      const strides = stridesOf(from);
      const extents = from.map((extent, i) => (i === axis || i === from.length - 1 ? 1 : extent));
      return gridOffsets(extents, strides);
    };
    const [from, to] = [begins(x.shape), begins(shape)];
    const [step, outStep] = [at(stridesOf(x.shape), axis), at(stridesOf(shape), axis)];
    from.forEach((begin, i) => {
      const read = (part: number): Float64Array =>
        Float64Array.from({ length: transform.points }, (_, n) =>
          part < transform.parts ? (values[begin + n * step + part] as number) : 0,
        );
      const { re, im } = transformLine({ re: read(0), im: read(1) }, transform);
      re.forEach((value, k) => {
        const position = (to[i] as number) + k * outStep;
        out[position] = value;
        if (parts === 2) out[position + 1] = im[k] as number;
      });
    });
    return [fromNumbers(x.dtype, shape, out)];
  },
  cases: () => [
    { note: 'real', inputs: [uniform([2, 5, 1])] },
    { note: 'complex, axis 0', inputs: [uniform([6, 2, 2]), null, i64([], [0])] },
    { note: 'longer', inputs: [uniform([1, 5, 2]), i64([], [8])] },
    { note: 'shorter', inputs: [uniform([1, 5, 2]), i64([], [3])] },
    { note: 'half', inputs: [uniform([2, 7, 1])], attrs: { onesided: 1 } },
    {
      note: 'half, even, longer',
      inputs: [uniform([2, 5, 1]), i64([], [8])],
      attrs: { onesided: 1 },
    },
    { note: 'half of two', inputs: [uniform([3, 2, 1])], attrs: { onesided: 1 } },
    { note: 'inverse', inputs: [uniform([1, 4, 2])], attrs: { inverse: 1 } },
    {
      note: 'inverse of half',
      inputs: [uniform([1, 5, 2])],
      attrs: { inverse: 1, onesided: 1 },
    },
    {
      note: 'inverse of half, odd',
      inputs: [uniform([1, 4, 2]), i64([], [7])],
      attrs: { inverse: 1, onesided: 1 },
    },
    { note: 'f16', inputs: [uniform([1, 4, 1], -2, 2, 'f16')] },
  ],
});
