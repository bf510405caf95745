/**
 * Which nodes scale and shift each channel by constants: BatchNormalization in inference, and
 * Add, Sub, Mul, Div with a constant that varies along the channel axis only.
 */
import { isFloat } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import type { Rebuild } from './pass.ts';

/** y = scale[c] · x + shift[c]; the lists have one entry per channel. */
export interface ChannelAffine {
  /** The old value that is scaled. */
  readonly data: ValueId;
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

/** The affine map a node is along `axis` of its output, computed in doubles. */
export function channelAffine(
  node: Node,
  r: Rebuild,
  axisOf: (shape: readonly number[]) => number,
): ChannelAffine | undefined {
  if (node.domain !== '') return undefined;
  const affine =
    node.op === 'BatchNormalization' ? ofBatchNorm(node, r, axisOf) : ofBinary(node, r, axisOf);
  const finite = affine && [...affine.scale, ...affine.shift].every(Number.isFinite);
  return finite ? affine : undefined;
}

function ofBatchNorm(
  node: Node,
  r: Rebuild,
  axisOf: (shape: readonly number[]) => number,
): ChannelAffine | undefined {
  const [data] = node.inputs;
  if (data === null || data === undefined || node.outputs.length !== 1) return undefined;
  const shape = shapeOf(r, data);
  if (node.attrs['training_mode'] !== 0 || shape.length < 2 || axisOf(shape) !== 1)
    return undefined;
  const parameters = [1, 2, 3, 4].map((i) => constantInput(node, r, i));
  const [gamma, beta, mean, variance] = parameters.map((t) => (t ? [...toNumbers(t)] : undefined));
  const epsilon = node.attrs['epsilon'];
  if (!gamma || !beta || !mean || !variance || typeof epsilon !== 'number') return undefined;
  const scale = gamma.map((g, c) => g / Math.sqrt((variance[c] ?? 0) + epsilon));
  const shift = beta.map((b, c) => b - (mean[c] ?? 0) * (scale[c] ?? 0));
  return { data, scale, shift };
}

const OPS: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div']);

function ofBinary(
  node: Node,
  r: Rebuild,
  axisOf: (shape: readonly number[]) => number,
): ChannelAffine | undefined {
  if (!OPS.has(node.op)) return undefined;
  const constants = [0, 1].map((i) => constantInput(node, r, i));
  const position = constants[0] === undefined ? 0 : 1;
  const operand = constants[1 - position];
  const data = node.inputs[position];
  if (operand === undefined || data === null || data === undefined) return undefined;
  if (!isFloat(operand.dtype)) return undefined;
  const shape = shapeOf(r, data);
  const output = shapeOf(r, node.outputs[0] ?? data);
  const axis = axisOf(shape);
  if (output.join() !== shape.join() || axis < 0 || axis >= shape.length) return undefined;
  const k = perChannel(operand, shape, axis);
  if (k === undefined) return undefined;
  const same = (value: number): number[] => k.map(() => value);
  switch (node.op) {
    case 'Add':
      return { data, scale: same(1), shift: k };
    case 'Sub':
      return position === 0
        ? { data, scale: same(1), shift: k.map((value) => -value) }
        : { data, scale: same(-1), shift: k };
    case 'Mul':
      return { data, scale: k, shift: same(0) };
    case 'Div':
      return position === 0
        ? { data, scale: k.map((value) => 1 / value), shift: same(0) }
        : undefined;
    default:
      return undefined;
  }
}

/** One number per channel when a broadcast constant varies along that axis only. */
export function perChannel(
  tensor: Tensor,
  shape: readonly number[],
  axis: number,
): number[] | undefined {
  const skip = shape.length - tensor.shape.length;
  if (skip < 0) return undefined;
  const varies = tensor.shape.some((extent, i) => extent !== 1 && i + skip !== axis);
  if (varies) return undefined;
  const values = toNumbers(tensor);
  const channels = shape[axis] ?? 1;
  if (values.length !== 1 && values.length !== channels) return undefined;
  return Array.from({ length: channels }, (_, c) => values[values.length === 1 ? 0 : c] ?? 0);
}

export function shapeOf(r: Rebuild, old: ValueId): readonly number[] {
  return r.old.values[old]?.type.shape ?? [];
}

export function constantInput(node: Node, r: Rebuild, position: number): Tensor | undefined {
  const id = node.inputs[position];
  return id === null || id === undefined ? undefined : r.constant(r.map(id));
}
