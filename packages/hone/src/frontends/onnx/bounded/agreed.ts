/** Extents that an operator wants to be equal, and tensors whose room counts as meant for a while. */
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
