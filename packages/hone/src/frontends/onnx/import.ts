/**
 * ONNX model → Graph.
 *
 * The Graph has static shapes and only operators of the registry, in their newest meaning; shape
 * arithmetic, functions, constant branches and pass-through nodes are gone. Large constants stay
 * in the model's files: keep the model open as long as the graph is used.
 */
import type { PlannedBound } from 'hone-runtime/artifact/bounds';
import type { MapKeys } from 'hone-runtime/artifact/program';
import { fail, HoneError, invariant } from 'hone-runtime/base/diagnostics';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import type { Graph, OutputExtent, ValueId, ValueType } from '../../graph/types.ts';
import { numberDraws } from '../../ops/control/number-draws.ts';
import { opBuilder, type Registry, standardRegistry } from '../../ops/registry.ts';
import { collectOperators, functionTable } from './analyze.ts';
import type { InputPlan } from './bind-containers.ts';
import { bindInputs, realInputs, type ShapeOptions } from './bind-shapes.ts';
import { addRanges, failVaryingMap } from './import-ranges.ts';
import { type BoundOptions, Bounds } from './bounded/bounds.ts';
import { isTensorEntity } from './bounded/index.ts';
import { type Int, isKnown, numbersOf } from './bounded/ints.ts';
import { limited, takesValueBound } from './bounded/limited.ts';
import { assumptions, plannedBounds } from './bounded/planned.ts';
import { Sizing } from './bounded/sized.ts';
import { declaredRanks } from './declared.ts';
import { type Entity, isTensor, sequenceOf } from './entities.ts';
import { newFoldBudget } from './fold.ts';
import { importNodes, throughBypassed } from './import-nodes.ts';
import { initializersOf, resolve, type Scope } from './import-scope.ts';
import { outsideOf } from './sequences/outside.ts';
import { failUnsupported } from './unsupported.ts';
import type { OnnxGraph, OnnxModel } from './types.ts';

export interface ImportOptions extends ShapeOptions {
  /** Inputs whose elements are fixed: they become constants and are no inputs of the Graph. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly registry?: Registry;
  /** Bounds of values and of sizes that depend on data, by tensors. */
  readonly bounds?: BoundOptions;
}

export interface ImportResult {
  readonly graph: Graph;
  /** What was assumed, one sentence each. */
  readonly notes: readonly string[];
  /** Inputs and outputs that are values of maps, with the keys of their columns. */
  readonly keys: Readonly<Record<string, MapKeys>>;
  /** Bounds that were asked for or assumed, and that runs check. */
  readonly bounds: readonly PlannedBound[];
}

/** Nodes that inlining may add to those of the file. */
const MAX_INLINED_NODES = 100_000;

/** Bounds to assume, of which the first is taken whose tensors are of sane sizes. */
const ASSUMED_EXTENTS = [1024, 256, 64, 16] as const;
/** More elements than this make another assumption be tried. */
const SANE_ELEMENTS = 2 ** 26;

export function importOnnx(model: OnnxModel, options: ImportOptions = {}): ImportResult {
  let first: ImportResult | HoneError | undefined;
  for (const extent of ASSUMED_EXTENTS) {
    const bounds = new Bounds(options.bounds, extent);
    try {
      const made = importWith(model, options, bounds);
      if (!bounds.hasAssumed || largest(made.graph) <= SANE_ELEMENTS) return made;
      if (!isUsable(first)) first = made;
    } catch (error) {
      const isSize = error instanceof HoneError && error.code === 'HONE-SHAPE-011';
      if (!isSize || !bounds.hasAssumed) throw error;
      first ??= error;
    }
  }
  if (isUsable(first)) return first;
  throw first ?? new TypeError('no bound was tried');
}

const isUsable = (made: ImportResult | HoneError | undefined): made is ImportResult =>
  made !== undefined && 'graph' in made;

/** Elements of the largest tensor that is computed. */
function largest({ values, nodes }: Graph): number {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  return values.reduce(
    (most, { id, type }) => (made.has(id) ? Math.max(most, elementCount(type.shape)) : most),
    0,
  );
}

function importWith(model: OnnxModel, options: ImportOptions, limits: Bounds): ImportResult {
  const { graph } = model;
  const { unsupported } = collectOperators(
    model,
    graph,
    options.registry ?? standardRegistry,
    false,
  );
  if (unsupported.length > 0) failUnsupported({ unsupported });
  const scope = openScope(model, options, limits);
  importNodes(scope, graph.nodes);
  const named = graph.outputs.flatMap(({ name }) => namedOutputs(scope, name));
  const outputs = named.map(({ id }) => id);
  if (outputs.length === 0 || new Set(outputs).size < outputs.length) {
    fail(
      'HONE-ONNX-021',
      `${model.source.name} has ${outputs.length === 0 ? 'no outputs' : 'an output twice'}`,
      model.source.name,
      'the model is not valid ONNX: export it again',
    );
  }
  const { hidden, extents } = extentsOf(scope, named);
  const names = [...realInputs(graph), ...graph.outputs].map(({ name }) => name);
  const keys = names.flatMap((name) => {
    const entity = scope.values.get(name);
    return entity === undefined || isTensor(entity) || entity.kind !== 'map'
      ? []
      : [[name, entity.keys] as const];
  });
  const made = numberDraws(
    scope.builder.graph.finish([...outputs, ...hidden], extents, scope.state.ranges),
  );
  scope.state.bounds.checkUsed(boundable(scope, made));
  const bounds = plannedBounds(made);
  return {
    graph: made,
    notes: [...scope.state.notes, ...assumptions(bounds)],
    keys: Object.fromEntries(keys),
    bounds,
  };
}

/** Inputs whose values may decide sizes. */
function boundable({ builder }: Scope, graph: Graph): readonly string[] {
  return graph.inputs
    .filter((id) => takesValueBound(builder, id))
    .map((id) => builder.graph.value(id).name);
}

/** The scope of a model's own graph, with its inputs and none of its nodes. */
export function openScope(
  model: OnnxModel,
  options: ImportOptions,
  bounds = new Bounds(options.bounds),
): Scope {
  const registry = options.registry ?? standardRegistry;
  const { graph } = model;
  const constants = options.constants ?? {};
  const bound = bindInputs(graph, model.source.name, withConstantShapes(options, constants));
  const builder = opBuilder(graph.name || 'main', registry);
  const isFixed = (name: string): boolean => Object.hasOwn(constants, name);
  const { ranges, entities } = addRanges(builder, bound, isFixed);
  const inputOf = (plan: InputPlan): Entity => {
    if (plan.kind === 'sequence') return sequenceOf(plan.items.map(inputOf));
    if (plan.kind === 'optional') {
      return { kind: 'optional', item: plan.item === null ? null : inputOf(plan.item) };
    }
    const { name } = plan;
    if (plan.kind === 'map') {
      const values = inputOf({ kind: 'tensor', name });
      if (!isTensor(values)) return failVaryingMap(name);
      return { kind: 'map', values, keys: plan.keys };
    }
    const type = bound.types.get(name);
    invariant(type !== undefined, `input ${name} has a type`);
    const fixed = isFixed(name) ? constants[name] : undefined;
    const made = entities.get(name);
    if (made !== undefined) return limited(builder, bounds, '', name, made);
    return fixed === undefined
      ? limited(builder, bounds, '', name, builder.graph.input(name, type))
      : builder.constant(checkedConstant(name, fixed, type), name);
  };
  const values = new Map<string, Entity>();
  for (const [name, plan] of bound.plans) values.set(name, inputOf(plan));
  return {
    state: {
      model,
      registry,
      functions: functionTable(model),
      notes: [...bound.notes],
      folding: newFoldBudget(),
      bounds,
      ranges,
      nodesLeft: MAX_INLINED_NODES + graph.nodes.length,
      nodeNames: new Set(),
    },
    builder,
    values,
    initializers: initializersOf(graph),
    ranks: declaredRanks(graph),
    finalNames: outputNames(graph),
    prefix: '',
    opsets: model.opsets,
    callerAttributes: null,
    parent: null,
    depth: 0,
    iterations: [],
  };
}

function withConstantShapes(
  options: ShapeOptions,
  constants: Readonly<Record<string, Tensor>>,
): ShapeOptions {
  const shapes = Object.entries(constants).map(([name, tensor]) => [name, tensor.shape] as const);
  return { ...options, shapes: { ...options.shapes, ...Object.fromEntries(shapes) } };
}

function checkedConstant(name: string, tensor: Tensor, type: ValueType): Tensor {
  if (tensor.dtype === type.dtype) return tensor;
  return fail(
    'HONE-INPUT-002',
    `input ${name} is ${type.dtype} in the model; the constant given for it is ${tensor.dtype}`,
    name,
    'give a constant of the right type',
  );
}

/** Outputs keep their names even where the nodes that made them vanish. */
function outputNames(graph: OnnxGraph): ReadonlyMap<string, string> {
  return throughBypassed(new Map(graph.outputs.map(({ name }) => [name, name])), graph.nodes);
}

interface NamedOutput {
  readonly id: ValueId;
  readonly name: string;
  /** As they are meant; some may be computed by the run. */
  readonly sizes: readonly Int[];
}

/** The tensors of an output, each under its name. */
function namedOutputs(scope: Scope, name: string): readonly NamedOutput[] {
  const entity = resolve(scope, name, `the list of outputs`);
  const sizing = new Sizing(scope.builder, numbersOf(scope.builder), name, 'output');
  const parts = outsideOf(sizing, entity, name);
  if (!isTensorEntity(entity)) {
    const list = parts.length === 0 ? 'nothing' : parts.map((part) => part.name).join(', ');
    const kind = entity.kind === 'stacked' ? 'sequence whose length depends on data' : entity.kind;
    scope.state.notes.push(
      entity.kind === 'map'
        ? `output ${name} is a list of maps: it is given as their values, one column for each key`
        : `output ${name} is ${kind === 'optional' ? 'an' : 'a'} ${kind}: it is given as ${list}`,
    );
  }
  return parts.map((part) => {
    const { id, sizes } = part.tensor;
    if (!sizes.every(isKnown)) {
      const shape = sizes.map((size) => (isKnown(size) ? size : `≤${size.max}`)).join(',');
      scope.state.notes.push(
        `output ${part.name} has a size that depends on data: it is planned as [${shape}]`,
      );
    }
    return { id: namedOutput(scope, id, part.name), name: part.name, sizes };
  });
}

/** Outputs behind the others that say how much of those is meant. */
function extentsOf(
  scope: Scope,
  outputs: readonly NamedOutput[],
): { readonly hidden: readonly ValueId[]; readonly extents: readonly OutputExtent[] } {
  const hidden = new Map<ValueId, ValueId>();
  const extents: OutputExtent[] = [];
  for (const [output, { name, sizes }] of outputs.entries()) {
    for (const [axis, size] of sizes.entries()) {
      if (isKnown(size)) continue;
      if (!hidden.has(size.id)) {
        const options = { outputNames: [`${name}.size${axis}`] };
        hidden.set(size.id, scope.builder.op('Identity', [size.id], {}, options));
      }
      extents.push({
        output,
        axis,
        from: outputs.length + [...hidden.keys()].indexOf(size.id),
      });
    }
  }
  return { hidden: [...hidden.values()], extents };
}

/** The value of an output, under the output's name. */
function namedOutput(scope: Scope, id: ValueId, name: string): ValueId {
  const value = scope.builder.graph.value(id);
  if (value.name === name) return id;
  if (value.constant !== undefined) {
    return scope.builder.graph.storedConstant(value.constant, value.type, name);
  }
  return scope.builder.op('Identity', [id], {}, { outputNames: [name] });
}
