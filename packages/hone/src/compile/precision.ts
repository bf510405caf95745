/** From the precision a user asks for to a plan for every value and contraction. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from '../graph/types.ts';
import { autocastPlan } from '../passes/autocast.ts';
import type { PrecisionPlan } from '../passes/precision-plan.ts';
import type { StageGraph } from '../stages/types.ts';
import type { CompileOptions } from './options.ts';

/** `fused`: the graph's stages in f32. null: everything stays as it is. */
export function planPrecision(
  graph: Graph,
  fused: StageGraph,
  options: CompileOptions,
): PrecisionPlan | null {
  const { precision = 'fp32', autocast = 'all', plan } = options;
  if (plan !== undefined) return plan;
  switch (precision) {
    case 'fp32':
      return null;
    case 'bf16':
      return autocastPlan(graph, fused, 'bf16', autocast);
    case 'fp16':
      return autocastPlan(graph, fused, 'f16', autocast);
    case 'int8':
    case 'auto':
      return uncalibrated();
    default:
      return precision satisfies never;
  }
}

/** int8 without a plan: nothing is known of the ranges of values. */
export function uncalibrated(): never {
  fail(
    'HONE-CALIBRATE-007',
    'int8 needs samples to calibrate with',
    '--calibrate',
    'add --calibrate FOLDER with about a hundred typical inputs (pictures or .npy), or one .npz or .npy file',
  );
}
