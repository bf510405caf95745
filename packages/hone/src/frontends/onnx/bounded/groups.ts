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

const roomy = (x: Sized, axis: number): Sized => ({
  ...x,
  sizes: x.sizes.with(axis, mostOf(sizeAt(x, axis))),
});

/** Of two extents that are the same number, the one that says more. */
const closer = (a: Int, b: Int): Int => (isKnown(a) || (!isKnown(b) && a.max <= b.max) ? a : b);

/**
 * Takes a rule for known channels to groups with room. Axis 0 of the weights has the channels of all groups,
 * axis 1 those of one: `read` says which of them are the input's. `fill`: what the input's padding is.
 */
export const inGroups =
  (rule: Rule, read: 0 | 1, fill: (use: Use) => ValueId): Rule =>
  (use) => {
    const { s, ints } = use;
    const groups = intOf(use, 'group', 1);
    const [x, w] = [given(use, 0), given(use, 1)];
    const channels = [sizeAt(x, 1), sizeAt(w, 0), sizeAt(w, 1)];
    if (groups === 1 || channels.every(isKnown)) return rule(use);
    const each = [ints.div(sizeAt(w, 0), groups), sizeAt(w, 1)] as const;
    const taken = closer(ints.div(sizeAt(x, 1), groups), each[read]);
    const made = each[1 - read] ?? 1;
    const data = s.maskedWith(apart(use, x, 1, groups, taken), fill(use), [2]);
    // Room that is summed is nothing in both; what it makes is cut off.
    const sizes = read === 0 ? [taken, made] : [made, taken];
    const split = s.first(apart(use, w, 0, groups, at(sizes, 0)), 2, at(sizes, 1));
    const weights = s.isReal(w) ? s.masked(split, 0, [read + 1]) : split;
    const perChannel = (y: Sized): Sized => {
      const [size = 1] = y.sizes;
      const isSame = size === 1 || (isKnown(size) && isKnown(made));
      return isSame ? y : together(use, apart(use, y, 0, groups, made), 0);
    };
    const inputs = [
      together(use, data, 1),
      roomy(together(use, weights, 0), 1),
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
