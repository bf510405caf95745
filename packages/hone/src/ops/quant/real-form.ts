/**
 * Quantised operators as what they mean: dequantise the operands, compute in f32, quantise the
 * result. Shared by the records of com.microsoft's QLinear family: nodes for their decomposition,
 * plain numbers for their references.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import type { InferContext, OpDef, ReferenceContext } from '../define-op.ts';
import { integerLimits } from '../math/saturate.ts';
import { given } from '../math/loops.ts';
import { roundHalfEven } from '../math/special.ts';

export const EIGHT_BITS: readonly DType[] = ['u8', 'i8'];

/** Where an operand, its scale and its zero point stand among the inputs. */
export interface Triple {
  readonly x: number;
  readonly scale: number;
  readonly zero: number;
}

export const tripleFrom = (x: number): Triple => ({ x, scale: x + 1, zero: x + 2 });

/** Checks one operand with its parameters, which are for the whole tensor. */
export function checkTriple(ctx: InferContext, { x, scale, zero }: Triple): ValueType {
  const type = inputType(ctx, x);
  requireDType(ctx, type, EIGHT_BITS, `input ${x}`);
  checkParameters(ctx, type.dtype, scale, zero);
  return type;
}

/** Checks a scale and a zero point of one element each. */
export function checkParameters(
  ctx: InferContext,
  dtype: DType,
  scale: number,
  zero: number,
): void {
  requireDType(ctx, inputType(ctx, scale), ['f32'], `the scale (input ${scale})`);
  const origin = optionalType(ctx, zero);
  if (origin !== undefined) requireDType(ctx, origin, [dtype], `the zero point (input ${zero})`);
  for (const k of [scale, zero]) {
    const shape = optionalType(ctx, k)?.shape ?? [];
    if (elementCount(shape) !== 1) {
      shapeError(ctx, `input ${k} has shape [${shape.join(',')}]; it takes one value`);
    }
  }
}

type Inputs = readonly (ValueId | null)[];

export function dequantizeNode(b: OpBuilder, inputs: Inputs, { x, scale, zero }: Triple): ValueId {
  const origin = inputs[zero] ?? null;
  const parameters = origin === null ? [] : [scalarOf(b, origin)];
  return b.op('DequantizeLinear', [
    inputs[x] ?? null,
    scalarOf(b, inputs[scale] as ValueId),
    ...parameters,
  ]);
}

/** Quantises `real` by inputs `scale` and `zero`, to `dtype` where there is no zero point. */
export function quantizeNode(
  b: OpBuilder,
  inputs: Inputs,
  real: ValueId,
  scale: number,
  zero: number,
  dtype: DType,
): ValueId {
  const step = scalarOf(b, inputs[scale] as ValueId);
  const origin = inputs[zero] ?? null;
  if (origin !== null) return b.op('QuantizeLinear', [real, step, scalarOf(b, origin)]);
  return b.op('QuantizeLinear', [real, step], { output_dtype: dtypeCode(dtype) });
}

/** A parameter of one element without axes. */
export function scalarOf(b: OpBuilder, id: ValueId): ValueId {
  return b.typeOf(id).shape.length === 0 ? id : b.op('Reshape', [id, b.ints([])]);
}

/** Scale and zero point in one shape: where only one is for each column, the other is the same for all. */
export function alikeParameters(
  b: OpBuilder,
  parameters: readonly (ValueId | null)[],
): readonly ValueId[] {
  const given = parameters.flatMap((id) => id ?? []);
  const counts = given.map((id) => elementCount(b.typeOf(id).shape));
  const columns = counts.find((count) => count !== 1) ?? 1;
  return given.map((id, i) => {
    if (columns === 1) return scalarOf(b, id);
    // Parameters that are as they should be stay constants, for the passes that look at them.
    const list = b.typeOf(id).shape.length === 1 ? id : b.op('Reshape', [id, b.ints([-1])]);
    return counts[i] === columns ? list : b.op('Expand', [list, b.ints([columns])]);
  });
}

type Tensors = readonly (Tensor | null)[];

const only = (tensor: Tensor | null | undefined, otherwise: number): number =>
  tensor === null || tensor === undefined ? otherwise : at([...toNumbers(tensor)], 0);

/** An operand as f32. */
export function realOf(inputs: Tensors, { x, scale, zero }: Triple): Tensor {
  const operand = given(inputs, x);
  const step = only(inputs[scale], 1);
  const origin = only(inputs[zero], 0);
  const values = toNumbers(operand).map((value) => (value - origin) * step);
  return fromNumbers('f32', operand.shape, values);
}

/** Real numbers as steps of the output. */
export function stepsOf(
  inputs: Tensors,
  real: Tensor,
  scale: number,
  zero: number,
  dtype: DType,
): Tensor {
  const step = only(inputs[scale], 1);
  const origin = only(inputs[zero], 0);
  const [low, high] = integerLimits(dtype).map(Number) as [number, number];
  const values = toNumbers(real).map((value) => {
    const whole = roundHalfEven(Math.fround(value / step)) + origin;
    return Math.min(Math.max(whole, low), high);
  });
  return fromNumbers(dtype, real.shape, values);
}

/** Default attributes of an operator with some of them set. */
export function attrsOf(def: OpDef, attrs: Attrs): Attrs {
  const defaults = Object.entries(def.attrs).flatMap(([name, spec]) =>
    spec.default === undefined ? [] : [[name, spec.default] as const],
  );
  return { ...Object.fromEntries(defaults), ...attrs };
}

/** The type of a float operator's result on operands of these shapes. */
export function realType(
  ctx: InferContext,
  def: OpDef,
  attrs: Attrs,
  shapes: readonly (readonly number[])[],
): ValueType {
  const inputs = shapes.map((shape) => ({
    type: { dtype: 'f32', shape } as const,
    constant: null,
  }));
  return at(def.infer({ ...ctx, inputs, attrs: attrsOf(def, attrs), outputCount: 1 }), 0);
}

/** What a float operator's reference makes of real operands. */
export function realResult(
  def: OpDef,
  attrs: Attrs,
  operands: Tensors,
  shape: readonly number[],
  ctx: ReferenceContext,
): Tensor {
  const outputTypes = [{ dtype: 'f32', shape } as const];
  return at(def.reference(operands, attrsOf(def, attrs), { ...ctx, outputTypes }), 0);
}
