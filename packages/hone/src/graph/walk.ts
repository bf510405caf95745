/** Read-only questions about a Graph: producers, consumers, constants' elements. */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { elementCount, type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import type { Graph, Node, Value, ValueId } from './types.ts';

export function valueById(graph: Graph, id: ValueId): Value {
  return at(graph.values, id);
}

/** The node that computes each value; absent for inputs and constants. */
export function producers(graph: Graph): ReadonlyMap<ValueId, Node> {
  const map = new Map<ValueId, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) map.set(output, node);
  return map;
}

/** The nodes that read each value, in order, once per node. */
export function consumers(graph: Graph): ReadonlyMap<ValueId, readonly Node[]> {
  const map = new Map<ValueId, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) {
      if (input === null) continue;
      const list = map.get(input);
      if (list === undefined) map.set(input, [node]);
      else list.push(node);
    }
  }
  return map;
}

/** The elements of a constant value, read from the model file when they are still there. */
export function constantTensor(value: Value): Tensor {
  const { constant, type } = value;
  invariant(constant !== undefined, `value ${value.name} is not a constant`);
  if (constant.kind === 'inline') return constant.tensor;
  const bytes = elementCount(type.shape) * dtypeBytes(type.dtype);
  const data = viewBytes(type.dtype, constant.source.read(constant.offset, bytes));
  return { dtype: type.dtype, shape: type.shape, data };
}
