/** From the precision a user asks for to a plan for every value and contraction. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from '../graph/types.ts';
import { fuseGraph } from '../fusion/index.ts';
import type { Registry } from '../ops/registry.ts';
import { type AutocastPolicy, autocastPlan } from '../passes/autocast.ts';
import { bodiesWithin, type PrecisionPlan, withBodyPlans } from '../passes/precision-plan.ts';
import type { StageGraph } from '../stages/types.ts';
import type { CompileOptions } from './options.ts';

/** `fused`: the graph's stages in f32. null: everything stays as it is. */
export function planPrecision(
  graph: Graph,
  fused: StageGraph,
  options: CompileOptions,
  registry: Registry,
): PrecisionPlan | null {
  const { precision = 'fp32', autocast = 'all', plan } = options;
  if (plan !== undefined) return plan;
  switch (precision) {
    case 'fp32':
      return null;
    case 'bf16':
      return halfPlan(graph, fused, 'bf16', autocast, registry);
    case 'fp16':
      return halfPlan(graph, fused, 'f16', autocast, registry);
    case 'int8':
    case 'auto':
      return uncalibrated();
    default:
      return precision satisfies never;
  }
}

/** A policy goes for bodies as for the graph around them. */
function halfPlan(
  graph: Graph,
  fused: StageGraph,
  dtype: 'bf16' | 'f16',
  policy: AutocastPolicy,
  registry: Registry,
): PrecisionPlan {
  const bodies = bodiesWithin(graph).map(({ prefix, graph: body }) => ({
    prefix,
    plan: autocastPlan(body, fuseGraph(body, { registry }), dtype, policy),
  }));
  return withBodyPlans(autocastPlan(graph, fused, dtype, policy), bodies);
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
