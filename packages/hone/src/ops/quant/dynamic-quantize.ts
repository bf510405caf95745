/** DynamicQuantizeLinear: u8 by the scale and zero point that cover the tensor's own range and 0. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, requireDType } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, uniform } from '../math/samples.ts';
import { roundHalfEven } from '../math/special.ts';

export const dynamicQuantizeLinear = defineOp({
  kind: 'composite',
  name: 'DynamicQuantizeLinear',
  doc: 'Quantises f32 to u8; gives the scale and zero point it found. All zeros have scale 1.',
  since: 11,
  attrs: {},
  infer(ctx) {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, ['f32']);
    return [
      { dtype: 'u8', shape: x.shape },
      { dtype: 'f32', shape: [] },
      { dtype: 'u8', shape: [] },
    ];
  },
  decompose(b, inputs) {
    const x = at(inputs, 0);
    const zero = b.scalar(0);
    const low = b.op('Min', [b.op('ReduceMin', [x, null], { keepdims: 0 }), zero]);
    const high = b.op('Max', [b.op('ReduceMax', [x, null], { keepdims: 0 }), zero]);
    const step = b.op('Div', [b.op('Sub', [high, low]), b.scalar(255)]);
    const flat = b.op('Equal', [step, zero]);
    const scale = b.op('Where', [flat, b.scalar(1), step]);
    const origin = b.op('Round', [b.op('Div', [b.op('Neg', [low]), scale])]);
    const zeroPoint = b.op('Cast', [origin], { to: dtypeCode('u8') });
    return [b.op('QuantizeLinear', [x, scale, zeroPoint]), scale, zeroPoint];
  },
  reference(inputs) {
    const x = given(inputs, 0);
    const values = toNumbers(x);
    const low = values.reduce((a, b) => Math.min(a, b), 0);
    const high = values.reduce((a, b) => Math.max(a, b), 0);
    const step = Math.fround(Math.fround(high - low) / 255);
    const scale = step === 0 ? 1 : step;
    const clamp = (value: number): number => Math.min(Math.max(value, 0), 255);
    const zero = clamp(roundHalfEven(Math.fround(-low / scale)));
    const quantized = values.map((value) =>
      clamp(roundHalfEven(Math.fround(value / scale)) + zero),
    );
    return [
      fromNumbers('u8', x.shape, quantized),
      fromNumbers('f32', [], [scale]),
      fromNumbers('u8', [], [zero]),
    ];
  },
  cases: () => [
    { inputs: [uniform([3, 4], -3, 5)], outputs: 3 },
    { note: 'positive', inputs: [f32([4], [1, 2, 3, 4.5])], outputs: 3 },
    { note: 'negative', inputs: [f32([4], [-1, -2.1, -1.3, -2.5])], outputs: 3 },
    { note: 'all zero', inputs: [f32([3], [0, 0, 0])], outputs: 3 },
  ],
});
