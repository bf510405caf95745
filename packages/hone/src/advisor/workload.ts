/**
 * What a model asks of a machine: its stages by kind with operations and bytes, as compiled and
 * operator by operator. Needs no C compiler; seconds at most, for the graph alone is looked at.
 */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { planMemory } from '../compile/memory-plan.ts';
import { fuseGraph } from '../fusion/index.ts';
import type { Graph, Node } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type Registry, standardRegistry } from '../ops/registry.ts';
import { runPasses } from '../passes/index.ts';
import { stageCost } from '../stages/cost.ts';
import type { Buffer, Stage, StageGraph, View } from '../stages/types.ts';
import type { OperatorWork, WorkItem, WorkKind, Workload } from './model-types.ts';

/**
 * The workload of an imported graph of any batch; every figure is for one sample. Throws what
 * lowering throws when an operator has no compiled form.
 */
export function workloadOf(
  imported: Graph,
  batch = 1,
  registry: Registry = standardRegistry,
): Workload {
  const graph = runPasses(imported, { registry });
  const fused = fuseGraph(graph, { registry });
  const plain = fuseGraph(graph, { registry, fuse: false });
  const bytesOf = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => sum + bufferBytes(fused.buffers[id]), 0) / batch;
  const constants = fused.buffers.filter((buffer) => buffer.role === 'constant');
  return {
    name: imported.name,
    fused: workItems(fused, batch),
    eager: withNormalisations(workItems(plain, batch)),
    inputBytes: bytesOf(fused.inputs),
    outputBytes: bytesOf(fused.outputs),
    parameterBytes: constants.reduce((sum, buffer) => sum + bufferBytes(buffer), 0),
    liveBytes: planMemory(fused).liveBytes / batch,
    operators: operatorWork(imported, plain, batch),
    order: imported.nodes.map((node) => node.op),
  };
}

function operatorWork(
  graph: Graph,
  plain: StageGraph,
  batch: number,
): Readonly<Record<string, OperatorWork>> {
  const flops = new Map<string, number>();
  for (const stage of plain.stages) {
    const name = stage.nodes[0] ?? '';
    flops.set(name, (flops.get(name) ?? 0) + stageCost(stage, plain.buffers).flops);
  }
  const table: Record<string, OperatorWork> = {};
  for (const node of graph.nodes) {
    const known = table[node.op] ?? { nodes: 0, flops: 0, bytes: 0 };
    table[node.op] = {
      nodes: known.nodes + 1,
      flops: known.flops + (flops.get(node.name) ?? 0) / batch,
      bytes: known.bytes + activationBytes(graph, node) / batch,
    };
  }
  return Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function activationBytes(graph: Graph, node: Node): number {
  let bytes = 0;
  for (const id of [...node.inputs, ...node.outputs]) {
    if (id === null) continue;
    const { type, constant } = valueById(graph, id);
    // Strings have no width; what holds them runs elsewhere anyhow.
    if (constant === undefined && type.dtype !== 'string') {
      bytes += elementCount(type.shape) * dtypeBytes(type.dtype);
    }
  }
  return bytes;
}

function bufferBytes(buffer: Buffer | undefined): number {
  return buffer === undefined ? 0 : elementCount(buffer.shape) * dtypeBytes(buffer.dtype);
}

/** Stages that do the same work are one item; in the order in which they first run. */
function workItems(graph: StageGraph, batch: number): WorkItem[] {
  const items = new Map<string, WorkItem>();
  for (const stage of graph.stages) {
    const item = itemOf(stage, graph.buffers, batch);
    if (item.activationBytes + item.weightBytes + item.flops === 0) continue;
    const key = `${item.kind} ${item.flops} ${item.weightBytes} ${item.activationBytes}`;
    const count = (items.get(key)?.count ?? 0) + 1;
    items.set(key, { ...item, count });
  }
  return [...items.values()];
}

/**
 * Exporters fold batch normalisation into the convolution before it; run operator by operator it
 * is a stage of its own behind each.
 */
function withNormalisations(items: readonly WorkItem[]): WorkItem[] {
  return items.flatMap((item) => {
    const { kind, count, weightBytes, activationBytes } = item;
    const folded = kind === 'conv' || kind === 'pointwise' || kind === 'depthwise';
    if (!folded || weightBytes === 0) return [item];
    const norm: WorkItem = {
      kind: 'elementwise',
      count,
      flops: 0,
      weightBytes: 0,
      activationBytes,
    };
    return [item, norm];
  });
}

function itemOf(stage: Stage, buffers: readonly Buffer[], batch: number): WorkItem {
  const viewBytes = (view: View): number => {
    const buffer = buffers[view.buffer];
    return buffer === undefined ? 0 : elementCount(view.shape) * dtypeBytes(buffer.dtype);
  };
  const written = stage.outputs.reduce((sum, view) => sum + viewBytes(view), 0);
  let weights = 0;
  let activations = written;
  const seen = new Set<string>();
  for (const view of stage.operands) {
    const key = `${view.buffer} ${view.shape} ${view.offset ?? ''}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const constant = buffers[view.buffer]?.role === 'constant';
    // A map reads no more of an operand than it writes elements, and no stage but a contraction
    // reads more of a constant: a table is not read whole.
    const part = stage.body.kind === 'map' || (constant && stage.body.kind !== 'contract');
    const bytes = part ? Math.min(viewBytes(view), written) : viewBytes(view);
    if (constant) weights += bytes;
    else activations += bytes;
  }
  return {
    kind: kindOf(stage, buffers),
    count: 1,
    flops: stageCost(stage, buffers).flops / batch,
    weightBytes: weights,
    activationBytes: activations / batch,
  };
}

function kindOf({ body, operands }: Stage, buffers: readonly Buffer[]): WorkKind {
  if (body.kind !== 'contract') return 'elementwise';
  const { spec } = body;
  if (spec.kind === 'conv') {
    if (spec.group > 1 && spec.group === spec.ic) return 'depthwise';
    const size = spec.kernel.reduce((product, side) => product * side, 1);
    return size === 1 ? 'pointwise' : 'conv';
  }
  const weights = operands[1];
  const constant = weights !== undefined && buffers[weights.buffer]?.role === 'constant';
  if (spec.kind === 'general') return 'conv';
  return constant ? 'matmul' : 'attention';
}

/** Operations of one sample as compiled. */
export function workFlops(workload: Workload): number {
  return workload.fused.reduce((sum, item) => sum + item.count * item.flops, 0);
}

/** Bytes one sample moves as compiled, fp32. */
export function workBytes(workload: Workload): number {
  return workload.fused.reduce(
    (sum, item) => sum + item.count * (item.weightBytes + item.activationBytes),
    0,
  );
}
