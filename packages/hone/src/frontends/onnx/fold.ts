/**
 * Whether a node whose inputs are all constants is computed while importing.
 *
 * Shape arithmetic always is. What is not: random operators; quantised weights (folding would
 * lose that they are quantised); sub-graphs; results or work large enough to matter. All of a
 * model's folding together is bounded, so that no file makes the importer compute for long.
 */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';

const MAX_BYTES = 64 * 1024 * 1024;
/** Element operations of one contraction, and of the whole import. */
const MAX_CONTRACTION = 50_000_000;
const MAX_TOTAL = 200_000_000;
/** Results this many times as large as the operands are not worth the work, unless they are of a common size. */
const MAX_GROWTH = 2;
const COMMON_ELEMENTS = 4 * 1024 * 1024;
/** Results this small are folded even when the total is spent; whole shape sub-graphs are. */
const SMALL_ELEMENTS = 256;

const NEVER: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'If',
  'Loop',
  'Scan',
  'SequenceMap',
]);

/** Operators whose work is not proportional to their operands and results. */
const CONTRACTIONS: ReadonlySet<string> = new Set([
  'MatMul',
  'Gemm',
  'MatMulInteger',
  'QLinearMatMul',
  'Conv',
  'ConvInteger',
  'QLinearConv',
  'ConvTranspose',
  'DeformConv',
  'Einsum',
  'LSTM',
  'GRU',
  'RNN',
  'Attention',
  'DFT',
  'STFT',
  'Det',
  'NonMaxSuppression',
  'LRN',
  'AveragePool',
  'MaxPool',
  'LpPool',
  'TfIdfVectorizer',
]);

export interface FoldBudget {
  left: number;
}

export function newFoldBudget(): FoldBudget {
  return { left: MAX_TOTAL };
}

/** Decides, and takes the work off the budget. */
export function shouldFold(
  op: string,
  inputs: readonly ValueType[],
  outputs: readonly ValueType[],
  budget: FoldBudget,
): boolean {
  if (NEVER.has(op)) return false;
  const sizes = [...inputs, ...outputs].map((type) => walkedElements(type.shape));
  const bytes = (types: readonly ValueType[]): number =>
    types.reduce((sum, type) => sum + walkedElements(type.shape) * dtypeBytes(type.dtype), 0);
  if (bytes(inputs) > MAX_BYTES || bytes(outputs) > MAX_BYTES) return false;
  const made = elementsOf(outputs);
  if (made > COMMON_ELEMENTS && made > MAX_GROWTH * elementsOf(inputs)) return false;
  const elements = sizes.reduce((sum, size) => sum + size, 0);
  const work = CONTRACTIONS.has(op) ? contractionWork(op, sizes) : elements;
  if (work > MAX_CONTRACTION && CONTRACTIONS.has(op)) return false;
  if (work > budget.left && elements > SMALL_ELEMENTS) return false;
  budget.left -= work;
  return true;
}

function elementsOf(types: readonly ValueType[]): number {
  return types.reduce((sum, type) => sum + walkedElements(type.shape), 0);
}

/** Elements that loops over an axis may visit: an empty tensor can have very long axes too. */
function walkedElements(shape: readonly number[]): number {
  return elementCount(shape.map((extent) => Math.max(1, extent)));
}

/** At most: every result element reads every operand. Exact (m·n·k) for plain matrix products. */
function contractionWork(op: string, sizes: readonly number[]): number {
  const isProduct = op === 'MatMul' || op === 'Gemm' || op === 'MatMulInteger';
  const largest = [...sizes].sort((a, b) => b - a).slice(0, isProduct ? 3 : 2);
  const product = largest.reduce((total, size) => total * size, 1);
  return isProduct ? Math.sqrt(product) : product;
}
