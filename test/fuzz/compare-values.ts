/**
 * Are two results the same but for rounding? A simple bound decides most cases. Where it is not
 * met, the graph is interpreted again with noise as large as rounding errors on every inexact
 * node: what noise alone can do to an output, a compiler may do too.
 */
import type { Graph, Node, ValueId } from 'hone/graph/types';
import { constantTensor, valueById } from 'hone/graph/walk';
import { evaluateNode } from 'hone/ops/interpret';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor, toBigInts, toNumbers } from 'hone-runtime/base/tensor';
import type { RandomGraph } from './growth.ts';

/** Difference allowed at once, relative to the largest value of the output. */
const QUICK: Partial<Record<DType, number>> = { f32: 2e-5, f64: 1e-9, f16: 4e-3, bf16: 3e-2 };
/** Rounding of one operation, relative; several times what is usual. */
const UNIT: Partial<Record<DType, number>> = {
  f32: 2 ** -22,
  f64: 2 ** -50,
  f16: 2 ** -9,
  bf16: 2 ** -6,
};
/** A sum of products may round at every term, and minimal filtering loses two digits. */
const SUM_UNIT = 4e-6;
/** Uses that amplify rounding, each with the unit that this makes of it and the reason. */
const AMPLIFYING: Readonly<Record<string, { readonly unit: number; readonly reason: string }>> = {
  MeanVarianceNormalization: {
    unit: 2e-4,
    reason:
      'it divides by a deviation that nothing keeps from 0, so the rounding of a mean counts more',
  },
  ...Object.fromEntries(
    ['Attention', 'QAttention', 'MultiHeadAttention', 'DecoderMaskedMultiHeadAttention'].map(
      (op) => [
        op,
        {
          unit: 5e-4,
          reason: 'com.microsoft adds -10000 to what is masked, which takes digits away',
        },
      ],
    ),
  ),
};
/** The inverse of the normal distribution near its middle: the formula of onnxruntime cancels. */
const PROBIT_UNIT = 5e-4;
/** Functions of one value in which terms as large as it cancel: their errors are relative to it. */
const CANCELLING = new Set(['Gelu', 'FastGelu', 'BiasGelu', 'QuickGelu', 'QuickGELU']);
/** At most; a rounded element at a tie stays where it is in half of them. */
const TRIALS = 24;
/** The compiler's errors may be this much larger than those of the trials. */
const SLACK = 6;

/** Operators that round nothing. */
const EXACT = new Set(
  (
    'Relu Neg Abs Max Min Where Clip Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Split ' +
    'Concat Gather GatherElements ScatterElements Expand Tile Trilu TopK MaxPool GlobalMaxPool ReduceMax ' +
    'ReduceMin DepthToSpace SpaceToDepth Sign Floor Ceil Round Pad OneHot Hardmax'
  ).split(' '),
);
/** Operators whose errors are relative to what they read or sum, not to the single result. */
const SUMS = new Set(
  (
    'Conv ConvTranspose MatMul Gemm Einsum BatchNormalization LayerNormalization RMSNormalization ' +
    'InstanceNormalization GroupNormalization SkipLayerNormalization AveragePool GlobalAveragePool LpPool ' +
    'ReduceMean ReduceSum ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp Sub Add Sum Mean CumSum Resize ' +
    'GridSample LSTM GRU RNN LogSoftmax LpNormalization'
  ).split(' '),
);

/** Operators that round a real number to a step: at a tie it falls to either side. */
const STEPPING = /^(QLinear|Quantize|DynamicQuantize|QGemm|QAttention|Upsample|Resize)/;
/** Their draws are f32 whatever the dtype. */
const DRAWN = /^(Random(Normal|Uniform)(Like)?)$/;

/** What is wrong with the outputs, or undefined. */
export function difference(
  item: RandomGraph,
  wanted: readonly Tensor[],
  got: readonly (Tensor | undefined)[],
): string | undefined {
  const coarsest = coarsestOf(item.graph);
  const doubtful = wanted.flatMap((tensor, i) => {
    const other = got[i];
    const problem = other === undefined ? 'is missing' : simpleDifference(tensor, other, coarsest);
    return problem === undefined ? [] : [{ i, problem }];
  });
  if (doubtful.length === 0) return undefined;
  const trials: (readonly Tensor[])[] = [];
  const unexplained = doubtful.find(({ i }) => {
    for (let t = 0; t < TRIALS; t++) {
      trials[t] ??= interpretNoisily(item, seededRandom(t + 1));
      const noisy = trials.slice(0, t + 1).map((trial) => trial[i] as Tensor);
      if (explains(wanted[i] as Tensor, got[i], noisy)) return false;
    }
    return true;
  });
  if (unexplained === undefined) return undefined;
  const { name } = valueById(item.graph, item.graph.outputs[unexplained.i] ?? 0);
  return `output ${name} ${unexplained.problem}`;
}

/** The rounding of what a single node reads: a wider output carries it on. */
function coarsestOf({ nodes, values }: Graph): number {
  if (nodes.length > 1) return 0;
  if (nodes.some(({ op }) => DRAWN.test(op))) return QUICK.f32 ?? 0;
  return Math.max(0, ...values.map(({ type }) => QUICK[type.dtype] ?? 0));
}

function simpleDifference(wanted: Tensor, got: Tensor, coarsest: number): string | undefined {
  if (got.dtype !== wanted.dtype) return `has dtype ${got.dtype}, not ${wanted.dtype}`;
  if (got.shape.join() !== wanted.shape.join()) {
    return `has shape [${got.shape.join()}], not [${wanted.shape.join()}]`;
  }
  const [a, b] = [toNumbers(got), toNumbers(wanted)];
  const exact = !isFloat(wanted.dtype);
  const limit = exact ? 0 : Math.max(QUICK[wanted.dtype] ?? 0, coarsest) * largest(b);
  let worst = -1;
  let most = limit;
  let count = 0;
  for (let i = 0; i < b.length; i++) {
    const error = gap(a[i] as number, b[i] as number);
    if (error <= limit) continue;
    count++;
    if (error > most || worst < 0) worst = i;
    most = Math.max(most, error);
  }
  if (worst < 0 && exact && !sameIntegers(got, wanted)) return 'differs beyond 2^53';
  if (worst < 0) return undefined;
  const place = positionOf(worst, wanted.shape).join(',');
  return `(${wanted.dtype}[${wanted.shape.join()}]) differs at ${count} of ${b.length} elements; at [${place}] it is ${a[worst]}, wanted ${b[worst]}`;
}

/** Difference of two numbers; 0 for two NaN or the same infinity, else infinite where one is not finite. */
function gap(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}

function sameIntegers(a: Tensor, b: Tensor): boolean {
  const [x, y] = [toBigInts(a), toBigInts(b)];
  return x.every((value, i) => value === y[i]);
}

function positionOf(flat: number, shape: readonly number[]): number[] {
  let rest = flat;
  return shape
    .toReversed()
    .map((extent) => {
      const i = rest % extent;
      rest = Math.floor(rest / extent);
      return i;
    })
    .reverse();
}

function largest(values: Float64Array): number {
  return values.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    1e-30,
  );
}

/** Is the difference within what the noisy runs did to this output? */
function explains(wanted: Tensor, got: Tensor | undefined, noisy: readonly Tensor[]): boolean {
  if (got?.dtype !== wanted.dtype || got.shape.join() !== wanted.shape.join()) return false;
  const [b, a] = [toNumbers(wanted), toNumbers(got)];
  const runs = noisy.map(toNumbers);
  if (!isFloat(wanted.dtype)) {
    return b.every((value, i) => a[i] === value || runs.some((run) => run[i] !== value));
  }
  const spread = runs.reduce(
    (most, run) => run.reduce((m, value, i) => Math.max(m, gap(value, b[i] as number)), most),
    0,
  );
  const limit = (QUICK[wanted.dtype] ?? 0) * largest(b) + SLACK * spread;
  return b.every((value, i) => gap(a[i] as number, value) <= limit);
}

/** The graph's outputs when every inexact node is a little off. */
function interpretNoisily({ graph, inputs }: RandomGraph, random: Random): readonly Tensor[] {
  const known = new Map<ValueId, Tensor>(graph.inputs.map((id, i) => [id, inputs[i] as Tensor]));
  const read = (id: ValueId): Tensor => known.get(id) ?? constantTensor(valueById(graph, id));
  for (const node of graph.nodes) {
    // A single use may answer as for operands a little off, which may matter more than rounding.
    const isStepping = STEPPING.test(node.op) && !isFloat(typeOf(graph, node));
    const isAlone = graph.nodes.length === 1 && isFloat(typeOf(graph, node)) && !EXACT.has(node.op);
    const inputOf = (id: ValueId): Tensor =>
      isAlone || isStepping ? nudged(read(id), random) : read(id);
    const tensors = evaluateNode(
      node,
      node.inputs.map((id) => (id === null ? null : inputOf(id))),
      node.outputs.map((id) => valueById(graph, id).type),
    );
    node.outputs.forEach((id, i) => {
      known.set(id, withNoise(node, tensors[i] as Tensor, graph, read, random));
    });
  }
  return graph.outputs.map(read);
}

function typeOf(graph: Graph, { outputs }: Node): DType {
  return valueById(graph, outputs[0] ?? 0).type.dtype;
}

/** Floats a little off, the same way each: what is rounded from them shows where it is at a tie. */
function nudged(tensor: Tensor, random: Random): Tensor {
  const unit = UNIT[tensor.dtype];
  if (unit === undefined) return tensor;
  const values = toNumbers(tensor).map((x) => x * (1 + SLACK * unit * (2 * random.next() - 1)));
  return fromNumbers(tensor.dtype, tensor.shape, values);
}

function withNoise(
  node: Node,
  tensor: Tensor,
  graph: Graph,
  read: (id: ValueId) => Tensor,
  random: Random,
): Tensor {
  const unit = UNIT[tensor.dtype];
  if (unit === undefined || EXACT.has(node.op)) return tensor;
  const values = toNumbers(tensor);
  const isKnown = node.domain !== '' || node.op === 'MeanVarianceNormalization';
  const isProbit = node.attrs['post_transform'] === 'PROBIT';
  const amplified = isProbit ? PROBIT_UNIT : isKnown ? AMPLIFYING[node.op]?.unit : undefined;
  const isCancelling = CANCELLING.has(node.op);
  const sums = SUMS.has(node.op) || isCancelling || amplified !== undefined;
  const operands =
    isCancelling || isProbit || isElementWise(node) ? magnitudes(node, graph, read) : [];
  const around = sums ? Math.max(largest(values), ...operands) : 0;
  const isLong = sums && tensor.dtype === 'f32' && !isElementWise(node) && !isCancelling;
  const relative = amplified ?? (isLong ? SUM_UNIT : unit);
  return fromNumbers(
    tensor.dtype,
    tensor.shape,
    values.map((value) => {
      // Multiples of a small unit come out exactly, whatever the order.
      if (Number.isInteger(value * 64) && Math.abs(value) < 256 && (!sums || isElementWise(node))) {
        return value;
      }
      return value + (sums ? around : Math.abs(value)) * relative * (2 * random.next() - 1);
    }),
  );
}

function isElementWise(node: Node): boolean {
  return ['Add', 'Sub', 'Sum', 'Mean'].includes(node.op);
}

/** Of the float operands: what cancels leaves their rounding behind. */
function magnitudes(node: Node, graph: Graph, read: (id: ValueId) => Tensor): number[] {
  return node.inputs.flatMap((id) =>
    id !== null && isFloat(valueById(graph, id).type.dtype) ? [largest(toNumbers(read(id)))] : [],
  );
}
