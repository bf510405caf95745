/**
 * Checks that a Graph is well formed: ids are positions, names are unique, every value has one
 * producer that comes before its readers, constants fit their types. Sub-graphs are checked too.
 * Types are not inferred here; that needs operators (`ops`).
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { printType } from './tensor-text.ts';
import type { AttrValue, Graph, Value, ValueId } from './types.ts';

/** Throws HONE-GRAPH-… at the first thing that is wrong; returns the graph. */
export function verifyGraph(graph: Graph): Graph {
  const names = new Set<string>();
  graph.values.forEach((value, position) => {
    if (value.id !== position) {
      wrong('001', graph, `value ${value.name} has id ${value.id} at position ${position}`);
    }
    if (names.has(value.name)) wrong('002', graph, `two values are named ${value.name}`);
    names.add(value.name);
    checkValue(graph, value);
  });
  const defined = new Set<ValueId>();
  const define = (id: ValueId, by: string): void => {
    const value = graph.values[id];
    if (value === undefined) wrong('003', graph, `${by} defines value ${id}, which does not exist`);
    if (defined.has(id)) wrong('004', graph, `value ${value.name} has two producers, one is ${by}`);
    defined.add(id);
  };
  for (const value of graph.values)
    if (value.constant !== undefined) define(value.id, 'a constant');
  for (const id of graph.inputs) define(id, 'an input');
  for (const node of graph.nodes) {
    for (const id of node.inputs) {
      if (id === null || defined.has(id)) continue;
      const name = graph.values[id]?.name ?? `${id}`;
      wrong('005', graph, `node ${node.name} reads ${name} before it is computed`);
    }
    for (const id of node.outputs) define(id, `node ${node.name}`);
    for (const value of Object.values(node.attrs))
      for (const sub of subgraphs(value)) verifyGraph(sub);
  }
  for (const value of graph.values) {
    if (!defined.has(value.id)) wrong('006', graph, `value ${value.name} has no producer`);
  }
  for (const id of graph.outputs) {
    if (!defined.has(id)) wrong('007', graph, `output ${id} does not exist`);
  }
  for (const { output, axis, from } of graph.extents ?? []) {
    const value = graph.values[graph.outputs[output] ?? -1];
    const extent = graph.values[graph.outputs[from] ?? -1]?.type;
    if (value?.type.shape[axis] === undefined) {
      wrong('010', graph, `output ${output} has no axis ${axis} to be shorter along`);
    }
    if (extent?.dtype !== 'i64' || extent.shape.length > 0) {
      wrong('010', graph, `the extent of ${value.name} is no i64 scalar among the outputs`);
    }
  }
  for (const { input, axis, from, least } of graph.ranges ?? []) {
    const value = graph.values[graph.inputs[input] ?? -1];
    const extent = graph.values[graph.inputs[from] ?? -1]?.type;
    const most = value?.type.shape[axis];
    if (most === undefined || !(least >= 0 && least < most)) {
      wrong('010', graph, `input ${input} does not vary from ${least} up along axis ${axis}`);
    }
    if (extent?.dtype !== 'i64' || extent.shape.length > 0) {
      wrong('010', graph, `the extent of input ${input} is no i64 scalar among the inputs`);
    }
  }
  return graph;
}

/** The graphs an attribute holds. */
export function subgraphs(value: AttrValue): readonly Graph[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return items.filter(
    (item): item is Graph => typeof item === 'object' && item !== null && 'nodes' in item,
  );
}

function checkValue(graph: Graph, value: Value): void {
  const { name, type, constant } = value;
  if (type.shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0)) {
    wrong('008', graph, `value ${name} has shape [${type.shape.join(',')}]`);
  }
  if (constant?.kind === 'inline') checkTensor(graph, value, constant.tensor);
  if (constant?.kind === 'file') {
    const end = constant.offset + elementCount(type.shape) * dtypeBytes(type.dtype);
    if (end > constant.source.size) {
      wrong('009', graph, `constant ${name} ends behind the end of ${constant.source.name}`);
    }
  }
}

function checkTensor(graph: Graph, { name, type }: Value, tensor: Tensor): void {
  const declared = printType(type.dtype, type.shape);
  const actual = printType(tensor.dtype, tensor.shape);
  if (declared !== actual || tensor.data.length !== elementCount(type.shape)) {
    wrong('009', graph, `constant ${name} is ${declared} but holds ${actual}`);
  }
}

function wrong(code: string, graph: Graph, message: string): never {
  fail(
    `HONE-GRAPH-${code}`,
    `graph ${graph.name}: ${message}`,
    graph.name,
    'this is a fault of the pass or importer that made the graph: please report it',
  );
}
