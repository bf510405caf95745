/** Bilinear samples of an image at positions computed from data. */
import type { DType } from 'hone-runtime/base/dtype';
import { binary, cast, constant, index, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { add, choose, mul, sub } from '../math/scalar.ts';
import { allOf } from './window.ts';

export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** Loads an element of the image at whole positions. */
export type Pixel = (y: Expr, x: Expr) => Expr;

/** A sample between the four pixels around (y, x); pixels outside the image count as 0. */
export function sampleWithZeros(size: ImageSize, pixel: Pixel, y: Expr, x: Expr): Expr {
  const [top, left] = [unary('floor', y), unary('floor', x)];
  const [down, right] = [sub(y, top), sub(x, left)];
  const corner = (dy: 0 | 1, dx: 0 | 1): Expr => {
    const row = add(cast('i64', top), dy);
    const column = add(cast('i64', left), dx);
    const inside = allOf([
      binary('ge', row, index(0)),
      binary('lt', row, index(size.height)),
      binary('ge', column, index(0)),
      binary('lt', column, index(size.width)),
    ]);
    const weight = mul(dy === 1 ? down : sub(1, down), dx === 1 ? right : sub(1, right));
    const value = mul(pixel(row, column), weight);
    return inside === undefined ? value : choose(inside, value, 0);
  };
  return add(add(corner(0, 0), corner(0, 1)), add(corner(1, 0), corner(1, 1)));
}

/** How far an image reaches along an axis: all of its room, or as an i64 of the run says. */
export interface ImageReach {
  readonly room: number;
  readonly meant?: Expr;
}

/**
 * A sample as RoiAlign takes it: positions up to one pixel outside are moved to the border, and
 * further ones give 0. `join` puts the four weighted pixels together.
 */
export function sampleInRegion(
  [height, width]: readonly [ImageReach, ImageReach],
  pixel: Pixel,
  y: Expr,
  x: Expr,
  join: (parts: readonly Expr[]) => Expr,
): Expr {
  /** The extent less a number, as a position and as an index. */
  const less = (dtype: DType, { room, meant }: ImageReach, by: number): Expr =>
    meant === undefined ? constant(dtype, room - by) : sub(cast(dtype, meant), by);
  const within = (at: Expr, reach: ImageReach): Expr => {
    const inRoom = binary('min', at, index(reach.room - 1));
    if (reach.meant === undefined) return inRoom;
    return binary('max', binary('min', inRoom, sub(reach.meant, 1)), index(0));
  };
  const near = (position: Expr, reach: ImageReach): Expr =>
    binary(
      'and',
      binary('ge', position, constant(position.dtype, -1)),
      binary('le', position, less(position.dtype, reach, 0)),
    );
  const along = (position: Expr, reach: ImageReach) => {
    const bounded = binary(
      'min',
      binary('max', position, constant(position.dtype, 0)),
      less(position.dtype, reach, 1),
    );
    const low = unary('floor', bounded);
    const lowIndex = within(cast('i64', low), reach);
    const highIndex = within(add(lowIndex, 1), reach);
    const share = sub(bounded, low);
    return [
      { at: lowIndex, weight: sub(1, share) },
      { at: highIndex, weight: share },
    ] as const;
  };
  const rows = along(y, height);
  const columns = along(x, width);
  const parts = rows.flatMap((row) =>
    columns.map((column) => mul(pixel(row.at, column.at), mul(row.weight, column.weight))),
  );
  const inside = binary('and', near(y, height), near(x, width));
  const value = join(parts);
  return select(inside, value, constant(value.dtype, 0));
}

/** The same sample of doubles: `image` is row-major, `height` × `width`. */
export function samplePlain(size: ImageSize, image: Float64Array, y: number, x: number): number {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  let sum = 0;
  for (const [dy, dx] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const) {
    const [row, column] = [top + dy, left + dx];
    if (row < 0 || row >= size.height || column < 0 || column >= size.width) continue;
    const weight = (1 - Math.abs(y - row)) * (1 - Math.abs(x - column));
    sum += weight * (image[row * size.width + column] as number);
  }
  return sum;
}
