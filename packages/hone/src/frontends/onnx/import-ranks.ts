/**
 * Branches that give one element each, with more axes in one than in the other: exporters make a flag a
 * scalar here and a list of one there. ONNX lets the rank depend on the branch; a Graph has one, the one
 * that the model states for the output, else the larger.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../../ops/builder.ts';
import type { Entity } from './entities.ts';
import type { Part } from './import-control.ts';
import type { Scope } from './import-scope.ts';
import type { OnnxNode } from './types.ts';

/** The outputs of both branches, those of one element with the same shape in both; a note says where. */
export function withEqualRanks(
  scope: Scope,
  node: OnnxNode,
  name: string,
  branches: readonly [Part, Part],
): readonly [Part, Part] {
  const ranks = branches[0].outputs.map((entity, k) => {
    const pair = [rankOfOne(branches[0], entity), rankOfOne(branches[1], branches[1].outputs[k])];
    const [a, b] = pair;
    if (a === undefined || b === undefined || a === b) return undefined;
    const stated = [scope.ranks.get(node.outputs[k] ?? ''), statedInside(node, k)];
    const rank = stated.find((r) => r !== undefined && pair.includes(r)) ?? Math.max(a, b);
    note(
      scope,
      `node ${name} (If): output ${k} has ${a} axes in one branch and ${b} in the other, and one element in both; it has ${rank} here`,
    );
    return rank;
  });
  const even = (part: Part): Part => ({
    ...part,
    outputs: part.outputs.map((entity, k) => {
      const rank = ranks[k];
      const isOther = rank !== undefined && typeof entity === 'number';
      return isOther ? withRank(part.builder, entity, rank) : entity;
    }),
  });
  return [even(at(branches, 0)), even(at(branches, 1))];
}

/** A tensor of one element with so many axes. */
export function withRank(builder: OpBuilder, id: ValueId, rank: number): ValueId {
  return builder.op('Reshape', [id, builder.ints(new Array<number>(rank).fill(1))]);
}

/** A sub-graph may be imported more than once. */
export function note({ state }: Scope, text: string): void {
  if (!state.notes.includes(text)) state.notes.push(text);
}

/** How many axes a tensor of one element has; undefined for all else. */
export function rankOfOne(
  { builder }: Pick<Part, 'builder'>,
  entity: Entity | undefined,
): number | undefined {
  if (typeof entity !== 'number') return undefined;
  const { shape } = builder.typeOf(entity);
  return elementCount(shape) === 1 ? shape.length : undefined;
}

/** The rank that both branches state for an output. */
function statedInside({ attributes }: OnnxNode, output: number): number | undefined {
  const ranks = attributes.flatMap((attribute) => {
    const type = attribute.kind === 'graph' ? attribute.value.outputs[output]?.type : undefined;
    return type?.kind === 'tensor' && type.shape !== null ? [type.shape.length] : [];
  });
  return ranks.length === 2 && ranks[0] === ranks[1] ? ranks[0] : undefined;
}
