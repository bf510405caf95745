/**
 * Questions that passes over quantised graphs ask: the parameters of QuantizeLinear and
 * DequantizeLinear nodes, and which operators only move elements or choose among them.
 */
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import type { Rebuild } from './pass.ts';

/** One step for a whole tensor, known at compile time: real = (stored - zero) · scale. */
export interface Step {
  readonly scale: number;
  readonly zero: number;
}

/** A node of ai.onnx by its operator. */
export type Of<Op extends string> = Node & { readonly op: Op };

export function isQuantize(node: Node | undefined): node is Of<'QuantizeLinear'> {
  return node?.op === 'QuantizeLinear' && node.domain === '';
}

export function isDequantize(node: Node | undefined): node is Of<'DequantizeLinear'> {
  return node?.op === 'DequantizeLinear' && node.domain === '';
}

/** Is the scale one for the whole tensor, and the result (or the source) f32? */
export function isPerTensor(r: Rebuild, scale: ValueId | null | undefined): scale is ValueId {
  if (scale === null || scale === undefined) return false;
  const { dtype, shape } = r.b.typeOf(scale);
  return dtype === 'f32' && elementCount(shape) === 1 && shape.length <= 1;
}

/** The step of new values that are a scale and a zero point; undefined where they are not constant. */
export function stepOf(
  r: Rebuild,
  scale: ValueId | null | undefined,
  zero: ValueId | null | undefined,
): Step | undefined {
  if (!isPerTensor(r, scale)) return undefined;
  const first = (id: ValueId): number | undefined => {
    const tensor = r.constant(id);
    return tensor === undefined || tensor.data.length !== 1 ? undefined : toNumbers(tensor)[0];
  };
  const step = first(scale);
  const origin = zero === null || zero === undefined ? 0 : first(zero);
  if (step === undefined || origin === undefined || !(step > 0) || !Number.isFinite(step)) {
    return undefined;
  }
  return { scale: step, zero: origin };
}

/** The step of a node of the new graph that quantises or dequantises. */
export function stepOfNode(r: Rebuild, node: Node): Step | undefined {
  return stepOf(r, node.inputs[1], node.inputs[2]);
}

export function sameStep(a: Step | undefined, b: Step | undefined): boolean {
  return a !== undefined && b !== undefined && a.scale === b.scale && a.zero === b.zero;
}

/**
 * Operators whose result consists of elements of input 0 (all outputs alike), whatever they are:
 * they commute with a step for the whole tensor. Of MaxPool, the greatest of stored elements is the
 * greatest of real ones.
 */
const MOVING_OPS = [
  'DepthToSpace',
  'Expand',
  'Flatten',
  'Gather',
  'Identity',
  'MaxPool',
  'Reshape',
  'Resize',
  'Slice',
  'SpaceToDepth',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
] as const;
const MOVING: ReadonlySet<string> = new Set(MOVING_OPS);

/** Does the node only move elements of its first input? */
export function isMoving(node: Node | undefined): node is Of<(typeof MOVING_OPS)[number]> {
  if (node === undefined || node.domain !== '' || !MOVING.has(node.op)) return false;
  // Indices of the greatest elements are not elements.
  if (node.op === 'MaxPool') return node.outputs.length === 1;
  if (node.op !== 'Resize') return true;
  const crops = node.attrs['coordinate_transformation_mode'] === 'tf_crop_and_resize';
  return node.attrs['mode'] === 'nearest' && !crops;
}

/** Limits of an 8- or 16-bit integer dtype. */
export function limitsOf(dtype: string): readonly [number, number] | undefined {
  switch (dtype) {
    case 'u8':
      return [0, 255];
    case 'i8':
      return [-128, 127];
    case 'u16':
      return [0, 65_535];
    case 'i16':
      return [-32_768, 32_767];
    default:
      return undefined;
  }
}
