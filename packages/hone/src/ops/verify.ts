/**
 * Graphs and operators together: are the types of a graph the ones its operators infer? And the
 * inference that `parseGraph` needs for text without types.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { UntypedNode } from '../graph/parse.ts';
import { printType } from '../graph/tensor-text.ts';
import type { Attrs, Graph, Node, ValueType } from '../graph/types.ts';
import { verifyGraph } from '../graph/verify.ts';
import { valueById } from '../graph/walk.ts';
import { completeAttrs, inputOf } from './builder.ts';
import { type Registry, standardRegistry } from './registry.ts';

/** Checks structure, and every node's attributes and output types against its operator. */
export function verifyOps(graph: Graph, registry: Registry = standardRegistry): Graph {
  verifyGraph(graph);
  for (const node of graph.nodes) verifyNode(graph, node, registry);
  return graph;
}

function verifyNode(graph: Graph, node: Node, registry: Registry): void {
  const { types } = inferUntyped(registry)({
    ...node,
    inputs: node.inputs.map((id) => (id === null ? null : valueById(graph, id))),
    outputCount: node.outputs.length,
  });
  const print = ({ dtype, shape }: ValueType): string => printType(dtype, shape);
  node.outputs.forEach((id, i) => {
    const value = valueById(graph, id);
    const type = types[i];
    const inferred = type === undefined ? 'nothing' : print(type);
    if (inferred !== print(value.type)) {
      fail(
        'HONE-GRAPH-010',
        `node ${node.name} (${node.op}) gives ${inferred}, but ${value.name} is ${print(value.type)}`,
        node.name,
        'this is a fault of the pass or importer that made the graph: please report it',
      );
    }
  });
}

/** Completes nodes of hand-written graph text: default attributes and output types. */
export function inferUntyped(
  registry: Registry = standardRegistry,
): (node: UntypedNode) => { types: readonly ValueType[]; attrs: Attrs } {
  return ({ op, domain, name, inputs, attrs, outputCount }) => {
    const def = registry.find(op, domain);
    if (def === undefined) {
      fail('HONE-OP-001', `node ${name}: operator ${op} is not known`, name, 'check its spelling');
    }
    const full = completeAttrs(def, attrs, name);
    const known = inputs.map((value) => (value === null ? null : inputOf(value)));
    return {
      types: def.infer({ node: name, op, inputs: known, attrs: full, outputCount }),
      attrs: full,
    };
  };
}
