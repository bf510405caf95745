/** What a pass is, and the rebuilding of graphs that passes share. */
import type { Graph, Node, Value, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { OpBuilder } from '../ops/builder.ts';
import { GraphBuilder } from '../graph/build.ts';
import type { Registry } from '../ops/registry.ts';

export interface PassContext {
  readonly registry: Registry;
}

/** A pure function of graphs; returns the same object when it changed nothing. */
export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph, ctx: PassContext) => Graph;
}

/** Rebuilding a graph: values of the old graph map to values of the new one. */
export interface Rebuild {
  readonly b: OpBuilder;
  readonly old: Graph;
  /** The new value that stands for an old one (constants are carried over when first used). */
  readonly map: (id: ValueId) => ValueId;
  /** Copies a node unchanged. */
  readonly keep: (node: Node) => void;
  /** Lets new values stand for a node's outputs. */
  readonly replace: (node: Node, outputs: readonly ValueId[]) => void;
}

/**
 * Walks a graph in order and builds another: `visit` keeps, replaces or leaves out each node.
 * Value names, node names and order are kept; constants no longer used vanish.
 */
export function rebuildGraph(
  graph: Graph,
  ctx: PassContext,
  visit: (node: Node, r: Rebuild) => void,
): Graph {
  const builder = new GraphBuilder(graph.name);
  const b = new OpBuilder(builder, ctx.registry.find);
  const known = new Map<ValueId, ValueId>();
  for (const id of graph.inputs) {
    const value = valueById(graph, id);
    known.set(id, builder.input(value.name, value.type));
  }
  const map = (id: ValueId): ValueId => {
    const have = known.get(id);
    if (have !== undefined) return have;
    const value: Value = valueById(graph, id);
    if (value.constant === undefined) {
      throw new TypeError(`value ${value.name} is used before it is made`);
    }
    const made = builder.storedConstant(value.constant, value.type, value.name);
    known.set(id, made);
    return made;
  };
  const r: Rebuild = {
    b,
    old: graph,
    map,
    keep: (node) => {
      const outputs = builder.node({
        op: node.op,
        domain: node.domain,
        name: node.name,
        inputs: node.inputs.map((id) => (id === null ? null : map(id))),
        attrs: node.attrs,
        types: node.outputs.map((id) => valueById(graph, id).type),
        outputNames: node.outputs.map((id) => valueById(graph, id).name),
      });
      node.outputs.forEach((id, i) => known.set(id, outputs[i] ?? -1));
    },
    replace: (node, outputs) => {
      node.outputs.forEach((id, i) => {
        const made = outputs[i];
        if (made !== undefined) known.set(id, made);
      });
    },
  };
  for (const node of graph.nodes) visit(node, r);
  return builder.finish(graph.outputs.map(map));
}
