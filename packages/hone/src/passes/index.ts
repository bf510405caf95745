/** The passes of a compilation, in their order. */
import type { Graph } from '../graph/types.ts';
import { decompose } from './decompose.ts';
import { eliminateDead } from './eliminate-dead.ts';
import type { Pass, PassContext } from './pass.ts';

export type { Pass, PassContext } from './pass.ts';

/** Graph of any operators → Graph of core operators, simplified. */
export const STANDARD_PASSES: readonly Pass[] = [decompose, eliminateDead];

export function runPasses(
  graph: Graph,
  ctx: PassContext,
  passes: readonly Pass[] = STANDARD_PASSES,
): Graph {
  return passes.reduce((current, pass) => {
    const next = pass.run(current, ctx);
    ctx.afterPass?.(pass.name, next);
    return next;
  }, graph);
}
