/** Dropout: the identity in inference; in training mode elements are dropped by the seed (see `random.ts`). */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { cast, constant } from '../../expr/build.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type OpInput } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { BOOL, FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import {
  checkDraws,
  drawExprs,
  drawNumbers,
  DRAWS,
  dropExpr,
  positionExpr,
  seedOf,
  uniformAt,
  uniformExpr,
} from '../math/draws.ts';
import { loadInput } from '../math/scalar.ts';
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
  doc: 'The identity in inference; drops elements at random in training mode.',
  since: 22,
  // ONNX has whole seeds here, and floats elsewhere.
  attrs: { ...DRAWS, seed: { type: 'int' } },
  // Before opset 12 the ratio is an attribute; it means nothing in inference.
  upgrade: (_b, { inputs, attrs }) => {
    const { ratio: _1, is_test: _2, consumed_inputs: _3, ...rest } = attrs;
    return { inputs, attrs: rest };
  },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    for (const [input, what] of [
      [1, 'the ratio'],
      [2, 'training_mode'],
    ] as const) {
      const shape = ctx.inputs[input]?.type.shape ?? [];
      if (elementCount(shape) !== 1) {
        shapeError(ctx, `${what} has shape [${shape.join(',')}]; it is one value`);
      }
    }
    checkDraws(ctx);
    const [ratio, training] = [optionalType(ctx, 1), optionalType(ctx, 2)];
    if (ratio !== undefined) requireDType(ctx, ratio, FLOATS, 'the ratio');
    if (training !== undefined) requireDType(ctx, training, BOOL, 'training_mode');
    return ctx.outputCount > 1 ? [x, { dtype: 'bool', shape: x.shape }] : [x];
  },
  lower: (ctx) => {
    const { shape } = inputType(ctx, 0);
    if (drops(ctx.inputs[1], ctx.inputs[2])) {
      const axes = outAxes(shape.length);
      const ratio = ctx.inputs[1] ? cast('f32', loadInput(ctx, 1, [])) : constant('f32', 0.5);
      const x = loadInput(ctx, 0, axes);
      const training = loadInput(ctx, 2, []);
      const seed = seedOf(ctx.attrs, ctx.node);
      const draw = uniformExpr(seed, positionExpr(shape), drawExprs(ctx));
      const { value, kept } = dropExpr(x, ratio, training, draw);
      const body = mapBody(shape, value);
      return ctx.outputs.length > 1 ? [body, mapBody(shape, kept)] : [body];
    }
    const mask = mapBody(shape, constant('bool', 1));
    return ctx.outputs.length > 1 ? [{ kind: 'alias' }, mask] : [{ kind: 'alias' }];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const ratio = Math.fround(first(inputs[1], 0.5));
    if (first(inputs[2], 0) !== 0 && ratio !== 0) {
      const [seed, draws] = [seedOf(attrs, ctx.node), drawNumbers('Dropout', inputs)];
      const values = toNumbers(x);
      const kept = values.map((_, i) => (uniformAt(seed, i, draws) < ratio ? 0 : 1));
      const out = values.map((value, i) => (kept[i] === 0 ? 0 : value / (1 - ratio)));
      const results = [fromNumbers(x.dtype, x.shape, out), fromNumbers('bool', x.shape, kept)];
      return results.slice(0, Math.max(1, ctx.outputTypes.length));
    }
    const count = elementCount(x.shape);
    const mask = fromNumbers('bool', x.shape, new Float64Array(count).fill(1));
    return ctx.outputTypes.length > 1 ? [x, mask] : [x];
  },
  cases: () => [
    { note: 'identity', inputs: [sample([2, 3])] },
    { note: 'with mask', inputs: [sample([2, 3]), fromNumbers('f32', [], [0.3])], outputs: 2 },
    {
      note: 'training',
      inputs: [sample([4, 5]), fromNumbers('f32', [], [0.25]), fromNumbers('bool', [], [1])],
      attrs: { seed: 2 },
      outputs: 2,
    },
    {
      note: 'training in a loop',
      inputs: [sample([4, 5]), null, fromNumbers('bool', [], [1]), fromNumbers('i64', [], [6])],
      attrs: { seed: 2, loops: 1 },
      outputs: 2,
    },
    {
      note: 'training in f64',
      inputs: [sample([3], 1, 'f64'), fromNumbers('f64', [], [0.14]), fromNumbers('bool', [], [1])],
    },
    {
      note: 'training with ratio 0',
      inputs: [sample([4]), fromNumbers('f32', [], [0]), fromNumbers('bool', [], [1])],
    },
  ],
});
