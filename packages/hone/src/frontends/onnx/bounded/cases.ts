/**
 * Nodes that do not mean the same at all sizes, or take only some: a run checks that a size is one that the
 * node takes, and where it takes several kinds of sizes, branches that the run chooses from are the node for each
 * of them. An extent that has to be 3, or that of another tensor, is that number from there on.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { chosen } from './branches.ts';
import type { BoundSource } from './bounds.ts';
import {
  type Int,
  type Ints,
  isKnown,
  isSame,
  mostOf,
  numbersOf,
  type Unknown,
  unknown,
} from './ints.ts';
import { takesValueBound } from './limited.ts';
import { probingOf, termOf } from './probe.ts';
import type { Use } from './rule.ts';
import { isBounded, type Sized, Sizing } from './sized.ts';
import { findingOf, type Span } from './spans.ts';

/** The node on other inputs, in this builder or another. */
export type Again = (builder: OpBuilder, inputs: readonly (Sized | null)[]) => readonly Sized[];

/** The node's outputs; undefined where no size that it takes differs from others. */
export function byCases(use: Use, again: Again): readonly Sized[] | undefined {
  const found = findingOf(use);
  if (found === undefined) return undefined;
  const { s, ints } = use;
  const { leaf } = found;
  const narrowed = (size: Int): readonly Sized[] =>
    again(s.b, new Narrowing(s, s, new Map([[leaf.id, size]])).inputs(use));
  if (found.kind === 'equal') {
    const says = `${placeOf(use, leaf)} has to be equal to another size`;
    s.checked(ints.sub(leaf, found.to), { min: 0, max: 0 }, FOLLOWS, says);
    return narrowed(found.to);
  }
  const [first, ...others] = found.spans;
  if (first === undefined) return undefined;
  if (others.length > 0) return split(use, again, leaf, first.most);
  const says = `${placeOf(use, leaf)} has to be ${textOf(first)}`;
  return narrowed(s.checked(leaf, { min: first.least, max: first.most }, FOLLOWS, says));
}

const FOLLOWS: BoundSource = { tensor: '', axis: -1, origin: '', option: '' };

const textOf = ({ least, most }: Span): string =>
  least === most ? `${least}` : `from ${least} to ${most}`;

/** The number as errors call it. */
function placeOf({ s, inputs }: Use, { id }: Unknown): string {
  for (const [k, x] of inputs.entries()) {
    const axis = x?.sizes.findIndex((size) => !isKnown(size) && size.id === id) ?? -1;
    if (axis >= 0) return `${s.node}: the extent of input ${k} along axis ${axis}`;
  }
  return `${s.node}: a size of it`;
}

/** The node for sizes up to `most`, and for those above. */
function split(use: Use, again: Again, leaf: Unknown, most: number): readonly Sized[] {
  const { s, ints } = use;
  const captures = captured(use);
  const ranges = [
    { min: leaf.min, max: most },
    { min: most + 1, max: leaf.max },
  ];
  const parts = ranges.map(({ min, max }) => {
    const builder = s.b.nested(s.node);
    const inner = new Sizing(builder, numbersOf(builder), s.node, use.op, '', s.plan);
    const places = new Map(
      captures.map((id, i) => [id, builder.graph.input(`capture${i}`, s.b.typeOf(id))]),
    );
    for (const [id, place] of places)
      if (takesValueBound(s.b, id)) inner.ints.know(place, ints.interval(id));
    const numbers = new Map<ValueId, Int>();
    for (const { id, min: own, max: end } of probingOf(use).leaves) {
      const range = id === leaf.id ? { min, max } : { min: own, max: end };
      const place = places.get(id);
      if (place === undefined) continue;
      const size = unknown(place, range.min, range.max);
      inner.ints.note(place, [size]);
      numbers.set(id, size);
    }
    const narrowing = new Narrowing(s, inner, numbers, places);
    return { s: inner, narrowing, outputs: again(builder, narrowing.inputs(use)) };
  });
  const [yes, no] = [at(parts, 0), at(parts, 1)];
  const known = probingOf(use).numbers;
  return chosen(
    s.b,
    {
      condition: s.b.op('LessOrEqual', [leaf.id, ints.id(most)]),
      captures,
      options: { name: `${s.node}/sizes` },
      outer: (a, b) =>
        known.find(
          (x) =>
            isSame(yes.narrowing.int(x), a) &&
            isSame(no.narrowing.int(x), b) &&
            mostOf(x) < Infinity,
        ),
    },
    [yes, no],
  );
}

/** What branches read: the node's inputs but for constants, and the numbers that its sizes are made of. */
function captured(use: Use): readonly ValueId[] {
  const { b } = use.s;
  const inputs = use.inputs.flatMap((x) => (x === null ? [] : [x.id]));
  const ids = [...inputs, ...probingOf(use).leaves.map(({ id }) => id)];
  return [...new Set(ids)].filter((id) => b.graph.value(id).constant === undefined);
}

/** A node's inputs where some of its numbers are others: narrower, known, or inputs of a branch. */
class Narrowing {
  readonly #from: Sizing;
  readonly #to: Sizing;
  readonly #made: Map<ValueId, Int>;
  readonly #places: ReadonlyMap<ValueId, ValueId> | undefined;

  constructor(
    from: Sizing,
    to: Sizing,
    numbers: ReadonlyMap<ValueId, Int>,
    places?: ReadonlyMap<ValueId, ValueId>,
  ) {
    this.#from = from;
    this.#to = to;
    this.#made = new Map(numbers);
    this.#places = places;
  }

  int(x: Int): Int {
    if (isKnown(x)) return x;
    const have = this.#made.get(x.id);
    if (have !== undefined) return have;
    const made = this.#rebuilt(x);
    this.#made.set(x.id, made);
    return made;
  }

  #rebuilt(x: Unknown): Int {
    const ints: Ints = this.#to.ints;
    const term = termOf(this.#from.ints, x);
    if (term === undefined) return x;
    const [a, b] = [this.int(term.a), this.int(term.b)];
    return term.op === 'Add' ? ints.add(a, b) : term.op === 'Sub' ? ints.sub(a, b) : ints.mul(a, b);
  }

  inputs({ inputs }: Use): readonly (Sized | null)[] {
    return inputs.map((x) => (x === null ? null : this.#tensor(x)));
  }

  #tensor(x: Sized): Sized {
    const { b, ints } = this.#from;
    const to = this.#to;
    const { constant, type } = b.graph.value(x.id);
    const listed = isBounded(x) || !ints.isNoted(x.id) ? undefined : ints.noted(x.id);
    if (listed !== undefined) {
      const items = listed.map((item) => this.int(item));
      const isScalar = type.shape.length === 0;
      const id = isScalar ? to.ints.id(at(items, 0)) : to.ints.list(items);
      return { id: to.cast(id, type.dtype), sizes: type.shape };
    }
    const id =
      this.#places === undefined
        ? x.id
        : constant === undefined
          ? (this.#places.get(x.id) ?? x.id)
          : to.b.graph.storedConstant(constant, type);
    const own: Sized = { id, sizes: x.sizes };
    return x.sizes.reduce((out: Sized, size, axis) => {
      // An id of another builder says nothing, even where it is the same.
      return isKnown(size) ? out : to.first(out, axis, this.int(size));
    }, own);
  }
}
