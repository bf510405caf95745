/**
 * What a pass is, and the rebuilding of graphs that passes share.
 *
 * A pass is a pure function of graphs that returns the same object when it changed nothing.
 * `rebuildGraph` walks a graph in order and writes a new one; it keeps the order, the names of
 * nodes and values, and always the names of the graph's inputs and outputs, which are its
 * signature. What nobody uses any more is left out.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import { GraphBuilder, type NodeSpec } from '../graph/build.ts';
import { printType } from '../graph/tensor-text.ts';
import type { Attrs, Graph, Node, ValueId, ValueType } from '../graph/types.ts';
import { constantTensor, valueById } from '../graph/walk.ts';
import { OpBuilder, type OpOptions } from '../ops/builder.ts';
import type { Registry } from '../ops/registry.ts';
import { compactGraph } from './compact.ts';

export interface PassContext {
  readonly registry: Registry;
  /** 16-bit floats that kernels of the target work in; default none: they are computed in f32. */
  readonly nativeFloats?: readonly DType[];
  /** Called after every pass of `runPasses`; for dumps and checks. */
  readonly afterPass?: (name: string, graph: Graph) => void;
}

export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph, ctx: PassContext) => Graph;
}

/** Rebuilding a graph: values of the old graph map to values of the new one. */
export interface Rebuild {
  /** Adds nodes to the new graph; they carry the name of the node being visited. */
  readonly b: OpBuilder;
  readonly old: Graph;
  /** The new value that stands for an old one (constants are carried over when first used). */
  readonly map: (id: ValueId) => ValueId;
  /** Copies a node, with other inputs where they are mapped so. */
  readonly keep: (node: Node) => void;
  /** Copies a node with other inputs (old values). */
  readonly keepAs: (node: Node, inputs: readonly (ValueId | null)[]) => void;
  /** Lets new values of the same types stand for a node's outputs. */
  readonly replace: (node: Node, outputs: readonly ValueId[]) => void;
  /**
   * May this new value stand for the output of the node? Not where both are part of the
   * graph's signature: each output of a graph keeps a value of its own.
   */
  readonly canStandFor: (node: Node, id: ValueId) => boolean;
  /** The node that makes a new value; undefined for inputs and constants. */
  readonly producer: (id: ValueId) => Node | undefined;
  /** Elements of a new value, when it is a constant. */
  readonly constant: (id: ValueId | null | undefined) => Tensor | undefined;
  /** How many nodes read an old value, counting the graph's outputs as one each. */
  readonly uses: (id: ValueId) => number;
}

/**
 * Walks a graph in order and builds another: `visit` keeps, replaces or leaves out each node.
 * Gives the old graph itself when every node was kept.
 */
export function rebuildGraph(
  graph: Graph,
  ctx: PassContext,
  visit: (node: Node, r: Rebuild) => void,
): Graph {
  const rebuilder = new Rebuilder(graph, ctx.registry);
  for (const node of graph.nodes) rebuilder.visit(node, visit);
  return rebuilder.changed ? rebuilder.finish() : graph;
}

/** Replaces nodes for which `rewrite` gives values; keeps the others. */
export function rewriteGraph(
  graph: Graph,
  ctx: PassContext,
  rewrite: (node: Node, r: Rebuild) => readonly ValueId[] | undefined,
): Graph {
  return rebuildGraph(graph, ctx, (node, r) => {
    const outputs = rewrite(node, r);
    if (outputs === undefined) r.keep(node);
    else r.replace(node, outputs);
  });
}

/** Remembers which node makes each value. */
class RecordingBuilder extends GraphBuilder {
  readonly producers = new Map<ValueId, Node>();

  override node(spec: NodeSpec): readonly ValueId[] {
    const outputs = super.node(spec);
    const { op, inputs, attrs, domain = '', name = op } = spec;
    const node: Node = { op, domain, name, inputs, outputs, attrs };
    for (const id of outputs) this.producers.set(id, node);
    return outputs;
  }
}

/** Gives new nodes the name of the node they come from. */
class NamingBuilder extends OpBuilder {
  origin: string | undefined;

  override ops(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    options: OpOptions = {},
  ): readonly ValueId[] {
    const named = this.origin === undefined ? options : { name: this.origin, ...options };
    return super.ops(op, inputs, attrs, named);
  }
}

class Rebuilder implements Rebuild {
  readonly old: Graph;
  readonly b: NamingBuilder;
  readonly #graph: RecordingBuilder;
  readonly #known = new Map<ValueId, ValueId>();
  /** Names that new values must have. */
  readonly #names = new Map<ValueId, string>();
  readonly #outputs: ReadonlySet<ValueId>;
  readonly #uses = new Map<ValueId, number>();
  /** New values that are inputs, or stand for outputs. */
  readonly #signature = new Set<ValueId>();
  #handled = false;
  changed = false;

  constructor(graph: Graph, registry: Registry) {
    this.old = graph;
    this.#graph = new RecordingBuilder(graph.name);
    this.b = new NamingBuilder(this.#graph, registry.find);
    this.#outputs = new Set(graph.outputs);
    for (const node of graph.nodes) {
      for (const id of new Set(node.inputs)) if (id !== null) this.#count(id);
    }
    for (const id of graph.outputs) this.#count(id);
    for (const id of graph.inputs) {
      const value = valueById(graph, id);
      const made = this.#graph.input(value.name, value.type);
      this.#stand(id, made, value.name);
      this.#signature.add(made);
    }
  }

  visit(node: Node, visit: (node: Node, r: Rebuild) => void): void {
    this.b.origin = node.name;
    this.#handled = false;
    visit(node, this);
    // Left out: something else must have taken its place, or nobody reads it.
    if (!this.#handled) this.changed = true;
  }

  readonly map = (id: ValueId): ValueId => {
    const have = this.#known.get(id);
    if (have !== undefined) return have;
    const value = valueById(this.old, id);
    invariant(value.constant !== undefined, `value ${value.name} is used before it is made`);
    const made = this.#graph.storedConstant(value.constant, value.type, value.name);
    this.#stand(id, made, value.name);
    return made;
  };

  readonly keep = (node: Node): void => this.#copy(node, node.inputs);

  readonly keepAs = (node: Node, inputs: readonly (ValueId | null)[]): void => {
    this.changed = true;
    this.#copy(node, inputs);
  };

  #copy(node: Node, inputs: readonly (ValueId | null)[]): void {
    this.#handled = true;
    const values = node.outputs.map((id) => valueById(this.old, id));
    const outputs = this.#graph.node({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs: inputs.map((id) => (id === null ? null : this.map(id))),
      attrs: node.attrs,
      types: values.map((value) => value.type),
      outputNames: values.map((value) => value.name),
    });
    values.forEach((value, i) => {
      this.#stand(value.id, at(outputs, i), value.name);
    });
  }

  readonly replace = (node: Node, outputs: readonly ValueId[]): void => {
    this.#handled = true;
    this.changed = true;
    node.outputs.forEach((id, i) => {
      const value = valueById(this.old, id);
      const made = at(outputs, i);
      const wanted = typeText(value.type);
      const given = typeText(this.b.typeOf(made));
      invariant(wanted === given, `node ${node.name} (${node.op}): ${given} replaces ${wanted}`);
      const clash = this.#outputs.has(id) && this.#signature.has(made);
      this.#stand(id, clash ? this.b.op('Identity', [made]) : made, value.name);
    });
  };

  readonly canStandFor = (node: Node, id: ValueId): boolean =>
    !(this.#signature.has(id) && node.outputs.some((output) => this.#outputs.has(output)));

  readonly producer = (id: ValueId): Node | undefined => this.#graph.producers.get(id);

  readonly constant = (id: ValueId | null | undefined): Tensor | undefined => {
    if (id === null || id === undefined) return undefined;
    const value = this.#graph.value(id);
    return value.constant === undefined ? undefined : constantTensor(value);
  };

  readonly uses = (id: ValueId): number => this.#uses.get(id) ?? 0;

  finish(): Graph {
    const draft = this.#graph.finish(
      this.old.outputs.map(this.map),
      this.old.extents,
      this.old.ranges,
    );
    return compactGraph(draft, this.#names);
  }

  #stand(old: ValueId, made: ValueId, name: string): void {
    this.#known.set(old, made);
    if (this.#outputs.has(old)) {
      this.#signature.add(made);
      this.#names.set(made, name);
    } else if (!this.#names.has(made)) this.#names.set(made, name);
  }

  #count(id: ValueId): void {
    this.#uses.set(id, (this.#uses.get(id) ?? 0) + 1);
  }
}

function typeText({ dtype, shape }: ValueType): string {
  return printType(dtype, shape);
}
