/**
 * Makes quantised constants signed around zero: DequantizeLinear of a u8 or i8 constant becomes one
 * of i8 without a zero point, where every element less its zero point fits 8 bits.
 *
 * Why: the integer kernels multiply by i8 weights without a zero point. Exact: the real numbers stay
 * the same. Left alone: constants whose range is wider (asymmetric u8 weights far from 128).
 */
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import { granularityOf, parameterOffsets } from '../ops/quant/granularity.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isDequantize } from './quantized.ts';

export const signWeights: Pass = {
  name: 'sign-weights',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (!isDequantize(node)) return undefined;
      const made = signed(node, r);
      return made === undefined ? undefined : [made];
    }),
};

function signed(node: Node, r: Rebuild): ValueId | undefined {
  const [data, scale, zero] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  if (data === null || data === undefined || scale === null || scale === undefined)
    return undefined;
  const { dtype } = r.b.typeOf(data);
  if (dtype !== 'u8' && dtype !== 'i8') return undefined;
  if (dtype === 'i8' && (zero === null || zero === undefined)) return undefined;
  const [values, scales] = [r.constant(data), r.constant(scale)];
  const zeros = zero === null || zero === undefined ? undefined : r.constant(zero);
  if (values === undefined || scales === undefined) return undefined;
  if (zero !== null && zero !== undefined && zeros === undefined) return undefined;
  const plain = dtype === 'i8' && zeros !== undefined && toNumbers(zeros).every((z) => z === 0);
  if (plain) return r.b.op('DequantizeLinear', [data, scale], node.attrs);
  const shifted = signedElements(node, values, scales, zeros);
  if (shifted === undefined) return undefined;
  const constant = r.b.constant(shifted, `${r.b.graph.value(data).name}/i8`);
  return r.b.op('DequantizeLinear', [constant, scale], node.attrs);
}

/** Elements less their zero points as i8; undefined where they do not fit. */
export function signedElements(
  node: Node,
  values: Tensor,
  scales: Tensor,
  zeros: Tensor | undefined,
): Tensor | undefined {
  const place = { node: node.name, op: node.op };
  const grain = granularityOf(place, values.shape, scales.shape, node.attrs);
  const offsets = parameterOffsets(values.shape, scales.shape, grain);
  const origins = zeros === undefined ? undefined : toNumbers(zeros);
  const out = toNumbers(values);
  for (let i = 0; i < out.length; i++) {
    const value = (out[i] as number) - (origins?.[offsets[i] as number] ?? 0);
    if (value < -128 || value > 127) return undefined;
    out[i] = value;
  }
  return fromNumbers('i8', values.shape, out);
}
