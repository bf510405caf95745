/**
 * State of an import: the scopes in which value names are looked up, and what names values get.
 *
 * A scope is one graph, one inlined function or one inlined branch. Inlined scopes share the
 * builder of the scope around them; kept sub-graphs have a builder of their own.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import type { InputRange, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../../ops/builder.ts';
import type { Registry } from '../../ops/registry.ts';
import type { CallerAttributes } from './attributes.ts';
import { MAX_ELEMENTS } from './bind-shapes.ts';
import type { Bounds } from './bounded/bounds.ts';
import type { Entity } from './entities.ts';
import type { FoldBudget } from './fold.ts';
import { dtypeOf, loadSparse, loadTensor, storedElements } from './tensor-elements.ts';
import type { OnnxFunction, OnnxGraph, OnnxModel, OnnxSparseTensor, OnnxTensor } from './types.ts';

/** Constants up to this size are read at once; larger ones stay in the file. */
const INLINE_BYTES = 4096;

/** What all scopes of an import share. */
export interface ImportState {
  readonly model: OnnxModel;
  readonly registry: Registry;
  readonly functions: ReadonlyMap<string, OnnxFunction>;
  readonly notes: string[];
  readonly folding: FoldBudget;
  /** What the user says of sizes and numbers that depend on data. */
  readonly bounds: Bounds;
  /** Inputs whose extents vary from run to run. */
  readonly ranges: readonly InputRange[];
  /** Nodes that may still be added; inlined functions could multiply without it. */
  nodesLeft: number;
  readonly nodeNames: Set<string>;
}

export interface Scope {
  readonly state: ImportState;
  readonly builder: OpBuilder;
  readonly values: Map<string, Entity>;
  readonly initializers: ReadonlyMap<string, OnnxTensor | OnnxSparseTensor>;
  /** How many axes the model says that values have. */
  readonly ranks: ReadonlyMap<string, number>;
  /** Names of values that must not be what prefix and source name make. */
  readonly finalNames: ReadonlyMap<string, string>;
  readonly prefix: string;
  readonly opsets: ReadonlyMap<string, number>;
  readonly callerAttributes: CallerAttributes | null;
  /** The enclosing scope of an inlined or kept sub-graph; functions see nothing around them. */
  readonly parent: Scope | null;
  readonly depth: number;
  /** Numbers of the iterations around that are written out, for what draws random numbers. */
  readonly iterations: readonly number[];
}

export function initializersOf(
  graph: OnnxGraph,
): ReadonlyMap<string, OnnxTensor | OnnxSparseTensor> {
  const map = new Map<string, OnnxTensor | OnnxSparseTensor>();
  for (const tensor of graph.initializers) map.set(tensor.name, tensor);
  for (const sparse of graph.sparseInitializers) map.set(sparse.values.name, sparse);
  return map;
}

/** The name a value of this scope gets in the Graph. */
export function finalName(scope: Scope, name: string): string {
  return scope.finalNames.get(name) ?? `${scope.prefix}${name}`;
}

/** Binds a name to a value; a second time is an error. */
export function define(scope: Scope, name: string, id: Entity, node: string): void {
  if (scope.values.has(name)) {
    fail(
      'HONE-ONNX-017',
      `node ${node}: the value ${name} is made twice`,
      node,
      'the model is not valid ONNX: export it again',
    );
  }
  scope.values.set(name, id);
}

/** The value of a name in this scope or one around it with the same builder. */
export function lookUp(scope: Scope, name: string): Entity | undefined {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const id = at.values.get(name);
    if (id !== undefined) return at.builder === scope.builder ? id : undefined;
    const stored = at.initializers.get(name);
    if (stored !== undefined) {
      if (at.builder !== scope.builder) return undefined;
      const made = addInitializer(at, name, stored);
      at.values.set(name, made);
      return made;
    }
  }
  return undefined;
}

/** What an input or output name stands for. */
export function resolve(scope: Scope, name: string, reader: string): Entity {
  const id = lookUp(scope, name);
  if (id !== undefined) return id;
  return fail(
    'HONE-ONNX-018',
    `${reader} reads the value ${JSON.stringify(name)}, which no input, initializer or node before it gives`,
    reader,
    'the model is not valid ONNX (nothing makes the value, or what makes it reads what comes of it): export it again',
  );
}

function addInitializer(
  scope: Scope,
  name: string,
  stored: OnnxTensor | OnnxSparseTensor,
): ValueId {
  const label = finalName(scope, name);
  const { external } = scope.state.model;
  if ('values' in stored) return scope.builder.constant(loadSparse(stored, external), label);
  return addTensor(scope, stored, label);
}

/** Adds a tensor of the file as a constant. */
export function addTensor(scope: Scope, tensor: OnnxTensor, name: string): ValueId {
  const { external } = scope.state.model;
  const dtype = dtypeOf(tensor.dataType, `tensor ${tensor.name || name}`);
  const bytes = elementCount(tensor.dims) * dtypeBytes(dtype);
  // Bools are normalised to 0 and 1 while they are read.
  if (bytes > INLINE_BYTES && dtype !== 'bool' && bytes <= MAX_ELEMENTS) {
    const stored = storedElements(tensor, external);
    if (stored !== undefined) {
      const constant = { kind: 'file', ...stored } as const;
      return scope.builder.graph.storedConstant(constant, { dtype, shape: tensor.dims }, name);
    }
  }
  return scope.builder.constant(loadTensor(tensor, external), name);
}

/** Adds a tensor in memory under the name of a value of this scope. */
export function addConstant(scope: Scope, name: string, tensor: Tensor): ValueId {
  return scope.builder.constant(tensor, finalName(scope, name));
}
