/**
 * Which dequantised constants are worth keeping narrow: weights of a contraction whose data is
 * quantised too (fusion makes an integer product of the two), and tables that are gathered from.
 * Other quantised constants are dequantised at compile time.
 */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { constantTensor, consumers, producers, valueById } from '../graph/walk.ts';
import { isDequantize, isMoving } from './quantized.ts';
import { signedElements } from './sign-weights.ts';

const CONTRACTIONS: ReadonlySet<string> = new Set(['Conv', 'MatMul', 'Gemm']);

/** The DequantizeLinear nodes of constants that must stay nodes. */
export function narrowConstants(graph: Graph): ReadonlySet<Node> {
  const makers = producers(graph);
  const readers = consumers(graph);
  const derived = derivedConstants(graph);
  const isDequantized = (id: ValueId | null | undefined): boolean => {
    if (id === null || id === undefined) return false;
    const maker = makers.get(id);
    const [source] = maker?.inputs ?? [];
    if (maker === undefined || source === null || source === undefined) return false;
    if (isDequantize(maker)) {
      return !derived.has(source) && dtypeBytes(valueById(graph, source).type.dtype) === 1;
    }
    return isMoving(maker) && isDequantized(source);
  };
  const isUseful = (id: ValueId): boolean =>
    (readers.get(id) ?? []).some((node) => {
      if (node.domain !== '') return false;
      if (node.op === 'Gather') return node.inputs[0] === id;
      if (node.op === 'Transpose') return node.outputs.some(isUseful);
      return CONTRACTIONS.has(node.op) && node.inputs[1] === id && isDequantized(node.inputs[0]);
    });
  return new Set(
    graph.nodes.filter(
      (node) => isDequantize(node) && isSmall(graph, node, derived) && node.outputs.some(isUseful),
    ),
  );
}

/** Constants, and values that constants alone decide: they are constants after a round of folding. */
function derivedConstants(graph: Graph): ReadonlySet<ValueId> {
  const found = new Set(graph.values.flatMap((v) => (v.constant === undefined ? [] : [v.id])));
  for (const node of graph.nodes) {
    if (node.inputs.every((id) => id === null || found.has(id))) {
      for (const id of node.outputs) found.add(id);
    }
  }
  return found;
}

/** Is it an 8-bit constant without blocks that is, or can be made, signed around zero? */
function isSmall(graph: Graph, node: Node, derived: ReadonlySet<ValueId>): boolean {
  if (!node.inputs.every((id) => id === null || derived.has(id))) return false;
  const [data, scale, zero] = node.inputs.map((id) =>
    id === null ? undefined : valueById(graph, id),
  );
  if (data === undefined || node.attrs['block_size'] !== 0) return false;
  const { dtype } = data.type;
  if (dtype !== 'u8' && dtype !== 'i8') return false;
  const parts = [data, scale, ...(zero === undefined ? [] : [zero])];
  // Decided once the elements are known.
  if (parts.some((value) => value?.constant === undefined)) return true;
  if (zero === undefined) return dtype === 'i8';
  const [values, scales, zeros] = [data, scale, zero].map((value) =>
    value === undefined ? undefined : constantTensor(value),
  );
  if (values === undefined || scales === undefined) return false;
  return signedElements(node, values, scales, zeros) !== undefined;
}
