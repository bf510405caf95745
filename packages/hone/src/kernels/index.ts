/** Stage → loop function: the table of kernels. Routines are C and have no loop form. */
import type { Target } from 'hone-runtime/target/types';
import type { Buffer, Stage } from '../stages/types.ts';
import { type ContractOptions, lowerContract } from './contract/index.ts';
import { lowerMap } from './map.ts';
import { lowerReduce } from './reduce.ts';
import type { Kernel } from './types.ts';

export { bufferBytes, physicalShape } from './access.ts';
export { assignLayouts } from './assign-layouts.ts';
export type { ContractOptions } from './contract/index.ts';
export type { Bought, Kernel, KernelBuffer } from './types.ts';

/** The kernel of a stage; null for routines and control flow. */
export function lowerStage(
  stage: Stage,
  buffers: readonly Buffer[],
  target: Target,
  options: ContractOptions = {},
): Kernel | null {
  const ctx = { stage, buffers, target };
  switch (stage.body.kind) {
    case 'map':
      return lowerMap(ctx, stage.body);
    case 'reduce':
      return lowerReduce(ctx, stage.body);
    case 'contract':
      return lowerContract(ctx, stage.body, options);
    case 'routine':
    case 'control':
      return null;
    default:
      return stage.body satisfies never;
  }
}
