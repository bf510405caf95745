/** Removes nodes whose results nobody uses, and constants with them. Inputs stay. */
import type { ValueId } from '../graph/types.ts';
import { compactGraph, liveNodes } from './compact.ts';
import type { Pass } from './pass.ts';

export const eliminateDead: Pass = {
  name: 'eliminate-dead',
  run: (graph) => {
    const used = new Set<ValueId>(graph.outputs);
    for (const node of graph.nodes) for (const id of node.inputs) if (id !== null) used.add(id);
    const unused = graph.values.some(({ id, constant }) => constant !== undefined && !used.has(id));
    if (!unused && liveNodes(graph).size === graph.nodes.length) return graph;
    return compactGraph(graph, new Map(graph.values.map(({ id, name }) => [id, name])));
  },
};
