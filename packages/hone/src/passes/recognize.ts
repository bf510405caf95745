/**
 * Recognises operators that exporters wrote out in parts: Gelu, Swish, HardSwish,
 * LayerNormalization, RMSNormalization, Softmax.
 *
 * Why: as one operator each has one kernel and, in the normalisations, no intermediate results.
 * Constants count as equal within rounding (2e-5), so results may differ by that much. Parts that
 * others read stay for them. Requires axes of reductions to be constant.
 */
import { valueById } from '../graph/walk.ts';
import { type Pass, rewriteGraph } from './pass.ts';
import { recognizeActivation } from './recognize-activation.ts';
import { recognizeNormalization } from './recognize-normalization.ts';

export const recognize: Pass = {
  name: 'recognize',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      const [output] = node.outputs;
      if (output === undefined || node.outputs.length !== 1) return undefined;
      const made = recognizeActivation(node, r) ?? recognizeNormalization(node, r);
      if (made === undefined) return undefined;
      const [was, is] = [valueById(graph, output).type, r.b.typeOf(made)];
      const same = was.dtype === is.dtype && was.shape.join() === is.shape.join();
      return same ? [made] : undefined;
    }),
};
