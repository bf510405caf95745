/**
 * Graph → drafts: every node becomes one draft per stage body; aliases become views and make no
 * code. Requires a graph of core operators. Reports every node without a compiled form at once.
 */
import { at, fail, invariant } from 'hone-runtime/base/diagnostics';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import type { Registry } from '../ops/registry.ts';
import { type MapBody, PLAIN, type StageBody, type View } from '../stages/types.ts';
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
    const bodies = lowerNode(graph, node, registry);
    if (typeof bodies === 'string') reasons.set(node.name, bodies);
  }
  return reasons;
}

export function lowerGraph(graph: Graph, registry: Registry): LoweredGraph {
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
    const bodies = lowerNode(graph, node, registry);
    if (typeof bodies === 'string') reasons.set(node.name, `${node.op}: ${bodies}`);
    // Behind a node without a form there is nothing to read.
    else if (reasons.size === 0) addNode(work, views, graph, node, bodies);
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

function lowerNode(graph: Graph, node: Node, registry: Registry): readonly StageBody[] | string {
  const def = registry.find(node.op, node.domain);
  if (def === undefined) return 'operator is not known';
  if (def.kind === 'host') return def.reason;
  if (def.kind === 'composite') return 'was not decomposed';
  const inputs = node.inputs.map((id) => (id === null ? null : inputOf(valueById(graph, id))));
  const outputs = node.outputs.map((id) => valueById(graph, id).type);
  if ([...inputs.map((input) => input?.type), ...outputs].some((t) => t?.dtype === 'string')) {
    return 'strings have no compiled form';
  }
  return def.lower({
    node: node.name,
    op: node.op,
    attrs: node.attrs,
    inputs,
    outputs,
    outputCount: node.outputs.length,
  });
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
  const outputs = node.outputs.map((id): View => {
    const value = valueById(graph, id);
    return { buffer: -1, shape: value.type.shape };
  });
  const newOutput = (index: number): View => {
    const value = valueById(graph, at(node.outputs, index));
    const buffer = addBuffer(work, {
      name: value.name,
      dtype: value.type.dtype,
      shape: value.type.shape,
      layout: PLAIN,
      role: 'temp',
    });
    const view = { buffer: buffer.id, shape: value.type.shape };
    views.set(value.id, view);
    return view;
  };
  const common = { nodes: [node.name], ops: [node.op], operands };
  const routine = bodies.find((body) => body.kind === 'routine');
  if (routine?.kind === 'routine') {
    const made = outputs.map((_, i) => newOutput(i));
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
    const view = newOutput(i);
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
