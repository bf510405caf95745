/**
 * Lets quantised values stay quantised where elements are only moved or compared: DequantizeLinear
 * moves behind reshapes, transposes, slices, pools of maxima and their like, QuantizeLinear in front
 * of them; concatenations likewise where all parts have one step.
 *
 * Why: what lies between two contractions moves a quarter of the memory, and stands neither between
 * a contraction and the step of its result nor between it and the step of its data. Exact.
 * QuantizeLinear moves only where nobody else reads what it moves past.
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type Pass, type PassContext, type Rebuild, rewriteGraph } from './pass.ts';
import { permOf } from './simplify-nodes.ts';
import {
  isDequantize,
  isMoving,
  isPerTensor,
  isQuantize,
  sameStep,
  stepOf,
  stepOfNode,
} from './quantized.ts';

export const moveQuantization: Pass = { name: 'move-quantization', run };

/** A QuantizeLinear moves past one operator in a round. */
const MAX_ROUNDS = 16;

function run(graph: Graph, ctx: PassContext): Graph {
  let current = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = once(current, ctx);
    if (next === current) break;
    current = next;
  }
  return current;
}

function once(graph: Graph, ctx: PassContext): Graph {
  const makers = new Map<ValueId, Node>();
  for (const node of graph.nodes) for (const id of node.outputs) makers.set(id, node);
  return rewriteGraph(graph, ctx, (node, r) => {
    if (isQuantize(node)) return quantizeFirst(node, r, makers);
    if (node.op === 'Concat' && node.domain === '') return dequantizeJoined(node, r);
    return isMoving(node) ? dequantizeLast(node, r) : undefined;
  });
}

/** The node on stored elements, then dequantised. */
function dequantizeLast(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  const [data] = node.inputs;
  if (data === null || data === undefined) return undefined;
  const maker = r.producer(r.map(data));
  if (!isDequantize(maker)) return undefined;
  const [stored, scale] = maker.inputs;
  if (stored === null || stored === undefined) return undefined;
  // A scale below zero would turn the order around.
  if (node.op === 'MaxPool' && stepOfNode(r, maker) === undefined) return undefined;
  let { attrs } = maker;
  if (!isPerTensor(r, scale)) {
    const axis = transposedAxis(node, maker, r);
    if (axis === undefined) return undefined;
    attrs = { ...attrs, axis };
  }
  const inputs = [stored, ...node.inputs.slice(1).map((id) => (id === null ? null : r.map(id)))];
  const moved = withInputs(node, inputs, r);
  return moved?.map((id) => r.b.op('DequantizeLinear', [id, ...maker.inputs.slice(1)], attrs));
}

/** Where a step for each index of an axis lies behind a transpose. */
function transposedAxis(node: Node, maker: Node, r: Rebuild): number | undefined {
  const [stored, scale] = maker.inputs;
  const { axis, block_size: block } = maker.attrs;
  if (node.op !== 'Transpose' || block !== 0 || typeof axis !== 'number') return undefined;
  if (stored === null || stored === undefined || scale === null || scale === undefined) {
    return undefined;
  }
  const { length: rank } = r.b.typeOf(stored).shape;
  return permOf(node, rank).indexOf(axis < 0 ? axis + rank : axis);
}

/** The operator on other inputs; undefined where it takes no such elements. */
function withInputs(
  node: Node,
  inputs: readonly (ValueId | null)[],
  r: Rebuild,
): readonly ValueId[] | undefined {
  try {
    return r.b.ops(node.op, inputs, node.attrs, { outputs: node.outputs.length });
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

/** Concat of parts that are dequantised by one step. */
function dequantizeJoined(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  const makers = node.inputs.map((id) => (id === null ? undefined : r.producer(r.map(id))));
  const [first] = makers;
  if (!isDequantize(first)) return undefined;
  const step = stepOfNode(r, first);
  const stored = makers.flatMap((maker) => {
    const [id] = maker?.inputs ?? [];
    if (!isDequantize(maker) || id === null || id === undefined) return [];
    return sameStep(stepOfNode(r, maker), step) ? [id] : [];
  });
  if (stored.length !== makers.length) return undefined;
  if (new Set(stored.map((id) => r.b.typeOf(id).dtype)).size > 1) return undefined;
  const joined = r.b.op('Concat', stored, node.attrs);
  return [r.b.op('DequantizeLinear', [joined, ...first.inputs.slice(1)], first.attrs)];
}

/** A moving node's input quantised, then moved. */
function quantizeFirst(
  node: Node,
  r: Rebuild,
  makers: ReadonlyMap<ValueId, Node>,
): readonly ValueId[] | undefined {
  const [data] = node.inputs;
  const maker = data === null || data === undefined ? undefined : makers.get(data);
  if (data === null || data === undefined || maker === undefined || r.uses(data) !== 1)
    return undefined;
  const parameters = node.inputs.slice(1).map((id) => (id === null ? null : r.map(id)));
  if (stepOf(r, parameters[0], parameters[1]) === undefined) return undefined;
  const isJoin = maker.op === 'Concat' && maker.domain === '';
  if (!isJoin && (!isMoving(maker) || maker.outputs.length !== 1)) return undefined;
  const sources = isJoin ? maker.inputs : maker.inputs.slice(0, 1);
  const alone = sources.every((id) => {
    if (id === null) return false;
    // Constants are quantised at compile time.
    return r.uses(id) === 1 || valueById(r.old, id).constant !== undefined;
  });
  const repeats = new Set(sources).size !== sources.length;
  if (!alone || repeats) return undefined;
  const quantize = (id: ValueId | null): ValueId =>
    r.b.op('QuantizeLinear', [id === null ? null : r.map(id), ...parameters], node.attrs);
  const inputs = [
    ...sources.map(quantize),
    ...maker.inputs.slice(sources.length).map((id) => (id === null ? null : r.map(id))),
  ];
  return withInputs(maker, inputs, r);
}
