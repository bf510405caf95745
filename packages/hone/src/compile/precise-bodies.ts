/** What a user should know of bodies of control flow whose precision is not the one that was asked for. */
import type { Graph } from '../graph/types.ts';
import { bodiesWithin, type PrecisionPlan, planWithin } from '../passes/precision-plan.ts';
import type { Precision } from './options.ts';

export function bodyNotes(
  graph: Graph,
  precision: Precision | undefined,
  plan: PrecisionPlan | undefined,
): readonly string[] {
  if (precision !== 'int8' && precision !== 'auto') return [];
  const names = bodiesWithin(graph).flatMap(({ prefix }) => {
    const isNarrow = plan !== undefined && planWithin(plan, prefix).contractions.size > 0;
    return isNarrow ? [] : [prefix.slice(0, -2)];
  });
  if (names.length === 0) return [];
  return [`what runs inside of ${names.join(', ')} is computed in fp32`];
}
