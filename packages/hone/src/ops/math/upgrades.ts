/** Older forms of the math operators, brought to the current one. */
import { fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import type { OldNode } from '../define-op.ts';

export interface Upgraded {
  readonly inputs: readonly (ValueId | null)[];
  readonly attrs: Attrs;
}

export type Upgrade = (b: OpBuilder, node: OldNode) => Upgraded;

export function without(attrs: Attrs, ...names: readonly string[]): Attrs {
  return Object.fromEntries(Object.entries(attrs).filter(([name]) => !names.includes(name)));
}

/** Opset 1 told which inputs may be overwritten; that never changed a result. */
export const dropConsumedInputs: Upgrade = (_, node) => ({
  inputs: node.inputs,
  attrs: without(node.attrs, 'consumed_inputs'),
});

/**
 * Before opset 7, input 1 broadcast only when asked, aligned at `axis` of input 0: it gets trailing
 * extents of 1 until numpy's rule aligns it in the same way.
 */
export const alignBroadcast: Upgrade = (b, node) => {
  const attrs = without(node.attrs, 'consumed_inputs', 'broadcast', 'axis');
  const [first, second, ...rest] = node.inputs;
  const axis = node.attrs['axis'];
  if (node.opset >= 7 || typeof axis !== 'number' || first == null || second == null) {
    return { inputs: node.inputs, attrs };
  }
  const rank = b.typeOf(first).shape.length;
  const shape = b.typeOf(second).shape;
  const start = axis < 0 ? axis + rank : axis;
  const trailing = rank - start - shape.length;
  if (start < 0 || trailing < 0) {
    fail(
      'HONE-SHAPE-003',
      `node ${node.name} (${node.op}): a tensor of rank ${shape.length} does not fit at axis ${axis} of rank ${rank}`,
      node.name,
      'the model is not valid ONNX: export it again',
    );
  }
  if (trailing === 0) return { inputs: node.inputs, attrs };
  const aligned = [...shape, ...new Array<number>(trailing).fill(1)];
  return { inputs: [first, b.reshape(second, aligned), ...rest], attrs };
};

/** Reductions: attribute `axes` became input 1 (ReduceSum in opset 13, the others in 18). */
export const axesToInput: Upgrade = (b, node) => {
  const axes = node.attrs['axes'];
  if (!Array.isArray(axes) || node.inputs.length > 1)
    return { inputs: node.inputs, attrs: node.attrs };
  const data = node.inputs[0] ?? null;
  return { inputs: [data, b.ints(axes as number[])], attrs: without(node.attrs, 'axes') };
};

/** Clip: attributes `min` and `max` became inputs in opset 11. */
export const limitsToInputs: Upgrade = (b, node) => {
  const attrs = without(node.attrs, 'consumed_inputs', 'min', 'max');
  const data = node.inputs[0] ?? null;
  if (node.opset >= 11 || data === null) return { inputs: node.inputs, attrs };
  const dtype = b.typeOf(data).dtype;
  const limit = (name: string): ValueId | null => {
    const value = node.attrs[name];
    return typeof value === 'number' ? b.constant(fromNumbers(dtype, [], [value])) : null;
  };
  return { inputs: [data, limit('min'), limit('max')], attrs };
};

/** PRelu before opset 7: a slope per channel (axis 1), not aligned at the last axis. */
export const slopePerChannel: Upgrade = (b, node) => {
  const attrs = without(node.attrs, 'consumed_inputs');
  const [data, slope] = node.inputs;
  if (node.opset >= 7 || data == null || slope == null) return { inputs: node.inputs, attrs };
  const rank = b.typeOf(data).shape.length;
  const shape = b.typeOf(slope).shape;
  if (shape.length !== 1 || shape[0] === 1 || rank <= 2) return { inputs: node.inputs, attrs };
  const aligned = [shape[0] as number, ...new Array<number>(rank - 2).fill(1)];
  return { inputs: [data, b.reshape(slope, aligned)], attrs };
};
