/**
 * Folds scales and shifts per channel into the weights and bias of the contraction before them:
 * BatchNormalization, and Mul, Div, Add, Sub by constants, behind Conv, ConvTranspose, Gemm and
 * MatMul with constant weights, where nobody else reads the intermediate value. Chains fold whole.
 *
 * A BatchNormalization that stays becomes one Mul and one Add, so that its root is not computed
 * for every element. Numerics are in doubles, rounded once. Requires inference form.
 */
import { at } from 'hone-runtime/base/diagnostics';
import {
  allocateData,
  elementCount,
  fromNumbers,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type ChannelAffine, channelAffine, perChannel } from './affine.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';

export const foldBatchnorm: Pass = {
  name: 'fold-batchnorm',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => foldInto(node, r) ?? splitBatchNorm(node, r)),
};

function foldInto(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  for (const id of node.inputs) {
    if (id === null || r.uses(id) !== 1) continue;
    const target = r.producer(r.map(id));
    const fold = target?.domain === '' ? FOLDS[target.op] : undefined;
    if (target === undefined || fold === undefined) continue;
    const affine = channelAffine(node, r, fold.axis);
    if (affine?.data !== id) continue;
    const folded = fold.apply(r, target, affine, node);
    if (folded !== undefined) return [folded];
  }
  return undefined;
}

interface Fold {
  /** The axis of the output that holds the channels. */
  readonly axis: (shape: readonly number[]) => number;
  readonly apply: (
    r: Rebuild,
    target: Node,
    affine: ChannelAffine,
    node: Node,
  ) => ValueId | undefined;
}

const channelsSecond = (): number => 1;
const channelsLast = (shape: readonly number[]): number => shape.length - 1;

const FOLDS: Readonly<Record<string, Fold>> = {
  Conv: { axis: channelsSecond, apply: foldConvolution },
  ConvTranspose: { axis: channelsSecond, apply: foldConvolution },
  Gemm: { axis: channelsLast, apply: foldGemm },
  MatMul: { axis: channelsLast, apply: foldMatMul },
};

function foldConvolution(r: Rebuild, target: Node, affine: ChannelAffine): ValueId | undefined {
  const weights = r.constant(target.inputs[1]);
  const biasId = target.inputs[2] ?? null;
  const bias = r.constant(biasId);
  if (weights === undefined || (biasId !== null && bias === undefined)) return undefined;
  const group = Number(target.attrs['group'] ?? 1);
  const [rows, columns] = [at(weights.shape, 0), at(weights.shape, 1)];
  const inner = elementCount(weights.shape.slice(2));
  const channelOf =
    target.op === 'Conv'
      ? (i: number) => Math.floor(i / (columns * inner))
      : (i: number) => {
          const row = Math.floor(i / (columns * inner));
          return Math.floor(row / (rows / group)) * columns + (Math.floor(i / inner) % columns);
        };
  const w = scaled(r, target, weights, affine, channelOf);
  const old = bias === undefined ? affine.shift.map(() => 0) : [...toNumbers(bias)];
  const shifted = affine.shift.map((shift, c) => (old[c] ?? 0) * (affine.scale[c] ?? 1) + shift);
  const b = r.b.constant(
    fromNumbers(weights.dtype, [shifted.length], shifted),
    `${target.name}.bias`,
  );
  return again(r, target, [at(target.inputs, 0), w, b], target.attrs);
}

function foldGemm(r: Rebuild, target: Node, affine: ChannelAffine): ValueId | undefined {
  const weights = r.constant(target.inputs[1]);
  const addendId = target.inputs[2] ?? null;
  const addend = r.constant(addendId);
  if (weights === undefined || (addendId !== null && addend === undefined)) return undefined;
  const channels = affine.scale.length;
  const old =
    addend === undefined ? affine.scale.map(() => 0) : perChannel(addend, [1, channels], 1);
  if (old === undefined) return undefined;
  const { transB, beta } = target.attrs;
  const columns = at(weights.shape, 1);
  const channelOf =
    transB === 1 ? (i: number) => Math.floor(i / columns) : (i: number) => i % columns;
  const w = scaled(r, target, weights, affine, channelOf);
  const shifted = old.map(
    (value, c) => Number(beta) * value * (affine.scale[c] ?? 1) + (affine.shift[c] ?? 0),
  );
  const b = r.b.constant(fromNumbers(weights.dtype, [channels], shifted), `${target.name}.bias`);
  return again(r, target, [at(target.inputs, 0), w, b], { ...target.attrs, beta: 1 });
}

/** A MatMul has no bias: its scale folds, and a shift is left as an Add. */
function foldMatMul(
  r: Rebuild,
  target: Node,
  affine: ChannelAffine,
  node: Node,
): ValueId | undefined {
  const weights = r.constant(target.inputs[1]);
  if (weights === undefined || weights.shape.length !== 2) return undefined;
  if (affine.scale.every((scale) => scale === 1)) return undefined;
  const columns = at(weights.shape, 1);
  const w = scaled(r, target, weights, affine, (i) => i % columns);
  const product = again(r, target, [at(target.inputs, 0), w], target.attrs);
  if (affine.shift.every((shift) => shift === 0)) return product;
  const shift = fromNumbers(weights.dtype, [columns], affine.shift);
  return r.b.op('Add', [product, r.b.constant(shift, `${node.name}.shift`)]);
}

/** The weights with every element times its channel's scale; themselves when all scales are 1. */
function scaled(
  r: Rebuild,
  target: Node,
  weights: Tensor,
  affine: ChannelAffine,
  channelOf: (position: number) => number,
): ValueId {
  if (affine.scale.every((scale) => scale === 1)) return at(target.inputs, 1) ?? -1;
  const scaleAt = (i: number): number => affine.scale[channelOf(i)] ?? 1;
  const name = `${target.name}.weight`;
  if (weights.dtype !== 'f32') {
    const values = toNumbers(weights).map((value, i) => value * scaleAt(i));
    return r.b.constant(fromNumbers(weights.dtype, weights.shape, values), name);
  }
  // Without the detour through a copy in doubles: weights may be large.
  const data = allocateData('f32', weights.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (weights.data[i] as number) * scaleAt(i);
  return r.b.constant({ dtype: 'f32', shape: weights.shape, data }, name);
}

/** The contraction again, under its own name. */
function again(
  r: Rebuild,
  target: Node,
  inputs: readonly (ValueId | null)[],
  attrs: Node['attrs'],
): ValueId {
  return r.b.op(target.op, inputs, attrs, { domain: target.domain, name: target.name });
}

function splitBatchNorm(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  if (node.op !== 'BatchNormalization') return undefined;
  const affine = channelAffine(node, r, channelsSecond);
  if (affine === undefined) return undefined;
  const { dtype, shape } = valueById(r.old, affine.data).type;
  const broadcast = [affine.scale.length, ...shape.slice(2).map(() => 1)];
  const scale = r.b.constant(fromNumbers(dtype, broadcast, affine.scale), `${node.name}.scale`);
  const shift = r.b.constant(fromNumbers(dtype, broadcast, affine.shift), `${node.name}.shift`);
  return [r.b.op('Add', [r.b.op('Mul', [r.map(affine.data), scale]), shift])];
}
