/**
 * Makes quantised activations unsigned: values that are quantised to i8, perhaps moved about, and
 * dequantised again are kept as u8 with a zero point 128 higher.
 *
 * Why: the integer kernels multiply u8 data by i8 weights. Exact: an element and its zero point move
 * together, and both dtypes saturate at the same real numbers. Left alone: what is dequantised by
 * unknown zero points, read by other operators, or part of the graph's signature.
 */
import { dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { constantTensor, consumers, producers, valueById } from '../graph/walk.ts';
import { type Pass, type Rebuild, rebuildGraph } from './pass.ts';
import { isDequantize, isMoving, isQuantize } from './quantized.ts';

export const unsignActivations: Pass = {
  name: 'unsign-activations',
  run(graph, ctx) {
    const signed = signedValues(graph);
    if (signed.size === 0) return graph;
    const moved = new Map<ValueId, ValueId>();
    return rebuildGraph(graph, ctx, (node, r) => visit(node, r, signed, moved));
  },
};

const SHIFT = 128;

/** i8 values that may become u8: those whose whole neighbourhood may. */
function signedValues(graph: Graph): ReadonlySet<ValueId> {
  const makers = producers(graph);
  const readers = consumers(graph);
  const outputs = new Set(graph.outputs);
  const isSigned = (id: ValueId): boolean => valueById(graph, id).type.dtype === 'i8';
  const fits = (id: ValueId): boolean => {
    const maker = makers.get(id);
    if (maker === undefined || outputs.has(id)) return false;
    if (!isMoving(maker) && !isJoin(maker) && !(isQuantize(maker) && hasKnownZero(graph, maker))) {
      return false;
    }
    return (readers.get(id) ?? []).every((node) => {
      if (isDequantize(node)) return node.inputs[0] === id && hasKnownZero(graph, node);
      return isJoin(node) || (isMoving(node) && node.inputs.indexOf(id) === 0);
    });
  };
  const found = new Set(
    graph.nodes.flatMap((node) => node.outputs).filter((id) => isSigned(id) && fits(id)),
  );
  // A moving node's input and results change together or not at all.
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of graph.nodes) {
      if (!isMoving(node) && !isJoin(node)) continue;
      const inputs = isJoin(node) ? node.inputs : node.inputs.slice(0, 1);
      const group = [...inputs, ...node.outputs].flatMap((id) => (id === null ? [] : [id]));
      if (!group.some((id) => found.has(id)) || group.every((id) => found.has(id))) continue;
      for (const id of group) changed = found.delete(id) || changed;
    }
  }
  return found;
}

function isJoin(node: Node): boolean {
  return node.op === 'Concat' && node.domain === '';
}

/** Is the zero point of a quantising or dequantising node constant, or absent? */
function hasKnownZero(graph: Graph, node: Node): boolean {
  const zero = node.inputs[2];
  return zero === null || zero === undefined || valueById(graph, zero).constant !== undefined;
}

function visit(
  node: Node,
  r: Rebuild,
  signed: ReadonlySet<ValueId>,
  moved: Map<ValueId, ValueId>,
): void {
  const [data] = node.inputs;
  const isOurs = node.outputs.some((id) => signed.has(id));
  const readsOurs = data !== null && data !== undefined && signed.has(data);
  if (!isOurs && !readsOurs) {
    r.keep(node);
    return;
  }
  const inputs = node.inputs.map((id) => (id === null ? null : (moved.get(id) ?? mapped(id))));
  function mapped(id: ValueId): ValueId | null {
    return signed.has(id) ? null : r.map(id);
  }
  if (isDequantize(node)) {
    r.replace(node, [r.b.op(node.op, [...inputs.slice(0, 2), raisedZero(node, r)], node.attrs)]);
    return;
  }
  const outputNames = node.outputs.map((id) => valueById(r.old, id).name);
  const options = { name: node.name, outputs: node.outputs.length, outputNames };
  const made = isQuantize(node)
    ? r.b.ops(
        node.op,
        [...inputs.slice(0, 2), raisedZero(node, r)],
        { ...node.attrs, output_dtype: outputCode(node) },
        options,
      )
    : r.b.ops(node.op, inputs, node.attrs, options);
  node.outputs.forEach((id, i) => {
    const value = made[i];
    if (value !== undefined) moved.set(id, value);
  });
}

function outputCode(node: Node): number {
  return node.attrs['output_dtype'] === 0 ? 0 : dtypeCode('u8');
}

/** The zero point as u8, 128 higher; without one it was 0, in the shape of the scale. */
function raisedZero(node: Node, r: Rebuild): ValueId {
  const [, scale, zero] = node.inputs;
  const { shape } = valueById(r.old, zero ?? scale ?? 0).type;
  if (zero === null || zero === undefined) {
    return r.b.filled('u8', shape, SHIFT);
  }
  const values = toNumbers(constantTensor(valueById(r.old, zero))).map((z) => z + SHIFT);
  return r.b.constant(fromNumbers('u8', shape, values), `${valueById(r.old, zero).name}/u8`);
}
