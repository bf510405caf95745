/**
 * How much room what a loop carries gets. Most tensors grow by so much per iteration, which the body says
 * when it is imported for the sizes at the begin: that times the iterations. Where bodies with this room
 * add more, in order:
 *
 * - rooms are widened: one tensor may be a copy of another;
 * - a few iterations are followed one by one;
 * - what grows by the size of another gets what is added at that one's largest, times the iterations;
 * - an axis that nothing bounds so, or with more than a tensor is assumed to take (doubling, say), is planned
 *   at the bound that is asked for it or assumed. Every iteration checks that it stays below.
 */
import { at, fail, HoneError } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { ASSUMED_BYTES, type BoundSource } from '../bounded/bounds.ts';
import { plannedTrips, type Trips } from '../bounded/growth.ts';
import { type Int, isKnown, leastOf, mostOf } from '../bounded/ints.ts';
import { holdsRows, rowsOfEach } from '../sequences/forms.ts';
import { type Body, bodyWith, type GrowingLoop, type OpenAxis, roomOf } from './body.ts';

/** More iterations than this are not planned. */
const MAX_TRIPS = 2 ** 20;
/** Axes may turn out to change only once others do. */
const MAX_ROUNDS = 8;
/** Room of one value may be copied to another; what needs more rounds than this grows on. */
const MAX_WIDENINGS = 4;
/** So many iterations are followed one by one. */
const MAX_FOLLOWED = 12;
/** How often what an iteration adds is looked at again where the room of others has grown. */
const MAX_UPDATES = 3;

/** The axes that change with room for all iterations, and the body for that. */
export interface Planned {
  readonly axes: readonly PlannedAxis[];
  readonly body: Body;
  readonly trips: Trips;
}

export interface PlannedAxis extends OpenAxis {
  readonly origin: BoundSource['origin'];
  /** Has it a bound of its own, not that of the iterations? */
  readonly isOwn: boolean;
}

/** An axis while its room is looked for. */
interface Sought extends OpenAxis {
  /** The room at the begin. */
  readonly begin: number;
  /** What an iteration adds at most. */
  readonly growth: number;
  /** How often that was looked at again. */
  readonly updates: number;
  /** Where a bound comes from that is not what iterations add. */
  readonly cap?: BoundSource['origin'];
}

/** `names`: of the carried tensors, and of what is stacked. `mayAssume`: where nothing bounds an axis. */
export function planned(loop: GrowingLoop, names: readonly string[], mayAssume: boolean): Planned {
  const { given } = loop;
  const first = stableAxes(loop);
  let axes = first.axes.map((axis): Sought => {
    const after = sizeOf(first.body, axis);
    const growth = Math.max(0, mostOf(after) - axis.bound);
    const made = { ...axis, begin: axis.bound, growth, updates: 0 };
    // What is asked for says how often a loop runs if each iteration adds as much.
    const limit = growth > leastOf(after) ? askedFor(loop, names, axis) : undefined;
    return limit === undefined
      ? made
      : { ...made, bound: Math.max(axis.bound, limit), cap: 'asked' };
  });
  axes.forEach((axis, i) => {
    if (axis.cap !== undefined) axes = withAxis(loop, axes, i, axis);
  });
  let isFollowed = false;
  // Every turn settles an axis, or looks at one again.
  for (let turn = 0; turn <= axes.length * (MAX_UPDATES + 1); turn++) {
    const trips = tripsOf(loop, names, first.body, axes);
    const found = widened(
      loop,
      axes.map((axis) => grown(axis, trips.most)),
    );
    if (found.body !== undefined)
      return { body: found.body, trips, axes: found.axes.map(plainly(trips)) };
    axes = [...found.axes];
    if (!isFollowed && given <= MAX_FOLLOWED) {
      isFollowed = true;
      const followed = followedAxes(loop, axes);
      if (followed !== undefined) {
        axes = [...followed];
        continue;
      }
    }
    const { place, isMultiplied } = worst(loop, axes, found.unsettled);
    const axis = at(axes, place);
    const adds = !isMultiplied && trips.origin !== 'assumed';
    const update = adds ? updated(loop, axes, axis, trips.most) : undefined;
    if (update === undefined && !mayAssume) failIrregular(loop.name, axis);
    axes =
      update === undefined ? capped(loop, names, axes, place) : withAxis(loop, axes, place, update);
  }
  return failIrregular(loop.name, at(axes, 0));
}

/** The axes with another in the place of one, and of those that have the same extent. */
function withAxis(
  { forms }: GrowingLoop,
  axes: readonly Sought[],
  place: number,
  made: Sought,
): Sought[] {
  const rows = rowsOfEach(forms);
  const { value, axis } = at(axes, place);
  return axes.map((own) => {
    const isRows = axis === 0 && own.axis === 0 && rows[own.value] === rows[value];
    const isSame = own.value === value && own.axis === axis;
    return isSame || isRows ? { ...made, value: own.value, axis: own.axis } : own;
  });
}

/** How often the loop is planned to run, by what axes grow that have no bound of their own. */
function tripsOf(
  { scope: { builder, state }, start, given }: GrowingLoop,
  names: readonly string[],
  { builder: inside, rows }: Body,
  axes: readonly Sought[],
): Trips {
  return plannedTrips(
    { names, bounds: state.bounds },
    start.map(({ id }) => builder.typeOf(id)),
    rows.map(({ id }) => inside.typeOf(id)),
    axes.map(({ begin, cap, growth, ...axis }) => ({
      ...axis,
      ...(cap === undefined ? { bound: begin, growth } : { growth: 0 }),
    })),
    given,
    MAX_TRIPS,
  );
}

const plainly =
  (trips: Trips) =>
  ({ value, axis, bound, cap }: Sought): PlannedAxis => ({
    ...{ value, axis, bound, origin: cap ?? trips.origin, isOwn: cap !== undefined },
  });

/** With room for what all iterations add. */
function grown(axis: Sought, most: number): Sought {
  if (axis.cap !== undefined) return axis;
  const { begin, growth } = axis;
  return { ...axis, bound: begin + (growth === 0 ? 0 : most * growth) };
}

interface Widened {
  readonly axes: readonly Sought[];
  /** The body for these rooms, where it stays in them. */
  readonly body?: Body;
  /** The places of the axes that do not. */
  readonly unsettled: readonly number[];
}

/** Rooms wide enough for what others copy into them. */
function widened(loop: GrowingLoop, from: readonly Sought[]): Widened {
  let axes = from;
  let unsettled: readonly number[] = [];
  for (let round = 0; round < MAX_WIDENINGS; round++) {
    const body = bodyIfSmall(loop, axes);
    if (body === undefined) {
      const growing = axes.flatMap(({ bound, begin, cap }, i) =>
        bound > begin && cap === undefined ? [i] : [],
      );
      return { axes: unwidened(axes, from), unsettled: growing };
    }
    const more = newAxes(body, loop, axes).map(
      (axis): Sought => ({
        ...axis,
        bound: reached(body, axis),
        begin: axis.bound,
        growth: 0,
        updates: 0,
      }),
    );
    const least = axes.map((axis) =>
      axis.cap === undefined ? reached(body, axis) - axis.growth : axis.bound,
    );
    unsettled = axes.flatMap(({ bound }, i) => (bound < at(least, i) ? [i] : []));
    if (more.length === 0 && unsettled.length === 0) return { axes, body, unsettled };
    axes = [
      ...axes.map((axis, i) => ({ ...axis, bound: Math.max(axis.bound, at(least, i)) })),
      ...more,
    ];
  }
  const last = unsettled.length > 0 ? unsettled : [axes.length - 1];
  return { axes: unwidened(axes, from), unsettled: last };
}

/** Rooms as they were: what they became may follow from one that grows on. */
function unwidened(axes: readonly Sought[], from: readonly Sought[]): readonly Sought[] {
  return axes.map((axis, i) => ({ ...axis, bound: from[i]?.bound ?? axis.begin }));
}

/** The body; undefined where no tensor can be as large as one of it would be. */
function bodyIfSmall(loop: GrowingLoop, axes: readonly Sought[]): Body | undefined {
  try {
    return bodyWith(loop, axes);
  } catch (error) {
    const isSize = error instanceof HoneError && error.code.startsWith('HONE-SHAPE');
    // For the rooms at the begin, and for bounds of their own, it has to be possible.
    const isOpen = axes.some(({ bound, begin, cap }) => bound > begin && cap === undefined);
    if (isSize && isOpen) return undefined;
    throw error;
  }
}

/** The rooms after so many iterations, one by one; undefined where they are too large. */
function followedAxes(loop: GrowingLoop, axes: readonly Sought[]): readonly Sought[] | undefined {
  let rooms: readonly Sought[] = axes.map(({ cap: _, ...axis }) => ({
    ...axis,
    bound: axis.begin,
  }));
  for (let t = 0; t < loop.given; t++) {
    const body = bodyIfSmall(loop, rooms);
    if (body === undefined) return undefined;
    rooms = rooms.map((axis) => ({ ...axis, bound: Math.max(axis.bound, reached(body, axis)) }));
    if (!isModest(loop, rooms)) return undefined;
  }
  return rooms.map((axis) => ({ ...axis, cap: '' }));
}

/** Does no tensor take more than one is assumed to? */
function isModest({ scope, start }: GrowingLoop, axes: readonly OpenAxis[]): boolean {
  return start.every((value, k) => {
    if (!axes.some((axis) => axis.value === k)) return true;
    const { dtype } = scope.builder.typeOf(value.id);
    return elementCount(roomOf(value, k, axes)) * dtypeBytes(dtype) <= ASSUMED_BYTES;
  });
}

/**
 * Of the axes that are not settled the one that adds most to itself: others may follow from it.
 * `isMultiplied`: a larger one makes it grow faster.
 */
function worst(
  loop: GrowingLoop,
  axes: readonly Sought[],
  unsettled: readonly number[],
): { readonly place: number; readonly isMultiplied: boolean } {
  const begin = axes.map((axis) => ({ ...axis, bound: axis.begin }));
  const before = bodyWith(loop, begin);
  let [place = 0] = unsettled;
  let most = 0;
  for (const own of unsettled) {
    const axis = at(begin, own);
    const more = withAxis(loop, begin, own, { ...axis, bound: axis.bound + 1 });
    const added = reached(bodyWith(loop, more), axis) - reached(before, axis);
    if (added <= most) continue;
    place = own;
    most = added;
  }
  // What only others feed goes round: it is not bounded by adding.
  return { place, isMultiplied: most !== 1 };
}

/** With what an iteration adds for the room that others have now; undefined where that is no bound. */
function updated(
  loop: GrowingLoop,
  axes: readonly Sought[],
  axis: Sought,
  most: number,
): Sought | undefined {
  if (axis.updates >= MAX_UPDATES || !Number.isFinite(most)) return undefined;
  const body = bodyIfSmall(loop, axes);
  if (body === undefined) return undefined;
  const growth = Math.max(axis.growth, reached(body, axis) - axis.bound);
  const made = grown({ ...axis, growth, updates: axis.updates + 1 }, most);
  return isModest(loop, [made]) ? made : undefined;
}

/** With an axis at the bound that is asked for or assumed. */
function capped(
  loop: GrowingLoop,
  names: readonly string[],
  axes: readonly Sought[],
  place: number,
): Sought[] {
  const { scope, start } = loop;
  const { value } = at(axes, place);
  const { bounds } = scope.state;
  const { id, sizes } = at(start, value);
  const asked = (axis: number): number | undefined => askedFor(loop, names, { value, axis });
  const isCapped = (axis: Sought, i: number): boolean =>
    axis.value === value && (i === place || axis.cap !== undefined);
  const extents = (cap: number): readonly number[] =>
    sizes.map((size, axis) => {
      const i = axes.findIndex((open) => open.value === value && open.axis === axis);
      const own = axes[i];
      if (own === undefined) return mostOf(size);
      if (!isCapped(own, i)) return own.bound;
      return Math.max(own.begin, asked(axis) ?? own.begin + cap);
    });
  const isFree = axes.some((axis, i) => isCapped(axis, i) && asked(axis.axis) === undefined);
  const { dtype } = scope.builder.typeOf(id);
  const room = isFree ? bounds.assumed(extents, dtypeBytes(dtype)) : extents(0);
  return axes.reduce<Sought[]>(
    (all, axis, i) => {
      if (!isCapped(axis, i)) return all;
      const cap = asked(axis.axis) === undefined ? 'assumed' : 'asked';
      return withAxis(loop, all, i, { ...axis, bound: at(room, axis.axis), cap });
    },
    [...axes],
  );
}

/** The bound of an axis that is asked for. */
function askedFor(
  { scope, start }: GrowingLoop,
  names: readonly string[],
  { value, axis }: Pick<OpenAxis, 'value' | 'axis'>,
): number | undefined {
  const name = names[value] ?? '';
  if (name === '') return undefined;
  return scope.state.bounds.size(name, axis, at(start, value).sizes.length)?.max;
}

function sizeOf({ carried }: Body, { value, axis }: OpenAxis): Int {
  return at(at(carried, value).sizes, axis);
}

/** Where an iteration ends up, at most, that began with all the room there is. */
const reached = (body: Body, axis: OpenAxis): number => mostOf(sizeOf(body, axis));

/** The axes that change, with room for how they begin. */
function stableAxes(loop: GrowingLoop): {
  readonly axes: readonly OpenAxis[];
  readonly body: Body;
} {
  const rows = loop.forms.flatMap(holdsRows);
  let axes: readonly OpenAxis[] = loop.start.flatMap(({ sizes }, value) =>
    sizes.flatMap((size, axis) =>
      isKnown(size) || (axis > 0 && at(rows, value)) ? [] : [{ value, axis, bound: size.max }],
    ),
  );
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const body = bodyWith(loop, axes);
    const more = newAxes(body, loop, axes);
    if (more.length === 0) return { axes, body };
    axes = [...axes, ...more];
  }
  return failIrregular(loop.name, at(axes, 0));
}

/** Axes taken as fixed that an iteration changes. */
function newAxes(
  { carried }: Body,
  { start, forms }: GrowingLoop,
  axes: readonly OpenAxis[],
): readonly OpenAxis[] {
  const rows = forms.flatMap(holdsRows);
  return start.flatMap(({ sizes }, value) =>
    sizes.flatMap((size, axis) => {
      if (axes.some((open) => open.value === value && open.axis === axis)) return [];
      const after = at(at(carried, value).sizes, axis);
      const isRoom = axis > 0 && at(rows, value);
      if (isRoom ? mostOf(after) === mostOf(size) : after === size) return [];
      return [{ value, axis, bound: mostOf(size) }];
    }),
  );
}

function failIrregular(name: string, { value, axis }: OpenAxis): never {
  return fail(
    'HONE-SHAPE-002',
    `node ${name} (Loop): carried value ${value} grows along axis ${axis} in a way that nothing bounds`,
    name,
    'export the model with a cache of fixed size, or with the loop outside of it',
  );
}
