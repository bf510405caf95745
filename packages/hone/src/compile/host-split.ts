/**
 * Parts a graph into what kernels compute and what only the Node runtime can: operators on texts. Those
 * run before or after the compiled part, or between its phases where they take turns (`host-phases.ts`).
 *
 * Operators that only move elements (Reshape, Gather, Concat, …) become a list of positions, found by
 * moving numbers instead of texts. Requires decomposed nodes; gives a graph without texts.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { HostExtent, HostProgram, HostSpec, HostStep } from 'hone-runtime/host/program';
import type { Graph, Node, OutputExtent, ValueId } from '../graph/types.ts';
import { constantTensor, valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import type { HostCall } from '../ops/define-op.ts';
import { evaluateNode } from '../ops/interpret.ts';
import type { Registry } from '../ops/registry.ts';
import { boundedAxes, visibleOutputs, withOutputs } from '../graph/extents.ts';
import { compactGraph } from '../passes/compact.ts';
import { phasedGraph } from './host-phases.ts';

export interface HostSplit {
  /** The compiled part. */
  readonly graph: Graph;
  /** Absent: the graph has no texts. */
  readonly host?: HostProgram;
}

export function splitHost(source: Graph, registry: Registry): HostSplit {
  const { graph, extents } = source.extents === undefined ? whole(source) : withoutRoom(source);
  const isText = (id: ValueId): boolean => valueById(graph, id).type.dtype === 'string';
  const all = [...graph.inputs, ...graph.outputs, ...graph.nodes.flatMap((node) => node.outputs)];
  if (!all.some(isText)) return { graph: source };
  if (source.ranges !== undefined) {
    fail(
      'HONE-SHAPE-019',
      'the model has steps on texts: sizes of its inputs cannot vary from run to run',
      source.name,
      'give fixed sizes with --shape',
    );
  }
  const onHost = (node: Node): boolean =>
    [...node.inputs, ...node.outputs].some((id) => id !== null && isText(id));
  const { isHost, turnOf, turns } = placeNodes(graph, onHost);
  const host = new Steps(graph, registry);
  const nodesOf = (isStep: boolean, turn: number): readonly Node[] =>
    graph.nodes.filter((node) => isHost(node) === isStep && turnOf(node) === turn);
  const core = graph.nodes.filter((node) => !isHost(node));
  const phases = Array.from({ length: turns }, (_, turn) => nodesOf(false, turn));
  const later = graph.nodes.filter((node) => isHost(node) && turnOf(node) > 0);
  const visible = visibleOutputs(source);
  const made = new Set(core.flatMap((node) => node.outputs));
  const isOutside = (id: ValueId): boolean => !made.has(id);
  const isNumber = (id: ValueId): boolean => !isText(id);
  const isConstant = (id: ValueId): boolean => valueById(graph, id).constant !== undefined;
  const reads = core.flatMap((node) => node.inputs.flatMap((id) => id ?? []));
  const readLater = new Set([
    ...visible.filter((id) => made.has(id) || isConstant(id)),
    ...extents.map(({ from }) => from).filter((id) => made.has(id)),
    ...later.flatMap((node) => node.inputs.flatMap((id) => id ?? [])).filter((id) => made.has(id)),
  ]);
  const inputs = [...new Set(reads.filter((id) => isOutside(id) && !isConstant(id)))];
  const numbers = [...readLater].filter(isNumber);
  const part = (): Graph => {
    const one = withOutputs({ ...graph, inputs, nodes: core }, numbers);
    const ends = [...one.inputs, ...one.outputs];
    // Steps and the compiled part know values of both by their names.
    return compactGraph(one, new Map(ends.map((id) => [id, valueById(graph, id).name])));
  };
  const phased = turns > 1 ? phasedGraph(graph, phases, numbers, registry) : undefined;
  for (let turn = 0; turn <= turns; turn++) {
    for (const node of nodesOf(true, turn)) host.add(node);
    if (turn === turns) break;
    const phase = phased?.phases[turn];
    host.steps.push(phase === undefined ? { kind: 'native' } : { kind: 'native', phase });
  }
  for (const id of visible) if (isText(id)) host.need(id);
  for (const { from } of extents) host.need(from);
  return {
    graph: phased?.graph ?? part(),
    host: {
      inputs: graph.inputs.map((id) => specOf(graph, id)),
      outputs: visible.map((id, position) => {
        const own = extents.flatMap(({ output, axis }) => (output === id ? [axis] : []));
        const bounded = [...boundedAxes(graph, position), ...own].sort((a, b) => a - b);
        return { ...specOf(graph, id), ...(bounded.length === 0 ? {} : { bounded }) };
      }),
      steps: host.steps,
      ...(extents.length === 0 ? {} : { extents: extents.map((extent) => named(graph, extent)) }),
    },
  };
}

/** How much of an output that steps give is meant. */
interface TextExtent {
  readonly output: ValueId;
  readonly axis: number;
  readonly from: ValueId;
}

interface Whole {
  readonly graph: Graph;
  readonly extents: readonly TextExtent[];
}

const whole = (graph: Graph): Whole => ({ graph, extents: [] });

function named(graph: Graph, { output, axis, from }: TextExtent): HostExtent {
  return { output: valueById(graph, output).name, axis, from: valueById(graph, from).name };
}

/**
 * Steps work on all of the room that a tensor has. So what is cut at the end of the compiled part gets a
 * copy that is not, for the steps that read it; outputs that steps give are cut behind the last of them.
 * The compiled part hides the numbers it cuts by: steps read copies of them.
 */
function withoutRoom(graph: Graph): Whole {
  const values = [...graph.values];
  const nodes = [...graph.nodes];
  const copies = new Map<string, ValueId>();
  const copy = (id: ValueId, label: string): ValueId => {
    const have = copies.get(`${label} ${id}`);
    if (have !== undefined) return have;
    const { name, type } = valueById(graph, id);
    const made = values.length;
    const wanted = `${name}.${label}`;
    values.push({ id: made, name: freeName(values, wanted), type });
    nodes.push({
      op: 'Identity',
      domain: '',
      name: wanted,
      inputs: [id],
      outputs: [made],
      attrs: {},
    });
    copies.set(`${label} ${id}`, made);
    return made;
  };
  const isText = (id: ValueId): boolean => valueById(graph, id).type.dtype === 'string';
  const byText = new Set(
    graph.nodes.flatMap(({ inputs, outputs }) =>
      [...inputs, ...outputs].some((id) => id !== null && isText(id)) ? outputs : [],
    ),
  );
  const visible = visibleOutputs(graph);
  const hidden: ValueId[] = [];
  const kept: OutputExtent[] = [];
  const extents: TextExtent[] = [];
  const cut = new Set<ValueId>();
  for (const { output: position, axis, from: place } of graph.extents ?? []) {
    const output = at(graph.outputs, position);
    const from = origin(graph, at(graph.outputs, place));
    if (byText.has(output)) {
      extents.push({ output, axis, from: byText.has(from) ? from : copy(from, 'number') });
      continue;
    }
    cut.add(output);
    const own = copy(from, 'extent');
    if (!hidden.includes(own)) hidden.push(own);
    kept.push({ output: position, axis, from: visible.length + hidden.indexOf(own) });
  }
  const isStep = (node: Node): boolean =>
    [...node.inputs, ...node.outputs].some((id) => id !== null && isText(id));
  const moved = graph.nodes.map((node) => {
    if (!isStep(node) || !node.inputs.some((id) => id !== null && cut.has(id))) return node;
    const inputs = node.inputs.map((id) => (id !== null && cut.has(id) ? copy(id, 'room') : id));
    return { ...node, inputs };
  });
  const made = nodes.slice(graph.nodes.length);
  const { extents: _, ...rest } = graph;
  const outputs = [...visible, ...hidden];
  const ordered = inOrder([...moved, ...made], graph);
  const read = new Set([
    ...outputs,
    ...extents.map(({ from }) => from),
    ...ordered.flatMap(({ inputs }) => inputs),
  ]);
  // Names of numbers that nothing reads any more.
  const isUnread = ({ op, outputs: own }: Node): boolean =>
    op === 'Identity' && !own.some((id) => read.has(id));
  const all = { ...rest, values, nodes: ordered.filter((node) => !isUnread(node)), outputs };
  return { graph: kept.length === 0 ? all : { ...all, extents: kept }, extents };
}

/** The value that others are only names of. */
function origin(graph: Graph, id: ValueId): ValueId {
  const node = graph.nodes.find(({ outputs }) => outputs.includes(id));
  const [input] = node?.op === 'Identity' ? node.inputs : [];
  return input == null ? id : origin(graph, input);
}

function freeName(values: readonly { readonly name: string }[], wanted: string): string {
  const taken = new Set(values.map(({ name }) => name));
  let name = wanted;
  for (let n = 1; taken.has(name); n++) name = `${wanted}.${n}`;
  return name;
}

/** Copies behind what they copy, in front of what reads them. */
function inOrder(nodes: readonly Node[], { values }: Graph): readonly Node[] {
  const made = new Map(nodes.flatMap((node) => node.outputs.map((id) => [id, node] as const)));
  const done = new Set<Node>();
  const sorted: Node[] = [];
  const put = (node: Node): void => {
    if (done.has(node)) return;
    done.add(node);
    // Only copies lie behind their readers: nothing else is far.
    for (const id of node.inputs) {
      const source = id === null || id < values.length ? undefined : made.get(id);
      if (source !== undefined) put(source);
    }
    sorted.push(node);
  };
  for (const node of nodes) put(node);
  return sorted;
}

/** Who computes a node, and in which turn: steps go first in each. */
interface Places {
  readonly isHost: (node: Node) => boolean;
  readonly turnOf: (node: Node) => number;
  /** How often the compiled part runs. */
  readonly turns: number;
}

/** As early as what a node reads allows. */
function placeNodes(graph: Graph, isHost: (node: Node) => boolean): Places {
  const found = new Map<Node, number>();
  const madeBy = new Map<ValueId, Node>();
  let last = 0;
  for (const node of graph.nodes) {
    const sources = node.inputs.flatMap((id) => (id === null ? [] : (madeBy.get(id) ?? [])));
    const own = isHost(node);
    const turn = sources.reduce((most, source) => {
      // A step that reads what the compiled part makes waits for its next turn.
      const waits = own && !isHost(source) ? 1 : 0;
      return Math.max(most, (found.get(source) ?? 0) + waits);
    }, 0);
    found.set(node, turn);
    if (!own) last = Math.max(last, turn);
    for (const id of node.outputs) madeBy.set(id, node);
  }
  return { isHost, turnOf: (node) => found.get(node) ?? 0, turns: last + 1 };
}

function specOf(graph: Graph, id: ValueId): HostSpec {
  const { name, type } = valueById(graph, id);
  const { dtype, shape } = type;
  return { name, dtype, shape, bytes: elementCount(shape) * dtypeBytes(dtype) };
}

/** Collects steps, with the constants they need before them. */
class Steps {
  readonly steps: HostStep[] = [];
  readonly #graph: Graph;
  readonly #registry: Registry;
  readonly #constants = new Set<ValueId>();

  constructor(graph: Graph, registry: Registry) {
    this.#graph = graph;
    this.#registry = registry;
  }

  /** Makes a constant known by its name. */
  need(id: ValueId): string {
    const value = valueById(this.#graph, id);
    if (value.constant !== undefined && !this.#constants.has(id)) {
      this.#constants.add(id);
      this.steps.push({ kind: 'constant', name: value.name, tensor: constantTensor(value) });
    }
    return value.name;
  }

  add(node: Node): void {
    const outputs = node.outputs.map((id) => specOf(this.#graph, id));
    const call = this.#callOf(node);
    if (call !== undefined) {
      const inputs = node.inputs.map((id) => (id === null ? null : this.need(id)));
      this.steps.push({ kind: 'routine', node: node.name, ...call, inputs, outputs });
      return;
    }
    const inputs = node.inputs.flatMap((id) =>
      id !== null && this.#isText(id) ? [this.need(id)] : [],
    );
    this.#positions(node).forEach((positions, i) => {
      const step = { kind: 'routine', node: node.name, routine: 'pick', inputs } as const;
      this.steps.push({ ...step, attrs: { positions }, outputs: [at(outputs, i)] });
    });
  }

  #isText(id: ValueId): boolean {
    return valueById(this.#graph, id).type.dtype === 'string';
  }

  #callOf(node: Node): HostCall | undefined {
    const def = this.#registry.find(node.op, node.domain);
    return def?.hostCall?.({
      node: node.name,
      op: node.op,
      attrs: node.attrs,
      inputs: node.inputs.map((id) => (id === null ? null : inputOf(valueById(this.#graph, id)))),
      outputs: node.outputs.map((id) => valueById(this.#graph, id).type),
      outputCount: node.outputs.length,
    });
  }

  /** Where the elements of each output come from, among those of all inputs with texts. */
  #positions(node: Node): readonly (readonly number[])[] {
    const cannot = (why: string): never =>
      fail(
        'HONE-COMPILE-001',
        `1 node(s) have no compiled form: ${node.name} (${node.op}: ${why})`,
        node.name,
        'see docs/operators.md; `hone analyze` lists every node',
      );
    if (!node.outputs.every((id) => this.#isText(id))) cannot('texts have no compiled form');
    let start = 0;
    const inputs = node.inputs.map((id): Tensor | null => {
      if (id === null) return null;
      const value = valueById(this.#graph, id);
      if (!this.#isText(id)) {
        if (value.constant === undefined) cannot('where texts go depends on input data');
        return constantTensor(value);
      }
      const count = elementCount(value.type.shape);
      const data = BigInt64Array.from({ length: count }, (_, i) => BigInt(start + i));
      start += count;
      return { dtype: 'i64', shape: value.type.shape, data };
    });
    const types = node.outputs.map((id) => {
      const { shape } = valueById(this.#graph, id).type;
      return { dtype: 'i64', shape } as const;
    });
    return evaluateNode(node, inputs, types, this.#registry).map((tensor) => [
      ...toNumbers(tensor),
    ]);
  }
}
