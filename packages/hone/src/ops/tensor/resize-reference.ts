/** Resize in doubles, one axis after the other: independent of the lowering's expressions. */
import { isFloat } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { cubicWeight } from './cubic.ts';
import { eachPosition, flatOf, gatherBy } from './elements.ts';
import { isIdentity, nearestTable, positionOf, type ResizeAxis } from './resize-axes.ts';
import type { ResizeLowering } from './resize-lower.ts';

const RANGES = { u8: [0, 255], i8: [-128, 127] } as const;

export function resizeReference(x: Tensor, plan: ResizeLowering): Tensor {
  const shape = plan.axes.map((item) => item.size);
  const strides = stridesOf(x.shape);
  let out: Tensor;
  if (plan.mode === 'nearest') {
    const tables = plan.axes.map((item) => nearestTable(item, plan.nearest));
    out = gatherBy(x, shape, (p) =>
      flatOf(
        p.map((at, i) => tables[i]?.[at] as number),
        strides,
      ),
    );
  } else {
    let values = toNumbers(x);
    const partial = [...x.shape];
    plan.axes.forEach((item, i) => {
      if (isIdentity(item)) return;
      values = alongAxis(values, partial, i, item, plan);
      partial[i] = item.size;
    });
    const range = x.dtype === 'u8' || x.dtype === 'i8' ? RANGES[x.dtype] : undefined;
    if (range !== undefined) {
      values = values.map((value) => Math.min(Math.max(value, range[0]), range[1]));
    }
    out = fromNumbers(x.dtype, shape, isFloat(x.dtype) ? values : values.map(Math.trunc));
  }
  return withExtrapolation(out, plan);
}

/** Applies one axis: every output index is a weighted sum of input indices. */
function alongAxis(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  item: ResizeAxis,
  plan: ResizeLowering,
): Float64Array<ArrayBuffer> {
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const out = new Float64Array(outer * item.size * inner);
  for (let i = 0; i < item.size; i++) {
    for (const [at, weight] of weightsAt(item, i, plan)) {
      for (let o = 0; o < outer; o++) {
        const from = (o * item.extent + at) * inner;
        const to = (o * item.size + i) * inner;
        for (let k = 0; k < inner; k++) {
          out[to + k] = (out[to + k] as number) + weight * (values[from + k] as number);
        }
      }
    }
  }
  return out;
}

function weightsAt(item: ResizeAxis, i: number, plan: ResizeLowering): [number, number][] {
  const position = positionOf(item, i);
  const shrink = plan.antialias ? Math.min(item.scale, 1) : 1;
  const radius = (plan.mode === 'cubic' ? 2 : 1) / shrink;
  const pairs: [number, number][] = [];
  for (let at = Math.ceil(position - radius); at <= Math.floor(position + radius); at++) {
    const inside = at >= 0 && at < item.extent;
    if (plan.excludeOutside && !inside) continue;
    const weight = kernel(Math.abs(position - at) * shrink, plan);
    pairs.push([Math.min(Math.max(at, 0), item.extent - 1), weight]);
  }
  const sum = pairs.reduce((total, [, weight]) => total + weight, 0);
  return pairs.map(([at, weight]) => [at, weight / sum]);
}

function kernel(x: number, { mode, cubicA: a }: ResizeLowering): number {
  if (mode !== 'cubic') return Math.max(0, 1 - x);
  return cubicWeight(x, a);
}

function withExtrapolation(out: Tensor, plan: ResizeLowering): Tensor {
  if (plan.axes.every(({ first, last, size }) => first === 0 && last === size)) return out;
  const fill = fromNumbers(out.dtype, [], [plan.extrapolation]).data[0];
  const data = out.data.slice() as unknown as (typeof fill)[];
  eachPosition(out.shape, (position, flat) => {
    const outside = plan.axes.some(({ first, last }, i) => {
      const at = position[i] as number;
      return at < first || at >= last;
    });
    if (outside) data[flat] = fill;
  });
  return { ...out, data: data as unknown as Tensor['data'] };
}
