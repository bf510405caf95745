/**
 * Loops whose carried tensors change their sizes: caches that grow by a row per iteration, selections
 * that shrink. Each such tensor gets room for the largest it can become, and its extents are carried
 * beside it.
 *
 * The room is found by importing the body with room for the sizes at the begin: what an iteration adds,
 * times the iterations there can be. The body with that room must add no more; sizes beyond it, which
 * only an irregular body can make, are a fault of the run.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../../ops/builder.ts';
import { isTensorEntity, numbersOf, sizedOf, type TensorEntity } from './bounded/index.ts';
import { type Int, isKnown, mostOf, unknown } from './bounded/ints.ts';
import { type Sized, Sizing } from './bounded/sized.ts';
import type { Entity } from './entities.ts';
import { failUndecided, type ImportGraph, importSubgraphs } from './import-control.ts';
import { finalName, type Scope } from './import-scope.ts';
import type { OnnxNode } from './types.ts';

/** More iterations than this are not planned. */
const MAX_TRIPS = 2 ** 20;
/** Axes may turn out to change only once others do. */
const MAX_ROUNDS = 8;

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
  readonly start: readonly Sized[];
  readonly importGraph: ImportGraph;
}

/** The outputs of the node; throws HONE-SHAPE-… where nothing bounds them. */
export function importGrowingLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (TensorEntity | null)[],
  importGraph: ImportGraph,
): readonly Entity[] {
  const { builder } = scope;
  const [trips, condition, ...carried] = inputs.map((input) =>
    input === null ? null : sizedOf(builder, input),
  );
  const ints = numbersOf(builder);
  const [limit = Infinity] = trips == null ? [] : (ints.elements(trips.id) ?? []);
  const most = Math.max(0, mostOf(limit));
  if (most > MAX_TRIPS) {
    fail(
      'HONE-SHAPE-002',
      `node ${name} (Loop): what it carries changes its size, and nothing bounds how often`,
      name,
      'give the loop a maximum number of iterations, as a constant or clipped (Min, Clip)',
    );
  }
  const start = carried.map(
    (value) => value ?? failUndecided(node, name, 'carries a value that is absent'),
  );
  const loop: Loop = { scope, node, name, start, importGraph };
  const first = stableAxes(loop);
  const growth = first.axes.map((axis) => Math.max(0, reached(first.body, axis) - axis.bound));
  const axes = first.axes.map((axis, i) => ({
    ...axis,
    bound: axis.bound + most * at(growth, i),
  }));
  const body = bodyWith(loop, axes);
  axes.forEach((axis, i) => {
    if (reached(body, axis) > axis.bound + at(growth, i)) failIrregular(name, axis);
  });
  if (newAxes(body, start, axes).length > 0) failIrregular(name, at(axes, 0));
  return loopNode(loop, [trips?.id ?? null, condition?.id ?? null], body, axes, most);
}

/** Where an iteration ends up, at most, that began with all the room there is. */
function reached({ carried }: Body, { value, axis }: OpenAxis): number {
  return mostOf(at(at(carried, value).sizes, axis));
}

/** The axes that change, with room for how they begin. */
function stableAxes(loop: Loop): { readonly axes: readonly OpenAxis[]; readonly body: Body } {
  let axes: readonly OpenAxis[] = loop.start.flatMap(({ sizes }, value) =>
    sizes.flatMap((size, axis) => (isKnown(size) ? [] : [{ value, axis, bound: size.max }])),
  );
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const body = bodyWith(loop, axes);
    const more = newAxes(body, loop.start, axes);
    if (more.length === 0) return { axes, body };
    axes = [...axes, ...more];
  }
  return failIrregular(loop.name, at(axes, 0));
}

/** Axes taken as fixed that an iteration changes. */
function newAxes(
  { carried }: Body,
  start: readonly Sized[],
  axes: readonly OpenAxis[],
): readonly OpenAxis[] {
  return start.flatMap(({ sizes }, value) =>
    sizes.flatMap((size, axis) => {
      if (axes.some((open) => open.value === value && open.axis === axis)) return [];
      const after = at(carried, value).sizes[axis];
      return after === size ? [] : [{ value, axis, bound: mostOf(size) }];
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
  { scope, node, name, start, importGraph }: Loop,
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
    const values = tensors.map((id, k): Entity => {
      const own = builder.typeOf(id).shape.map((extent, axis): Int => {
        const open = axes.findIndex((item) => item.value === k && item.axis === axis);
        return open < 0 ? extent : at(sizes, open);
      });
      return own.every(isKnown) ? id : { kind: 'bounded', id, sizes: own };
    });
    return [count, goOn, ...values];
  };
  let body: Omit<Body, 'captures'> | undefined;
  const { captures } = importSubgraphs(scope, node, name, [], importGraph, {
    formals,
    onPart: ({ builder, outputs }) => {
      const tensors = outputs.map((entity) =>
        isTensorEntity(entity)
          ? sizedOf(builder, entity)
          : failUndecided(node, name, `gives a ${entity.kind}`),
      );
      const [again, ...rest] = tensors;
      if (again === undefined || rest.length < start.length)
        failUndecided(node, name, 'gives fewer values than it carries');
      const rows = rest.slice(start.length);
      if (!rows.every(({ sizes }) => sizes.every(isKnown)))
        failUndecided(node, name, 'stacks a tensor whose size depends on data');
      body = { builder, again: again.id, carried: rest.slice(0, start.length), rows };
    },
  });
  scope.state.nodeNames.clear();
  for (const taken of names) scope.state.nodeNames.add(taken);
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
  { scope, node, name, start }: Loop,
  [trips, condition]: readonly [ValueId | null, ValueId | null],
  body: Body,
  axes: readonly OpenAxis[],
  most: number,
): readonly Entity[] {
  const { builder } = scope;
  const ints = numbersOf(builder);
  const outside = new Sizing(builder, ints, name, 'Loop');
  const inside = new Sizing(body.builder, numbersOf(body.builder), name, 'Loop');
  const results = body.carried.map((value, k) => withRoom(inside, value, k, axes));
  const sizes = axes.map((open) => {
    const size = at(at(body.carried, open.value).sizes, open.axis);
    return checked(inside, size, open.bound);
  });
  const rows = body.rows.map(({ id }) => id);
  const graph = body.builder.graph.finish([body.again, ...results, ...sizes, ...rows]);
  const begins = start.map((value, k) => withRoom(outside, value, k, axes));
  const extents = axes.map(({ value, axis }) => ints.id(at(at(start, value).sizes, axis)));
  const inputs = [trips, condition, ...begins, ...extents, ...body.captures];
  const bound = rows.length > 0 ? { bound: most } : {};
  const attrs = { body: graph, captures: body.captures.length, ...bound };
  const count = begins.length + extents.length + rows.length;
  const outputNames = node.outputs
    .slice(0, begins.length)
    .map((output) => (output === '' ? undefined : finalName(scope, output)));
  const options = { name, outputs: count + (rows.length > 0 ? 1 : 0), outputNames };
  const made = builder.ops('Loop', inputs, attrs, options);
  const carried = start.map(({ sizes: own }, k): Entity => {
    const after = own.map((size, axis): Int => {
      const open = axes.findIndex((item) => item.value === k && item.axis === axis);
      if (open < 0) return size;
      return unknown(at(made, begins.length + open), 0, at(axes, open).bound);
    });
    const id = at(made, k);
    return after.every(isKnown) ? id : { kind: 'bounded', id, sizes: after };
  });
  const stacked = rows.map((_, k): Entity => {
    const id = at(made, begins.length + extents.length + k);
    const [, ...rest] = builder.typeOf(id).shape;
    const number = unknown(at(made, count), 0, most);
    return isKnown(number) ? id : { kind: 'bounded', id, sizes: [number, ...rest] };
  });
  return [...carried, ...stacked];
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

/** A size that is a fault of the run where it is beyond the room. */
function checked(s: Sizing, size: Int, bound: number): ValueId {
  const id = s.ints.id(size);
  if (mostOf(size) <= bound) return s.b.op('Identity', [id]);
  return s.b.op('Gather', [s.iota(bound + 1), id], { axis: 0 });
}
