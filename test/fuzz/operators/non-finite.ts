/**
 * Floats that are not finite, in cases: which inputs get none, as there ONNX, its own reference and
 * onnxruntime give no common answer, each with the reason. Everywhere else reference and compiled code agree.
 */
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import type { Random } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { OpCase } from './op-case.ts';

const NON_FINITE = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const;
/** Floats that have all of them. */
const DTYPES: ReadonlySet<DType> = new Set(['f64', 'f32', 'f16', 'bf16']);
/** So many of them in an input, at most. */
const MOST = 3;

interface LeftOut {
  readonly ops: RegExp;
  /** Places of inputs; all of them where it is absent. */
  readonly inputs?: readonly number[];
  readonly when?: (item: OpCase) => boolean;
  readonly reason: string;
}

const ALWAYS_FINITE: readonly LeftOut[] = [
  {
    ops: /^(QGemm|MatMulIntegerToFloat)$/,
    inputs: [1, 2, 3, 4, 7],
    reason: 'a step that is infinite or no number has no meaning',
  },
  {
    ops: /^(Max|Sized)?(RoiPool|RoiAlign)$/,
    inputs: [1],
    reason: 'a region that is infinite or no number has no pixels that anyone agrees on',
  },
  {
    ops: /^(Sized)?GridSample$/,
    inputs: [1],
    reason:
      "ONNX's reference refuses positions that are no number; onnxruntime reads somewhere, by mode",
  },
  {
    ops: /^(Sized)?GridSample$/,
    inputs: [0],
    when: ({ attrs }) => attrs['mode'] !== 'nearest',
    reason: 'whether a pixel whose weight is 0 counts is a matter of the last bit of a position',
  },
  {
    ops: /^(Fused|NhwcFused)?Conv$/,
    inputs: [1],
    reason: 'padding is zeros that meet the weights, or is left out, as a kernel likes',
  },
  {
    ops: /^ConvTranspose/,
    inputs: [0, 1],
    reason: 'taps that no input meets are zeros that are multiplied, or are left out',
  },
  {
    ops: /^(Resize|Upsample)/,
    inputs: [0],
    when: ({ attrs }) => attrs['mode'] !== undefined && attrs['mode'] !== 'nearest',
    reason:
      "where a weight is 0, ONNX's reference multiplies the pixel on the left, onnxruntime the one on the right",
  },
  {
    ops: /^Einsum$/,
    reason: 'sums of an operand alone may be taken before the product, as onnxruntime does',
  },
  {
    ops: /^MaxPool$/,
    when: ({ outputs }) => outputs > 1,
    reason: 'which position is the largest of a window with NaN nobody says',
  },
  {
    ops: /^OneHot$/,
    inputs: [0],
    reason: 'these are positions',
  },
  {
    ops: /^Pow$/,
    inputs: [1],
    when: ({ inputs }) => inputs[0] != null && !isFloat(inputs[0].dtype),
    reason: 'an infinite power of an integer is no integer',
  },
  {
    ops: /^PairwiseCoupling$/,
    reason: 'these are probabilities',
  },
];

/** What is left out, for people. */
export function finiteInputs(): readonly string[] {
  return ALWAYS_FINITE.map(({ ops, inputs, when, reason }) => {
    const which = inputs === undefined ? '' : `, inputs ${inputs.join()}`;
    return `${ops.source}${which}${when === undefined ? '' : ', at times'}: ${reason}`;
  });
}

/** Whether an input may have floats that are not finite. */
function takesNonFinite(item: OpCase, place: number): boolean {
  return !ALWAYS_FINITE.some(
    ({ ops, inputs, when }) =>
      ops.test(item.op.name) && (inputs?.includes(place) ?? true) && (when?.(item) ?? true),
  );
}

/** Elements of a float input that are not finite: one or a few, of one kind or of several. */
export function withNonFinite(item: OpCase, random: Random): OpCase {
  const places = item.inputs.flatMap((tensor, i) =>
    tensor !== null && tensor.data.length > 0 && DTYPES.has(tensor.dtype) ? [i] : [],
  );
  if (places.length === 0) return item;
  const place = places[random.integer(places.length)] as number;
  if (!takesNonFinite(item, place)) return item;
  const one = (): number => NON_FINITE[random.integer(NON_FINITE.length)] as number;
  const special = one();
  const isMixed = random.integer(2) === 0;
  const count = 1 + random.integer(MOST);
  const change = (tensor: Tensor): Tensor => {
    const values = toNumbers(tensor);
    for (let n = 0; n < count; n++) {
      values[random.integer(values.length)] = isMixed ? one() : special;
    }
    return fromNumbers(tensor.dtype, tensor.shape, values);
  };
  const inputs = item.inputs.map((tensor, i) => (i === place && tensor ? change(tensor) : tensor));
  return { ...item, inputs };
}
