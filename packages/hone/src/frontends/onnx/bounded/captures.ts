/**
 * Tensors with room that a kept sub-graph reads: they pass into it as they are, their extents beside
 * them, and stand for the same tensors there.
 */
import type { ValueId } from '../../../graph/types.ts';
import type { BoundedEntity } from '../entities.ts';
import { isKnown, type Unknown } from './ints.ts';

/** The values that have to be captured for tensors with room, by the names they get inside. */
export function roomCaptures(
  tensors: ReadonlyMap<string, BoundedEntity>,
): ReadonlyMap<string, ValueId> {
  const captures = new Map<string, ValueId>();
  const named = new Set<ValueId>();
  for (const [name, { id, sizes }] of tensors) {
    captures.set(name, id);
    for (const [axis, size] of sizes.entries()) {
      if (isKnown(size) || named.has(size.id)) continue;
      named.add(size.id);
      captures.set(`${name}.size${axis}`, size.id);
    }
  }
  return captures;
}

/** The tensors inside: `inner` has the sub-graph's inputs for what was captured. */
export function insideOf(
  tensors: ReadonlyMap<string, BoundedEntity>,
  inner: (outer: ValueId) => ValueId,
): ReadonlyMap<string, BoundedEntity> {
  const moved = ({ id, min, max }: Unknown): Unknown => ({ id: inner(id), min, max });
  return new Map(
    [...tensors].map(([name, { id, sizes }]) => [
      name,
      {
        kind: 'bounded',
        id: inner(id),
        sizes: sizes.map((size) => (isKnown(size) ? size : moved(size))),
      },
    ]),
  );
}
