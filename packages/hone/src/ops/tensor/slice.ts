/** Slice: start, stop and step per axis. */
import { fromNumbers, stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { iadd, imul, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { constantInts, inputType, normalizeAxis, optionalInts, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled } from './bodies.ts';
import { stridedCopy } from './elements.ts';
import { attrToInput } from './reshape.ts';

export interface SliceRange {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** numpy's slice of one axis: bounds from the end when negative, clamped to the extent. */
export function sliceRange(extent: number, start: number, end: number, step: number): SliceRange {
  const clamp = (value: number, low: number, high: number): number =>
    Math.min(Math.max(value < 0 ? value + extent : value, low), high);
  const first = step > 0 ? clamp(start, 0, extent) : clamp(start, 0, extent - 1);
  const last = step > 0 ? clamp(end, 0, extent) : clamp(end, -1, extent - 1);
  const count = Math.max(0, Math.ceil((last - first) / step));
  return { start: count === 0 ? 0 : first, step, count };
}

function ranges(ctx: InferContext): SliceRange[] {
  const { shape } = inputType(ctx, 0);
  const starts = constantInts(ctx, 1, 'starts');
  const ends = constantInts(ctx, 2, 'ends');
  const axes = optionalInts(ctx, 3, 'axes') ?? starts.map((_, i) => i);
  const steps = optionalInts(ctx, 4, 'steps') ?? starts.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length)) {
    shapeError(ctx, 'starts, ends, axes and steps differ in length');
  }
  const out: SliceRange[] = shape.map((count) => ({ start: 0, step: 1, count }));
  const seen = new Set<number>();
  axes.forEach((given, i) => {
    const axis = normalizeAxis(ctx, given, shape.length);
    const extent = shape[axis];
    if (extent === undefined) shapeError(ctx, `axis ${given} of a scalar`);
    if (seen.has(axis)) shapeError(ctx, `axis ${given} is cut twice`);
    seen.add(axis);
    const step = steps[i] as number;
    if (step === 0) shapeError(ctx, `step of axis ${given} is 0`);
    out[axis] = sliceRange(extent, starts[i] as number, ends[i] as number, step);
  });
  return out;
}

const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);

export const Slice = defineOp({
  kind: 'core',
  name: 'Slice',
  doc: 'Every step-th element from start to end along the given axes.',
  since: 10,
  attrs: {},
  upgrade: (b, node) => {
    const starts = attrToInput(b, node, 'starts', 1);
    const ends = attrToInput(b, { ...node, ...starts }, 'ends', 2);
    return attrToInput(b, { ...node, ...ends }, 'axes', 3);
  },
  infer: (ctx) => [
    { dtype: inputType(ctx, 0).dtype, shape: ranges(ctx).map((range) => range.count) },
  ],
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype } = inputType(ctx, 0);
      const cuts = ranges(ctx);
      const axes = outAxes(cuts.length);
      const from = cuts.map(({ start, step }, i) => iadd(imul(axes[i] as Expr, step), start));
      const shape = cuts.map((range) => range.count);
      return [mapBody(shape, load('0', dtype, from))];
    }),
  reference: ([x, starts, ends, axes, steps]) => {
    const source = x as Tensor;
    const rank = source.shape.length;
    const from = [...toNumbers(starts as Tensor)];
    const to = toNumbers(ends as Tensor);
    const which = axes ? toNumbers(axes) : from.map((_, i) => i);
    const by = steps ? toNumbers(steps) : from.map(() => 1);
    const shape = [...source.shape];
    const strides = stridesOf(source.shape);
    let offset = 0;
    from.forEach((start, i) => {
      const axis = ((which[i] as number) + rank) % rank;
      const stride = strides[axis] as number;
      const extent = source.shape[axis] as number;
      const cut = sliceRange(extent, start, to[i] as number, by[i] as number);
      shape[axis] = cut.count;
      offset += cut.start * stride;
      strides[axis] = stride * cut.step;
    });
    return [stridedCopy(source, shape, offset, strides)];
  },
  cases: () => {
    const x = fromNumbers('f32', [4, 5], [...Array(20).keys()]);
    return [
      { inputs: [x, list(1, 0), list(3, 5)] },
      { note: 'steps', inputs: [x, list(0), list(5), list(1), list(2)] },
      { note: 'backwards', inputs: [x, list(-1), list(-1000), list(-1), list(-2)] },
      { note: 'past the end', inputs: [x, list(2), list(2 ** 31), list(0)] },
      { note: 'empty', inputs: [x, list(3), list(1), list(0)] },
    ];
  },
});
