/**
 * Graph → drafts: every node becomes one draft per stage body; aliases become views and make no
 * code. Requires a graph of core operators. Reports every node without a compiled form at once.
 */
import { at, fail, invariant } from 'hone-runtime/base/diagnostics';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import type { Registry } from '../ops/registry.ts';
import type { ControlForm } from '../ops/define-op.ts';
import {
  type ControlBody,
  type MapBody,
  PLAIN,
  type StageBody,
  type StageGraph,
  type View,
} from '../stages/types.ts';
import { outAxes } from '../ops/lower.ts';
import { load } from '../expr/build.ts';
import { addBuffer, bufferOf, dropUnusedOperands, type Work } from './draft.ts';

export interface LoweredGraph {
  readonly work: Work;
  /** The view that holds each value. */
  readonly views: ReadonlyMap<ValueId, View>;
}

/** Why nodes of a graph have no compiled form: node name → reason. Empty when all have. */
export function uncompiledNodes(graph: Graph, registry: Registry): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  for (const node of graph.nodes) {
    const lowered = lowerNode(graph, node, registry);
    if (typeof lowered === 'string') reasons.set(node.name, lowered);
    else if (lowered.kind !== 'bodies') {
      for (const inner of graphsOf(lowered)) {
        for (const [name, reason] of uncompiledNodes(inner, registry)) reasons.set(name, reason);
      }
    }
  }
  return reasons;
}

/** `fuse` makes the stages of a sub-graph. */
export function lowerGraph(
  graph: Graph,
  registry: Registry,
  fuse: (graph: Graph) => StageGraph,
): LoweredGraph {
  checkEnds(graph);
  const work: Work = { buffers: [], drafts: [], notes: [] };
  const views = new Map<ValueId, View>();
  const reasons = new Map<string, string>();
  for (const value of graph.values) {
    const isInput = graph.inputs.includes(value.id);
    if (!isInput && value.constant === undefined) continue;
    const buffer = addBuffer(work, {
      name: value.name,
      dtype: value.type.dtype,
      shape: value.type.shape,
      layout: PLAIN,
      role: isInput ? 'input' : 'constant',
      ...(value.constant === undefined ? {} : { constant: value.constant }),
    });
    views.set(value.id, { buffer: buffer.id, shape: value.type.shape });
  }
  for (const node of graph.nodes) {
    const lowered = lowerNode(graph, node, registry);
    if (typeof lowered === 'string') reasons.set(node.name, `${node.op}: ${lowered}`);
    // Behind a node without a form there is nothing to read.
    else if (reasons.size > 0) continue;
    else if (lowered.kind === 'bodies') addNode(work, views, graph, node, lowered.bodies);
    else addControl(work, views, graph, node, lowered, fuse);
  }
  if (reasons.size > 0) {
    const list = [...reasons].slice(0, 8).map(([name, reason]) => `${name} (${reason})`);
    fail(
      'HONE-COMPILE-001',
      `${reasons.size} node(s) have no compiled form: ${list.join('; ')}`,
      [...reasons.keys()][0],
      'see docs/operators.md; `hone analyze` lists every node',
    );
  }
  return { work, views };
}

function checkEnds(graph: Graph): void {
  for (const id of [...graph.inputs, ...graph.outputs]) {
    const { name, type } = valueById(graph, id);
    if (type.dtype !== 'string') continue;
    fail(
      'HONE-COMPILE-040',
      `"${name}" has strings, which compiled programs cannot take or give`,
      name,
      'cut the model at this tensor',
    );
  }
}

type Lowered = { readonly kind: 'bodies'; readonly bodies: readonly StageBody[] } | ControlForm;

function graphsOf(form: ControlForm): readonly Graph[] {
  return form.kind === 'if' ? [form.then, form.else] : [form.body];
}

function lowerNode(graph: Graph, node: Node, registry: Registry): Lowered | string {
  const def = registry.find(node.op, node.domain);
  if (def === undefined) return 'operator is not known';
  if (def.kind === 'host') return def.reason;
  if (def.kind === 'composite') return 'was not decomposed';
  const inputs = node.inputs.map((id) => (id === null ? null : inputOf(valueById(graph, id))));
  const outputs = node.outputs.map((id) => valueById(graph, id).type);
  if ([...inputs.map((input) => input?.type), ...outputs].some((t) => t?.dtype === 'string')) {
    return 'strings have no compiled form';
  }
  const { name, op, attrs } = node;
  const context = { node: name, op, attrs, inputs, outputs, outputCount: outputs.length };
  if (def.kind === 'control') return def.control(context);
  const bodies = def.lower(context);
  return typeof bodies === 'string' ? bodies : { kind: 'bodies', bodies };
}

/** One stage, whose bodies are the stages of the node's sub-graphs. */
function addControl(
  work: Work,
  views: Map<ValueId, View>,
  graph: Graph,
  node: Node,
  form: ControlForm,
  fuse: (graph: Graph) => StageGraph,
): void {
  const operands = form.operands.map((position): View => {
    const view = views.get(node.inputs[position] ?? -1);
    invariant(view !== undefined, `node ${node.name} reads a value before it is made`);
    if (view.offset === undefined) return view;
    return addCopy(work, view, `${node.name}/copy`, node.name);
  });
  const outputs = node.outputs.map((id) => newOutput(work, views, graph, id));
  const { operands: _, ...rest } = form;
  const made: ControlBody['form'] =
    rest.kind === 'if'
      ? { ...rest, then: fuse(rest.then), else: fuse(rest.else) }
      : { ...rest, body: fuse(rest.body) };
  work.drafts.push({
    nodes: [node.name],
    ops: [node.op],
    operands,
    outputs,
    body: { kind: 'control', form: made },
  });
}

/** A buffer for what a node gives. */
function newOutput(work: Work, views: Map<ValueId, View>, graph: Graph, id: ValueId): View {
  const { name, type } = valueById(graph, id);
  const { dtype, shape } = type;
  const buffer = addBuffer(work, { name, dtype, shape, layout: PLAIN, role: 'temp' });
  const view = { buffer: buffer.id, shape };
  views.set(id, view);
  return view;
}

function addNode(
  work: Work,
  views: Map<ValueId, View>,
  graph: Graph,
  node: Node,
  bodies: readonly StageBody[],
): void {
  // Absent inputs keep their place so that operand k stays input k; they are never loaded.
  const first = node.inputs.find((id): id is ValueId => id !== null);
  // A node whose inputs are all absent loads nothing.
  const inputs = first === undefined ? [] : node.inputs;
  const operands = inputs.map((id): View => {
    const view = views.get(id ?? first ?? -1);
    invariant(view !== undefined, `node ${node.name} reads a value before it is made`);
    return view;
  });
  const common = { nodes: [node.name], ops: [node.op], operands };
  const routine = bodies.find((body) => body.kind === 'routine');
  if (routine?.kind === 'routine') {
    const made = node.outputs.map((id) => newOutput(work, views, graph, id));
    work.drafts.push({ ...common, outputs: made, body: routine });
    return;
  }
  bodies.forEach((body, i) => {
    if (i >= node.outputs.length) return;
    if (body.kind === 'alias') {
      const value = valueById(graph, at(node.outputs, i));
      const source = at(operands, 0);
      views.set(value.id, aliasView(work, source, value.type.shape, node));
      return;
    }
    const view = newOutput(work, views, graph, at(node.outputs, i));
    work.drafts.push(dropUnusedOperands({ ...common, outputs: [view], body }));
  });
}

/** A view of the same elements under another shape; a region is copied out first. */
function aliasView(work: Work, source: View, shape: readonly number[], node: Node): View {
  if (source.offset === undefined) return { buffer: source.buffer, shape };
  const copy = addCopy(work, source, `${node.name}/copy`, node.name);
  return { buffer: copy.buffer, shape };
}

/** Appends a map that copies a view into a fresh plain buffer. */
export function addCopy(work: Work, source: View, name: string, node: string): View {
  const { dtype } = bufferOf(work, source);
  const buffer = addBuffer(work, { name, dtype, shape: source.shape, layout: PLAIN, role: 'temp' });
  const view: View = { buffer: buffer.id, shape: source.shape };
  work.drafts.push({
    nodes: [node],
    ops: ['Copy'],
    operands: [source],
    outputs: [view],
    body: copyBody(source.shape, dtype),
  });
  return view;
}

export function copyBody(shape: readonly number[], dtype: Parameters<typeof load>[1]): MapBody {
  const axes = outAxes(shape.length);
  return { kind: 'map', axes: shape, outIndex: axes, value: load('0', dtype, axes) };
}
