/**
 * Uses of operators for which onnxruntime's answer says nothing, each with the reason: results that
 * are drawn, and places where it does other than ONNX's text says.
 */
import { isFloat } from 'hone-runtime/base/dtype';
import type { OpCase } from './op-case.ts';

interface Exception {
  readonly ops: RegExp;
  readonly when?: (item: OpCase) => boolean;
  /** Why the ONNX text, not onnxruntime, decides. */
  readonly reason: string;
}

/** ONNX's numbers of dtypes beyond this one are those of 4 bits and less. */
const LAST_WHOLE_TYPE = 20;

export const PEER_EXCEPTIONS: readonly Exception[] = [
  {
    ops: /^(Random|Bernoulli|Multinomial|Dropout)/,
    reason: 'the results are drawn',
  },
  {
    ops: /^GroupQueryAttention$/,
    reason:
      'what it leaves in the cache, and makes of queries, past the end of a sequence is its own',
  },
  {
    ops: /^Squeeze$/,
    when: ({ inputs }) => inputs[1]?.data.length === 0,
    reason: 'it takes an empty list of axes for none given, and squeezes all',
  },
  {
    ops: /^(DFT|InstanceNormalization)$|Conv/,
    when: ({ inputs }) => inputs.some((tensor) => tensor?.data.length === 0),
    reason: 'without elements it ends the process, or never comes back',
  },
  {
    ops: /^Cast(Like)?$/,
    when: ({ attrs, inputs }) =>
      Number(attrs['to'] ?? 0) > LAST_WHOLE_TYPE || (inputs[1]?.dtype ?? '') === 'bool',
    reason:
      'it ends the process at some casts to elements of less than a byte, and at CastLike of bool',
  },
  {
    ops: /^ConvTransposeWithDynamicPads$/,
    reason: 'it ends the process',
  },
  {
    ops: /^ConvTranspose$/,
    when: ({ attrs }) => String(attrs['auto_pad'] ?? '').startsWith('SAME'),
    reason: 'its output is not input times stride, which is what SAME promises',
  },
  {
    ops: /^(Lp|Max|Average)Pool$/,
    when: ({ attrs }) =>
      String(attrs['auto_pad'] ?? '').startsWith('SAME') && attrs['dilations'] !== undefined,
    reason: 'its output is shorter than input over stride, which is what SAME promises',
  },
  {
    ops: /^MatMul$/,
    when: ({ inputs }) => inputs[0]?.shape.at(-1) === 0,
    reason:
      'a product over an empty axis is zeros in the shape of the product; its shape is another',
  },
  {
    ops: /^(Arg(Max|Min)|Reduce.*)$/,
    when: ({ inputs }) => inputs[0]?.data.length === 0,
    reason: 'it keeps the reduced axis where there are no elements',
  },
  {
    ops: /^QLinear(?!Conv|MatMul)|^QAttention$/,
    when: ({ inputs }) => inputs.some((tensor) => tensor === null || tensor.data.length === 0),
    reason: 'it ends the process where a zero point is left out or a tensor is empty',
  },
  {
    ops: /^QLinear(Sigmoid|LeakyRelu)$/,
    when: ({ inputs }) => inputs[4] === undefined,
    reason: 'it ends the process where the zero point of the result is left out',
  },
  {
    ops: /^QLinearWhere$/,
    when: ({ inputs }) => new Set([0, 1, 4].map((i) => inputs[i]?.shape.join())).size > 1,
    reason: 'it ends the process where the shapes differ',
  },
];

/** Whether a disagreement with the peer would say something. */
export function isComparable(item: OpCase): boolean {
  const { name } = item.op;
  if (PEER_EXCEPTIONS.some(({ ops, when }) => ops.test(name) && (when?.(item) ?? true))) {
    return false;
  }
  return item.inputs.every(
    (tensor) =>
      tensor === null ||
      !isFloat(tensor.dtype) ||
      Array.from(tensor.data as Float32Array).every(Number.isFinite),
  );
}
