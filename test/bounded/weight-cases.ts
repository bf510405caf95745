/**
 * Recurrent layers of as many features as data says, diagonals, and points that are real or complex: what is
 * cut off is no number.
 */
import type { Tensor } from 'hone-runtime/base/tensor';
import { type BoundedCase, noise, scalar } from './cases.ts';
import { type Cut, cut, int, text, wide } from './wide-cases.ts';

const N = 4;

function features(op: string, count: number): BoundedCase {
  return wide(op, 'features', N, {
    inputs: [cut([5, 2, N], 2), cut([1, count * 3, N], 2), noise([1, count * 3, 3], 121)],
    attrs: { hidden_size: int(3) },
  });
}

const LAYERS = [
  ['RNN', 1],
  ['GRU', 3],
  ['LSTM', 4],
] as const;

const einsum = (equation: string, ...inputs: readonly (Cut | Tensor)[]): BoundedCase =>
  wide('Einsum', equation, N, { inputs, attrs: { equation: text(equation) } });

export const WEIGHT_CASES: readonly BoundedCase[] = [
  ...LAYERS.map(([op, count]) => features(op, count)),
  einsum('ii->i', cut([N, N], 0, 1)),
  einsum('iii', cut([N, N, N], 0, 1, 2)),
  einsum('...ii->...i', cut([2, 3, N, N], 2, 3)),
  einsum('ii', cut([N, N], 0, 1)),
  einsum('iji,jk->ik', cut([N, 2, N], 0, 2), noise([2, 3], 130)),
  einsum('iijj,jk->ik', cut([3, 3, N, N], 2, 3), cut([N, 2], 0)),
  einsum('iji,ij->ji', cut([N, N, N], 0, 1, 2), cut([N, N], 0, 1)),
  ...[0, 1].map((inverse) =>
    wide('DFT', `real or complex, inverse: ${inverse}`, 2, {
      inputs: [cut([2, 5, 2], 2)],
      attrs: { axis: int(1), inverse: int(inverse) },
      ...{ opset: 17, lengths: [2, 1] },
    }),
  ),
  wide('DFT', 'half, of real points', 2, {
    inputs: [cut([2, 5, 2], 2)],
    attrs: { axis: int(1), onesided: int(1) },
    ...{ opset: 17, lengths: [1] },
  }),
  // Complex signals onnxruntime reads past their end; the survey has them.
  wide('STFT', 'real or complex', 2, {
    inputs: [cut([1, 12, 2], 2), scalar(2), noise([4], 131), scalar(4)],
    attrs: { onesided: int(0) },
    ...{ opset: 17, lengths: [1] },
  }),
];
