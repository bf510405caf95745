/**
 * Delta debugging: the parts of a list that cannot be left out. Asks about ever smaller pieces, first
 * whether one alone is enough, then whether it can go.
 */

/** Whether what is left still fails. */
export type StillFails<T> = (items: readonly T[]) => Promise<boolean>;

/**
 * A sublist, in the same order, that fails and of which no single item can be removed. `items` itself must
 * fail, and what is empty is never asked about. `isOver`: stop, and give the smallest found so far.
 */
export async function shrinkList<T>(
  items: readonly T[],
  stillFails: StillFails<T>,
  isOver: () => boolean = () => false,
): Promise<readonly T[]> {
  let left = items;
  let pieces = 2;
  while (left.length > 1 && !isOver()) {
    const smaller = await removePiece(left, pieces, stillFails, isOver);
    if (smaller !== undefined) {
      pieces = smaller.isPieceAlone ? 2 : Math.max(2, pieces - 1);
      left = smaller.items;
    } else if (pieces >= left.length) break;
    else pieces = Math.min(left.length, pieces * 2);
  }
  return left;
}

async function removePiece<T>(
  items: readonly T[],
  pieces: number,
  stillFails: StillFails<T>,
  isOver: () => boolean,
): Promise<{ readonly items: readonly T[]; readonly isPieceAlone: boolean } | undefined> {
  const edge = (i: number): number => Math.floor((i * items.length) / pieces);
  const cuts = Array.from({ length: pieces }, (_unused, i) => [edge(i), edge(i + 1)] as const);
  for (const isPieceAlone of [true, false]) {
    // With two pieces, one alone is the other removed.
    if (!isPieceAlone && pieces === 2) continue;
    for (const [from, to] of cuts) {
      if (isOver()) return undefined;
      const part = isPieceAlone
        ? items.slice(from, to)
        : [...items.slice(0, from), ...items.slice(to)];
      if (part.length > 0 && part.length < items.length && (await stillFails(part))) {
        return { items: part, isPieceAlone };
      }
    }
  }
  return undefined;
}
