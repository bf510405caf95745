/**
 * Constants of two values that part at a diagonal, as causal masks do: which diagonal it is may follow the
 * extents, as with a cache in front of the keys.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { type Int, mostOf } from './ints.ts';
import { areEnough, fitted, type Probe, type Probing, valueIn } from './probe.ts';
import type { Use } from './rule.ts';
import type { Sized } from './sized.ts';

export interface Band {
  readonly sizes: readonly Int[];
  /** Columns up to the row's number and this hold `near`, those behind `far`. */
  readonly last: Int;
  readonly near: number;
  readonly far: number;
}

/** The band that all of them are; undefined where they are none, or always the same begin of one. */
export function bandOf(
  probing: Probing,
  probes: readonly Probe[],
  tensors: readonly Tensor[],
  sizes: readonly Int[],
): Band | undefined {
  if (sizes.length < 2 || !sizes.slice(0, -2).every((size) => size === 1)) return undefined;
  const numbers = tensors.map((tensor) => toNumbers(tensor));
  const near = at(numbers, 0)[0];
  const far = numbers.flatMap((list) => list.find((value) => !Object.is(value, near)) ?? [])[0];
  if (near === undefined || far === undefined) return undefined;
  const shapes = tensors.map(({ shape }) => shape.slice(-2) as [number, number]);
  const lasts = numbers.map((list, k) => lastColumn(list, at(shapes, k)[1], far));
  const parted = [...lasts.keys()].filter((k) => lasts[k] !== undefined);
  const seen = parted.map((k) => at(probes, k));
  if (!areEnough(probing, seen)) return undefined;
  const last = fitted(
    probing,
    seen,
    parted.map((k) => lasts[k] ?? 0),
  );
  if (last === undefined || typeof last === 'number') return undefined;
  const isBand = numbers.every((list, k) => {
    const limit = valueIn(probing.ints, last, at(probes, k));
    const columns = at(shapes, k)[1];
    return list.every((value, p) =>
      Object.is(value, (p % columns) - Math.floor(p / columns) > limit ? far : near),
    );
  });
  return isBand ? { sizes, last, near, far } : undefined;
}

/** The column of row 0 behind which all is far; undefined where nothing is. */
function lastColumn(list: Float64Array, columns: number, far: number): number | undefined {
  let least: number | undefined;
  list.forEach((value, p) => {
    if (!Object.is(value, far)) return;
    const column = (p % columns) - Math.floor(p / columns) - 1;
    if (least === undefined || column < least) least = column;
  });
  return least;
}

export function bandMade(use: Use, { sizes, last, near, far }: Band, dtype: DType): Sized {
  const { s, ints } = use;
  const rank = sizes.length;
  const [rows, columns] = [rank - 2, rank - 1].map((axis) =>
    s.iota(mostOf(at(sizes, axis)), rank, axis),
  ) as [number, number];
  const isFar = s.b.op('Greater', [s.b.op('Sub', [columns, rows]), ints.id(last)]);
  const id = s.b.op('Where', [isFar, s.number(far, dtype), s.number(near, dtype)]);
  return s.made(id, sizes);
}
