/**
 * Copies a graph without what its outputs do not need: dead nodes and unused constants. Inputs
 * stay. Values get the names asked for; the others keep theirs, or a variant where it is taken.
 */
import { GraphBuilder } from '../graph/build.ts';
import { hasEffect } from '../graph/effects.ts';
import type { Graph, Node, Value, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';

export function compactGraph(graph: Graph, names: ReadonlyMap<ValueId, string>): Graph {
  const live = liveNodes(graph);
  const nameOf = chooseNames(graph, names);
  const builder = new GraphBuilder(graph.name);
  const known = new Map<ValueId, ValueId>();
  for (const id of graph.inputs)
    known.set(id, builder.input(nameOf(id), valueById(graph, id).type));
  const use = (id: ValueId): ValueId => {
    const have = known.get(id);
    if (have !== undefined) return have;
    const value: Value = valueById(graph, id);
    if (value.constant === undefined)
      throw new TypeError(`${value.name} is read before it is made`);
    const made = builder.storedConstant(value.constant, value.type, nameOf(id));
    known.set(id, made);
    return made;
  };
  for (const node of graph.nodes) {
    if (!live.has(node)) continue;
    const inputs = node.inputs.map((id) => (id === null ? null : use(id)));
    const outputs = builder.node({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs,
      attrs: node.attrs,
      types: node.outputs.map((id) => valueById(graph, id).type),
      outputNames: node.outputs.map(nameOf),
    });
    node.outputs.forEach((id, i) => {
      known.set(id, outputs[i] ?? -1);
    });
  }
  return builder.finish(graph.outputs.map(use), graph.extents, graph.ranges);
}

/** Nodes that an output depends on, and those that check something. */
export function liveNodes(graph: Graph): ReadonlySet<Node> {
  const needed = new Set<ValueId>(graph.outputs);
  const live = new Set<Node>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as Node;
    if (!node.outputs.some((id) => needed.has(id)) && !hasEffect(node)) continue;
    live.add(node);
    for (const id of node.inputs) if (id !== null) needed.add(id);
  }
  return live;
}

/** Wanted names first, so that no new value takes the name of an old one. */
function chooseNames(graph: Graph, wanted: ReadonlyMap<ValueId, string>): (id: ValueId) => string {
  const taken = new Set<string>();
  /** First number to try behind a name: those below are taken. */
  const numbers = new Map<string, number>();
  const chosen = new Map<ValueId, string>();
  for (const [id, name] of wanted) {
    if (taken.has(name)) continue;
    taken.add(name);
    chosen.set(id, name);
  }
  return (id) => {
    const have = chosen.get(id);
    if (have !== undefined) return have;
    const base = valueById(graph, id).name.replace(/\.\d+$/, '');
    let name = base;
    if (taken.has(name)) {
      let n = numbers.get(base) ?? 1;
      while (taken.has(`${base}.${n}`)) n++;
      name = `${base}.${n}`;
      numbers.set(base, n + 1);
    }
    taken.add(name);
    chosen.set(id, name);
    return name;
  };
}
