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
  const isDequantized = (id: ValueId | null | undefined): boolean => {
    if (id === null || id === undefined) return false;
    const maker = makers.get(id);
    const [source] = maker?.inputs ?? [];
    if (maker === undefined || source === null || source === undefined) return false;
    if (isDequantize(maker)) {
      const { constant, type } = valueById(graph, source);
      return constant === undefined && dtypeBytes(type.dtype) === 1;
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
      (node) => isDequantize(node) && isSmall(graph, node) && node.outputs.some(isUseful),
    ),
  );
}

/** Is it an 8-bit constant without blocks that is, or can be made, signed around zero? */
function isSmall(graph: Graph, node: Node): boolean {
  const [data, scale, zero] = node.inputs.map((id) =>
    id === null ? undefined : valueById(graph, id),
  );
  if (data?.constant === undefined || scale?.constant === undefined) return false;
  if (node.attrs['block_size'] !== 0 || dtypeBytes(data.type.dtype) !== 1) return false;
  if (data.type.dtype !== 'u8' && data.type.dtype !== 'i8') return false;
  if (zero === undefined) return data.type.dtype === 'i8';
  if (zero.constant === undefined) return false;
  const [values, scales, zeros] = [data, scale, zero].map(constantTensor);
  if (values === undefined || scales === undefined) return false;
  return signedElements(node, values, scales, zeros) !== undefined;
}
