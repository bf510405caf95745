/**
 * What a scale belongs to: the whole tensor, each index of one axis, or blocks of one axis.
 * One rule for inference, lowering and the references of quantisation.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, stridesOf } from 'hone-runtime/base/tensor';
import { index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import { intAttr, normalizeAxis, shapeError } from '../checks.ts';
import type { LowerContext } from '../define-op.ts';
import { gridOffsets } from '../math/loops.ts';
import { apply, loadInput } from '../math/scalar.ts';

export type Granularity =
  | { readonly kind: 'tensor' }
  | { readonly kind: 'axis'; readonly axis: number }
  | { readonly kind: 'block'; readonly axis: number; readonly block: number };

/** Decides by the scale's shape; refuses shapes that fit nothing. */
export function granularityOf(
  node: { node: string; op: string },
  x: readonly number[],
  scale: readonly number[],
  attrs: Attrs,
): Granularity {
  const block = intAttr(attrs, 'block_size');
  const text = `scale [${scale.join(',')}] of input [${x.join(',')}]`;
  if (block < 0) shapeError(node, `block_size is ${block}; it must not be negative`);
  if (block === 0 && scale.length <= 1 && elementCount(scale) === 1) return { kind: 'tensor' };
  if (scale.length === 0) return { kind: 'tensor' };
  if (x.length === 0) shapeError(node, `${text}: a scalar takes one scale, without blocks`);
  const axis = normalizeAxis(node, intAttr(attrs, 'axis'), x.length);
  const extent = at(x, axis);
  if (block === 0) {
    if (scale.length !== 1 || scale[0] !== extent) {
      shapeError(node, `${text}: one scale, or one per index of axis ${axis}, is needed`);
    }
    return { kind: 'axis', axis };
  }
  const blocks = Math.ceil(extent / block);
  const fits =
    scale.length === x.length && scale.every((n, i) => n === (i === axis ? blocks : x[i]));
  if (!fits) shapeError(node, `${text}: axis ${axis} in blocks of ${block} needs ${blocks} scales`);
  return { kind: 'block', axis, block };
}

/** Refuses a zero point that does not go with the scale. */
export function checkZeroPoint(
  node: { node: string; op: string },
  scale: readonly number[],
  zero: readonly number[],
): void {
  const isOne = [scale, zero].every((shape) => shape.length <= 1 && elementCount(shape) === 1);
  if (isOne || scale.join() === zero.join()) return;
  shapeError(
    node,
    `the zero point [${zero.join(',')}] does not go with the scale [${scale.join(',')}]`,
  );
}

/** Input k (a scale or a zero point) for the element at `axes`. */
export function parameterLoad(
  ctx: LowerContext,
  k: number,
  type: ValueType,
  axes: readonly Expr[],
  grain: Granularity,
): Expr {
  if (grain.kind === 'tensor') return loadInput(ctx, k, axes);
  const along = at(axes, grain.axis);
  if (grain.kind === 'axis') return load(`${k}`, type.dtype, [along]);
  const position = axes.map((i, axis) =>
    axis === grain.axis ? apply('floordiv', i, index(grain.block)) : i,
  );
  return load(`${k}`, type.dtype, position);
}

/** For every element of x, the position of its scale. */
export function parameterOffsets(
  x: readonly number[],
  scale: readonly number[],
  grain: Granularity,
): Int32Array {
  if (grain.kind === 'tensor') return new Int32Array(elementCount(x));
  const { axis } = grain;
  if (grain.kind === 'axis')
    return gridOffsets(
      x,
      x.map((_, i) => (i === axis ? 1 : 0)),
    );
  const strides = stridesOf(scale);
  const others = gridOffsets(
    x,
    x.map((_, i) => (i === axis ? 0 : at(strides, i))),
  );
  const along = gridOffsets(
    x,
    x.map((_, i) => (i === axis ? 1 : 0)),
  );
  const step = at(strides, axis);
  return others.map((offset, i) => offset + Math.floor((along[i] as number) / grain.block) * step);
}
