/**
 * `If` whose branches give tensors of different sizes, or of sizes that depend on data: both get room for the
 * larger bound, and more outputs say how much of it the branch that was taken filled.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import type { OpBuilder, OpOptions } from '../../../ops/builder.ts';
import { type Int, isKnown, leastOf, mostOf, unknown } from './ints.ts';
import type { Sized, Sizing } from './sized.ts';

/** One branch, in a builder of its own. */
export interface Branch {
  readonly s: Sizing;
  readonly outputs: readonly Sized[];
}

/** What an axis of an output is in both branches. */
interface Axis {
  readonly output: number;
  readonly axis: number;
  readonly min: number;
  readonly max: number;
  /** The extent, where it is a number around the branches. */
  readonly outer: Int | undefined;
}

export interface Choice {
  readonly condition: ValueId;
  /** What the branches read: their inputs are these, in order. */
  readonly captures: readonly ValueId[];
  readonly options: OpOptions;
  /** The number around the branches that two extents are; undefined: none. */
  readonly outer?: (yes: Int, no: Int) => Int | undefined;
}

/** The outputs of the node. */
export function chosen(
  builder: OpBuilder,
  { condition, captures, options, outer }: Choice,
  branches: readonly [Branch, Branch],
): readonly Sized[] {
  const [yes, no] = branches.map(({ outputs }) => outputs) as [
    ...[readonly Sized[], readonly Sized[]],
  ];
  const open = yes.flatMap((own, output) => openAxes(own, at(no, output), output, outer));
  const counted = open.filter((axis) => axis.outer === undefined);
  const graphs = branches.map(({ s, outputs }) => {
    const ids = outputs.map(({ id }, k) =>
      open
        .filter(({ output }) => output === k)
        .reduce((x, { axis, max }) => {
          const have = s.b.typeOf(x).shape[axis] ?? 0;
          return have < max ? s.longer(x, axis, max) : x;
        }, id),
    );
    const sizes = counted.map(({ output, axis }) => {
      const size = at(at(outputs, output).sizes, axis);
      return s.b.op('Identity', [s.ints.id(size)]);
    });
    return s.b.graph.finish([...ids, ...sizes]);
  });
  const attrs = {
    then_branch: at(graphs, 0),
    else_branch: at(graphs, 1),
    captures: captures.length,
  };
  const all = { ...options, outputs: yes.length + counted.length };
  const made = builder.ops('If', [condition, ...captures], attrs, all);
  return yes.map((own, output): Sized => {
    const sizes: Int[] = own.sizes.map((size, axis) => {
      const isHere = (item: Axis): boolean => item.output === output && item.axis === axis;
      const place = open.find(isHere);
      if (place === undefined) return size;
      if (place.outer !== undefined) return place.outer;
      return unknown(at(made, yes.length + counted.findIndex(isHere)), place.min, place.max);
    });
    return { id: at(made, output), sizes };
  });
}

/** The axes along which two tensors are not of one known extent. */
function openAxes(a: Sized, b: Sized, output: number, outerOf: Choice['outer']): readonly Axis[] {
  return a.sizes.flatMap((size, axis) => {
    const other = at(b.sizes, axis);
    if (isKnown(size) && size === other) return [];
    const outer = outerOf?.(size, other);
    const min = Math.min(leastOf(size), leastOf(other));
    const max = Math.max(mostOf(size), mostOf(other), outer === undefined ? 0 : mostOf(outer));
    return [{ output, axis, min, max, outer }];
  });
}
