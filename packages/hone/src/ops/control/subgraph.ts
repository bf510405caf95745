/**
 * Sub-graphs of control flow: how a node passes values to them, and how they are written out.
 *
 * A node's inputs are its formal ones, then `captures` values of the surrounding graph; each of
 * its sub-graphs has inputs for its own formal parameters, then one for every capture, in order.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, Graph, ValueId, ValueType } from '../../graph/types.ts';
import { subgraphs } from '../../graph/verify.ts';
import { producers, valueById } from '../../graph/walk.ts';
import type { OpBuilder } from '../builder.ts';
import { int, typeError } from '../checks.ts';

/** How many values of the surrounding graph the node's sub-graphs read. */
export const CAPTURES = { captures: int(0) };

/** Iterations of so many nodes in all are written out: fewer stages than that are not worth a loop. */
export const WRITTEN_OUT_NODES = 256;
/** Most nodes that a loop may be written out to, where there is no other way. */
export const UNROLL_LIMIT = 4096;

export function graphAttr(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  name: string,
): Graph {
  const value = attrs[name];
  if (typeof value !== 'object' || !('nodes' in value)) {
    typeError(ctx, `attribute ${name} is not a graph`);
  }
  return value;
}

/** Are there texts among the values of a graph, or of those inside it? They have no compiled form. */
export function hasTexts(graph: Graph): boolean {
  return (
    graph.values.some(({ type }) => type.dtype === 'string') ||
    graph.nodes.some(({ attrs }) => Object.values(attrs).flatMap(subgraphs).some(hasTexts))
  );
}

/** Nodes of a graph and of those inside it. */
export function nodeCount(graph: Graph): number {
  return graph.nodes.reduce(
    (sum, { attrs }) =>
      sum +
      Object.values(attrs)
        .flatMap(subgraphs)
        .reduce((all, inner) => all + nodeCount(inner), 1),
    0,
  );
}

export function typesOf(graph: Graph, ids: readonly ValueId[]): readonly ValueType[] {
  return ids.map((id) => valueById(graph, id).type);
}

/** Is the value true in every run, given that the values `known` are? */
export function alwaysTrue(graph: Graph, id: ValueId, known: readonly ValueId[]): boolean {
  if (known.includes(id)) return true;
  const { constant } = valueById(graph, id);
  if (constant?.kind === 'inline') return constant.tensor.data[0] === 1;
  const node = producers(graph).get(id);
  const from = node?.op === 'Identity' ? node.inputs[0] : undefined;
  return from !== undefined && from !== null && alwaysTrue(graph, from, known);
}

/** Adds the nodes of a sub-graph to the graph under construction; gives its outputs. */
export function inlineGraph(
  b: OpBuilder,
  graph: Graph,
  inputs: readonly ValueId[],
  prefix: string,
): readonly ValueId[] {
  const known = new Map<ValueId, ValueId>();
  graph.inputs.forEach((id, i) => {
    known.set(id, at(inputs, i));
  });
  const find = (id: ValueId): ValueId => {
    const have = known.get(id);
    if (have !== undefined) return have;
    const { constant, type, name } = valueById(graph, id);
    if (constant === undefined) {
      typeError({ node: prefix, op: 'sub-graph' }, `value ${name} has no producer`);
    }
    const added = b.graph.storedConstant(constant, type, `${prefix}/${name}`);
    known.set(id, added);
    return added;
  };
  for (const node of graph.nodes) {
    const outputs = b.ops(
      node.op,
      node.inputs.map((id) => (id === null ? null : find(id))),
      node.attrs,
      { domain: node.domain, name: `${prefix}/${node.name}`, outputs: node.outputs.length },
    );
    node.outputs.forEach((id, i) => {
      known.set(id, at(outputs, i));
    });
  }
  return graph.outputs.map(find);
}
