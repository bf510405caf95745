/**
 * How many axes a model says that its values have. What a list decides whose length is data has a rank only
 * there (`bounded/lists.ts`).
 */
import type { Scope } from './import-scope.ts';
import { isBypassed } from './import-special.ts';
import type { OnnxFunction, OnnxGraph, OnnxNode } from './types.ts';

/** Ranks by names of values; values of unknown rank are not in it. */
export type DeclaredRanks = ReadonlyMap<string, number>;

type Body = OnnxGraph | OnnxFunction;

/** What a graph declares, and `known` before; also of values that reach one of these through nodes that vanish. */
export function declaredRanks(body: Body, known: DeclaredRanks = new Map()): DeclaredRanks {
  const ranks = new Map(known);
  const outputs = 'initializers' in body ? body.outputs : [];
  for (const { name, type } of [...outputs, ...body.valueInfo]) {
    if (type.kind === 'tensor' && type.shape !== null) ranks.set(name, type.shape.length);
  }
  for (const node of body.nodes.toReversed()) {
    const [input, output] = [node.inputs[0], node.outputs[0]];
    if (!isBypassed(node) || input === undefined || output === undefined) continue;
    const rank = ranks.get(output);
    if (rank !== undefined && !ranks.has(input)) ranks.set(input, rank);
  }
  return ranks;
}

/** The outputs of a body that are a node's outputs, as they are declared around it. */
export function declaredOutside(
  { ranks }: Scope,
  node: OnnxNode,
  { outputs }: Body,
): DeclaredRanks {
  const known = new Map<string, number>();
  outputs.forEach((output, i) => {
    const rank = ranks.get(node.outputs[i] ?? '');
    if (rank !== undefined) known.set(typeof output === 'string' ? output : output.name, rank);
  });
  return known;
}
