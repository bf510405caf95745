/**
 * Addresses: from a logical index of a view to a flat position in its buffer's memory.
 *
 * This is the only place that knows how layouts lie in memory. Strides are derived from the
 * buffer, so a view of a region costs nothing but an offset.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount, stridesOf } from 'hone-runtime/base/tensor';
import { binary, iadd, imul, index } from '../expr/build.ts';
import type { Expr } from '../expr/types.ts';
import type { Buffer, View } from '../stages/types.ts';

/** Extents as they lie in memory, outermost first. */
export function physicalShape(buffer: Buffer): readonly number[] {
  const { block, halo } = buffer.layout;
  if (block === 1 && halo.every((width) => width === 0)) return buffer.shape;
  const [n, c, h, w] = buffer.shape;
  invariant(
    n !== undefined && c !== undefined && h !== undefined && w !== undefined,
    `buffer ${buffer.name}: only rank 4 has blocks or halos`,
  );
  const rows = h + halo[0] + halo[2];
  const columns = w + halo[1] + halo[3];
  if (block === 1) return [n, c, rows, columns];
  return [n, Math.ceil(c / block), rows, columns, block];
}

/** Bytes of memory a buffer takes, halos and padded lanes included. */
export function bufferBytes(buffer: Buffer): number {
  return elementCount(physicalShape(buffer)) * dtypeBytes(buffer.dtype);
}

export function hasHalo(buffer: Buffer): boolean {
  return buffer.layout.halo.some((width) => width > 0);
}

/**
 * Do elements lie in row-major order? Also true for blocked [n, c, 1, 1] of whole blocks, which
 * has the same bytes.
 */
export function isPlain(buffer: Buffer): boolean {
  if (hasHalo(buffer)) return false;
  const { block } = buffer.layout;
  const [, c, h, w] = buffer.shape;
  return block === 1 || ((c ?? 0) % block === 0 && h === 1 && w === 1);
}

/** The flat position of `logical` (one expression per dimension of the view). */
export function addressOf(buffer: Buffer, view: View, logical: readonly Expr[]): Expr {
  if (view.offset === undefined && isPlain(buffer)) {
    return dot(logical, stridesOf(view.shape));
  }
  const position = inBuffer(buffer, view, logical);
  if (isPlain(buffer)) return dot(position, stridesOf(buffer.shape));
  const { block, halo } = buffer.layout;
  const strides = stridesOf(physicalShape(buffer));
  const [n, c, h, w] = [at(position, 0), at(position, 1), at(position, 2), at(position, 3)];
  const row = iadd(h, halo[0]);
  const column = iadd(w, halo[1]);
  if (block === 1) return dot([n, c, row, column], strides);
  const outer = binary('floordiv', c, index(block));
  const lane = binary('mod', c, index(block));
  return dot([n, outer, row, column, lane], strides);
}

/** The index in the buffer's own shape. */
function inBuffer(buffer: Buffer, view: View, logical: readonly Expr[]): readonly Expr[] {
  const { offset } = view;
  if (offset !== undefined) return logical.map((expr, i) => iadd(expr, at(offset, i)));
  if (view.shape.length === buffer.shape.length) return logical;
  // A reshaped view of a laid-out buffer: go through the row-major position.
  const linear = dot(logical, stridesOf(view.shape));
  const strides = stridesOf(buffer.shape);
  return buffer.shape.map((extent, i) =>
    binary(
      'mod',
      binary('floordiv', linear, index(Math.max(1, at(strides, i)))),
      index(Math.max(1, extent)),
    ),
  );
}

function dot(position: readonly Expr[], strides: readonly number[]): Expr {
  return position.reduce((sum, expr, i) => iadd(sum, imul(expr, at(strides, i))), index(0));
}
