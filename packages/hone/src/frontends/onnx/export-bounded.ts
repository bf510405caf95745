/**
 * Sizes that depend on data, as ONNX has them: there an output simply has as many elements as are meant,
 * and what a loop stacks has a row per iteration. The Graph's outputs with room for more, the numbers
 * that say how much is meant, and the counts of loops with a `bound` go.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { boundedAxes, visibleOutputs } from '../../graph/extents.ts';
import { WITHIN } from '../../graph/effects.ts';
import type { Graph, Node, ValueId } from '../../graph/types.ts';
import { HONE_DOMAIN } from '../../ops/tensor/positions.ts';

/** The graph with the outputs that a user sees, and the nodes they depend on. */
export function withoutExtents(graph: Graph): Graph {
  if (graph.ranges !== undefined) refuse(graph.name);
  if (graph.extents === undefined) return graph;
  const outputs = visibleOutputs(graph);
  const needed = new Set<ValueId>(outputs);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((id) => needed.has(id))) continue;
    nodes.push(node);
    for (const id of node.inputs) if (id !== null) needed.add(id);
  }
  const stacked = stackedBy(graph.nodes);
  for (const [position, id] of outputs.entries()) {
    // Room that no loop makes would become part of what is meant.
    if (boundedAxes(graph, position).length > 0 && !stacked.has(id)) refuse(graph.name);
  }
  const { extents: _, ...rest } = graph;
  return { ...rest, outputs, nodes: nodes.reverse() };
}

/**
 * Axes of values that ONNX leaves open: the first of what loops with a bound stack. Such a value may be
 * an output only, and the count of the loop not even that: whoever reads it sees room.
 */
export function openAxes(graph: Graph): ReadonlyMap<ValueId, ReadonlySet<number>> {
  const open = stackedBy(graph.nodes);
  const counts = new Set(
    graph.nodes.filter(isBoundedLoop).flatMap(({ outputs }) => outputs.slice(-1)),
  );
  for (const { name, inputs } of graph.nodes) {
    if (inputs.some((id) => id !== null && (open.has(id) || counts.has(id)))) refuse(name);
  }
  if (graph.outputs.some((id) => counts.has(id))) refuse(graph.name);
  return new Map([...open].map((id) => [id, new Set([0])]));
}

/** A check of a bound as what it is where nothing is planned: the same number. */
export function unchecked(node: Node): Node {
  const isCheck = node.op === WITHIN && node.domain === HONE_DOMAIN;
  return isCheck ? { ...node, op: 'Identity', domain: '', attrs: {} } : node;
}

export function isBoundedLoop({ op, domain, attrs }: Node): boolean {
  return op === 'Loop' && domain === '' && Number(attrs['bound'] ?? -1) >= 0;
}

function stackedBy(nodes: readonly Node[]): ReadonlySet<ValueId> {
  return new Set(
    nodes.filter(isBoundedLoop).flatMap(({ inputs, outputs, attrs }) => {
      const carried = inputs.length - 2 - Number(attrs['captures']);
      return outputs.slice(carried, -1);
    }),
  );
}

function refuse(where: string): never {
  return fail(
    'HONE-ONNX-031',
    `${where}: ONNX has no tensors with room for more elements than are meant`,
    where,
    'write the model it was imported from, or give what decides its sizes as constants',
  );
}
