/** Resize as map bodies (nearest, linear, cubic) and as a reduction (antialiased). */
import {
  axis,
  binary,
  cast,
  constant,
  iadd,
  imul,
  index,
  load,
  select,
  unary,
} from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { DType } from 'hone-runtime/base/dtype';
import type { StageBody } from '../../stages/types.ts';
import { mapBody, outAxes, reduceAxesOf } from '../lower.ts';
import { allOf, ifloordiv, imod } from './bodies.ts';
import { cubicFar, cubicNear } from './cubic.ts';
import { gcd, isIdentity, nearestTable, positionOf, type ResizeAxis } from './resize-axes.ts';

export interface ResizeLowering {
  readonly dtype: DType;
  readonly axes: readonly ResizeAxis[];
  readonly mode: string;
  readonly nearest: string;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  readonly extrapolation: number;
}

/** Input positions that contribute to an output index along one axis, with their weights. */
interface Tap {
  readonly at: Expr;
  /** Absent: 1. */
  readonly weight?: Expr;
}

export function lowerResize(plan: ResizeLowering): readonly StageBody[] | string {
  const { axes, dtype } = plan;
  if (axes.every(isIdentity)) return [{ kind: 'alias' }];
  if (axes.some((item) => item.extent === 0 || item.size === 0)) {
    return [
      mapBody(
        axes.map((item) => item.size),
        constant(dtype, 0),
      ),
    ];
  }
  if (plan.mode === 'nearest') return lowerNearest(plan);
  return plan.antialias && axes.some((item) => item.scale < 1)
    ? lowerAntialiased(plan)
    : lowerTaps(plan);
}

function lowerNearest(plan: ResizeLowering): readonly StageBody[] | string {
  const at: Expr[] = [];
  for (const [i, item] of plan.axes.entries()) {
    const position = nearestExpr(axis(`i${i}`), item, plan.nearest);
    if (position === undefined) return `axis ${i} has a scale that no integer formula gives`;
    at.push(position);
  }
  const value = load('0', plan.dtype, at);
  return [
    mapBody(
      plan.axes.map((item) => item.size),
      extrapolated(plan, value),
    ),
  ];
}

/**
 * The table of an axis as floor((a · i + b) / c), with a / c the axis' slope: each index bounds b
 * from both sides. When clamping at the borders leaves no such b, min and max are written out.
 */
function nearestExpr(i: Expr, item: ResizeAxis, mode: string): Expr | undefined {
  if (isIdentity(item)) return i;
  const table = nearestTable(item, mode);
  const last = item.extent - 1;
  // Where the scale is not a ratio of the extents, that ratio often gives the same table.
  for (const [slope, unit] of [
    [item.extent, item.size],
    [item.slope, item.unit],
  ] as const) {
    const plain = floorLine(i, table, slope, unit, (at) => [at, at]);
    if (plain !== undefined) return plain;
    const open = floorLine(i, table, slope, unit, (at) => [
      at === 0 ? Number.NEGATIVE_INFINITY : at,
      at === last ? Number.POSITIVE_INFINITY : at,
    ]);
    if (open !== undefined) return binary('min', binary('max', open, index(0)), index(last));
  }
  return undefined;
}

/** floor((slope · i + b) / unit) that lies in the wanted range at each index, if there is one. */
function floorLine(
  i: Expr,
  table: readonly number[],
  slope: number,
  unit: number,
  wanted: (at: number) => readonly [number, number],
): Expr | undefined {
  const divisor = gcd(slope, unit) || 1;
  const a = slope / divisor;
  const c = unit / divisor;
  let low = Number.NEGATIVE_INFINITY;
  let high = Number.POSITIVE_INFINITY;
  table.forEach((at, k) => {
    const [from, to] = wanted(at);
    low = Math.max(low, c * from - a * k);
    high = Math.min(high, c * (to + 1) - 1 - a * k);
  });
  if (low > high) return undefined;
  const b = low <= 0 && high >= 0 ? 0 : low > 0 ? low : high;
  return ifloordiv(iadd(imul(i, a), b), c);
}

/** Extrapolated where any axis is outside its window. */
function extrapolated(plan: ResizeLowering, value: Expr): Expr {
  const inside = allOf(
    plan.axes.flatMap(({ first, last, size }, i) => [
      ...(first > 0 ? [binary('ge', axis(`i${i}`), index(first))] : []),
      ...(last < size ? [binary('lt', axis(`i${i}`), index(last))] : []),
    ]),
  );
  if (inside === undefined) return value;
  return select(inside, value, cast(plan.dtype, constant('f32', plan.extrapolation)));
}

const workType = (dtype: DType): DType => (dtype === 'f64' ? 'f64' : 'f32');

/** Whole and fractional part of the position on an axis; `clamped` into the input. */
function splitPosition(
  i: Expr,
  item: ResizeAxis,
  clamped: boolean,
  work: DType,
): { whole: Expr; rest: Expr | undefined } {
  const { slope, offset, unit, extent, size } = item;
  let scaled = iadd(imul(i, slope), offset);
  const limit = (extent - 1) * unit;
  // A region of interest may run backwards: either end is the lowest.
  const end = slope * (size - 1) + offset;
  if (clamped && Math.min(offset, end) < 0) scaled = binary('max', scaled, index(0));
  if (clamped && Math.max(offset, end) > limit) scaled = binary('min', scaled, index(limit));
  const whole = ifloordiv(scaled, unit);
  if (slope % unit === 0 && offset % unit === 0) return { whole, rest: undefined };
  const rest = binary('mul', cast(work, imod(scaled, unit)), constant(work, 1 / unit));
  return { whole, rest };
}

function linearTaps(i: Expr, item: ResizeAxis, work: DType): Tap[] {
  const { whole, rest } = splitPosition(i, item, true, work);
  if (rest === undefined) return [{ at: whole }];
  const next = binary('min', iadd(whole, 1), index(item.extent - 1));
  return [
    { at: whole, weight: binary('sub', constant(work, 1), rest) },
    { at: next, weight: rest },
  ];
}

function cubicTaps(i: Expr, item: ResizeAxis, plan: ResizeLowering, work: DType): Tap[] {
  if (isIdentity(item)) return [{ at: i }];
  const { whole, rest = constant(work, 0) } = splitPosition(i, item, false, work);
  const ends = [positionOf(item, 0), positionOf(item, item.size - 1)].map(Math.floor);
  const [lowest, highest] = [Math.min(...ends) - 1, Math.max(...ends) + 2];
  const last = item.extent - 1;
  const inside: (Expr | undefined)[] = [];
  const taps = [-1, 0, 1, 2].map((k) => {
    const at = iadd(whole, k);
    const low = lowest + k + 1 < 0;
    const high = highest + k - 2 > last;
    const floor = low ? binary('max', at, index(0)) : at;
    inside.push(
      allOf([
        ...(low ? [binary('ge', at, index(0))] : []),
        ...(high ? [binary('le', at, index(last))] : []),
      ]),
    );
    const distance = unary('abs', binary('sub', constant(work, k), rest));
    const weight =
      k === 0 || k === 1 ? cubicNear(distance, plan.cubicA) : cubicFar(distance, plan.cubicA);
    return { at: high ? binary('min', floor, index(last)) : floor, weight };
  });
  if (!plan.excludeOutside || inside.every((item_) => item_ === undefined)) return taps;
  const kept = taps.map(({ weight }, k) => {
    const cond = inside[k];
    return cond === undefined ? weight : select(cond, weight, constant(work, 0));
  });
  const sum = kept.reduce((a, b) => binary('add', a, b));
  return taps.map(({ at }, k) => ({ at, weight: binary('div', kept[k] as Expr, sum) }));
}

function lowerTaps(plan: ResizeLowering): readonly StageBody[] {
  const { axes, dtype } = plan;
  const work = workType(dtype);
  const taps = axes.map((item, i) =>
    plan.mode === 'cubic'
      ? cubicTaps(axis(`i${i}`), item, plan, work)
      : linearTaps(axis(`i${i}`), item, work),
  );
  // Σ over the first axis of weight · (Σ over the second …): one multiplication per tap.
  const nest = (level: number, at: readonly Expr[]): Expr => {
    const here = taps[level];
    if (here === undefined) return cast(work, load('0', dtype, at));
    return here
      .map((tap) => {
        const inner = nest(level + 1, [...at, tap.at]);
        return tap.weight === undefined ? inner : binary('mul', tap.weight, inner);
      })
      .reduce((a, b) => binary('add', a, b));
  };
  const value = extrapolated(plan, cast(dtype, nest(0, [])));
  return [
    mapBody(
      axes.map((item) => item.size),
      value,
    ),
  ];
}

/** A window of input positions per shrunk axis; weights are normalised by their sum. */
function lowerAntialiased(plan: ResizeLowering): readonly StageBody[] {
  const { axes, dtype } = plan;
  const work = workType(dtype);
  const radius = plan.mode === 'cubic' ? 2 : 1;
  const moving = axes.flatMap((item, i) => (isIdentity(item) ? [] : [i]));
  const names = reduceAxesOf(moving.length);
  const windows: number[] = [];
  const weights: Expr[] = [];
  const at = outAxes(axes.length);
  moving.forEach((i, n) => {
    const item = axes[i] as ResizeAxis;
    const scale = Math.min(item.scale, 1);
    const start = Math.floor(-radius / scale) + 1;
    windows.push(2 - 2 * start);
    const { whole, rest = constant(work, 0) } = splitPosition(axis(`i${i}`), item, false, work);
    const step = iadd(names[n] as Expr, start);
    const position = iadd(whole, step);
    const last = item.extent - 1;
    const distance = unary(
      'abs',
      binary('mul', binary('sub', cast(work, step), rest), constant(work, scale)),
    );
    const weight = kernel(distance, plan);
    weights.push(
      plan.excludeOutside
        ? select(
            binary('and', binary('ge', position, index(0)), binary('le', position, index(last))),
            weight,
            constant(work, 0),
          )
        : weight,
    );
    at[i] = binary('min', binary('max', position, index(0)), index(last));
  });
  const weight = weights.reduce((a, b) => binary('mul', a, b));
  const value = binary('mul', weight, cast(work, load('0', dtype, at)));
  const sums = [0, 1].map((step): Expr => ({ kind: 'acc', dtype: work, step })) as [Expr, Expr];
  return [
    {
      kind: 'reduce',
      axes: axes.map((item) => item.size),
      reduceAxes: windows,
      steps: [
        { op: 'sum', value: weight, dtype: work },
        { op: 'sum', value, dtype: work },
      ],
      spans: 'outer',
      outIndex: outAxes(axes.length),
      value: extrapolated(plan, cast(dtype, binary('div', sums[1], sums[0]))),
    },
  ];
}

function kernel(distance: Expr, plan: ResizeLowering): Expr {
  const c = (value: number): Expr => constant(distance.dtype, value);
  if (plan.mode !== 'cubic') return binary('max', binary('sub', c(1), distance), c(0));
  return select(
    binary('le', distance, c(1)),
    cubicNear(distance, plan.cubicA),
    select(binary('lt', distance, c(2)), cubicFar(distance, plan.cubicA), c(0)),
  );
}
