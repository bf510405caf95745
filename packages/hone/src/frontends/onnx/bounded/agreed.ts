/** Extents that an operator wants to be equal, and tensors whose room counts as meant for a while. */
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, isSame, mostOf } from './ints.ts';
import type { Use } from './rule.ts';
import { boundsOf, type Sized } from './sized.ts';

/** The extent that all of them are; the run is an error where they differ. `what` they are, in that error. */
export function agreed({ s, ints }: Use, sizes: readonly Int[], what: string): Int {
  const chosen = sizes.find(isKnown) ?? [...sizes].sort((a, b) => mostOf(a) - mostOf(b))[0] ?? 1;
  const [tensor = ''] = s.plan.names;
  for (const size of sizes) {
    if (isSame(size, chosen)) continue;
    const source = { tensor, axis: -1, origin: '', option: '' } as const;
    s.checked(ints.sub(size, chosen), { min: 0, max: 0 }, source, `${s.node}: ${what} differ`);
  }
  return chosen;
}

/**
 * The tensor as if all of its room were meant (along these axes): for what is computed apart for every
 * index, so that room gives room.
 */
export function opened(x: Sized, axes?: readonly number[]): Sized {
  const bounds = boundsOf(x.sizes);
  const sizes = x.sizes.map(
    (size, axis): Int => (axes === undefined || axes.includes(axis) ? (bounds[axis] ?? 0) : size),
  );
  return { id: x.id, sizes };
}

/** 1 / √ of an extent, f32. */
export function rootOf({ s, ints }: Use, size: Int): ValueId {
  const root = s.op('Sqrt', [s.cast(ints.id(size), 'f32')]);
  return s.op('Reciprocal', [root]);
}

/** Columns of heads at the bound, each head with zeros behind it. */
export function apart({ s }: Use, x: Sized, heads: number, size: Int): Sized {
  if (isKnown(size)) return s.first(x, 2, heads * size);
  const [batch = 1, tokens = 1] = x.sizes;
  const moved = s.masked(s.reshaped(x, [batch, tokens, heads, size]), 0, [3]);
  const columns = heads * mostOf(size);
  const id = s.reshape(moved.id, [mostOf(batch), mostOf(tokens), columns]);
  return { id, sizes: [batch, tokens, columns] };
}
