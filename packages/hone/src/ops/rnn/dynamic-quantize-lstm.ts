/**
 * com.microsoft's DynamicQuantizeLSTM: an LSTM whose weights are 8 bits, stored transposed. Hone
 * multiplies the dequantised weights in f32 and leaves the data as it is; ONNX Runtime also rounds
 * the data to 8 bits at every step, so the two differ by that rounding.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type OpInput } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';
import { lstm } from './lstm.ts';

/** Where weights, their scale and their zero point stand among the inputs. */
const WEIGHTS = [
  [1, 8, 9],
  [2, 10, 11],
] as const;

/** Scales are [directions], or [directions, rows] with one for each row of a gate. */
function scaleShape(shape: readonly number[], count: number): number[] | undefined {
  const [directions = 0, , rows = 0] = shape;
  if (count === 1) return [1, 1, 1];
  if (count === directions) return [directions, 1, 1];
  return count === directions * rows ? [directions, 1, rows] : undefined;
}

function transposed([d = 0, columns = 0, rows = 0]: readonly number[]): number[] {
  return [d, rows, columns];
}

/** The context as LSTM's own inference wants it. */
function realContext(ctx: InferContext): InferContext {
  const inputs = ctx.inputs.slice(0, 8).map((input, k): OpInput | null => {
    if (input === null || (k !== 1 && k !== 2)) return input;
    return { type: { dtype: 'f32', shape: transposed(input.type.shape) }, constant: null };
  });
  return { ...ctx, op: 'LSTM', inputs };
}

/** The inputs where the weights and their parameters are constant: they are then dequantised once. */
function knownInputs(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  places: readonly [number, number, number],
): readonly (Tensor | null)[] | undefined {
  const found = inputs.map((id, k) => {
    const value = id === null || !places.includes(k) ? undefined : b.graph.value(id);
    return value?.constant === undefined ? null : constantTensor(value);
  });
  const isKnown = places.every((k) => (inputs[k] ?? null) === null || found[k] !== null);
  return isKnown ? found : undefined;
}

function realWeights(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  places: readonly [number, number, number],
): ValueId {
  const [w, s, z] = places;
  const known = knownInputs(b, inputs, places);
  if (known !== undefined) return b.constant(plainWeights(known, places));
  const { shape } = b.typeOf(inputs[w] as ValueId);
  const real = (k: number): ValueId => b.op('Cast', [inputs[k] ?? null], { to: 1 });
  const spread = (id: ValueId): ValueId => {
    const target = scaleShape(shape, elementCount(b.typeOf(id).shape)) ?? [];
    return b.reshape(id, target);
  };
  const hasZero = inputs[z] !== null && inputs[z] !== undefined;
  const shifted = hasZero ? b.op('Sub', [real(w), spread(real(z))]) : real(w);
  const scaled = b.op('Mul', [shifted, spread(inputs[s] as ValueId)]);
  return b.op('Transpose', [scaled], { perm: [0, 2, 1] });
}

/** The weights in f32, their last axes swapped. */
function plainWeights(
  inputs: readonly (Tensor | null)[],
  [w, s, z]: readonly [number, number, number],
): Tensor {
  const weights = given(inputs, w);
  const [directions, columns, rows] = [0, 1, 2].map((i) => at(weights.shape, i)) as [
    number,
    number,
    number,
  ];
  const [values, scales] = [toNumbers(weights), toNumbers(given(inputs, s))];
  const zeros = inputs[z] ? toNumbers(inputs[z] as Tensor) : undefined;
  const out = new Float64Array(values.length);
  for (let d = 0; d < directions; d++) {
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows; r++) {
        const perRow = d * rows + r;
        const pick = (list: Float64Array): number =>
          list[list.length === 1 ? 0 : list.length === directions ? d : perRow] as number;
        const value = values[(d * columns + c) * rows + r] as number;
        out[(d * rows + r) * columns + c] = (value - (zeros ? pick(zeros) : 0)) * pick(scales);
      }
    }
  }
  return fromNumbers('f32', [directions, rows, columns], out);
}

export const dynamicQuantizeLstm = defineOp({
  kind: 'composite',
  name: 'DynamicQuantizeLSTM',
  domain: 'com.microsoft',
  doc: 'LSTM with 8-bit weights; Hone multiplies them in f32.',
  since: 1,
  attrs: lstm.attrs,
  infer: (ctx) => {
    for (const [w, s, z] of WEIGHTS) {
      const { dtype, shape } = inputType(ctx, w);
      requireDType(ctx, { dtype, shape }, ['u8', 'i8'], `input ${w}`);
      requireDType(ctx, inputType(ctx, s), ['f32'], `the scale (input ${s})`);
      const zero = optionalType(ctx, z);
      if (zero !== undefined) requireDType(ctx, zero, [dtype], `the zero point (input ${z})`);
      for (const k of [s, z]) {
        const count = elementCount(optionalType(ctx, k)?.shape ?? []);
        if (shape.length === 3 && scaleShape(shape, count) !== undefined) continue;
        shapeError(ctx, `input ${k} has ${count} elements for weights [${shape.join(',')}]`);
      }
    }
    return lstm.infer(realContext(ctx));
  },
  decompose: (b, inputs, ctx) => {
    const [w, r] = WEIGHTS.map((places) => realWeights(b, inputs, places));
    const operands = [inputs[0] ?? null, w ?? null, r ?? null, ...inputs.slice(3, 8)];
    return b.ops('LSTM', operands, ctx.attrs, { outputs: ctx.outputCount });
  },
  reference: (inputs, attrs, ctx) => {
    const [w, r] = WEIGHTS.map((places) => plainWeights(inputs, places));
    return lstm.reference(
      [inputs[0] ?? null, w ?? null, r ?? null, ...inputs.slice(3, 8)],
      attrs,
      ctx,
    );
  },
  cases: () => {
    const [w, r] = [sample([1, 3, 8], 2, 'i8'), sample([1, 2, 8], 3, 'i8')];
    const x = sample([3, 2, 3], 1);
    const absent = [null, null, null, null, null];
    const scales = Array.from({ length: 8 }, (_, i) => 0.001 * (i + 1));
    return [
      {
        note: 'one scale',
        attrs: { hidden_size: 2 },
        inputs: [
          ...[x, w, r, ...absent, f32([1], [0.01]), tensor('i8', [1], [3])],
          ...[f32([1], [0.02]), tensor('i8', [1], [0])],
        ],
        outputs: 3,
      },
      {
        note: 'a scale for each row',
        attrs: { hidden_size: 2 },
        inputs: [x, w, r, ...absent, f32([1, 8], scales), null, f32([1, 8], scales)],
      },
    ];
  },
});
