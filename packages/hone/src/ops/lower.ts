/** Building blocks of lowerings: identity indices, broadcast loads, ready-made map bodies. */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, index, load } from '../expr/build.ts';
import type { Expr } from '../expr/types.ts';
import type { ValueType } from '../graph/types.ts';
import type { MapBody } from '../stages/types.ts';

/** The output axes i0 … i(rank-1) as expressions. */
export function outAxes(rank: number): Expr[] {
  return Array.from({ length: rank }, (_, i) => axis(`i${i}`));
}

/** The reduction axes r0 … */
export function reduceAxesOf(rank: number): Expr[] {
  return Array.from({ length: rank }, (_, i) => axis(`r${i}`));
}

/** Load of operand k at an output index of `rank` dimensions, broadcasting as numpy does. */
export function broadcastLoad(operand: number, type: ValueType, at_: readonly Expr[]): Expr {
  const skip = at_.length - type.shape.length;
  return load(
    `${operand}`,
    type.dtype,
    type.shape.map((extent, i) => (extent === 1 ? index(0) : at(at_, i + skip))),
  );
}

/** A map over a whole output. */
export function mapBody(shape: readonly number[], value: Expr): MapBody {
  return { kind: 'map', axes: shape, outIndex: outAxes(shape.length), value };
}
