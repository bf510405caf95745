/**
 * Operators that a node of the bound's size computes rightly once room is filled with what changes nothing
 * in it, or as it is: what is meant of the result is at the begin of every axis. The extents of results
 * are found by asking the operator's inference (`probe.ts`).
 */
import { at, HoneError } from 'hone-runtime/base/diagnostics';
import { type Int, mostOf } from './ints.ts';
import {
  areEnough,
  fitted,
  type Probe,
  type Probing,
  probeSets,
  probingOf,
  shapesAt,
} from './probe.ts';
import type { Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Extents of a node's outputs. */
export function inferredSizes(use: Use): readonly (readonly Int[])[] {
  const probing = probingOf(use);
  const reasons: string[] = [];
  for (const set of probeSets(probing)) {
    let why = 'the extents of its results are not known';
    const probes: Probe[] = [];
    const shapes: (readonly (readonly number[])[])[] = [];
    for (const probe of set) {
      const made = shapesAt(use, probe);
      if (made instanceof HoneError) why = `extents do not fit (${made.message})`;
      else {
        probes.push(probe);
        shapes.push(made);
      }
    }
    reasons.push(why);
    if (!areEnough(probing, probes)) continue;
    const sizes = recognised(probing, probes, shapes);
    if (sizes !== undefined) return sizes;
  }
  return use.s.cannot(at(reasons, 0));
}

function recognised(
  probing: Probing,
  probes: readonly Probe[],
  shapes: readonly (readonly (readonly number[])[])[],
): readonly (readonly Int[])[] | undefined {
  const first = at(shapes, 0);
  const out: Int[][] = [];
  for (const [k, shape] of first.entries()) {
    const sizes: Int[] = [];
    for (const axis of shape.keys()) {
      const size = fitted(
        probing,
        probes,
        shapes.map((made) => at(at(made, k), axis)),
      );
      if (size === undefined) return undefined;
      sizes.push(size);
    }
    out.push(sizes);
  }
  return out;
}

/** The node at its bound, on inputs of which some were filled. */
export function atBound(
  use: Use,
  inputs: readonly (Sized | null)[] = use.inputs,
  sizes: readonly (readonly Int[])[] = inferredSizes({ ...use, inputs }),
): readonly Sized[] {
  const { s } = use;
  for (const own of sizes) s.room(own);
  const ids = inputs.map((input) => input?.id ?? null);
  const made = s.own(ids, use.attrs, use.outputs);
  return made.map((id, k) => fittedTo(use, id, at(sizes, k)));
}

/** A result with the room that its extents need: more of it is cut off. */
function fittedTo(use: Use, id: number, sizes: readonly Int[]): Sized {
  const { shape } = use.s.b.typeOf(id);
  let x: Sized = { id, sizes: shape };
  sizes.forEach((size, axis) => {
    if (mostOf(size) < at(shape, axis)) x = use.s.first(x, axis, size);
  });
  return use.s.made(x.id, sizes);
}
