/** The passes of a compilation, in their order. */
import type { Graph } from '../graph/types.ts';
import { absorbPad } from './absorb-pad.ts';
import { absorbTranspose } from './absorb-transpose.ts';
import { decompose } from './decompose.ts';
import { dropRequantization } from './drop-requantization.ts';
import { eliminateCommon } from './eliminate-common.ts';
import { eliminateDead } from './eliminate-dead.ts';
import { exposeQuantization } from './expose-quantization.ts';
import { foldBatchnorm } from './fold-batchnorm.ts';
import { foldConstants } from './fold-constants.ts';
import { hoistInvariants } from './hoist-invariants.ts';
import { moveQuantization } from './move-quantization.ts';
import { numberRandom } from './number-draws.ts';
import { optimizeBodiesWith } from './optimize-bodies.ts';
import { packWeights } from './pack-weights.ts';
import type { Pass, PassContext } from './pass.ts';
import { raiseWindows } from './raise-windows.ts';
import { recognize } from './recognize.ts';
import { separateDequantization } from './separate-dequantization.ts';
import { signWeights } from './sign-weights.ts';
import { simplifyNodes } from './simplify-nodes.ts';
import { splitConvTranspose } from './split-conv-transpose.ts';
import { unshiftProducts } from './unshift-products.ts';
import { unsignActivations } from './unsign-activations.ts';
import { widenHalf } from './widen-half.ts';

export type { Pass, PassContext } from './pass.ts';

/** All passes on the bodies of control flow, which may have such bodies again. */
export const optimizeBodies: Pass = optimizeBodiesWith((graph, ctx) => runPasses(graph, ctx));

/**
 * Graph of any operators → Graph of core operators, simplified. Operators are recognised before
 * decomposition takes others apart; quantisation is brought into one form (exposed, signed, moved)
 * before constants fold again; weights are folded last, when nothing stands in between. The bodies of
 * control flow come at the end, for they take over what has become constant around them.
 */
export const STANDARD_PASSES: readonly Pass[] = [
  numberRandom,
  eliminateDead,
  packWeights,
  foldConstants,
  eliminateCommon,
  simplifyNodes,
  exposeQuantization,
  widenHalf,
  recognize,
  decompose,
  widenHalf,
  signWeights,
  unshiftProducts,
  unsignActivations,
  moveQuantization,
  dropRequantization,
  foldConstants,
  simplifyNodes,
  eliminateCommon,
  absorbTranspose,
  raiseWindows,
  foldConstants,
  simplifyNodes,
  absorbPad,
  foldBatchnorm,
  splitConvTranspose,
  eliminateCommon,
  eliminateDead,
  separateDequantization,
  optimizeBodies,
  numberRandom,
  // Bodies may read less than they did, and what leaves them meets what is around.
  eliminateDead,
  hoistInvariants,
  simplifyNodes,
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
