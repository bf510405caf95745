/**
 * Imports the nodes of a scope in one forward pass: inputs are resolved, old opsets upgraded,
 * functions and constant branches inlined, constant inputs folded, types inferred.
 *
 * Whatever a node holds, the outcome is values in the builder or a coded error naming the node.
 */
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { AttrValue, Graph, ValueId, ValueType } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { completeAttrs, inputOf } from '../../ops/builder.ts';
import type { OpDef } from '../../ops/define-op.ts';
import { evaluateNode } from '../../ops/interpret.ts';
import { firstDraw } from '../../ops/math/draws.ts';
import { collectOperators, functionKey, graphsOf, nodeName } from './analyze.ts';
import {
  type CallerAttributes,
  checkAttributes,
  plainAttribute,
  resolveAttributes,
} from './attributes.ts';
import { MAX_ELEMENTS, MAX_RANK } from './bind-shapes.ts';
import { shouldFold } from './fold.ts';
import { importBounded, isTensorEntity, type TensorEntity } from './bounded/index.ts';
import { limited } from './bounded/limited.ts';
import { declaredOutside, declaredRanks } from './declared.ts';
import { type Entity, failBounded, isTensor, tensorOf } from './entities.ts';
import { importChoice } from './import-choice.ts';
import { countedLoop } from './import-counted-loop.ts';
import { importGrowing, importLoop } from './import-runtime-loop.ts';
import { importSubgraphs } from './import-control.ts';
import { define, finalName, initializersOf, resolve, type Scope } from './import-scope.ts';
import { importMapOp } from './import-maps.ts';
import { scanAsLoop } from './growing/scan.ts';
import { importBatchedScan, importScan, isBatchedScan } from './import-scan.ts';
import { mapSequence } from './import-sequence-map.ts';
import { importSequenceOp } from './import-sequences.ts';
import { withoutPassed } from './import-passed.ts';
import { importSpecial, isBypassed } from './import-special.ts';
import { isMapOp } from './map-ops.ts';
import { SEQUENCE_OPS } from './sequence-ops.ts';
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxNode } from './types.ts';
import { failUnsupported } from './unsupported.ts';

const MAX_DEPTH = 64;
const EXPORT_AGAIN = 'the model is not valid ONNX: export it again';

/** Imports a graph's nodes and gives its outputs. */
export function importGraph(scope: Scope, graph: OnnxGraph): readonly Entity[] {
  importNodes(scope, graph.nodes);
  return graph.outputs.map(({ name }) => resolve(scope, name, `the output list of ${graph.name}`));
}

export function importNodes(scope: Scope, nodes: readonly OnnxNode[]): void {
  if (scope.depth > MAX_DEPTH) {
    fail(
      'HONE-ONNX-022',
      `${scope.prefix}: functions and sub-graphs nest more than ${MAX_DEPTH} deep`,
      scope.prefix,
      'the model calls itself or is damaged',
    );
  }
  const { state } = scope;
  nodes.forEach((node, index) => {
    if (--scope.state.nodesLeft < 0) {
      fail(
        'HONE-ONNX-022',
        'the model has too many nodes once its functions are inlined',
        scope.state.model.source.name,
        'split the model',
      );
    }
    const name = uniqueName(scope, `${scope.prefix}${nodeName(node, index)}`);
    try {
      const outputs = importNode(scope, node, name);
      node.outputs.forEach((output, i) => {
        const id = outputs[i];
        if (output === '' || id === undefined) return;
        define(scope, output, limited(scope.builder, state.bounds, name, output, id), name);
      });
    } catch (cause) {
      throw asHoneError(cause, node, name);
    }
  });
}

/** A reference or an inference that trips over an invalid node is still an error about the node. */
function asHoneError(cause: unknown, node: OnnxNode, name: string): HoneError {
  if (cause instanceof HoneError && !cause.code.startsWith('HONE-INTERNAL')) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new HoneError({
    code: 'HONE-ONNX-016',
    message: `node ${name} (${node.op}): its inputs or attributes do not fit the operator (${detail})`,
    subject: name,
    cure: EXPORT_AGAIN,
    cause,
  });
}

function uniqueName(scope: Scope, wanted: string): string {
  const { nodeNames } = scope.state;
  let name = wanted;
  for (let n = 1; nodeNames.has(name); n++) name = `${wanted}.${n}`;
  nodeNames.add(name);
  return name;
}

function importNode(scope: Scope, node: OnnxNode, name: string): readonly (Entity | undefined)[] {
  const shorter = node.op === 'Loop' && node.domain === '' ? withoutPassed(node) : undefined;
  if (shorter !== undefined) {
    const results = importNode(scope, shorter.node, name);
    const reader = `node ${name} (Loop)`;
    return shorter.outputs.map((place) =>
      'output' in place ? results[place.output] : resolve(scope, place.input, reader),
    );
  }
  const entities = node.inputs.map((input) =>
    input === '' ? null : resolve(scope, input, `node ${name} (${node.op})`),
  );
  const attributes = resolveAttributes(node, scope.callerAttributes, name);
  const called = scope.state.functions.get(functionKey(node));
  if (called !== undefined) return inlineFunction(scope, node, name, entities, attributes, called);
  if (node.op === 'Loop' && node.domain === '') {
    const counted = countedLoop(scope, node, name, entities, importGraph);
    if (counted !== undefined)
      return importTyped(scope, counted.node, name, counted.inputs, attributes);
  }
  return importTyped(scope, node, name, entities, attributes);
}

/** As `importNode`, of a node that is no call of a function. */
function importTyped(
  scope: Scope,
  node: OnnxNode,
  name: string,
  entities: readonly (Entity | null)[],
  attributes: readonly OnnxAttribute[],
): readonly (Entity | undefined)[] {
  if (node.domain === '') {
    const moved = importContainers(scope, node, name, entities, attributes);
    if (moved !== undefined) return moved;
  }
  if (isMapOp(node)) return importMapOp(scope, node, name, entities, attributes);
  const given = entities.map((entity) => tensorEntityOf(entity, `node ${name} (${node.op})`));
  if (given.some((entity) => entity !== null && !isTensor(entity))) {
    const [first] = given;
    if (isBypassed(node) && first != null && node.outputs.length < 2) return [first];
    if (node.op === 'Loop' && node.domain === '')
      return importGrowing(scope, node, name, given, importGraph);
    if (node.op === 'Scan' && node.domain === '' && !isBatchedScan(scope, node))
      return scanAsLoop(scope, node, name, given, attributes, importGraph);
    return importOperator(scope, node, name, given, attributes);
  }
  const inputs = given as readonly (ValueId | null)[];
  const special = importSpecial(scope, node, name, inputs, attributes);
  if (special !== undefined) return special;
  if (node.op === 'If' && node.domain === '') {
    const branch = constantBranch(scope, node, inputs);
    if (branch !== undefined) return inlineBranch(scope, node, name, branch);
    const asNode = (): readonly (Entity | undefined)[] =>
      importOperator(scope, node, name, inputs, attributes);
    return importChoice(scope, node, name, inputs, { asNode, inlineBranch, importGraph });
  }
  if (node.op === 'Loop' && node.domain === '') {
    const asNode = (even: typeof inputs): readonly (Entity | undefined)[] =>
      importOperator(scope, node, name, even, attributes);
    return importLoop(scope, node, name, inputs, asNode, importGraph);
  }
  if (isBatchedScan(scope, node)) {
    return importBatchedScan(scope, node, name, inputs, attributes, (one, part, own, renamed) =>
      importOperator(scope, one, part, own, renamed, 9),
    );
  }
  if (node.op === 'Scan' && node.domain === '') {
    const asNode = (): readonly (Entity | undefined)[] =>
      importOperator(scope, node, name, inputs, attributes);
    const asLoop = (): readonly (Entity | undefined)[] =>
      scanAsLoop(scope, node, name, inputs, attributes, importGraph);
    return importScan(asNode, asLoop);
  }
  return importOperator(scope, node, name, inputs, attributes);
}

/** The tensor of an input, with room or without. */
function tensorEntityOf(entity: Entity | null, reader: string): TensorEntity | null {
  if (entity === null || isTensorEntity(entity)) return entity;
  if (entity.kind === 'optional' && entity.item !== null)
    return tensorEntityOf(entity.item, reader);
  return tensorOf(entity, reader);
}

/** Nodes on sequences and optionals; undefined where every input is a tensor. */
function importContainers(
  scope: Scope,
  node: OnnxNode,
  name: string,
  entities: readonly (Entity | null)[],
  attributes: readonly OnnxAttribute[],
): readonly (Entity | undefined)[] | undefined {
  if (node.op === 'SequenceMap') return mapSequence(scope, node, name, entities, importGraph);
  if (SEQUENCE_OPS.has(node.op)) return importSequenceOp(scope, node, name, entities, attributes);
  if (entities.every((entity) => entity === null || isTensorEntity(entity))) return undefined;
  if (node.op === 'Identity') return entities.flatMap((entity) => entity ?? []);
  if (node.op === 'Loop') return importGrowing(scope, node, name, entities, importGraph);
  return undefined;
}

function importOperator(
  scope: Scope,
  node: OnnxNode,
  name: string,
  given: readonly (TensorEntity | null)[],
  attributes: readonly OnnxAttribute[],
  opset: number = scope.opsets.get(node.domain) ?? 1,
): readonly (Entity | undefined)[] {
  const { builder, state } = scope;
  let def = state.registry.find(node.op, node.domain);
  if (def === undefined)
    return failUnsupported(collectOperators(state.model, { nodes: [node] }, state.registry, true));
  let inputs = given.map((entity) =>
    entity === null || isTensor(entity) ? entity : entity.id,
  ) as readonly (ValueId | null)[];
  const withRoom = new Map(
    given.flatMap((entity) =>
      entity === null || isTensor(entity) ? [] : [[entity.id, entity] as const],
    ),
  );
  let attrs: Record<string, AttrValue> = {};
  for (const attribute of attributes) {
    const value = plainAttribute(attribute, state.model.external, name);
    if (value !== undefined) attrs[attribute.name] = value;
  }
  // An optimisation hint of opset 1 without meaning.
  delete attrs['consumed_inputs'];
  const isAsWritten = def.upgrade === undefined || opset >= def.since;
  if (def.upgrade !== undefined && opset < def.since) {
    const old = { name, op: node.op, opset, inputs, attrs };
    const upgraded = def.upgrade(builder, old);
    inputs = upgraded.inputs;
    attrs = { ...upgraded.attrs };
    if (upgraded.op !== undefined && upgraded.op !== def.name) {
      def = state.registry.find(upgraded.op, node.domain) ?? def;
    }
  }
  const reader = `node ${name} (${node.op})`;
  // An upgrade that computes with a tensor does not know of its room.
  if ([...withRoom.keys()].some((id) => !inputs.includes(id))) failBounded(reader);
  if (graphsOf(node).length > 0) {
    if (withRoom.size > 0) failBounded(reader);
    ({ inputs, attrs } = withSubgraphs(scope, node, name, def, inputs, attrs));
  }
  checkAttributes(def, attrs, name);
  inputs = withIterations(scope, def, inputs);
  const bounded = importBounded({
    builder,
    name,
    op: def.name,
    domain: def.domain ?? '',
    attrs: completeAttrs(def, attrs, name),
    inputs: inputs.map((id) => (id === null ? null : (withRoom.get(id) ?? id))),
    names: wantedOutputs(node),
    ranks: wantedOutputs(node).map((output) => scope.ranks.get(output)),
    reads: isAsWritten ? node.inputs : [],
    bounds: state.bounds,
  });
  if (bounded !== undefined) return bounded;
  return addNode(scope, node, name, def, inputs, attrs);
}

/** What draws in iterations that are written out draws other numbers in each. */
function withIterations(
  { builder, iterations }: Scope,
  def: OpDef,
  inputs: readonly (ValueId | null)[],
): readonly (ValueId | null)[] {
  const own = firstDraw(def.name, def.domain ?? '');
  if (own === undefined || iterations.length === 0 || inputs.length > own) return inputs;
  const missing = Array.from({ length: own - inputs.length }, () => null);
  return [...inputs, ...missing, ...iterations.map((number) => builder.scalar(number, 'i64'))];
}

function addNode(
  scope: Scope,
  node: OnnxNode,
  name: string,
  def: OpDef,
  inputs: readonly (ValueId | null)[],
  attrs: Record<string, AttrValue>,
): readonly ValueId[] {
  const { builder, state } = scope;
  const values = inputs.map((id) => (id === null ? null : builder.graph.value(id)));
  const full = completeAttrs(def, attrs, name);
  const wanted = wantedOutputs(node);
  const types = def.infer({
    node: name,
    op: def.name,
    inputs: values.map((value) => (value === null ? null : inputOf(value))),
    attrs: full,
    outputCount: wanted.length,
  });
  checkTypes(types, wanted.length, def, name);
  const outputNames = types.map((_, i) => {
    const output = wanted[i];
    return output ? finalName(scope, output) : undefined;
  });
  const spec = { op: def.name, domain: def.domain ?? '', name, inputs, attrs: full };
  const present = values.filter((value) => value !== null);
  const known = present.every((value) => value.constant !== undefined);
  const operands = present.map((value) => value.type);
  if (known && shouldFold(def.name, operands, types, state.folding)) {
    const tensors = values.map((value) => (value === null ? null : constantTensor(value)));
    const results = evaluateNode({ ...spec, outputs: [] }, tensors, types, state.registry);
    return results.map((tensor, i) => builder.constant(tensor, outputNames[i] ?? `${name}_${i}`));
  }
  return builder.graph.node({ ...spec, types, outputNames });
}

/** The names of a node's outputs up to the last one that is named. */
function wantedOutputs(node: OnnxNode): readonly string[] {
  let count = node.outputs.length;
  while (count > 1 && node.outputs[count - 1] === '') count--;
  return node.outputs.slice(0, Math.max(1, count));
}

function checkTypes(types: readonly ValueType[], wanted: number, def: OpDef, name: string): void {
  if (types.length < wanted) {
    fail(
      'HONE-ONNX-016',
      `node ${name} (${def.name}): the model asks for ${wanted} outputs, the operator has ${types.length}`,
      name,
      EXPORT_AGAIN,
    );
  }
  for (const { dtype, shape } of types) {
    const sane =
      shape.length <= MAX_RANK &&
      shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0) &&
      elementCount(shape) * Math.max(1, dtypeBytes(dtype)) <= MAX_ELEMENTS;
    if (sane) continue;
    const text =
      shape.length > MAX_RANK ? `of ${shape.length} axes` : `of shape [${shape.join(',')}]`;
    fail(
      'HONE-SHAPE-011',
      `node ${name} (${def.name}): a result ${text} is not possible or too large`,
      name,
      'check the shapes the model was exported with, or the --shape you gave',
    );
  }
}

function withSubgraphs(
  scope: Scope,
  node: OnnxNode,
  name: string,
  def: OpDef,
  inputs: readonly (ValueId | null)[],
  attrs: Record<string, AttrValue>,
): { inputs: readonly (ValueId | null)[]; attrs: Record<string, AttrValue> } {
  const { graphs, captures } = importSubgraphs(scope, node, name, inputs, importGraph);
  const out = { ...attrs };
  const graphOf = (source: OnnxGraph): Graph => graphs.get(source) as Graph;
  for (const attribute of node.attributes) {
    if (attribute.kind === 'graph') out[attribute.name] = graphOf(attribute.value);
    else if (attribute.kind === 'graphs') out[attribute.name] = attribute.value.map(graphOf);
  }
  if (captures.length === 0) return { inputs, attrs: out };
  if (def.attrs['captures'] === undefined) {
    fail(
      'HONE-ONNX-023',
      `node ${name} (${node.op}): its sub-graph reads values around it, which the operator's record does not take`,
      name,
      'export the model without control flow',
    );
  }
  out['captures'] = captures.length;
  return { inputs: [...inputs, ...captures], attrs: out };
}

/** The branch of an `If` that is always taken. */
function constantBranch(
  scope: Scope,
  node: OnnxNode,
  inputs: readonly (ValueId | null)[],
): OnnxGraph | undefined {
  const [condition] = inputs;
  if (condition == null) return undefined;
  const value = scope.builder.graph.value(condition);
  if (value.constant === undefined || value.type.dtype !== 'bool') return undefined;
  const taken = constantTensor(value).data[0] === 0 ? 'else_branch' : 'then_branch';
  const attribute = node.attributes.find((item) => item.name === taken);
  return attribute?.kind === 'graph' ? attribute.value : undefined;
}

function inlineBranch(
  scope: Scope,
  node: OnnxNode,
  name: string,
  branch: OnnxGraph,
): readonly Entity[] {
  const { state } = scope;
  const { unsupported } = collectOperators(state.model, branch, state.registry, false);
  if (unsupported.length > 0) failUnsupported({ unsupported });
  const outputs = branch.outputs.map((output) => output.name);
  return importGraph(
    {
      ...scope,
      values: new Map(),
      initializers: initializersOf(branch),
      ranks: declaredRanks(branch, declaredOutside(scope, node, branch)),
      finalNames: innerNames(scope, node, outputs, branch.nodes),
      prefix: `${name}/`,
      parent: scope,
      depth: scope.depth + 1,
    },
    branch,
  );
}

function inlineFunction(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  attributes: readonly OnnxAttribute[],
  called: OnnxFunction,
): readonly (Entity | undefined)[] {
  if (inputs.length > called.inputs.length) {
    const message = `node ${name}: function ${called.name} takes ${called.inputs.length} inputs, not ${inputs.length}`;
    fail('HONE-ONNX-016', message, name, EXPORT_AGAIN);
  }
  const values = new Map<string, Entity>();
  const absent = new Set<string>();
  called.inputs.forEach((formal, i) => {
    const id = inputs[i];
    if (id == null) absent.add(formal);
    else values.set(formal, id);
  });
  const caller: CallerAttributes = new Map(
    [...called.attributeDefaults, ...attributes].map((attribute) => [attribute.name, attribute]),
  );
  const inner: Scope = {
    ...scope,
    values,
    initializers: new Map(),
    ranks: declaredRanks(called, declaredOutside(scope, node, called)),
    finalNames: innerNames(scope, node, called.outputs, called.nodes),
    prefix: `${name}/`,
    opsets: called.opsets.size > 0 ? called.opsets : scope.opsets,
    callerAttributes: caller,
    parent: null,
    depth: scope.depth + 1,
  };
  // An argument that is not given is absent wherever the body passes it on.
  const given = (item: OnnxNode): OnnxNode =>
    item.inputs.some((input) => absent.has(input))
      ? { ...item, inputs: item.inputs.map((input) => (absent.has(input) ? '' : input)) }
      : item;
  importNodes(inner, absent.size === 0 ? called.nodes : called.nodes.map(given));
  return node.outputs.map((output, i) => {
    const formal = called.outputs[i];
    if (output === '') return undefined;
    return resolve(inner, formal ?? '', `function ${called.name}, called by node ${name},`);
  });
}

/** Names of the values behind an inlined node's outputs: those the outputs have outside. */
function innerNames(
  scope: Scope,
  node: OnnxNode,
  inner: readonly string[],
  nodes: readonly OnnxNode[],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  inner.forEach((name, i) => {
    const outer = node.outputs[i];
    if (outer) names.set(name, finalName(scope, outer));
  });
  return throughBypassed(names, nodes);
}

/**
 * Extends names of outputs to the values that reach them through nodes that vanish, so that the
 * remaining producer makes a value of the right name.
 */
export function throughBypassed(
  names: Map<string, string>,
  nodes: readonly OnnxNode[],
): ReadonlyMap<string, string> {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  for (const node of nodes.toReversed()) {
    const [output] = node.outputs;
    const [input] = node.inputs;
    if (!isBypassed(node) || output === undefined || input === undefined) continue;
    const name = names.get(output);
    if (name !== undefined && made.has(input) && !names.has(input)) names.set(input, name);
  }
  return names;
}
