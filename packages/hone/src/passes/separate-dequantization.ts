/**
 * Gives every reader of a dequantised value a DequantizeLinear of its own.
 *
 * Why: fusion inlines an operator into its only reader, so each reader then loads the stored
 * elements. Dequantised constants stay shared. No pass that merges equal nodes may run behind it.
 */
import type { Node, ValueId } from '../graph/types.ts';
import { producers, valueById } from '../graph/walk.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isDequantize } from './quantized.ts';

export const separateDequantization: Pass = {
  name: 'separate-dequantization',
  run(graph, ctx) {
    const makers = producers(graph);
    const taken = new Set<ValueId>(graph.outputs);
    const isShared = (id: ValueId | null): id is ValueId => {
      const maker = id === null ? undefined : makers.get(id);
      const [source] = maker?.inputs ?? [];
      if (!isDequantize(maker) || source === null || source === undefined) return false;
      return valueById(graph, source).constant === undefined;
    };
    return rewriteGraph(graph, ctx, (node, r) => {
      const shared = new Set(node.inputs.filter(isShared));
      const again = [...shared].filter((id) => taken.has(id));
      for (const id of shared) taken.add(id);
      return again.length === 0 ? undefined : rewired(node, r, again, makers);
    });
  },
};

function rewired(
  node: Node,
  r: Rebuild,
  ids: readonly ValueId[],
  makers: ReadonlyMap<ValueId, Node>,
): readonly ValueId[] {
  const own = new Map<ValueId, ValueId>();
  for (const id of ids) {
    const maker = makers.get(id);
    if (maker === undefined) continue;
    const inputs = maker.inputs.map((input) => (input === null ? null : r.map(input)));
    own.set(
      id,
      r.b.op(maker.op, inputs, maker.attrs, {
        name: maker.name,
        outputNames: [valueById(r.old, id).name],
      }),
    );
  }
  const inputs = node.inputs.map((id) => (id === null ? null : (own.get(id) ?? r.map(id))));
  return r.b.ops(node.op, inputs, node.attrs, {
    name: node.name,
    domain: node.domain,
    outputs: node.outputs.length,
    outputNames: node.outputs.map((id) => valueById(r.old, id).name),
  });
}
