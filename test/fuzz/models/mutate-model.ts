/**
 * Changes a parsed model: shapes, types, attributes, edges, nodes, elements of constants, opsets,
 * sub-graphs and functions. Names stay resolvable mostly, so that much of it gets past the importer.
 */
import type {
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValueInfo,
} from 'hone/frontends/onnx/types';
import { standardRegistry } from 'hone/ops/registry';
import type { Random } from 'hone-runtime/base/random';
import {
  changedAttribute,
  changedShape,
  changedTensor,
  changedType,
  integer,
  oneOf,
} from './mutate-values.ts';

const OPERATORS = standardRegistry.all().map(({ name, domain = '' }) => ({ name, domain }));
const NEWEST_OPSET = 27;

/** One to three changes. `donor` gives nodes and attributes. */
export function mutateModel(model: OnnxModel, donor: OnnxModel, random: Random): OnnxModel {
  const changes = 1 + Math.min(random.integer(3), random.integer(3));
  let out = model;
  for (let i = 0; i < changes; i++) out = changeModel(out, donor, random);
  return out;
}

function changeModel(model: OnnxModel, donor: OnnxModel, random: Random): OnnxModel {
  const what = random.integer(40);
  if (what === 0) {
    const opsets = new Map(model.opsets);
    opsets.set('', 1 + random.integer(NEWEST_OPSET));
    return { ...model, opsets };
  }
  if (what < 8 && model.functions.length > 0) {
    const at = random.integer(model.functions.length);
    const fn = oneOf(model.functions, random);
    const nodes = changeNodes(fn.nodes, fn.inputs, donor, random);
    return { ...model, functions: model.functions.with(at, { ...fn, nodes }) };
  }
  return { ...model, graph: changeGraph(model.graph, donor, random, []) };
}

/** `outside`: names of the graphs around it. */
function changeGraph(
  graph: OnnxGraph,
  donor: OnnxModel,
  random: Random,
  outside: readonly string[],
): OnnxGraph {
  const inner = graph.nodes.flatMap((node, at) =>
    node.attributes.flatMap((attribute, index) =>
      attribute.kind === 'graph' ? [{ node, at, attribute, index }] : [],
    ),
  );
  if (inner.length > 0 && random.integer(2) === 0) {
    const { node, at, attribute, index } = oneOf(inner, random);
    const value = changeGraph(attribute.value, donor, random, [...outside, ...namesOf(graph)]);
    const attributes = node.attributes.with(index, { ...attribute, value });
    return { ...graph, nodes: graph.nodes.with(at, { ...node, attributes }) };
  }
  switch (random.integer(8)) {
    case 0:
      return { ...graph, inputs: changeInfo(graph.inputs, random) };
    case 1:
      return changeOutputs(graph, random);
    case 2:
    case 3:
      return changeConstants(graph, random);
    default: {
      const names = [...outside, ...namesOf(graph)];
      return { ...graph, nodes: changeNodes(graph.nodes, names, donor, random) };
    }
  }
}

function namesOf(graph: OnnxGraph): string[] {
  return [...graph.inputs, ...graph.initializers].map(({ name }) => name);
}

function changeInfo(infos: readonly OnnxValueInfo[], random: Random): readonly OnnxValueInfo[] {
  if (infos.length === 0) return infos;
  const at = random.integer(infos.length);
  const info = infos[at] as OnnxValueInfo;
  if (random.integer(4) > 0 || infos.length === 1) {
    return infos.with(at, { ...info, type: changedType(info.type, random) });
  }
  // All inputs of a shape change together: often the only way to stay consistent.
  const key = JSON.stringify(info.type);
  const type = changedType(info.type, random);
  return infos.map((other) => (JSON.stringify(other.type) === key ? { ...other, type } : other));
}

function changeOutputs(graph: OnnxGraph, random: Random): OnnxGraph {
  const { outputs } = graph;
  const made = graph.nodes.flatMap((node) => node.outputs).filter((name) => name !== '');
  const name = made.length > 0 ? oneOf(made, random) : '';
  const info: OnnxValueInfo = { name, type: { kind: 'unknown' } };
  const at = random.integer(Math.max(1, outputs.length));
  switch (random.integer(3)) {
    case 0:
      return { ...graph, outputs: [...outputs, info] };
    case 1:
      return { ...graph, outputs: outputs.toSpliced(at, 1, info) };
    default:
      return { ...graph, outputs: outputs.length > 1 ? outputs.toSpliced(at, 1) : outputs };
  }
}

/** Elements, shapes and types of constants; constants that become inputs, and inputs constants. */
function changeConstants(graph: OnnxGraph, random: Random): OnnxGraph {
  const { initializers, inputs } = graph;
  const input = inputs.length > 0 ? oneOf(inputs, random) : undefined;
  if (input?.type.kind === 'tensor' && random.integer(5) === 0) {
    const dims = (input.type.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
    const empty: OnnxTensor = {
      name: input.name,
      dataType: input.type.dataType,
      dims,
      payload: { kind: 'none' },
      source: { name: 'none', size: 0, read: () => new Uint8Array(0), close: () => {} },
    };
    return { ...graph, initializers: [...initializers, changedTensor(empty, random)] };
  }
  if (initializers.length === 0) return { ...graph, inputs: changeInfo(inputs, random) };
  const at = random.integer(initializers.length);
  const tensor = initializers[at] as OnnxTensor;
  if (random.integer(5) === 0) {
    const { name, dataType, dims } = tensor;
    const info: OnnxValueInfo = { name, type: { kind: 'tensor', dataType, shape: dims } };
    return {
      ...graph,
      initializers: initializers.toSpliced(at, 1),
      inputs: [...inputs.filter((other) => other.name !== name), info],
    };
  }
  return { ...graph, initializers: initializers.with(at, changedTensor(tensor, random)) };
}

/** One change of a list of nodes; `names` are values that exist before the first of them. */
function changeNodes(
  nodes: readonly OnnxNode[],
  names: readonly string[],
  donor: OnnxModel,
  random: Random,
): readonly OnnxNode[] {
  if (nodes.length === 0) return nodes;
  const at = random.integer(nodes.length);
  const node = nodes[at] as OnnxNode;
  const before = [...names, ...nodes.slice(0, at).flatMap((other) => other.outputs)];
  const donated = donor.graph.nodes;
  switch (random.integer(14)) {
    case 0:
    case 1:
    case 2:
      return nodes.with(at, rewired(node, before, random));
    case 3:
    case 4:
    case 5:
    case 6:
      return nodes.with(at, withOtherAttribute(node, donated, random));
    case 7: {
      const { name, domain } = oneOf(OPERATORS, random);
      return nodes.with(at, { ...node, op: name, domain });
    }
    case 8:
      return withoutNode(nodes, at);
    case 9:
      return nodes.toSpliced(random.integer(nodes.length), 0, node);
    case 10: {
      const outputs =
        random.integer(2) === 0 ? node.outputs.slice(0, -1) : [...node.outputs, 'more'];
      return nodes.with(at, { ...node, outputs });
    }
    case 11: {
      const other = random.integer(nodes.length);
      return nodes.with(at, nodes[other] as OnnxNode).with(other, node);
    }
    default: {
      const guest = donated.length > 0 && random.integer(2) === 0 ? oneOf(donated, random) : node;
      return withNodeBetween(nodes, at, guest, before, random);
    }
  }
}

/** One input reads something else that is there, nothing, or what does not exist yet. */
function rewired(node: OnnxNode, before: readonly string[], random: Random): OnnxNode {
  const { inputs } = node;
  const at = random.integer(Math.max(1, inputs.length));
  const source = before.length > 0 ? oneOf(before, random) : '';
  switch (random.integer(7)) {
    case 0:
      return { ...node, inputs: inputs.toReversed() };
    case 1:
      return { ...node, inputs: [...inputs, source] };
    case 2:
      return { ...node, inputs: inputs.slice(0, -1) };
    case 3:
      return { ...node, inputs: inputs.length === 0 ? inputs : inputs.with(at, '') };
    case 4:
      if (random.integer(6) > 0 || node.outputs[0] === undefined) break;
      return { ...node, inputs: inputs.toSpliced(at, 1, node.outputs[0]) };
    default:
  }
  return { ...node, inputs: inputs.toSpliced(at, 1, source) };
}

function withOtherAttribute(
  node: OnnxNode,
  donated: readonly OnnxNode[],
  random: Random,
): OnnxNode {
  const { attributes, op, domain } = node;
  const at = random.integer(Math.max(1, attributes.length));
  const chosen = attributes[at];
  if (chosen !== undefined && random.integer(4) > 0) {
    return { ...node, attributes: attributes.with(at, changedAttribute(chosen, random)) };
  }
  if (chosen !== undefined && random.integer(3) === 0) {
    return { ...node, attributes: attributes.toSpliced(at, 1) };
  }
  const known = Object.entries(standardRegistry.find(op, domain)?.attrs ?? {});
  const pool: OnnxAttribute[] = known.flatMap(([name, { type }]): OnnxAttribute[] => {
    switch (type) {
      case 'int':
        return [{ name, kind: 'int', value: integer(random) }];
      case 'float':
        return [changedAttribute({ name, kind: 'float', value: 0 }, random)];
      case 'string':
        return [changedAttribute({ name, kind: 'string', value: '' }, random)];
      case 'ints':
        return [{ name, kind: 'ints', value: changedShape([1, 1], random) }];
      default:
        return [];
    }
  });
  const other = donated.flatMap((item) => item.attributes);
  const all = pool.length > 0 && random.integer(5) > 0 ? pool : other;
  if (all.length === 0) return node;
  const added = oneOf(all, random);
  return {
    ...node,
    attributes: [...attributes.filter(({ name }) => name !== added.name), added],
  };
}

/** The readers of its first output read its first input instead. */
function withoutNode(nodes: readonly OnnxNode[], at: number): readonly OnnxNode[] {
  const { inputs, outputs } = nodes[at] as OnnxNode;
  const [from, to] = [outputs[0] ?? '', inputs[0] ?? ''];
  return nodes
    .toSpliced(at, 1)
    .map((node) => ({ ...node, inputs: node.inputs.map((name) => (name === from ? to : name)) }));
}

/** A copy of `guest` before node `at`, whose first input it makes from what that was. */
function withNodeBetween(
  nodes: readonly OnnxNode[],
  at: number,
  guest: OnnxNode,
  before: readonly string[],
  random: Random,
): readonly OnnxNode[] {
  const node = nodes[at] as OnnxNode;
  const place = random.integer(Math.max(1, node.inputs.length));
  const made = `between${nodes.length}`;
  const there = (name: string): string =>
    name === '' || before.includes(name) ? name : oneOf([...before, name], random);
  const inputs = guest.inputs.map(there);
  const copy: OnnxNode = {
    ...guest,
    name: made,
    inputs: inputs.length === 0 ? inputs : inputs.with(0, node.inputs[place] ?? ''),
    outputs: guest.outputs.map((_, i) => (i === 0 ? made : `${made}_${i}`)),
  };
  const reader = { ...node, inputs: node.inputs.toSpliced(place, 1, made) };
  return [...nodes.slice(0, at), copy, reader, ...nodes.slice(at + 1)];
}
