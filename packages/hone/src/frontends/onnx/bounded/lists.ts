/**
 * Lists that say what happens along which axis, where their length or the axes in them depend on data. Where
 * the length decides how many axes a result has, the model has to say so: a Graph's ranks are fixed.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { BoundSource } from './bounds.ts';
import { type Int, isKnown, leastOf, mostOf } from './ints.ts';
import { given, intsOf, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** The numbers of a list; those from `count` on are anything. */
export interface OpenList {
  readonly items: readonly Int[];
  readonly count: Int;
}

export const lengthOf = (use: Use, k: number): Int => given(use, k).sizes[0] ?? 1;

/** The numbers of a list of at most so many; a run checks that. */
export function openList(use: Use, k: number, what: string, most: number): OpenList {
  const size = lengthOf(use, k);
  if (isKnown(size)) {
    const items = intsOf(use, k, what);
    return { items, count: items.length };
  }
  const count = use.s.checked(size, { min: 0, max: most }, source(use, k, 0), says(use, k, what));
  return { items: cutTo(use, k, what, count), count };
}

/** Checks that two lists have as many numbers. */
export function sameLength(use: Use, k: number, other: number): void {
  const apart = use.ints.sub(lengthOf(use, k), lengthOf(use, other));
  if (apart === 0) return;
  const text = `${use.reads[k] ?? use.s.node}: a list of another length than that of the axes`;
  use.s.checked(apart, { min: 0, max: 0 }, source(use, k, -1), text);
}

/** The numbers of a list that has to have so many; a run checks that. */
export function exactList(use: Use, k: number, what: string, length: number): readonly Int[] {
  const size = lengthOf(use, k);
  if (isKnown(size)) return intsOf(use, k, what);
  return cutTo(use, k, what, exactly(use, k, 0, size, length, what));
}

/** An extent of an input that has to be this one; a run checks that. */
export function exactly(
  use: Use,
  k: number,
  axis: number,
  size: Int,
  wanted: number,
  what: string,
): Int {
  if (leastOf(size) > wanted || mostOf(size) < wanted)
    fail(
      'HONE-SHAPE-001',
      `node ${use.s.node} (${use.op}): ${what} should be ${wanted} long, and is ${leastOf(size)} to ${mostOf(size)}`,
      use.s.node,
      'check the shapes that the model states for its values',
    );
  return use.s.checked(
    size,
    { min: wanted, max: wanted },
    source(use, k, axis),
    says(use, k, what),
  );
}

function cutTo(use: Use, k: number, what: string, count: Int): readonly Int[] {
  const list = use.s.first(given(use, k), 0, count);
  return use.ints.elements(list.id) ?? use.s.cannot(`${what} is no list of whole numbers`);
}

/** Axis -1: its values. */
function source(use: Use, k: number, axis: number): BoundSource {
  return { tensor: use.reads[k] ?? '', axis, origin: '', option: '' };
}

/** How errors call a list that has no name; undefined where it has one. */
function says(use: Use, k: number, what: string): string | undefined {
  return use.reads[k] ? undefined : `${use.s.node}: ${what}`;
}

/**
 * How many axes a result has: as the length of a list says, or as the model does where that is data.
 * `rankAt`: the rank for a length.
 */
export function rankBy(
  use: Use,
  k: number,
  what: string,
  rankAt: (length: number) => number,
): number {
  const size = lengthOf(use, k);
  const first = rankAt(leastOf(size));
  for (let length = leastOf(size) + 1; length <= mostOf(size); length++) {
    if (rankAt(length) !== first) return declaredRank(use, k, what);
  }
  return first;
}

/** The rank that the model states for the node's first output; without one, the node is refused. */
export function declaredRank(use: Use, k: number, what: string, axis = 0): number {
  const [declared] = use.ranks;
  if (declared !== undefined) return declared;
  const [output = 'its result'] = use.s.plan.names;
  const list = use.reads[k];
  const bound = list ? `, or give the length that is meant: --bound ${list}[${axis}]=N..N` : '';
  return use.s.cannot(
    `the rank of the result follows from ${what}, whose length is data`,
    `state a shape for ${output} in the model (its extents may be left open)${bound}`,
  );
}

/** The axes in a list, counted from the begin; -1 behind the end of the list. */
export function openAxes(use: Use, k: number, what: string, rank: number): readonly Int[] {
  const { s, ints } = use;
  const { items, count } = openList(use, k, what, rank);
  const limit = { min: -rank, max: rank - 1 };
  return items.map((item, i) => {
    const meant = ints.whereLess(i, count, item, 0);
    const axis = s.checked(meant, limit, source(use, k, -1), says(use, k, what));
    const counted = ints.whereLess(axis, 0, ints.add(axis, rank), axis);
    return ints.whereLess(i, count, counted, -1);
  });
}

/** 1 for every axis that is in a list of axes, else 0. */
export function flagsOf(use: Use, axes: readonly Int[], rank: number): readonly Int[] {
  const { ints } = use;
  return Array.from({ length: rank }, (_, axis) =>
    axes.reduce((flag: Int, item) => ints.whereEqual(item, axis, 1, flag), 0),
  );
}

/** The number that a list has for an axis, where another names the axes; `otherwise` where it is not named. */
export function itemFor(
  use: Use,
  axes: readonly Int[],
  axis: number,
  items: readonly Int[],
  otherwise: Int,
): Int {
  return axes.reduce(
    (found: Int, named, i) => use.ints.whereEqual(named, axis, items[i] ?? otherwise, found),
    otherwise,
  );
}

/** The number at a position that is data; `otherwise` where the list has none there. */
export function itemAt(use: Use, items: readonly Int[], place: Int, otherwise: Int): Int {
  return items.reduce(
    (found: Int, item, i) => use.ints.whereEqual(place, i, item, found),
    otherwise,
  );
}

/** Are all numbers of a list known, or is there none? */
export function isSettled(use: Use, k: number): boolean {
  const list = use.inputs[k];
  if (list == null) return true;
  return list.sizes.every(isKnown) && use.ints.elements(list.id)?.every(isKnown) === true;
}

/** For every axis, how many of those before it are flagged. */
function before(use: Use, flags: readonly Int[]): readonly Int[] {
  let sum: Int = 0;
  return flags.map((flag) => {
    const own = sum;
    sum = use.ints.add(sum, flag);
    return own;
  });
}

/** Checks that so many axes are flagged: less are where one is named twice. */
export function checkCount(
  use: Use,
  k: number,
  flags: readonly Int[],
  wanted: number,
  says?: string,
): void {
  const sum = flags.reduce((a, b) => use.ints.add(a, b), 0);
  const { node } = use.s;
  if (leastOf(sum) > wanted || mostOf(sum) < wanted)
    fail(
      'HONE-SHAPE-001',
      `node ${node} (${use.op}): ${wanted} axes are expected, and ${leastOf(sum)} to ${mostOf(sum)} are`,
      node,
      'check the shapes that the model states for its values',
    );
  const text = says ?? `${use.reads[k] ?? node}: ${wanted} different axes are expected`;
  use.s.checked(sum, { min: wanted, max: wanted }, source(use, k, -1), text);
}

/** Without the flagged axes, all of extent 1, of which there are so many that `rank` remain. */
export function withoutAxes(
  use: Use,
  k: number,
  x: Sized,
  flags: readonly Int[],
  rank: number,
): Sized {
  const { s, ints } = use;
  const dropped = x.sizes.length - rank;
  checkCount(use, k, flags, dropped);
  const gone = before(use, flags);
  const sizes = Array.from({ length: rank }, (_, axis): Int => {
    // Result axis i was axis i, or one of the next ones, as many as go.
    const candidates = Array.from({ length: dropped + 1 }, (_, i) => axis + i);
    return candidates.reduceRight(
      (found: Int, from) =>
        from === axis + dropped
          ? at(x.sizes, from)
          : ints.whereEqual(
              ints.add(at(gone, from), ints.mul(at(flags, from), rank + dropped)),
              from - axis,
              at(x.sizes, from),
              found,
            ),
      1,
    );
  });
  return s.reshaped(x, sizes);
}

/** With a new axis of extent 1 wherever one of as many flags as the result has axes is set. */
export function withAxes(use: Use, k: number, x: Sized, flags: readonly Int[]): Sized {
  const { s, ints } = use;
  const rank = x.sizes.length;
  checkCount(use, k, flags, flags.length - rank);
  const made = before(use, flags);
  const sizes = flags.map((flag, axis): Int => {
    const from = ints.sub(axis, at(made, axis));
    const first = Math.max(0, axis - (flags.length - rank));
    const own = x.sizes
      .map((size, i) => ({ size, i }))
      .filter(({ i }) => i >= first && i <= axis)
      .reduce<Int>((found, { size, i }) => ints.whereEqual(from, i, size, found), 1);
    return ints.whereEqual(flag, 1, 1, own);
  });
  return s.reshaped(x, sizes);
}
