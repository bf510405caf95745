/** What a rule is: how one operator works on tensors with room. */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { Attrs } from '../../../graph/types.ts';
import type { OpDef } from '../../../ops/define-op.ts';
import type { Int, Ints } from './ints.ts';
import type { Sized, Sizing } from './sized.ts';

/** A node with tensors of unknown extents among its inputs, or parameters that decide its sizes. */
export interface Use {
  readonly op: string;
  readonly def: OpDef;
  readonly s: Sizing;
  readonly ints: Ints;
  readonly attrs: Attrs;
  readonly inputs: readonly (Sized | null)[];
  /** Outputs that the model asks for. */
  readonly outputs: number;
  /** How many axes the model says that they have. */
  readonly ranks: readonly (number | undefined)[];
  /** What the model calls the inputs, where it does. */
  readonly reads: readonly string[];
  /** Another node, by its own rule where it needs one. */
  readonly apply: (node: PartNode) => readonly Sized[];
}

/** A node that a rule puts in the place of its own. */
export interface PartNode {
  readonly op: string;
  readonly domain?: string;
  readonly attrs?: Attrs;
  readonly inputs: readonly (Sized | null)[];
  readonly outputs?: number;
}

/** The node's outputs. */
export type Rule = (use: Use) => readonly Sized[];

/** An input that has to be there. */
export function given({ s, op, inputs }: Use, k: number): Sized {
  return (
    inputs[k] ??
    fail(
      'HONE-ONNX-016',
      `node ${s.node} (${op}): input ${k} is missing`,
      s.node,
      'the model is not valid ONNX: export it again',
    )
  );
}

export function axisIn({ s, op }: Use, axis: number, rank: number): number {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  return fail(
    'HONE-SHAPE-001',
    `node ${s.node} (${op}): axis ${axis} is outside rank ${rank}`,
    s.node,
    'check the shapes the model was exported with',
  );
}

export function intOf({ attrs }: Use, name: string, otherwise = 0): number {
  const value = attrs[name];
  return typeof value === 'number' ? value : otherwise;
}

/** The numbers of a list or scalar that decides sizes. */
export function intsOf(use: Use, k: number, what: string): readonly Int[] {
  const { id, sizes } = given(use, k);
  if (sizes.some((size) => typeof size !== 'number')) use.s.cannot(`${what} is of unknown length`);
  return use.ints.elements(id) ?? use.s.cannot(`${what} is no list of whole numbers`);
}

/** The same where they have to be known. */
export function knownInts(use: Use, k: number, what: string): readonly number[] {
  return intsOf(use, k, what).map((item) =>
    typeof item === 'number' ? item : use.s.cannot(`${what} depends on data`),
  );
}

/** An optional list; undefined where it is absent. */
export function optionalInts(use: Use, k: number, what: string): readonly Int[] | undefined {
  return use.inputs[k] == null ? undefined : intsOf(use, k, what);
}

export function optionalKnown(use: Use, k: number, what: string): readonly number[] | undefined {
  return use.inputs[k] == null ? undefined : knownInts(use, k, what);
}

export const sizeAt = ({ sizes }: Sized, axis: number): Int => at(sizes, axis);
