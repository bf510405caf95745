/** Dropout: the identity, as inference has it. */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { constant } from '../../expr/build.ts';
import { inputType, optionalInt, requireDType } from '../checks.ts';
import { defineOp, type OpInput } from '../define-op.ts';
import { mapBody } from '../lower.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { sample } from './samples.ts';

function first(tensor: Tensor | null | undefined, otherwise: number): number {
  return tensor === null || tensor === undefined ? otherwise : (toNumbers(tensor)[0] ?? otherwise);
}

/** Does it drop elements? Training mode with a ratio that is, or may be, above 0. */
function drops(ratio: OpInput | null | undefined, training: OpInput | null | undefined): boolean {
  if (training === null || training === undefined) return false;
  if (training.constant !== null && first(training.constant(), 0) === 0) return false;
  if (ratio === null || ratio === undefined) return true;
  return ratio.constant === null || first(ratio.constant(), 0.5) !== 0;
}

export const dropout = defineOp({
  kind: 'core',
  name: 'Dropout',
  doc: 'The identity in inference; dropping elements in training mode is not supported.',
  since: 22,
  attrs: { seed: optionalInt },
  // Before opset 12 the ratio is an attribute; it means nothing in inference.
  upgrade: (_b, { inputs, attrs }) => {
    const { ratio: _1, is_test: _2, consumed_inputs: _3, ...rest } = attrs;
    return { inputs, attrs: rest };
  },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    return ctx.outputCount > 1 ? [x, { dtype: 'bool', shape: x.shape }] : [x];
  },
  lower: (ctx) => {
    if (drops(ctx.inputs[1], ctx.inputs[2])) return 'training mode drops elements at random';
    const { shape } = inputType(ctx, 0);
    const mask = mapBody(shape, constant('bool', 1));
    return ctx.outputs.length > 1 ? [{ kind: 'alias' }, mask] : [{ kind: 'alias' }];
  },
  reference: (inputs, _attrs, ctx) => {
    const x = given(inputs, 0);
    if (first(inputs[2], 0) !== 0 && first(inputs[1], 0.5) !== 0) {
      fail(
        'HONE-OP-005',
        `node ${ctx.node} (Dropout): training mode drops elements at random`,
        ctx.node,
        'export the model for inference',
      );
    }
    const count = elementCount(x.shape);
    const mask = fromNumbers('bool', x.shape, new Float64Array(count).fill(1));
    return ctx.outputTypes.length > 1 ? [x, mask] : [x];
  },
  cases: () => [
    { note: 'identity', inputs: [sample([2, 3])] },
    { note: 'with mask', inputs: [sample([2, 3]), fromNumbers('f32', [], [0.3])], outputs: 2 },
    {
      note: 'training with ratio 0',
      inputs: [sample([4]), fromNumbers('f32', [], [0]), fromNumbers('bool', [], [1])],
    },
  ],
});
