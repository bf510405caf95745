/**
 * Convolutions in groups whose channels are of unknown number: room lies behind the channels of each group,
 * so that those of a group stay together.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { Parts } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { boundsOf, type Sized } from './sized.ts';

/** An axis as groups and the first `each` channels of every one. */
function apart(use: Use, x: Sized, axis: number, groups: number, each: Int): Sized {
  const own = use.ints.div(sizeAt(x, axis), groups);
  const split = new Parts(use).reshape(x, x.sizes.toSpliced(axis, 1, groups, own));
  return use.s.first(split, axis + 1, each);
}

/** Such an axis as one that has the room of every group, as if all of it were meant. */
function together(use: Use, x: Sized, axis: number): Sized {
  const room = boundsOf(x.sizes);
  const all = at(room, axis) * at(room, axis + 1);
  const id = use.s.reshape(x.id, room.toSpliced(axis, 2, all));
  return { id, sizes: x.sizes.toSpliced(axis, 2, all) };
}

/** Of two extents that are the same number, the one that says more. */
const closer = (a: Int, b: Int): Int => (isKnown(a) || (!isKnown(b) && a.max <= b.max) ? a : b);

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a * b) / divisor(a, b);
}

/**
 * Takes a rule for known channels to groups with room. Axis 0 of the weights has the channels of all groups,
 * axis 1 those of one: `read` says which of them are the input's. `fill`: what the input's padding is.
 */
export const inGroups =
  (rule: Rule, read: 0 | 1, fill: (use: Use) => ValueId): Rule =>
  (use) => {
    const { s, ints } = use;
    const groups = intOf(use, 'group', 1);
    // Channels that share a group, and offsets where there are any, are one part.
    const all = leastCommonMultiple(groups, intOf(use, 'offset_group', 1));
    const [x, w] = [given(use, 0), given(use, 1)];
    const channels = [sizeAt(x, 1), sizeAt(w, 0), sizeAt(w, 1)];
    if (all === 1 || channels.every(isKnown)) return rule(use);
    const splits = read === 0 ? ([all, 1] as const) : ([groups, all / groups] as const);
    const each = splits.map((parts, axis) => ints.div(sizeAt(w, axis), parts));
    const taken = closer(ints.div(sizeAt(x, 1), all), at(each, read));
    const made = at(each, 1 - read);
    const sizes = read === 0 ? [taken, made] : [made, taken];
    const data = s.maskedWith(apart(use, x, 1, all, taken), fill(use), [2]);
    // Room that is summed is nothing in both; what it makes is cut off.
    const split = splits.reduce(
      (y: Sized, parts, axis) => apart(use, y, 2 * axis, parts, at(sizes, axis)),
      w,
    );
    const weights = s.isReal(w) ? s.masked(split, 0, [2 * read + 1]) : split;
    const perChannel = (y: Sized): Sized => {
      const [size = 1] = y.sizes;
      const isSame = y.sizes.length !== 1 || size === 1 || (isKnown(size) && isKnown(made));
      return isSame ? y : together(use, apart(use, y, 0, groups, made), 0);
    };
    const inputs = [
      together(use, data, 1),
      together(use, together(use, weights, 2), 0),
      ...use.inputs.slice(2).map((y) => (y === null ? null : perChannel(y))),
    ];
    const [y] = rule({ ...use, inputs });
    if (y === undefined) return [];
    if (isKnown(made)) return [y];
    const room = boundsOf(y.sizes).toSpliced(1, 1, groups, mostOf(made));
    const shown = { id: s.reshape(y.id, room), sizes: y.sizes.toSpliced(1, 1, groups, made) };
    const total = read === 0 ? ints.mul(made, groups) : sizeAt(w, 0);
    return [new Parts(use).reshape(shown, y.sizes.with(1, total))];
  };
