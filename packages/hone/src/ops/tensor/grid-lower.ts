/**
 * The value of GridSample and AffineGrid at an output index. Positions come from data: every index
 * is clamped into the input, whatever the position (NaN included).
 */
import type { DType } from 'hone-runtime/base/dtype';
import { binary, cast, constant, index, load, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import { outAxes } from '../lower.ts';
import { cubicFar, cubicNear } from './cubic.ts';

export interface GridOptions {
  readonly aligned: boolean;
  readonly mode: string;
  readonly padding: string;
  readonly cubicA: number;
}

interface Tap {
  readonly at: Expr;
  /** False where the position is outside and counts as 0. */
  readonly inside?: Expr;
  /** Absent: 1. */
  readonly weight?: Expr;
}

/** How far a picture reaches along an axis. */
interface Reach {
  readonly room: number;
  /** An i64 where the run says how much of the room it is. */
  readonly meant?: Expr;
}

/** `meant`: how far the picture reaches, where that is data; its room is more. */
export function gridSampleValue(
  x: ValueType,
  grid: ValueType,
  options: GridOptions,
  meant: readonly Expr[] = [],
): Expr {
  const work: DType = x.dtype === 'f64' || grid.dtype === 'f64' ? 'f64' : 'f32';
  const extents = x.shape.slice(2);
  const axes = outAxes(x.shape.length);
  const [n, c, ...rest] = axes as [Expr, Expr, ...Expr[]];
  const taps = extents.map((room, axis) => {
    // The grid names the last axis first.
    const at = [n, ...rest, index(extents.length - 1 - axis)];
    const own = meant[axis];
    const reach: Reach = own === undefined ? { room } : { room, meant: own };
    return axisTaps(cast(work, load('1', grid.dtype, at)), reach, options);
  });
  const nest = (level: number, at: readonly Expr[]): Expr => {
    const here = taps[level];
    if (here === undefined) return cast(work, load('0', x.dtype, at));
    return here
      .map((tap) => {
        const inner = nest(level + 1, [...at, tap.at]);
        const value = tap.weight === undefined ? inner : binary('mul', tap.weight, inner);
        return tap.inside === undefined ? value : select(tap.inside, value, constant(work, 0));
      })
      .reduce((a, b) => binary('add', a, b));
  };
  return cast(x.dtype, nest(0, [n, c]));
}

function axisTaps(value: Expr, { room, meant }: Reach, options: GridOptions): Tap[] {
  const c = (number: number): Expr => constant(value.dtype, number);
  const { aligned, mode, padding } = options;
  const extent = meant === undefined ? c(room) : cast(value.dtype, meant);
  const less = (by: number): Expr =>
    meant === undefined ? c(room - by) : binary('sub', extent, c(by));
  const low = c(aligned ? 0 : -0.5);
  const high = less(aligned ? 1 : 0.5);
  const last = less(1);
  const settle = (p: Expr): Expr => {
    if (padding === 'border') {
      const clamped = binary('min', binary('max', p, c(0)), last);
      // Up to half a pixel beyond the centres is still inside; only cubic sampling sees it.
      if (mode !== 'cubic' || aligned) return clamped;
      return select(binary('and', binary('ge', p, low), binary('le', p, high)), p, clamped);
    }
    return padding === 'reflection' ? reflected(p, low, high) : p;
  };
  const half = c(0.5);
  const shifted = binary('add', value, c(1));
  const raw = aligned
    ? binary('mul', binary('mul', shifted, half), last)
    : binary('mul', binary('sub', binary('mul', shifted, extent), c(1)), half);
  const position = settle(mode === 'nearest' ? unary('round', raw) : raw);
  const tap = (p: Expr, weight?: Expr): Tap => {
    const settled = cast('i64', padding === 'reflection' ? settle(p) : p);
    const inRoom = binary('min', binary('max', settled, index(0)), index(room - 1));
    const at =
      meant === undefined
        ? inRoom
        : binary('max', binary('min', inRoom, binary('sub', meant, index(1))), index(0));
    const inside =
      padding === 'zeros'
        ? { inside: binary('and', binary('ge', p, c(0)), binary('le', p, last)) }
        : {};
    return { at, ...inside, ...(weight === undefined ? {} : { weight }) };
  };
  if (mode === 'nearest') return [tap(unary('round', position))];
  const base = unary('floor', position);
  const rest = binary('sub', position, base);
  if (mode === 'linear') {
    return [tap(base, binary('sub', c(1), rest)), tap(binary('add', base, c(1)), rest)];
  }
  return [-1, 0, 1, 2].map((k) => {
    const distance = unary('abs', binary('sub', rest, c(k)));
    const near = k === 0 || k === 1;
    const weight = (near ? cubicNear : cubicFar)(distance, options.cubicA);
    return tap(binary('add', base, c(k)), weight);
  });
}

/** Reflection at both borders, as a triangle wave. */
function reflected(p: Expr, low: Expr, high: Expr): Expr {
  const from = binary('sub', p, low);
  const folded = (period: Expr): Expr => {
    const turns = unary('floor', binary('div', from, period));
    const phase = binary('sub', from, binary('mul', turns, period));
    return binary('add', low, binary('min', phase, binary('sub', period, phase)));
  };
  if (low.kind === 'const' && high.kind === 'const') {
    const range = Number(high.value) - Number(low.value);
    return range === 0 ? low : folded(constant(p.dtype, 2 * range));
  }
  const range = binary('sub', high, low);
  // A picture of one pixel has nothing between its borders.
  const wave = folded(binary('mul', constant(p.dtype, 2), range));
  return select(binary('gt', high, low), wave, low);
}

/** theta · (x, y[, z], 1) at the output index; the last output axis is the matrix' row. */
export function affineGridValue(
  dtype: DType,
  shape: readonly number[],
  axes: readonly Expr[],
  aligned: boolean,
): Expr {
  const work: DType = dtype === 'f64' ? 'f64' : 'f32';
  const rank = shape.length - 2;
  const entry = (column: number): Expr =>
    cast(work, load('0', dtype, [axes[0] as Expr, axes[shape.length - 1] as Expr, index(column)]));
  const coordinate = (axis: number): Expr => {
    const extent = shape[axis] as number;
    const i = cast(work, axes[axis] as Expr);
    if (aligned && extent === 1) return constant(work, 0);
    const step = aligned ? 2 / (extent - 1) : 2 / extent;
    const first = aligned ? -1 : 1 / extent - 1;
    return binary('add', binary('mul', i, constant(work, step)), constant(work, first));
  };
  let sum = entry(rank);
  for (let j = 0; j < rank; j++) {
    sum = binary('add', sum, binary('mul', entry(j), coordinate(rank - j)));
  }
  return cast(dtype, sum);
}
