/** The body of a loop whose carried tensors change their sizes, imported for as much room as they have. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { isTensorEntity, sizedOf } from '../bounded/index.ts';
import { type Int, mostOf, unknown, numbersOf } from '../bounded/ints.ts';
import { type Sized, Sizing } from '../bounded/sized.ts';
import { type Entity, tensorOf } from '../entities.ts';
import {
  failUndecided,
  type ImportGraph,
  importSubgraphs,
  type Subgraphs,
} from '../import-control.ts';
import type { Scope } from '../import-scope.ts';
import { decode, encode, type Form, formOf, isSameForm, joined } from '../sequences/forms.ts';
import type { OnnxNode } from '../types.ts';

/** An axis of a carried tensor whose extent changes, and the room along it. */
export interface OpenAxis {
  readonly value: number;
  readonly axis: number;
  readonly bound: number;
}

export interface Body {
  readonly builder: OpBuilder;
  readonly again: ValueId;
  readonly carried: readonly Sized[];
  /** What an iteration adds to each of the stacks. */
  readonly rows: readonly Sized[];
  readonly captures: readonly ValueId[];
  /** What values that are captured are outside. */
  readonly outer: ReadonlyMap<ValueId, ValueId>;
}

export interface GrowingLoop {
  readonly scope: Scope;
  readonly node: OnnxNode;
  readonly name: string;
  /** How what is carried is kept, value by value. */
  readonly forms: readonly Form[];
  /** The tensors it begins with. */
  readonly start: readonly Sized[];
  /** The most iterations, as its inputs say; may be infinite. */
  readonly given: number;
  readonly importGraph: ImportGraph;
}

/** A body gives what it carries in another form than it takes it. */
export class OtherForms {
  readonly forms: readonly Form[];

  constructor(forms: readonly Form[]) {
    this.forms = forms;
  }
}

/** The body imported for carried values with this room. */
export function bodyWith(loop: GrowingLoop, axes: readonly OpenAxis[]): Body {
  const { scope, node, name, forms, given, importGraph } = loop;
  let body: Omit<Body, 'captures'> | undefined;
  const read = (): Subgraphs =>
    importSubgraphs(scope, node, name, [], importGraph, {
      iterations: given,
      formals: (builder) => formalsOf(loop, axes, builder),
      onPart: ({ builder, outputs, outer }) => {
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
        body = { builder, again: tensorOf(again, `node ${name} (Loop)`), carried, rows, outer };
      },
    });
  const { captures } = importedAgain(scope, read);
  return { ...(body ?? failUndecided(node, name, 'is missing')), captures };
}

/** What is imported again is to have the names it had, and to be said once. */
function importedAgain<T>({ state: { nodeNames, notes } }: Scope, read: () => T): T {
  const names = new Set(nodeNames);
  const said = notes.length;
  try {
    return read();
  } finally {
    nodeNames.clear();
    for (const taken of names) nodeNames.add(taken);
    const before = new Set(notes.slice(0, said));
    for (const note of notes.splice(said)) if (!before.has(note)) notes.push(note);
  }
}

/** The body's inputs: number and condition, tensors with room, and an extent for every open axis. */
function formalsOf(
  { scope, forms, start }: GrowingLoop,
  axes: readonly OpenAxis[],
  builder: OpBuilder,
): readonly Entity[] {
  const count = builder.graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = builder.graph.input('condition', { dtype: 'bool', shape: [] });
  const tensors = start.map(({ id }, k) =>
    builder.graph.input(`carried ${k}`, {
      dtype: scope.builder.typeOf(id).dtype,
      shape: roomOf(at(start, k), k, axes),
    }),
  );
  const sizes = axes.map(({ value, axis, bound }) =>
    unknown(builder.graph.input(`size ${axis} of ${value}`, { dtype: 'i64', shape: [] }), 0, bound),
  );
  const values = tensors.map((id, k): Sized => {
    const own = builder.typeOf(id).shape.map((extent, axis): Int => {
      const open = axes.findIndex((item) => item.value === k && item.axis === axis);
      return open < 0 ? extent : at(sizes, open);
    });
    return { id, sizes: own };
  });
  return [count, goOn, ...forms.map((form) => decode(form, values))];
}

/** The shape of a carried value: fixed where it stays, else its room. */
export function roomOf(
  { sizes }: Sized,
  value: number,
  axes: readonly OpenAxis[],
): readonly number[] {
  return sizes.map((size, axis) => {
    const open = axes.find((item) => item.value === value && item.axis === axis);
    return open?.bound ?? mostOf(size);
  });
}

/** A carried value in its room: longer, or cut where interval analysis left more. */
export function withRoom(
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
