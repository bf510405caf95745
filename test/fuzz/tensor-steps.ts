/** Steps that move elements: shapes, slices, joins, gathers and scatters of any dtype. */
import type { ValueType } from 'hone/graph/types';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import type { Growth, Grown, Step } from './growth.ts';

const ranked = ({ shape }: ValueType): boolean => shape.length > 0;

interface Picked extends Grown {
  readonly shape: readonly number[];
  readonly rank: number;
}

function pickRanked(g: Growth): Picked | undefined {
  const x = g.pick(ranked);
  return x === undefined ? undefined : { ...x, shape: x.type.shape, rank: x.type.shape.length };
}

function shuffled(g: Growth, count: number): number[] {
  const list = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = g.random.integer(i + 1);
    [list[i], list[j]] = [list[j] as number, list[i] as number];
  }
  return list;
}

export const transpose: Step = (g) => {
  const x = pickRanked(g);
  if (x !== undefined) g.op('Transpose', [x.id], { perm: shuffled(g, x.rank) });
};

export const reshape: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const { shape, rank } = x;
  switch (g.random.integer(7)) {
    case 0:
      g.op('Flatten', [x.id], { axis: g.between(0, rank) });
      break;
    case 1:
      g.op('Unsqueeze', [x.id, g.ints([g.between(0, rank)])]);
      break;
    case 2:
      g.op('Squeeze', shape.includes(1) ? [x.id, g.ints([shape.indexOf(1)])] : [x.id]);
      break;
    case 3:
      g.op('Reshape', [x.id, g.ints([-1])]);
      break;
    case 4:
      g.op('Identity', [x.id]);
      break;
    default:
      g.op('Reshape', [x.id, g.ints(regrouped(g, shape))]);
  }
};

/** Two neighbours joined, or one axis split. */
function regrouped(g: Growth, shape: readonly number[]): number[] {
  const i = g.random.integer(shape.length);
  const extent = shape[i] ?? 1;
  const before = shape.slice(0, i);
  if (g.chance(0.5) && i + 1 < shape.length) {
    return [...before, extent * (shape[i + 1] ?? 1), ...shape.slice(i + 2)];
  }
  const factors = Array.from({ length: extent }, (_, k) => k + 1).filter((d) => extent % d === 0);
  const factor = g.among(factors);
  return [...before, factor, extent / factor, ...shape.slice(i + 1)];
}

export const slice: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const extent = x.shape[axis] ?? 1;
  const step = g.among([1, 1, 1, 2, 3, -1, -2]);
  const [low, high] = [g.between(0, extent - 1), g.between(1, extent)];
  const range =
    step > 0 ? [Math.min(low, high - 1), high] : [extent - 1, -extent - 1 + g.between(0, low)];
  const [start = 0, end = 1] = range;
  const at = g.chance(0.5) ? axis : axis - x.rank;
  g.op('Slice', [x.id, g.ints([start]), g.ints([end]), g.ints([at]), g.ints([step])]);
};

export const split: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const extent = x.shape[axis] ?? 1;
  if (extent < 2) return;
  if (g.chance(0.3)) {
    const parts = g.between(2, Math.min(3, extent));
    g.ops('Split', [x.id], { axis, num_outputs: parts }, parts);
    return;
  }
  const cut = g.between(1, extent - 1);
  g.ops('Split', [x.id, g.ints([cut, extent - cut])], { axis: axis - x.rank }, 2);
};

export const concat: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const fits = g.values.filter(
    ({ type }) =>
      type.dtype === x.type.dtype &&
      type.shape.length === x.rank &&
      type.shape.every((extent, i) => i === axis || extent === x.shape[i]),
  );
  const parts = [x.id, ...Array.from({ length: g.between(1, 2) }, () => g.among(fits).id)];
  const extra = x.shape.map((extent, i) => (i === axis ? g.between(1, 5) : extent));
  if (g.chance(0.15)) parts.push(g.constant(extra, 1, x.type.dtype));
  if (g.chance(0.5)) parts.reverse();
  g.op('Concat', parts, { axis: g.chance(0.5) ? axis : axis - x.rank });
};

export const pad: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const pads = Array.from({ length: 2 * x.rank }, () => (g.chance(0.5) ? 0 : g.between(0, 2)));
  const mode = g.among(['constant', 'constant', 'constant', 'edge', 'reflect', 'wrap']);
  const value = g.chance(0.4) ? [g.scalar(1, x.type.dtype)] : [];
  g.op('Pad', [x.id, g.ints(pads), ...value], { mode });
};

export const gather: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const extent = x.shape[axis] ?? 1;
  const shape = g.among([[], [1], [3], [2, 2], [extent]]);
  const dtype = g.among(['i64', 'i32'] as const);
  if (g.chance(0.7)) {
    g.op('Gather', [x.id, g.hold(g.integers(shape, -extent, extent - 1, dtype))], { axis });
    return;
  }
  // Indices that only the run knows: remainders of an input.
  const raw = g.input(dtype, shape);
  const index = g.op('Mod', [raw.id, g.scalar(extent, dtype)]);
  if (index !== undefined) g.op('Gather', [x.id, index.id], { axis });
};

export const gatherElements: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const extent = x.shape[axis] ?? 1;
  const shape = x.shape.map((size, i) => (i === axis ? g.between(1, 4) : size));
  g.op('GatherElements', [x.id, g.hold(g.integers(shape, -extent, extent - 1))], { axis });
};

export const scatter: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  const extent = x.shape[axis] ?? 1;
  // Every position at most once: the order of writes must not matter.
  const count = g.between(1, extent);
  const shape = x.shape.map((size, i) => (i === axis ? count : size));
  const order = shuffled(g, extent);
  const inner = elementCount(shape.slice(axis + 1));
  const indices = Array.from(
    { length: elementCount(shape) },
    (_, i) => order[Math.floor(i / inner) % count] ?? 0,
  );
  const updates = g.constant(shape, 1, x.type.dtype);
  const index = g.hold(fromNumbers('i64', shape, indices));
  const reduction = x.type.dtype === 'bool' ? 'none' : g.among(['none', 'none', 'add', 'max']);
  g.op('ScatterElements', [x.id, index, updates], { axis, reduction });
};

export const expand: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined || elementCount(x.shape) > 3000) return;
  if (g.chance(0.5)) {
    g.op('Tile', [x.id, g.ints(x.shape.map(() => g.among([1, 1, 2])))]);
    return;
  }
  const wanted = x.shape.map((extent) => (extent === 1 ? g.between(1, 5) : extent));
  g.op('Expand', [x.id, g.ints(g.chance(0.5) ? wanted : [g.between(1, 3), ...wanted])]);
};

export const selectElements: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axis = g.random.integer(x.rank);
  switch (g.random.integer(4)) {
    case 0:
      g.op('Trilu', [x.id, g.scalar(g.between(-1, 1), 'i64')], { upper: g.random.integer(2) });
      break;
    case 1: {
      const k = g.ints([g.between(1, x.shape[axis] ?? 1)]);
      g.ops('TopK', [x.id, k], { axis, largest: g.random.integer(2) }, 2);
      break;
    }
    case 2:
      g.op('CumSum', [x.id, g.scalar(axis, 'i64')], {
        exclusive: g.random.integer(2),
        reverse: g.random.integer(2),
      });
      break;
    default:
      g.op(g.among(['ArgMax', 'ArgMin']), [x.id], {
        axis,
        keepdims: g.random.integer(2),
        select_last_index: g.random.integer(2),
      });
  }
};

const REDUCTIONS = [
  'ReduceMean',
  'ReduceSum',
  'ReduceMax',
  'ReduceMin',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceLogSumExp',
];

export const reduce: Step = (g) => {
  const x = pickRanked(g);
  if (x === undefined) return;
  const axes = shuffled(g, x.rank).slice(0, g.between(1, x.rank));
  const keepdims = g.random.integer(2);
  g.op(g.among(REDUCTIONS), g.chance(0.9) ? [x.id, g.ints(axes)] : [x.id], { keepdims });
};

export const oneHot: Step = (g) => {
  const x = g.pick(({ dtype, shape }) => dtype === 'i64' && elementCount(shape) <= 300);
  if (x === undefined) return;
  const values = g.hold(fromNumbers('f32', [2], [0.5, 2]));
  g.op('OneHot', [x.id, g.scalar(g.between(2, 9), 'i64'), values], { axis: -1 });
};
