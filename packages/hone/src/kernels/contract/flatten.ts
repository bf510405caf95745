/**
 * A 1×1 convolution of stride 1 over buffers without halos sees its image as one row: tiles then
 * never meet the end of a row. Views and buffers are reshaped, nothing moves.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Buffer, ContractBody, ConvSpec, Stage, View } from '../../stages/types.ts';
import { hasHalo } from '../access.ts';
import type { KernelContext } from '../types.ts';

export function flattenPointwise(
  ctx: KernelContext,
  body: ContractBody,
): { ctx: KernelContext; spec: ConvSpec } {
  const spec = body.spec;
  if (spec.kind !== 'conv') throw new TypeError('not a convolution');
  const pointwise =
    spec.kernel.every((k) => k === 1) &&
    spec.stride.every((s) => s === 1) &&
    spec.padBegin.every((p) => p === 0);
  if (!pointwise) return { ctx, spec };
  const [h, w] = [at(spec.output, 0), at(spec.output, 1)];
  const isImage = (shape: readonly number[]): boolean =>
    shape.length === 4 && shape[2] === h && shape[3] === w;
  const { stage, buffers } = ctx;
  const images = [...stage.operands, ...stage.outputs].filter((view) => isImage(view.shape));
  const fits = images.every((view) => {
    const buffer = at(buffers, view.buffer);
    return isImage(buffer.shape) && !hasHalo(buffer) && !(view.offset?.[2] || view.offset?.[3]);
  });
  if (!fits || h === 1) return { ctx, spec };
  const flat = (shape: readonly number[]): readonly number[] =>
    isImage(shape) ? [at(shape, 0), at(shape, 1), 1, h * w] : shape;
  const taken = new Set(images.map((view) => view.buffer));
  const moveView = (view: View): View => ({ ...view, shape: flat(view.shape) });
  const moved: Stage = {
    ...stage,
    operands: stage.operands.map(moveView),
    outputs: stage.outputs.map(moveView),
  };
  const movedBuffers = buffers.map(
    (buffer): Buffer => (taken.has(buffer.id) ? { ...buffer, shape: flat(buffer.shape) } : buffer),
  );
  return {
    ctx: { ...ctx, stage: moved, buffers: movedBuffers },
    spec: { ...spec, input: [1, h * w], output: [1, h * w] },
  };
}
