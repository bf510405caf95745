/** Runs a Graph on host tensors through the operators' references: the oracle and constant folder. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { actualOutputs } from '../graph/extents.ts';
import { allInputs } from '../graph/ranges.ts';
import type { Graph, Node, ValueId, ValueType } from '../graph/types.ts';
import { constantTensor, valueById } from '../graph/walk.ts';
import { type Registry, standardRegistry } from './registry.ts';

/**
 * Runs one node; `outputTypes` are the inferred ones. Errors are HoneErrors naming the node.
 */
export function evaluateNode(
  node: Node,
  inputs: readonly (Tensor | null)[],
  outputTypes: readonly ValueType[],
  registry: Registry = standardRegistry,
): readonly Tensor[] {
  const def = registry.find(node.op, node.domain);
  if (def === undefined) {
    fail(
      'HONE-OP-001',
      `node ${node.name}: operator ${node.op} is not known`,
      node.name,
      'see docs/operators.md for what is supported',
    );
  }
  return def.reference(inputs, node.attrs, {
    node: node.name,
    outputTypes,
    run: (graph, args) => interpret(graph, args, registry),
  });
}

/**
 * Outputs of a graph, in order; inputs in the order of `graph.inputs`, those that vary at their actual
 * shapes, without the extents. Sizes that depend on data are
 * the actual ones, and the extents that say so are left out.
 */
export function interpret(
  graph: Graph,
  inputs: readonly Tensor[],
  registry: Registry = standardRegistry,
): readonly Tensor[] {
  const values = interpretAll(graph, inputs, registry);
  return actualOutputs(
    graph,
    graph.outputs.map((id) => values(id)),
  );
}

/** As `interpret`, but gives every value of the graph (for per-layer comparison). */
export function interpretAll(
  graph: Graph,
  inputs: readonly Tensor[],
  registry: Registry = standardRegistry,
): (id: ValueId) => Tensor {
  const known = new Map<ValueId, Tensor>();
  const all = allInputs(graph, inputs);
  graph.inputs.forEach((id, i) => {
    const tensor = all[i];
    if (tensor === undefined) {
      fail(
        'HONE-INPUT-001',
        `input ${valueById(graph, id).name} is missing`,
        valueById(graph, id).name,
        'give every input of the model',
      );
    }
    known.set(id, tensor);
  });
  const read = (id: ValueId): Tensor => {
    const have = known.get(id);
    if (have !== undefined) return have;
    const tensor = constantTensor(valueById(graph, id));
    known.set(id, tensor);
    return tensor;
  };
  for (const node of graph.nodes) {
    const outputs = evaluateNode(
      node,
      node.inputs.map((id) => (id === null ? null : read(id))),
      node.outputs.map((id) => valueById(graph, id).type),
      registry,
    );
    node.outputs.forEach((id, i) => {
      const tensor = outputs[i];
      if (tensor !== undefined) known.set(id, tensor);
    });
  }
  return read;
}
