/**
 * Loops whose carried tensors change their sizes: caches that grow by a row per iteration, selections
 * that shrink. Each such tensor gets room for the largest it can become, and its extents are carried
 * beside it.
 *
 * The room is found by importing the body with room for the sizes at the begin: what an iteration adds,
 * times the iterations there can be. The body with that room must add no more; sizes beyond it, which
 * only an irregular body can make, are a fault of the run.
 *
 * Sequences and optionals are carried as the tensors that hold them (`sequences/forms.ts`): one that the
 * body makes longer has a row for each element there can be.
 */
import { at, fail, HoneError } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../../ops/builder.ts';
import { isTensorEntity, numbersOf, sizedOf } from './bounded/index.ts';
import type { BoundSource } from './bounded/bounds.ts';
import { plannedTrips, type Trips } from './bounded/growth.ts';
import { type Int, isKnown, mostOf, unknown } from './bounded/ints.ts';
import { boundsOf, type Sized, Sizing } from './bounded/sized.ts';
import { type Entity, tensorOf } from './entities.ts';
import {
  failUndecided,
  type ImportGraph,
  importSubgraphs,
  type Subgraphs,
} from './import-control.ts';
import type { Scope } from './import-scope.ts';
import {
  decode,
  encode,
  type Form,
  formOf,
  holdsRows,
  isSameForm,
  joined,
  namesOf,
  withRows,
} from './sequences/forms.ts';
import type { OnnxNode } from './types.ts';

/** More iterations than this are not planned. */
const MAX_TRIPS = 2 ** 20;
/** Axes may turn out to change only once others do. */
const MAX_ROUNDS = 8;
/** Room of one value may be copied to another; what needs more rounds than this grows without end. */
const MAX_WIDENINGS = 4;

/** An axis of a carried value whose extent changes, and the room along it. */
interface OpenAxis {
  readonly value: number;
  readonly axis: number;
  readonly bound: number;
}

interface Body {
  readonly builder: OpBuilder;
  readonly again: ValueId;
  readonly carried: readonly Sized[];
  readonly rows: readonly Sized[];
  readonly captures: readonly ValueId[];
}

interface Loop {
  readonly scope: Scope;
  readonly node: OnnxNode;
  readonly name: string;
  /** How what is carried is kept, value by value. */
  readonly forms: readonly Form[];
  /** The tensors it begins with. */
  readonly start: readonly Sized[];
  readonly importGraph: ImportGraph;
}

/** A body gives what it carries in another form than it takes it. */
class OtherForms {
  readonly forms: readonly Form[];

  constructor(forms: readonly Form[]) {
    this.forms = forms;
  }
}

/** The outputs of the node; throws HONE-SHAPE-… where nothing bounds them. */
export function importGrowingLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
): readonly Entity[] {
  const { builder } = scope;
  const ints = numbersOf(builder);
  const sizing = new Sizing(builder, ints, name, 'Loop');
  const [trips, condition, ...carried] = inputs;
  const ends = [trips, condition].map((entity) =>
    entity == null ? null : tensorOf(entity, `node ${name} (Loop)`),
  );
  const [limit = Infinity] = ends[0] == null ? [] : (ints.elements(ends[0]) ?? []);
  const given = Math.max(0, mostOf(limit));
  const values = carried.map(
    (value) => value ?? failUndecided(node, name, 'carries a value that is absent'),
  );
  let forms = values.map((value) => withRow(formOf(builder, value)));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const start = values.flatMap((value, k) => encode(sizing, at(forms, k), value, true));
    const loop: Loop = { scope, node, name, forms, start, importGraph };
    try {
      return loopNode(loop, [ends[0] ?? null, ends[1] ?? null], planned(loop, given));
    } catch (error) {
      const next = error instanceof OtherForms ? error.forms : forms.map(withRows);
      // Elements that change their places have no extents of their own: rows may do.
      const isOther = next.some((form, k) => !isSameForm(form, at(forms, k)));
      if (!isOther || !isRetried(error)) throw error;
      forms = next.map(withRow);
    }
  }
  return failUndecided(node, name, 'carries a sequence that is another in every iteration');
}

const isRetried = (error: unknown): boolean =>
  error instanceof OtherForms ||
  (error instanceof HoneError && error.code.startsWith('HONE-SHAPE'));

/** A sequence of no element has no room to see how much is added: it gets a row. */
function withRow(form: Form): Form {
  return form.kind === 'stacked' ? { ...form, rows: Math.max(1, form.rows) } : form;
}

/** The axes that change with room for all iterations, and the body for that. */
interface Planned {
  readonly axes: readonly OpenAxis[];
  readonly body: Body;
  readonly trips: Trips;
}

function planned(loop: Loop, given: number): Planned {
  const { name, scope, start } = loop;
  const first = stableAxes(loop);
  const growth = first.axes.map((axis) => Math.max(0, reached(first.body, axis) - axis.bound));
  const trips = plannedTrips(
    { names: namesIn(loop), bounds: scope.state.bounds },
    start.map(({ id }) => scope.builder.typeOf(id)),
    first.body.rows.map(({ id }) => first.body.builder.typeOf(id)),
    first.axes.map((axis, i) => ({ ...axis, growth: at(growth, i) })),
    given,
    MAX_TRIPS,
  );
  const { most } = trips;
  let axes = first.axes.map((axis, i) => {
    const more = at(growth, i);
    return { ...axis, bound: axis.bound + (more === 0 ? 0 : most * more) };
  });
  // Room of one value may be room of another: what holds copies of a value that grows is seen to only now.
  for (let round = 0; round < MAX_WIDENINGS; round++) {
    const body = bodyWith(loop, axes);
    const more = newAxes(body, loop, axes).map((axis) => ({
      ...axis,
      bound: reached(body, axis),
    }));
    const least = axes.map((axis, i) => reached(body, axis) - (growth[i] ?? 0));
    if (more.length === 0 && axes.every(({ bound }, i) => bound >= at(least, i)))
      return { axes, body, trips };
    axes = [
      ...axes.map((axis, i) => ({ ...axis, bound: Math.max(axis.bound, at(least, i)) })),
      ...more,
    ];
  }
  return failIrregular(name, at(axes, 0));
}

/** What the tensors that a loop carries are called behind it, and what it stacks; empty: nothing. */
function namesIn({ scope, node, forms }: Loop): readonly string[] {
  const carried = forms.flatMap((form, k) => {
    const output = node.outputs[k] ?? '';
    return namesOf(form, output, scope).map((name) => (name === undefined ? '' : output));
  });
  return [...carried, ...node.outputs.slice(forms.length)];
}

/** What is said of the bounds of tensors that a loop gives: its carried ones, then what it stacks. */
function sources(
  loop: Loop,
  most: number,
  origin: Trips['origin'],
): (tensor: number, room: readonly number[]) => Omit<BoundSource, 'axis'> {
  const { node, name, forms, scope } = loop;
  const names = namesIn(loop);
  const values = forms.flatMap((form, k) => namesOf(form, '', scope).map(() => k));
  const [trips = ''] = node.inputs;
  return (tensor, room) => {
    const own = names[tensor] ?? '';
    if (own !== '') return { tensor: own, origin, option: `${own}=${room.join('x')}` };
    // Sequences have no size of their own to bound: the number of iterations has.
    const value = node.outputs[values[tensor] ?? tensor - values.length + forms.length] ?? '';
    const option = trips === '' ? '' : `${trips}=${most}`;
    return { tensor: value === '' ? name : value, origin, option };
  };
}

/** Where an iteration ends up, at most, that began with all the room there is. */
function reached({ carried }: Body, { value, axis }: OpenAxis): number {
  return mostOf(at(at(carried, value).sizes, axis));
}

/** The axes that change, with room for how they begin. */
function stableAxes(loop: Loop): { readonly axes: readonly OpenAxis[]; readonly body: Body } {
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
  { start, forms }: Loop,
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

/** The body imported for carried values with this room. */
function bodyWith(
  { scope, node, name, forms, start, importGraph }: Loop,
  axes: readonly OpenAxis[],
): Body {
  // A body that is imported again is to have the names it had.
  const names = new Set(scope.state.nodeNames);
  const formals = (builder: OpBuilder): readonly Entity[] => {
    const count = builder.graph.input('iteration', { dtype: 'i64', shape: [] });
    const goOn = builder.graph.input('condition', { dtype: 'bool', shape: [] });
    const tensors = start.map(({ id }, k) =>
      builder.graph.input(`carried ${k}`, {
        dtype: scope.builder.typeOf(id).dtype,
        shape: roomOf(at(start, k), k, axes),
      }),
    );
    const sizes = axes.map(({ value, axis, bound }) =>
      unknown(
        builder.graph.input(`size ${axis} of ${value}`, { dtype: 'i64', shape: [] }),
        0,
        bound,
      ),
    );
    const values = tensors.map((id, k): Sized => {
      const own = builder.typeOf(id).shape.map((extent, axis): Int => {
        const open = axes.findIndex((item) => item.value === k && item.axis === axis);
        return open < 0 ? extent : at(sizes, open);
      });
      return { id, sizes: own };
    });
    return [count, goOn, ...forms.map((form) => decode(form, values))];
  };
  const restore = (): void => {
    scope.state.nodeNames.clear();
    for (const taken of names) scope.state.nodeNames.add(taken);
  };
  let body: Omit<Body, 'captures'> | undefined;
  const read = (): Subgraphs =>
    importSubgraphs(scope, node, name, [], importGraph, {
      formals,
      onPart: ({ builder, outputs }) => {
        const [again, ...rest] = outputs;
        if (again === undefined || rest.length < forms.length)
          failUndecided(node, name, 'gives fewer values than it carries');
        const met = forms.map((form, k) => {
          const made = joined(form, formOf(builder, at(rest, k)));
          return (
            made ?? failUndecided(node, name, `makes another kind of value ${k} of what it carries`)
          );
        });
        if (!met.every((form, k) => isSameForm(form, at(forms, k)))) throw new OtherForms(met);
        const inside = new Sizing(builder, numbersOf(builder), name, 'Loop');
        const carried = forms.flatMap((form, k) => encode(inside, form, at(rest, k), true));
        const rows = rest
          .slice(forms.length)
          .map((entity) =>
            isTensorEntity(entity)
              ? sizedOf(builder, entity)
              : failUndecided(node, name, `stacks a ${entity.kind}`),
          );
        if (!rows.every(({ sizes }) => sizes.every(isKnown)))
          failUndecided(node, name, 'stacks a tensor whose size depends on data');
        body = { builder, again: tensorOf(again, `node ${name} (Loop)`), carried, rows };
      },
    });
  let captures: readonly ValueId[];
  try {
    ({ captures } = read());
  } finally {
    restore();
  }
  return { ...(body ?? failUndecided(node, name, 'is missing')), captures };
}

/** The shape of a carried value: fixed where it stays, else its room. */
function roomOf({ sizes }: Sized, value: number, axes: readonly OpenAxis[]): readonly number[] {
  return sizes.map((size, axis) => {
    const open = axes.find((item) => item.value === value && item.axis === axis);
    return open?.bound ?? mostOf(size);
  });
}

function loopNode(
  loop: Loop,
  [trips, condition]: readonly [ValueId | null, ValueId | null],
  { body, axes, trips: { most, origin } }: Planned,
): readonly Entity[] {
  const { scope, node, name, forms, start } = loop;
  const { builder } = scope;
  const sourceOf = sources(loop, most, origin);
  const ints = numbersOf(builder);
  const outside = new Sizing(builder, ints, name, 'Loop');
  const inside = new Sizing(body.builder, numbersOf(body.builder), name, 'Loop');
  const results = body.carried.map((value, k) => withRoom(inside, value, k, axes));
  const sizes = axes.map((open) => {
    const size = at(at(body.carried, open.value).sizes, open.axis);
    const room = roomOf(at(start, open.value), open.value, axes);
    const source = { ...sourceOf(open.value, room), axis: open.axis };
    const limit = { min: 0, max: open.bound };
    const own = isKnown(size) ? size : inside.checked(size, limit, source);
    return body.builder.op('Identity', [inside.ints.id(own)]);
  });
  const rows = body.rows.map(({ id }) => id);
  const graph = body.builder.graph.finish([body.again, ...results, ...sizes, ...rows]);
  const begins = start.map((value, k) => withRoom(outside, value, k, axes));
  const extents = axes.map(({ value, axis }) => ints.id(at(at(start, value).sizes, axis)));
  const inputs = [trips, condition, ...begins, ...extents, ...body.captures];
  const [row] = body.rows;
  const stack = row === undefined ? undefined : [most, ...boundsOf(row.sizes)];
  const said = stack === undefined || origin === '' ? {} : sourceOf(start.length, stack);
  const bound = stack === undefined ? {} : { bound: most, ...said };
  const attrs = { body: graph, captures: body.captures.length, ...bound };
  const count = begins.length + extents.length + rows.length;
  const outputNames = forms.flatMap((form, k) => namesOf(form, node.outputs[k] ?? '', scope));
  const options = { name, outputs: count + (rows.length > 0 ? 1 : 0), outputNames };
  const made = builder.ops('Loop', inputs, attrs, options);
  const carried = start.map(({ sizes: own }, k): Sized => {
    const after = own.map((size, axis): Int => {
      const open = axes.findIndex((item) => item.value === k && item.axis === axis);
      if (open < 0) return size;
      return unknown(at(made, begins.length + open), 0, at(axes, open).bound);
    });
    return { id: at(made, k), sizes: after };
  });
  const stacked = rows.map((_, k): Entity => {
    const id = at(made, begins.length + extents.length + k);
    const [, ...rest] = builder.typeOf(id).shape;
    const number = unknown(at(made, count), 0, most);
    return isKnown(number) ? id : { kind: 'bounded', id, sizes: [number, ...rest] };
  });
  return [...forms.map((form) => decode(form, carried)), ...stacked];
}

/** A carried value in its room: longer, or cut where interval analysis left more. */
function withRoom(
  s: Sizing,
  { id, sizes }: Sized,
  value: number,
  axes: readonly OpenAxis[],
): ValueId {
  return axes
    .filter((open) => open.value === value)
    .reduce((made, { axis, bound }) => {
      const have = mostOf(at(sizes, axis));
      if (have === bound) return made;
      return have < bound ? s.longer(made, axis, bound) : s.part(made, axis, 0, bound);
    }, id);
}
