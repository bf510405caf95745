/** From the precision a user asks for to a plan for every value and contraction. */
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
  const { precision = 'fp32', autocast = 'all' } = options;
  switch (precision) {
    case 'fp32':
      return null;
    case 'bf16':
      return autocastPlan(graph, fused, 'bf16', autocast);
    case 'fp16':
      return autocastPlan(graph, fused, 'f16', autocast);
    default:
      return precision satisfies never;
  }
}
