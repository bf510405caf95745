/** Removes nodes whose results nobody uses, and constants with them. */
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { type Pass, rebuildGraph } from './pass.ts';

export const eliminateDead: Pass = {
  name: 'eliminate-dead',
  run: (graph, ctx) => {
    const dead = deadNodes(graph);
    if (dead.size === 0) return graph;
    return rebuildGraph(graph, ctx, (node, r) => {
      if (!dead.has(node)) r.keep(node);
    });
  },
};

function deadNodes(graph: Graph): ReadonlySet<Node> {
  const live = new Set<ValueId>(graph.outputs);
  const dead = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((id) => live.has(id))) dead.add(node);
    else for (const id of node.inputs) if (id !== null) live.add(id);
  }
  return dead;
}
