/** CausalConvWithState: a depthwise convolution over the past only, with the last inputs kept. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';
import {
  inputType,
  optionalType,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { sample } from './samples.ts';

/** ONNX's number for f32, as `Cast` takes it. */
const F32 = 1;

function inferCausalConv(ctx: InferContext): readonly ValueType[] {
  const x = inputType(ctx, 0);
  const w = inputType(ctx, 1);
  requireDType(ctx, x, FLOATS);
  requireDType(ctx, w, [x.dtype], 'the weight');
  const [batch, channels] = x.shape;
  if (x.shape.length !== 3) shapeError(ctx, `input has rank ${x.shape.length}; it takes 3`);
  if (w.shape[2] === 0) shapeError(ctx, 'the weight has no taps');
  if (elementCount(x.shape.slice(1)) === 0) shapeError(ctx, 'there is nothing to convolve');
  if (w.shape.length !== 3 || w.shape[0] !== channels || w.shape[1] !== 1) {
    shapeError(ctx, `the weight has shape [${w.shape.join(',')}]; it takes [${channels},1,taps]`);
  }
  const state = [at(x.shape, 0), at(x.shape, 1), at(w.shape, 2) - 1];
  for (const [i, name, wanted] of [
    [2, 'the bias', [channels]],
    [3, 'past_state', [batch, channels, state[2]]],
  ] as const) {
    const type = optionalType(ctx, i);
    if (type === undefined) continue;
    requireDType(ctx, type, [x.dtype], name);
    if (type.shape.join() !== wanted.join()) {
      shapeError(
        ctx,
        `${name} has shape [${type.shape.join(',')}]; it takes [${wanted.join(',')}]`,
      );
    }
  }
  const activation = textAttr(ctx.attrs, 'activation');
  if (!['none', 'silu', 'swish'].includes(activation)) {
    typeError(ctx, `activation ${activation} is not known`);
  }
  return [x, { dtype: x.dtype, shape: state }].slice(0, Math.max(1, ctx.outputCount));
}

export const causalConvWithState = defineOp({
  kind: 'composite',
  name: 'CausalConvWithState',
  doc: 'Depthwise convolution that sees the past only; carries its last inputs as state.',
  since: 27,
  attrs: { activation: text('none') },
  infer: inferCausalConv,
  decompose: (b, inputs, ctx) => {
    const [x, w, bias = null, past = null] = inputs;
    if (x == null || w == null) return 'an input is missing';
    const { dtype, shape } = b.typeOf(x);
    const [batch = 0, channels = 0, length = 0] = shape;
    const kept = at(b.typeOf(w).shape, 2) - 1;
    const zeros = (): number => b.filled(dtype, [batch, channels, kept]);
    const padded = kept === 0 ? x : b.op('Concat', [past ?? zeros(), x], { axis: 2 });
    const sum = b.op('Conv', [padded, w, bias], { group: channels });
    const exact = dtype === 'f16' || dtype === 'bf16' ? b.op('Cast', [sum], { to: F32 }) : sum;
    const silu = (): number => {
      const product = b.op('Mul', [exact, b.op('Sigmoid', [exact])]);
      return exact === sum ? product : b.op('CastLike', [product, sum]);
    };
    const y = textAttr(ctx.attrs, 'activation') === 'none' ? sum : silu();
    if (ctx.outputs.length < 2) return [y];
    if (kept === 0) return [y, zeros()];
    const last = b.op('Slice', [
      padded,
      b.ints([length]),
      b.ints([length + kept]),
      b.ints([2]),
      b.ints([1]),
    ]);
    return [y, last];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, w] = [given(inputs, 0), given(inputs, 1)];
    const bias = inputs[2] ? toNumbers(inputs[2]) : null;
    const past = inputs[3] ? toNumbers(inputs[3]) : null;
    const [values, weights] = [toNumbers(x), toNumbers(w)];
    const [channels, length, taps] = [at(x.shape, 1), at(x.shape, 2), at(w.shape, 2)];
    const kept = taps - 1;
    const silu = textAttr(attrs, 'activation') !== 'none';
    /** Element t of a row, where t < 0 is in the past. */
    const element = (row: number, t: number): number => {
      if (t >= 0) return values[row * length + t] as number;
      return past === null ? 0 : (past[row * kept + kept + t] as number);
    };
    const y = values.map((_, p) => {
      const [row, t] = [Math.floor(p / length), p % length];
      const c = row % channels;
      let sum = bias === null ? 0 : (bias[c] as number);
      for (let k = 0; k < taps; k++)
        sum += element(row, t + k - kept) * (weights[c * taps + k] as number);
      return silu ? sum / (1 + Math.exp(-sum)) : sum;
    });
    const state = Array.from({ length: at(x.shape, 0) * channels * kept }, (_, p) =>
      element(Math.floor(p / kept), length - kept + (p % kept)),
    );
    return ctx.outputTypes.map(({ dtype, shape }, i) =>
      fromNumbers(dtype, shape, i === 0 ? y : state),
    );
  },
  cases: () => [
    { note: 'no past', inputs: [sample([2, 3, 5]), sample([3, 1, 4], 2)], outputs: 2 },
    {
      note: 'everything, short input',
      inputs: [sample([1, 3, 2]), sample([3, 1, 4], 2), sample([3], 3), sample([1, 3, 3], 4)],
      attrs: { activation: 'silu' },
      outputs: 2,
    },
    { note: 'one tap', inputs: [sample([1, 2, 3]), sample([2, 1, 1], 2)], outputs: 2 },
  ],
});
