/**
 * Keeps weights of matrix products packed where the model quantises them alone: a MatMul or Gemm of
 * real data and a dequantised constant of 2, 4 or 8 bits (per tensor, per column, or in blocks along
 * the reduction) becomes MatMulNBits, whose kernel dequantises in registers.
 *
 * Why: folded to f32 the weights would be 4 to 16 times as large, and products of few rows are bound
 * by reading them. Exact but for the order of sums. Left alone: products of quantised data, which
 * are products of integers, and Gemm with factors.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBits } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { constantTensor, producers, valueById } from '../graph/walk.ts';
import { granularityOf, parameterOffsets } from '../ops/quant/granularity.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isDequantize, isMoving } from './quantized.ts';
import { permOf } from './simplify-nodes.ts';

export const packWeights: Pass = {
  name: 'pack-weights',
  run(graph, ctx) {
    const makers = producers(graph);
    const packed = new Map<string, Packed | null>();
    return rewriteGraph(graph, ctx, (node, r) => {
      if (node.domain !== '' || (node.op !== 'MatMul' && node.op !== 'Gemm')) return undefined;
      const made = packedProduct(graph, node, r, makers, packed);
      return made === undefined ? undefined : [made];
    });
  },
};

interface Packed {
  readonly k: number;
  readonly n: number;
  readonly bits: number;
  readonly block: number;
  readonly weights: Tensor;
  readonly scales: Tensor;
  readonly zeros: Tensor | undefined;
}

type Makers = ReadonlyMap<ValueId, Node>;

function packedProduct(
  graph: Graph,
  node: Node,
  r: Rebuild,
  makers: Makers,
  known: Map<string, Packed | null>,
): ValueId | undefined {
  const [data, weights, addend] = node.inputs;
  if (data === null || data === undefined || weights === null || weights === undefined) {
    return undefined;
  }
  const plain = node.op === 'MatMul' || (node.attrs['alpha'] === 1 && node.attrs['transA'] === 0);
  const biased = addend !== null && addend !== undefined;
  if (!plain || (biased && node.attrs['beta'] !== 1) || isQuantized(data, makers)) return undefined;
  const found = dequantizedMatrix(graph, weights, makers);
  if (found === undefined) return undefined;
  const columnsFirst = found.transposed !== (node.attrs['transB'] === 1);
  const key = `${found.node.outputs[0]}:${columnsFirst}`;
  const have = known.get(key);
  const packed = have === undefined ? packOf(graph, found.node, columnsFirst) : have;
  known.set(key, packed);
  if (packed === null) return undefined;
  const { k, n, bits, block, zeros } = packed;
  const inputs = [packed.weights, packed.scales, ...(zeros === undefined ? [] : [zeros])];
  const product = r.b.op(
    'MatMulNBits',
    [r.map(data), ...inputs.map((tensor) => r.b.constant(tensor))],
    { K: k, N: n, bits, block_size: block },
    { domain: 'com.microsoft' },
  );
  return biased ? r.b.op('Add', [product, r.map(addend)]) : product;
}

/** Is the value dequantised data, perhaps moved about? */
function isQuantized(id: ValueId, makers: Makers): boolean {
  const maker = makers.get(id);
  const [source] = maker?.inputs ?? [];
  if (isDequantize(maker)) return true;
  return isMoving(maker) && source !== null && source !== undefined && isQuantized(source, makers);
}

/** The DequantizeLinear of a constant matrix, perhaps behind a transpose. */
function dequantizedMatrix(
  graph: Graph,
  id: ValueId,
  makers: Makers,
): { readonly node: Node; readonly transposed: boolean } | undefined {
  const maker = makers.get(id);
  if (isDequantize(maker)) return { node: maker, transposed: false };
  const [source] = maker?.inputs ?? [];
  if (maker?.op !== 'Transpose' || source === null || source === undefined) return undefined;
  const inner = makers.get(source);
  const swaps = permOf(maker, valueById(graph, source).type.shape.length).join() === '1,0';
  return isDequantize(inner) && swaps ? { node: inner, transposed: true } : undefined;
}

const UNSIGNED: ReadonlySet<DType> = new Set(['u2', 'u4', 'u8']);
const SIGNED: ReadonlySet<DType> = new Set(['i2', 'i4', 'i8']);

/** The packed form; null where the constant has none. `columnsFirst`: it is stored [n][k]. */
function packOf(graph: Graph, node: Node, columnsFirst: boolean): Packed | null {
  const values = node.inputs.map((id) => (id === null ? undefined : valueById(graph, id)));
  if (values.some((value) => value !== undefined && value.constant === undefined)) return null;
  const [data, scale, zero] = values;
  const { dtype, shape } = data?.type ?? { dtype: 'f32', shape: [] };
  if (data === undefined || scale === undefined || shape.length !== 2) return null;
  if (!UNSIGNED.has(dtype) && !SIGNED.has(dtype)) return null;
  const [k, n] = columnsFirst ? [at(shape, 1), at(shape, 0)] : [at(shape, 0), at(shape, 1)];
  const place = { node: node.name, op: node.op };
  const grain = granularityOf(place, shape, scale.type.shape, node.attrs);
  const alongK = columnsFirst ? 1 : 0;
  if (grain.kind === 'axis' && grain.axis === alongK) return null;
  if (grain.kind === 'block' && grain.axis !== alongK) return null;
  const block = grain.kind === 'block' ? grain.block : k;
  const bits = dtypeBits(dtype);
  if (k % block !== 0 || (block * bits) % 8 !== 0) return null;
  const at_ = (row: number, column: number): number =>
    columnsFirst ? column * k + row : row * n + column;
  const offsets = parameterOffsets(shape, scale.type.shape, grain);
  const shift = SIGNED.has(dtype) ? 2 ** (bits - 1) : 0;
  const elements = toNumbers(constantTensor(data));
  const blocks = k / block;
  const per = 8 / bits;
  const weights = new Uint8Array((n * k) / per);
  for (let c = 0; c < n; c++) {
    for (let row = 0; row < k; row++) {
      const stored = (elements[at_(row, c)] as number) + shift;
      const byte = Math.floor((c * k + row) / per);
      weights[byte] = (weights[byte] as number) | (stored << (bits * (row % per)));
    }
  }
  const pick = (list: Float64Array, c: number, b: number): number =>
    list[list.length === 1 ? 0 : (offsets[at_(b * block, c)] as number)] as number;
  const spread = (list: Float64Array): number[] =>
    Array.from({ length: n * blocks }, (_, i) => pick(list, Math.floor(i / blocks), i % blocks));
  const scales = spread(toNumbers(constantTensor(scale)));
  const origins = zero === undefined ? undefined : spread(toNumbers(constantTensor(zero)));
  const usual = origins?.every((value) => value === 0) !== false && SIGNED.has(dtype);
  return {
    ...{ k, n, bits, block },
    weights: { dtype: 'u8', shape: [n, blocks, (block * bits) / 8], data: weights },
    scales: fromNumbers(scale.type.dtype, [n, blocks], scales),
    zeros: usual ? undefined : packZeros(origins, shift, n, blocks, bits),
  };
}

/** Zero points packed as the weights are, each column in whole bytes. */
function packZeros(
  origins: readonly number[] | undefined,
  shift: number,
  n: number,
  blocks: number,
  bits: number,
): Tensor {
  const per = 8 / bits;
  const rowBytes = Math.ceil(blocks / per);
  const data = new Uint8Array(n * rowBytes);
  for (let i = 0; i < n * blocks; i++) {
    const [c, b] = [Math.floor(i / blocks), i % blocks];
    const byte = c * rowBytes + Math.floor(b / per);
    const stored = (origins?.[i] ?? 0) + shift;
    data[byte] = (data[byte] as number) | (stored << (bits * (b % per)));
  }
  return { dtype: 'u8', shape: [n, rowBytes], data };
}
