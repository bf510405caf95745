/**
 * The core of the normalisations: a reduction over some axes of input 0 that writes every element,
 * centred and scaled by what was found, in two passes (mean first, then squared differences).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, stridesOf } from 'hone-runtime/base/tensor';
import { acc, axis, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import type { ReduceStep } from '../../stages/types.ts';
import { gridOffsets } from '../math/loops.ts';
import { computeType, div, mul, sub, widen } from '../math/scalar.ts';

/** The axes of a tensor parted into kept (i…) and folded (r…) ones. */
export interface Fold {
  readonly axes: readonly number[];
  readonly reduceAxes: readonly number[];
  /** The position of an element, one index per axis of the tensor. */
  readonly position: readonly Expr[];
  /** The element in its computing dtype. */
  readonly element: Expr;
  /** Elements folded into one. */
  readonly count: number;
}

export function foldAxes(x: ValueType, folded: (axis: number) => boolean): Fold {
  const axes: number[] = [];
  const reduceAxes: number[] = [];
  const position = x.shape.map((extent, i) => {
    const list = folded(i) ? reduceAxes : axes;
    list.push(extent);
    return axis(`${folded(i) ? 'r' : 'i'}${list.length - 1}`);
  });
  return {
    axes,
    reduceAxes,
    position,
    element: widen(load('0', x.dtype, position)),
    count: elementCount(reduceAxes),
  };
}

/** Mean and variance of the folded elements, as steps 0 and 1. */
export function moments(
  element: Expr,
  count: number,
): { readonly steps: readonly ReduceStep[]; readonly mean: Expr; readonly variance: Expr } {
  const dtype = computeType(element.dtype);
  const mean = div(acc(0, dtype), count);
  const difference = sub(element, mean);
  return {
    steps: [
      { op: 'sum', value: element, dtype },
      { op: 'sum', value: mul(difference, difference), dtype },
    ],
    mean,
    variance: div(acc(1, dtype), count),
  };
}

/** For references: calls `visit` with the flat positions of each group of folded elements. */
export function eachGroup(
  shape: readonly number[],
  folded: (axis: number) => boolean,
  visit: (positions: readonly number[], group: number) => void,
): void {
  const strides = stridesOf(shape);
  const pick = (wanted: boolean): number[] =>
    shape.map((_, i) => i).filter((i) => folded(i) === wanted);
  const offsets = (which: readonly number[]): Int32Array =>
    gridOffsets(
      which.map((i) => at(shape, i)),
      which.map((i) => at(strides, i)),
    );
  const inner = offsets(pick(true));
  offsets(pick(false)).forEach((base, group) => {
    visit(
      Array.from(inner, (offset) => base + offset),
      group,
    );
  });
}

/** Mean, variance and mean square of some elements, as doubles. */
export function momentsOf(
  values: Float64Array,
  positions: readonly number[],
): { readonly mean: number; readonly variance: number; readonly meanSquare: number } {
  let sum = 0;
  let plain = 0;
  for (const p of positions) {
    sum += values[p] as number;
    plain += (values[p] as number) ** 2;
  }
  const mean = sum / positions.length;
  let squares = 0;
  for (const p of positions) squares += ((values[p] as number) - mean) ** 2;
  return { mean, variance: squares / positions.length, meanSquare: plain / positions.length };
}
