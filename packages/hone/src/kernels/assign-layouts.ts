/**
 * Gives every buffer its layout: blocked where convolutions work on it, with a halo as wide as its
 * widest reader needs; plain elsewhere. Inserts reorder stages (copies into another layout) only
 * where a convolution cannot be given the layout it needs.
 *
 * Element-wise stages, pooling and reductions read and write any layout, so a blocked region spreads
 * through them at no cost. Model inputs, outputs and constants stay plain.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import { axis, load } from '../expr/build.ts';
import { visitExpr } from '../expr/rewrite.ts';
import {
  type Buffer,
  type BufferId,
  type ContractBody,
  type ConvSpec,
  isOpaque,
  type Layout,
  mapBodies,
  type Stage,
  type StageGraph,
  type View,
} from '../stages/types.ts';
import { haloNeeded, outsideOf, readsPlanar, whyNotBlocked } from './contract/index.ts';

type Halo = readonly [number, number, number, number];
const NO_HALO: Halo = [0, 0, 0, 0];

/** A halo and what it holds. */
type Border = Pick<Layout, 'halo' | 'fill'>;
const NO_BORDER: Border = { halo: NO_HALO };

function hasWidth(halo: Halo): boolean {
  return halo.some((width) => width > 0);
}

function borderOf({ halo, fill }: Conv): Border {
  return fill === 0 || !hasWidth(halo) ? { halo } : { halo, fill };
}

interface Conv {
  readonly body: ContractBody;
  readonly spec: ConvSpec;
  readonly planar: boolean;
  readonly halo: Halo;
  /** What the halo holds. */
  readonly fill: number;
}

export function assignLayouts(source: StageGraph, target: Target): StageGraph {
  const graph = inBodies(source, target);
  const convs = new Map<number, Conv>();
  for (const stage of graph.stages) {
    const conv = asBlockedConv(stage, graph, target);
    if (conv !== null) convs.set(stage.id, conv);
  }
  if (convs.size === 0) return graph;
  const canBlock = blockable(graph, convs, target.lanes);
  const blocked = spread(graph, convs, canBlock);
  const planar = planarInputs(graph, convs, canBlock, blocked);
  const halos = halosOf(graph, convs, new Set([...blocked, ...planar]));
  const buffers = graph.buffers.map((buffer): Buffer => {
    const border = halos.get(buffer.id) ?? NO_BORDER;
    if (blocked.has(buffer.id)) return { ...buffer, layout: { block: target.lanes, ...border } };
    if (planar.has(buffer.id)) return { ...buffer, layout: { block: 1, ...border } };
    return buffer;
  });
  return insertReorders({ ...graph, buffers }, convs, target.lanes);
}

/** The bodies of control flow have layouts of their own. */
function inBodies(graph: StageGraph, target: Target): StageGraph {
  if (!graph.stages.some(({ body }) => body.kind === 'control')) return graph;
  const stages = graph.stages.map((stage): Stage => {
    const { body } = stage;
    if (body.kind !== 'control') return stage;
    return { ...stage, body: mapBodies(body, (inner) => assignLayouts(inner, target)) };
  });
  return { ...graph, stages };
}

function asBlockedConv(stage: Stage, graph: StageGraph, target: Target): Conv | null {
  const { body } = stage;
  if (body.kind !== 'contract' || body.spec.kind !== 'conv') return null;
  if (whyNotBlocked(stage, graph.buffers, body, body.spec, target) !== null) return null;
  const planar = readsPlanar(body.spec, target);
  const halo = haloNeeded(body, body.spec, target);
  return { body, spec: body.spec, planar, halo, fill: outsideOf(body) };
}

/**
 * Buffers that may be blocked: own memory, rank 4, every view the whole or a region. A convolution
 * writes whole blocks, so its region begins at one; element-wise stages may write any channels, if
 * no convolution writes its padded lanes over them afterwards.
 */
function blockable(
  graph: StageGraph,
  convs: ReadonlyMap<number, Conv>,
  block: number,
): ReadonlySet<BufferId> {
  const can = new Set<BufferId>();
  for (const buffer of graph.buffers) {
    if (buffer.role === 'temp' && buffer.shape.length === 4) can.add(buffer.id);
  }
  const unaligned = (view: View): boolean => (view.offset?.[1] ?? 0) % block !== 0;
  /** Regions not at a block's start that element-wise stages wrote so far. */
  const small: View[] = [];
  for (const stage of graph.stages) {
    const isConv = convs.has(stage.id);
    for (const view of [...stage.operands, ...stage.outputs]) {
      const buffer = at(graph.buffers, view.buffer);
      const sameShape = view.shape.every((extent, i) => extent === buffer.shape[i]);
      const reshaped = view.offset === undefined && !sameShape;
      const isReshaped = reshaped && !isVector(buffer, block);
      if (isReshaped || isOpaque(stage.body)) can.delete(buffer.id);
    }
    for (const view of stage.operands) if (unaligned(view)) can.delete(view.buffer);
    for (const view of stage.outputs) {
      if (isConv && (unaligned(view) || small.some((other) => spillsOver(view, other, block)))) {
        can.delete(view.buffer);
      }
      if (!isConv && unaligned(view)) small.push(view);
    }
  }
  return can;
}

/** Would a convolution that writes `view` in whole blocks overwrite channels of `other`? */
function spillsOver(view: View, other: View, block: number): boolean {
  if (view.buffer !== other.buffer) return false;
  const start = view.offset?.[1] ?? 0;
  const end = start + Math.ceil((view.shape[1] ?? 0) / block) * block;
  const first = other.offset?.[1] ?? 0;
  return first < end && first + (other.shape[1] ?? 0) > start;
}

/** [n, c, 1, 1] with whole blocks lies in memory as the plain layout does. */
function isVector(buffer: Buffer, block: number): boolean {
  const [, c, h, w] = buffer.shape;
  return buffer.shape.length === 4 && h === 1 && w === 1 && (c ?? 0) % block === 0;
}

/** Blocked buffers: what convolutions touch, and what element-wise stages make of it. */
function spread(
  graph: StageGraph,
  convs: ReadonlyMap<number, Conv>,
  canBlock: ReadonlySet<BufferId>,
): ReadonlySet<BufferId> {
  const blocked = new Set<BufferId>();
  const mark = (view: View): void => {
    if (canBlock.has(view.buffer)) blocked.add(view.buffer);
  };
  for (const stage of graph.stages) {
    const conv = convs.get(stage.id);
    if (conv === undefined) continue;
    if (!conv.planar) mark(at(stage.operands, 0));
    for (const view of [...imageOperands(stage), ...stage.outputs]) mark(view);
  }
  // Forward: an element-wise result of blocked operands is blocked.
  for (const stage of graph.stages) {
    if (convs.has(stage.id) || stage.body.kind === 'contract' || isOpaque(stage.body)) {
      continue;
    }
    if (!keepsChannels(stage)) continue;
    const reads = stage.operands.filter((view) => view.shape.length === 4);
    const sizes = reads.map((view) => view.shape.reduce((a, b) => a * b, 1));
    const largest = Math.max(0, ...sizes);
    const main = reads.filter((_, i) => sizes[i] === largest);
    if (main.some((view) => blocked.has(view.buffer))) for (const v of stage.outputs) mark(v);
  }
  return blocked;
}

/** Does the stage write channel i1 from channel i1 of its image operands? */
function keepsChannels(stage: Stage): boolean {
  const { body } = stage;
  if (body.kind !== 'map' && body.kind !== 'reduce') return false;
  const channel = body.outIndex[1];
  if (channel?.kind !== 'axis' || !channel.name.startsWith('i')) return false;
  if (at(stage.outputs, 0).shape.length !== 4) return false;
  let keeps = true;
  const exprs =
    body.kind === 'map' ? [body.value] : [body.value, ...body.steps.map((s) => s.value)];
  for (const expr of exprs) {
    visitExpr(expr, (node) => {
      if (node.kind !== 'load') return;
      const view = at(stage.operands, Number(node.source));
      if (view.shape.length !== 4 || view.shape[1] === 1) return;
      const read = node.index[1];
      if (read?.kind !== 'axis' || read.name !== channel.name) keeps = false;
    });
  }
  return keeps;
}

function imageOperands(stage: Stage): View[] {
  const { shape } = at(stage.outputs, 0);
  return stage.operands
    .slice(2)
    .filter((view) => view.shape.length === 4 && view.shape.every((e, i) => e === shape[i]));
}

/** Inputs of planar convolutions that are our own and not blocked: they only get a halo. */
function planarInputs(
  graph: StageGraph,
  convs: ReadonlyMap<number, Conv>,
  canBlock: ReadonlySet<BufferId>,
  blocked: ReadonlySet<BufferId>,
): ReadonlySet<BufferId> {
  const planar = new Set<BufferId>();
  for (const stage of graph.stages) {
    const view = stage.operands[0];
    if (view === undefined || convs.get(stage.id)?.planar !== true) continue;
    if (canBlock.has(view.buffer) && !blocked.has(view.buffer)) planar.add(view.buffer);
  }
  return planar;
}

function halosOf(
  graph: StageGraph,
  convs: ReadonlyMap<number, Conv>,
  laidOut: ReadonlySet<BufferId>,
): ReadonlyMap<BufferId, Border> {
  const halos = new Map<BufferId, Border>();
  for (const stage of graph.stages) {
    const conv = convs.get(stage.id);
    if (conv === undefined) continue;
    const view = at(stage.operands, 0);
    if (!laidOut.has(view.buffer)) continue;
    const have = halos.get(view.buffer) ?? NO_BORDER;
    const border = borderOf(conv);
    // Readers that want another border than the first get a copy with their own.
    const agree = !hasWidth(have.halo) || (have.fill ?? 0) === (border.fill ?? 0);
    if (hasWidth(conv.halo) && agree) {
      halos.set(view.buffer, { ...border, halo: widest(have.halo, conv.halo) });
    }
  }
  return halos;
}

function widest(a: Halo, b: Halo): Halo {
  return [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

function covers(layout: Layout, wanted: Layout): boolean {
  if (layout.block !== wanted.block) return false;
  const fits = wanted.halo.every((w, i) => at(layout.halo, i) >= w);
  return fits && (!hasWidth(wanted.halo) || (layout.fill ?? 0) === (wanted.fill ?? 0));
}

/** Copies into the layout a convolution needs, shared by the stages that need the same. */
function insertReorders(
  graph: StageGraph,
  convs: ReadonlyMap<number, Conv>,
  block: number,
): StageGraph {
  const buffers = [...graph.buffers];
  const stages: Stage[] = [];
  const made = new Map<string, View>();
  const addBuffer = (like: Buffer, shape: readonly number[], layout: Layout): Buffer => {
    const count = buffers.length;
    const { constant: _, ...rest } = like;
    const name = `${like.name}/reordered.${count}`;
    const buffer: Buffer = { ...rest, id: count, name, shape, layout, role: 'temp' };
    buffers.push(buffer);
    return buffer;
  };
  const push = (stage: Omit<Stage, 'id'>): void => {
    stages.push({ ...stage, id: stages.length });
  };
  const reordered = (view: View, layout: Layout, stage: Stage): View => {
    const buffer = at(buffers, view.buffer);
    const aligned = (view.offset?.[1] ?? 0) % Math.max(1, layout.block) === 0;
    // Beside a part of an image lies the rest of it, not a border of zeros.
    const spatial = [2, 3].every(
      (i) => (view.offset?.[i] ?? 0) === 0 && view.shape[i] === buffer.shape[i],
    );
    const isWhole = buffer.shape.length === 4 && view.shape.length === 4;
    if (isWhole && aligned && spatial && covers(buffer.layout, layout)) return view;
    const key = JSON.stringify([view, layout]);
    const have = made.get(key);
    if (have !== undefined) return have;
    const target = addBuffer(buffer, view.shape, layout);
    const out: View = { buffer: target.id, shape: view.shape };
    push(copyStage(view, out, buffer.dtype, stage));
    made.set(key, out);
    return out;
  };
  for (const stage of graph.stages) {
    const conv = convs.get(stage.id);
    if (conv === undefined) {
      push(stage);
      continue;
    }
    const image: Layout = { block, halo: NO_HALO };
    const input: Layout = { block: conv.planar ? 1 : block, ...borderOf(conv) };
    const operands = stage.operands.map((view, k) => {
      if (k === 0) return reordered(view, input, stage);
      const isImage = imageOperands(stage).includes(view);
      return isImage && k > 1 ? reordered(view, image, stage) : view;
    });
    const output = at(stage.outputs, 0);
    const outputBuffer = at(buffers, output.buffer);
    if (outputBuffer.layout.block === block) {
      push({ ...stage, operands });
      continue;
    }
    const temp = addBuffer(outputBuffer, output.shape, image);
    const view: View = { buffer: temp.id, shape: output.shape };
    push({ ...stage, operands, outputs: [view] });
    push(copyStage(view, output, outputBuffer.dtype, stage));
  }
  return { ...graph, buffers, stages };
}

function copyStage(from: View, to: View, dtype: Buffer['dtype'], of: Stage): Omit<Stage, 'id'> {
  const axes = from.shape.map((_, i) => axis(`i${i}`));
  return {
    nodes: of.nodes.slice(0, 1),
    ops: ['Reorder'],
    operands: [from],
    outputs: [to],
    body: { kind: 'map', axes: from.shape, outIndex: axes, value: load('0', dtype, axes) },
  };
}
