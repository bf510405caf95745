/**
 * Loops whose carried tensors change their sizes: caches that grow by a row per iteration, selections
 * that shrink. Each such tensor gets room for the largest it can become (`growing/plan.ts`), and its extents
 * are carried beside it. So do loops that stack rows whose extents depend on data (`growing/rows.ts`).
 *
 * Sequences and optionals are carried as the tensors that hold them (`sequences/forms.ts`): one that the
 * body makes longer has a row for each element there can be.
 */
import { at, HoneError } from 'hone-runtime/base/diagnostics';
import type { Graph, ValueId } from '../../graph/types.ts';
import { inputOf, type OpBuilder } from '../../ops/builder.ts';
import { knownTrips } from '../../ops/control/loop.ts';
import type { BoundSource } from './bounded/bounds.ts';
import { type Int, mostOf, numbersOf, unknown } from './bounded/ints.ts';
import { boundsOf, isBounded, type Sized, Sizing } from './bounded/sized.ts';
import { type Entity, tensorOf } from './entities.ts';
import { type GrowingLoop, OtherForms, roomOf, withRoom } from './growing/body.ts';
import { planned, type Planned } from './growing/plan.ts';
import { isStacked, rowExtents, stackedRows } from './growing/rows.ts';
import { failUndecided, type ImportGraph } from './import-control.ts';
import type { Scope } from './import-scope.ts';
import {
  decode,
  encode,
  type Form,
  formOf,
  isSameForm,
  namesOf,
  tensorsIn,
  withRows,
} from './sequences/forms.ts';
import type { OnnxNode } from './types.ts';

/** Forms may turn out to be others, one after another. */
const MAX_ROUNDS = 8;

/** The outputs of the node; throws HONE-SHAPE-… where nothing bounds them, unless it `mayAssume` a bound. */
export function importGrowingLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
  mayAssume: boolean,
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
    const loop: GrowingLoop = { scope, node, name, forms, start, given, importGraph };
    const isOtherThan = (next: readonly Form[]): boolean =>
      next.some((form, k) => !isSameForm(form, at(forms, k)));
    // Elements that change their places have no extents of their own: rows may do.
    const asRows = forms.map(withRows);
    try {
      const plan = planned(loop, namesIn(loop), mayAssume && !isOtherThan(asRows));
      return loopNode(loop, [ends[0] ?? null, ends[1] ?? null], plan);
    } catch (error) {
      const next = error instanceof OtherForms ? error.forms : asRows;
      const isOther = isOtherThan(next);
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

/**
 * What the tensors that a loop carries are called behind it, and what it stacks; empty: nothing. Of a sequence
 * with rows those have its name.
 */
function namesIn({ node, forms }: GrowingLoop): readonly string[] {
  const carried = forms.flatMap((form, k) => {
    const isNamed = form.kind === 'tensor' || form.kind === 'stacked';
    return Array.from({ length: tensorsIn(form) }, (_, i) =>
      isNamed && i === 0 ? (node.outputs[k] ?? '') : '',
    );
  });
  return [...carried, ...node.outputs.slice(forms.length)];
}

/** What is said of the bounds of tensors that a loop gives: its carried ones, then what it stacks. */
function sources(
  loop: GrowingLoop,
  most: number,
): (
  tensor: number,
  room: readonly number[],
  origin: BoundSource['origin'],
  isOwn?: boolean,
) => Omit<BoundSource, 'axis'> {
  const { node, name, forms } = loop;
  const names = namesIn(loop);
  const values = forms.flatMap((form, k) => Array.from({ length: tensorsIn(form) }, () => k));
  const [trips = ''] = node.inputs;
  return (tensor, room, origin, isOwn = false) => {
    const own = names[tensor] ?? '';
    const value = node.outputs[values[tensor] ?? tensor - values.length + forms.length] ?? '';
    const isList = forms[values[tensor] ?? -1]?.kind === 'stacked';
    // A list is as long as there are iterations, if that is what bounds it.
    if (own !== '' && (isOwn || !isList))
      return { tensor: own, origin, option: `${own}=${room.join('x')}` };
    const option = trips === '' ? '' : `${trips}=${most}`;
    return { tensor: value === '' ? name : value, origin, option };
  };
}

function loopNode(
  loop: GrowingLoop,
  [trips, condition]: readonly [ValueId | null, ValueId | null],
  { body, axes, trips: { most, origin } }: Planned,
): readonly Entity[] {
  const { scope, node, name, forms, start } = loop;
  const { builder } = scope;
  const sourceOf = sources(loop, most);
  const ints = numbersOf(builder);
  const plan = { names: node.outputs.slice(forms.length), bounds: scope.state.bounds };
  const outside = new Sizing(builder, ints, name, 'Loop', '', plan);
  const inside = new Sizing(body.builder, numbersOf(body.builder), name, 'Loop');
  const results = body.carried.map((value, k) => withRoom(inside, value, k, axes));
  const sizes = axes.map((open) => {
    const size = at(at(body.carried, open.value).sizes, open.axis);
    const room = roomOf(at(start, open.value), open.value, axes);
    const source = { ...sourceOf(open.value, room, open.origin, open.isOwn), axis: open.axis };
    const own = inside.checked(size, { min: 0, max: open.bound }, source);
    return body.builder.op('Identity', [inside.ints.id(own)]);
  });
  const ofRows = rowExtents(inside, body);
  const rows = [
    ...body.rows.map(({ id }) => id),
    ...ofRows.filter(isStacked).map((extent) => extent.inside),
  ];
  const graph = body.builder.graph.finish([body.again, ...results, ...sizes, ...rows]);
  const begins = start.map((value, k) => withRoom(outside, value, k, axes));
  const extents = axes.map(({ value, axis }) => ints.id(at(at(start, value).sizes, axis)));
  const inputs = [trips, condition, ...begins, ...extents, ...body.captures];
  const [row] = body.rows;
  const stack = row === undefined ? undefined : [most, ...boundsOf(row.sizes)];
  const isCounted = stack !== undefined && tripsOf(builder, trips, condition, graph) !== most;
  const said = !isCounted || origin === '' ? {} : sourceOf(start.length, stack, origin);
  const bound = isCounted ? { bound: most, ...said } : {};
  const attrs = { body: graph, captures: body.captures.length, ...bound };
  const first = begins.length + extents.length;
  const count = first + rows.length;
  const outputNames = forms.flatMap((form, k) => namesOf(form, node.outputs[k] ?? '', scope));
  const options = { name, outputs: count + (isCounted ? 1 : 0), outputNames };
  const made = builder.ops('Loop', inputs, attrs, options);
  const carried = start.map(({ sizes: own }, k): Sized => {
    const after = own.map((size, axis): Int => {
      const open = axes.findIndex((item) => item.value === k && item.axis === axis);
      if (open < 0) return size;
      return unknown(at(made, begins.length + open), 0, at(axes, open).bound);
    });
    return { id: at(made, k), sizes: after };
  });
  const number = isCounted ? unknown(at(made, count), 0, most) : most;
  const stacks = made.slice(first, first + body.rows.length);
  const lists = made.slice(first + body.rows.length, count);
  const stacked = stackedRows(outside, stacks, number, ofRows, lists).map(
    (sized): Entity => (isBounded(sized) ? { kind: 'bounded', ...sized } : sized.id),
  );
  return [...forms.map((form) => decode(form, carried)), ...stacked];
}

/** How often the loop runs, where that is known. */
function tripsOf(
  { graph }: OpBuilder,
  trips: ValueId | null,
  condition: ValueId | null,
  body: Graph,
): number | undefined {
  const [number, start] = [trips, condition].map((id) =>
    id === null ? null : inputOf(graph.value(id)),
  );
  return knownTrips([number ?? null, start ?? null], body);
}
