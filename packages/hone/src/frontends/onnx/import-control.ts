/**
 * Sub-graphs: `If` with a constant condition is inlined; sub-graphs of other nodes become Graphs.
 *
 * ONNX sub-graphs read values around them by name. Here such values are passed explicitly: a node
 * with sub-graphs gets them as extra inputs at the end, every one of its sub-graphs gets inputs
 * for them at the end, in the same order, and the attribute `captures` says how many they are.
 * Constants around a sub-graph are copied into it instead.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { GraphBuilder } from '../../graph/build.ts';
import type { Graph, ValueId, ValueType } from '../../graph/types.ts';
import { OpBuilder } from '../../ops/builder.ts';
import { graphsOf } from './analyze.ts';
import { numbersOf } from './bounded/ints.ts';
import { takesValueBound } from './bounded/limited.ts';
import { declaredOutside, declaredRanks } from './declared.ts';
import { type Entity, isTensor } from './entities.ts';
import { initializersOf, lookUp, type Scope } from './import-scope.ts';
import { mapValues, valuesOf } from './sequences/captures.ts';
import { dtypeOf } from './tensor-elements.ts';
import type { OnnxGraph, OnnxNode, OnnxValueInfo } from './types.ts';

/** Imports the nodes of a scope; given by the importer. */
export type ImportGraph = (scope: Scope, graph: OnnxGraph) => readonly Entity[];

export interface Subgraphs {
  /** One per graph of the node's attributes, in order. */
  readonly graphs: ReadonlyMap<OnnxGraph, Graph>;
  /** Values to append to the node's inputs. */
  readonly captures: readonly ValueId[];
}

/** A sub-graph whose nodes are imported, before it is a Graph. */
export interface Part {
  /** Of the attribute that it is the value of. */
  readonly name: string;
  readonly builder: OpBuilder;
  readonly outputs: readonly Entity[];
  /** What values that are captured are outside. */
  readonly outer: ReadonlyMap<ValueId, ValueId>;
}

export interface PartHooks {
  /** Finishes the sub-graphs in place of `importSubgraphs`. */
  readonly onPart?: (part: Part) => void;
  /** Makes the sub-graph's own inputs, in its order; else they have the types that the node passes. */
  readonly formals?: (builder: OpBuilder) => readonly Entity[];
  /** How often a loop runs at most; absent: its inputs say. */
  readonly iterations?: number;
}

/** Turns every sub-graph of a node into a Graph. */
export function importSubgraphs(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  importGraph: ImportGraph,
  { onPart, formals, iterations }: PartHooks = {},
): Subgraphs {
  const sources = graphsOf(node);
  const read = new Map<string, Entity>();
  for (const free of new Set(sources.flatMap((graph) => [...freeNames(graph)]))) {
    const entity = outerValue(scope, free);
    if (entity !== undefined) read.set(free, entity);
  }
  const { captured, constants } = capturesOf(scope, read);
  const graphs = new Map<OnnxGraph, Graph>();
  const isLoop = node.op === 'Loop' && node.domain === '';
  const most = iterations ?? mostTrips(scope, inputs);
  for (const source of sources) {
    const types =
      formals === undefined ? formalTypes(scope, node, name, source, inputs) : undefined;
    const builder = new OpBuilder(new GraphBuilder(source.name || name), scope.state.registry.find);
    const inner: Scope = {
      ...scope,
      builder,
      values: new Map(),
      initializers: initializersOf(source),
      ranks: declaredRanks(
        source,
        node.op === 'If' ? declaredOutside(scope, node, source) : undefined,
      ),
      finalNames: new Map(),
      prefix: '',
      parent: null,
      depth: scope.depth + 1,
    };
    const own = formals?.(builder);
    source.inputs.forEach((info, i) => {
      const type = types?.[i];
      const entity = own?.[i] ?? (type && builder.graph.input(info.name, type));
      if (entity !== undefined) inner.values.set(info.name, entity);
    });
    const places = new Map<ValueId, ValueId>();
    const outer = new Map<ValueId, ValueId>();
    for (const [id, label] of captured) {
      const place = builder.graph.input(label, scope.builder.typeOf(id));
      places.set(id, place);
      outer.set(place, id);
    }
    noteNumbers(scope, builder, outer);
    const number = inner.values.get(source.inputs[0]?.name ?? '');
    if (isLoop && number !== undefined && isTensor(number)) noteIteration(builder, number, most);
    for (const [id, label] of constants) {
      const { constant, type } = scope.builder.graph.value(id);
      if (constant !== undefined)
        places.set(id, builder.graph.storedConstant(constant, type, label));
    }
    for (const [free, entity] of read) {
      if (inner.values.has(free)) continue;
      inner.values.set(
        free,
        mapValues(entity, (id) => places.get(id) ?? id),
      );
    }
    const given = importGraph(inner, source);
    if (onPart !== undefined) {
      onPart({ name: attributeOf(node, source), builder, outputs: given, outer });
      continue;
    }
    const outputs = given.map((entity) =>
      isTensor(entity) ? entity : failUndecided(node, name, `gives ${what(entity)}`),
    );
    graphs.set(source, builder.graph.finish(outputs));
  }
  return { graphs, captures: [...captured.keys()] };
}

/** Where numbers lie that a sub-graph reads: what decides sizes there has the bound that it has outside. */
function noteNumbers(scope: Scope, builder: OpBuilder, outer: ReadonlyMap<ValueId, ValueId>): void {
  const [ints, inside] = [numbersOf(scope.builder), numbersOf(builder)];
  for (const [place, id] of outer) {
    if (takesValueBound(scope.builder, id)) inside.know(place, ints.interval(id));
  }
}

/** A loop that runs so often at most counts up to one less. */
function noteIteration(builder: OpBuilder, number: ValueId, most: number): void {
  if (Number.isSafeInteger(most)) {
    numbersOf(builder).know(number, { min: 0, max: Math.max(0, most - 1) });
  }
}

function mostTrips({ builder }: Scope, [trips]: readonly (ValueId | null)[]): number {
  return trips == null ? Infinity : numbersOf(builder).interval(trips).max;
}

/** The tensors that make up values which sub-graphs read, with the names they get inside. */
function capturesOf(
  { builder }: Scope,
  read: ReadonlyMap<string, Entity>,
): {
  readonly captured: ReadonlyMap<ValueId, string>;
  readonly constants: ReadonlyMap<ValueId, string>;
} {
  const captured = new Map<ValueId, string>();
  const constants = new Map<ValueId, string>();
  for (const [free, entity] of read) {
    for (const [id, label] of valuesOf(entity)) {
      const into = builder.graph.value(id).constant === undefined ? captured : constants;
      if (!into.has(id)) into.set(id, `${free}${label}`);
    }
  }
  return { captured, constants };
}

function attributeOf(node: OnnxNode, graph: OnnxGraph): string {
  return node.attributes.find((item) => item.kind === 'graph' && item.value === graph)?.name ?? '';
}

function what(entity: Exclude<Entity, ValueId>): string {
  if (entity.kind === 'bounded') return 'a tensor whose size depends on data';
  return `a ${entity.kind === 'stacked' ? 'sequence' : entity.kind}`;
}

/** What cannot be brought into tensors has to be decided while a model is imported. */
export function failUndecided(node: OnnxNode, name: string, what: string): never {
  return fail(
    'HONE-SHAPE-002',
    `node ${name} (${node.op}): its sub-graph ${what}, and whether it runs depends on the model's input data`,
    name,
    'export the model with a condition or a number of iterations that is fixed',
  );
}

function outerValue(scope: Scope, name: string): Entity | undefined {
  return name === '' ? undefined : lookUp(scope, name);
}

/** Names a graph reads but does not define. */
export function freeNames(graph: OnnxGraph): ReadonlySet<string> {
  const free = new Set<string>();
  const defined = new Set<string>([
    ...graph.inputs.map((info) => info.name),
    ...initializersOf(graph).keys(),
  ]);
  for (const node of graph.nodes) {
    for (const name of node.inputs) if (!defined.has(name)) free.add(name);
    for (const inner of graphsOf(node)) {
      for (const name of freeNames(inner)) if (!defined.has(name)) free.add(name);
    }
    for (const name of node.outputs) defined.add(name);
  }
  for (const { name } of graph.outputs) if (!defined.has(name)) free.add(name);
  free.delete('');
  return free;
}

/** Types of a sub-graph's own inputs, from the operands its operator passes to it. */
function formalTypes(
  scope: Scope,
  node: OnnxNode,
  name: string,
  graph: OnnxGraph,
  inputs: readonly (ValueId | null)[],
): readonly ValueType[] {
  const stored = initializersOf(graph);
  const typeOf = (id: ValueId | null | undefined): ValueType | undefined =>
    id == null ? undefined : scope.builder.typeOf(id);
  const given = (index: number): ValueType | undefined => {
    if (node.op === 'Loop' && node.domain === '') {
      if (index === 0) return { dtype: 'i64', shape: [] };
      if (index === 1) return { dtype: 'bool', shape: [] };
      return typeOf(inputs[index]);
    }
    if (node.op === 'FlexAttention')
      return index === 0 ? scoresType(graph, name, inputs, typeOf) : undefined;
    if (node.op === 'Scan' && node.domain === '') return scanType(node, index, inputs, typeOf);
    return undefined;
  };
  return graph.inputs.map((info, index) => {
    const type = given(index) ?? declaredType(info);
    if (type !== undefined && !stored.has(info.name)) return type;
    return fail(
      'HONE-ONNX-023',
      `node ${name} (${node.op}): the type of its sub-graph's input ${info.name} is not known`,
      name,
      'export the model with fixed shapes',
    );
  });
}

/** Scores of attention are [batch, heads, queries, keys], in the dtype that the sub-graph states. */
function scoresType(
  graph: OnnxGraph,
  name: string,
  inputs: readonly (ValueId | null)[],
  typeOf: (id: ValueId | null | undefined) => ValueType | undefined,
): ValueType | undefined {
  const [q, k] = [typeOf(inputs[0]), typeOf(inputs[1])];
  const declared = graph.inputs[0]?.type;
  if (q === undefined || k === undefined || declared?.kind !== 'tensor') return undefined;
  const keys = k.shape[2];
  if (keys === undefined) return undefined;
  const dtype = dtypeOf(declared.dataType, `the sub-graph of node ${name}`);
  return { dtype, shape: [...q.shape.slice(0, 3), keys] };
}

/** State variables pass as they are; scanned inputs lose their scan axis. */
function scanType(
  node: OnnxNode,
  index: number,
  inputs: readonly (ValueId | null)[],
  typeOf: (id: ValueId | null | undefined) => ValueType | undefined,
): ValueType | undefined {
  const attribute = (name: string) => node.attributes.find((item) => item.name === name);
  const scans = attribute('num_scan_inputs');
  const type = typeOf(inputs[index]);
  if (scans?.kind !== 'int' || type === undefined) return undefined;
  const scanned = index - (inputs.length - scans.value);
  if (scanned < 0) return type;
  const axes = attribute('scan_input_axes');
  const axis = axes?.kind === 'ints' ? (axes.value[scanned] ?? 0) : 0;
  const at = axis < 0 ? axis + type.shape.length : axis;
  return { dtype: type.dtype, shape: type.shape.filter((_, i) => i !== at) };
}

function declaredType({ type, name }: OnnxValueInfo): ValueType | undefined {
  if (type.kind !== 'tensor' || type.shape === null) return undefined;
  if (type.shape.some((dim) => typeof dim !== 'number')) return undefined;
  return { dtype: dtypeOf(type.dataType, `input ${name}`), shape: type.shape as number[] };
}
