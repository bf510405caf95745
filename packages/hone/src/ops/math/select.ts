/** Where and Clip. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { cast, select } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import { broadcastShapes, inputType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { requireSame } from './binary-family.ts';
import { BOOL, EVERY, NUMBERS } from './dtypes.ts';
import {
  broadcastOffsets,
  collect,
  elementAt,
  elementwise,
  given,
  largest,
  outputOf,
  smallest,
} from './loops.ts';
import { bools, f32, i64, specials, tensor, uniform } from './samples.ts';
import { loadInput, max, min, widen } from './scalar.ts';
import { limitsToInputs } from './upgrades.ts';

const where = defineOp({
  kind: 'core',
  name: 'Where',
  doc: 'Elements of input 1 where the condition holds, of input 2 elsewhere.',
  since: 16,
  attrs: {},
  infer(ctx) {
    const [cond, a, b] = [inputType(ctx, 0), inputType(ctx, 1), inputType(ctx, 2)];
    requireDType(ctx, cond, BOOL, 'the condition');
    requireDType(ctx, a, EVERY, 'input 1');
    requireSame(ctx, a, b, 'input 2');
    return [{ dtype: a.dtype, shape: broadcastShapes(ctx, cond.shape, a.shape, b.shape) }];
  },
  hostCall: (ctx) =>
    ctx.inputs[0]?.constant == null ? { routine: 'choose_texts', attrs: {} } : undefined,
  lower(ctx) {
    const { dtype, shape } = at(ctx.outputs, 0);
    if (dtype === 'string') return 'strings have no compiled form';
    const axes = outAxes(shape.length);
    const input = (k: number): Expr => loadInput(ctx, k, axes);
    return [mapBody(shape, select(input(0), input(1), input(2)))];
  },
  reference(inputs, _, ctx) {
    const out = outputOf(ctx);
    const offsets = (k: number): Int32Array => broadcastOffsets(given(inputs, k).shape, out.shape);
    const [cond, atCond] = [given(inputs, 0).data, offsets(0)];
    const [a, b, atA, atB] = [given(inputs, 1), given(inputs, 2), offsets(1), offsets(2)];
    return [
      collect(out, (i) =>
        cond[atCond[i] as number] === 0
          ? elementAt(b, atB[i] as number)
          : elementAt(a, atA[i] as number),
      ),
    ];
  },
  cases: () => [
    { inputs: [bools([2, 2], [1, 0, 0, 1]), uniform([2, 2]), uniform([2, 2], 5, 6)] },
    { note: 'broadcast', inputs: [bools([3, 1], [1, 0, 1]), uniform([4]), f32([], [7])] },
    { note: 'i64', inputs: [bools([2], [1, 0]), i64([2], [2n ** 60n, 2]), i64([1], [5])] },
    { note: 'bool', inputs: [bools([2], [1, 0]), bools([2], [1, 1]), bools([2], [0, 0])] },
    {
      note: 'f16',
      inputs: [bools([2], [1, 0]), tensor('f16', [2], [1.5, 2]), uniform([2], 0, 1, 'f16')],
    },
    { note: 'empty', inputs: [bools([0], []), f32([1], [1]), f32([1], [2])] },
    { note: 'NaN aside', inputs: [bools([7], [0, 0, 1, 1, 1, 1, 1]), specials(), f32([], [0])] },
  ],
});

/** A limit of Clip that is there: its type, checked to be one element. */
function limit(ctx: InferContext, x: ValueType, k: number): ValueType | undefined {
  const type = ctx.inputs[k]?.type;
  if (type === undefined) return undefined;
  requireSame(ctx, x, type, `input ${k}`);
  if (elementCount(type.shape) !== 1) {
    shapeError(ctx, `input ${k} must be one number, but has shape [${type.shape.join(',')}]`);
  }
  return type;
}

const clip = defineOp({
  kind: 'core',
  name: 'Clip',
  doc: 'x limited to [min, max]; max where min is above it.',
  since: 13,
  attrs: {},
  upgrade: limitsToInputs,
  infer(ctx) {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, NUMBERS);
    limit(ctx, x, 1);
    limit(ctx, x, 2);
    return [x];
  },
  lower(ctx) {
    const x = inputType(ctx, 0);
    const axes = outAxes(x.shape.length);
    let value = widen(loadInput(ctx, 0, axes));
    if (limit(ctx, x, 1) !== undefined) value = max(value, widen(loadInput(ctx, 1, axes)));
    if (limit(ctx, x, 2) !== undefined) value = min(value, widen(loadInput(ctx, 2, axes)));
    return [mapBody(x.shape, cast(x.dtype, value))];
  },
  reference(inputs, _, ctx) {
    const out = outputOf(ctx);
    const scalar = (k: number): Tensor | undefined => {
      const tensor = inputs[k];
      return tensor ? { ...tensor, shape: [] } : undefined;
    };
    const [low, high] = [scalar(1), scalar(2)];
    let value = given(inputs, 0);
    if (low) value = elementwise([value, low], out, { number: Math.max, big: largest });
    if (high) value = elementwise([value, high], out, { number: Math.min, big: smallest });
    return [value];
  },
  cases: () => [
    { inputs: [uniform([3, 4]), f32([], [-1]), f32([], [1])] },
    { note: 'only max', inputs: [uniform([3, 4]), null, f32([], [0.5])] },
    { note: 'only min', inputs: [uniform([3, 4]), f32([], [0.5])] },
    { note: 'no limits', inputs: [uniform([3, 4])] },
    { note: 'min above max', inputs: [uniform([3]), f32([], [2]), f32([], [1])] },
    { note: 'one-element vectors', inputs: [uniform([3]), f32([1], [-1]), f32([1], [1])] },
    { note: 'special values', inputs: [specials(), f32([], [-1]), f32([], [0.5])] },
    {
      note: 'i64',
      inputs: [i64([3], [2n ** 60n, -5, 2]), i64([], [0]), i64([], [2n ** 59n + 1n])],
    },
    { note: 'u8', inputs: [tensor('u8', [3], [0, 100, 255]), tensor('u8', [], [5]), null] },
    { note: 'f16', inputs: [uniform([4], -2, 2, 'f16'), fromNumbers('f16', [], [-1])] },
    { note: 'empty', inputs: [f32([0], []), f32([], [-1]), f32([], [1])] },
  ],
});

export const SELECTION: readonly OpDef[] = [where, clip];
