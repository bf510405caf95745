/** The passes of a compilation, in their order. */
import type { Graph } from '../graph/types.ts';
import { absorbPad } from './absorb-pad.ts';
import { absorbTranspose } from './absorb-transpose.ts';
import { decompose } from './decompose.ts';
import { eliminateCommon } from './eliminate-common.ts';
import { eliminateDead } from './eliminate-dead.ts';
import { foldBatchnorm } from './fold-batchnorm.ts';
import { foldConstants } from './fold-constants.ts';
import type { Pass, PassContext } from './pass.ts';
import { recognize } from './recognize.ts';
import { simplifyNodes } from './simplify-nodes.ts';
import { splitConvTranspose } from './split-conv-transpose.ts';
import { widenHalf } from './widen-half.ts';

export type { Pass, PassContext } from './pass.ts';

/**
 * Graph of any operators → Graph of core operators, simplified. Operators are recognised before
 * decomposition takes others apart; weights are folded last, when nothing stands in between.
 */
export const STANDARD_PASSES: readonly Pass[] = [
  eliminateDead,
  foldConstants,
  eliminateCommon,
  simplifyNodes,
  widenHalf,
  recognize,
  decompose,
  widenHalf,
  foldConstants,
  simplifyNodes,
  eliminateCommon,
  absorbTranspose,
  simplifyNodes,
  absorbPad,
  foldBatchnorm,
  splitConvTranspose,
  eliminateCommon,
  eliminateDead,
];

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
