/** What the lowerings and inferences of the tensor operators share. */
import { fail } from 'hone-runtime/base/diagnostics';
import { type DType, isBig } from 'hone-runtime/base/dtype';
import { bf16ToNumber, f16ToNumber } from 'hone-runtime/base/half';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import { binary, constant, index, isIndex, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import type { StageBody } from '../../stages/types.ts';
import type { InferContext, LowerContext } from '../define-op.ts';
import { elementsOf } from './elements.ts';

/** No tensor of a model has more elements than this: larger ones are mistakes or attacks. */
const MAX_ELEMENTS = 2 ** 32;

/** Bodies of a use without strings; strings have no compiled form. */
export function compiled(
  ctx: LowerContext,
  bodies: () => readonly StageBody[] | string,
): readonly StageBody[] | string {
  const strings = [...ctx.inputs.map((input) => input?.type), ...ctx.outputs].some(
    (type) => type?.dtype === 'string',
  );
  return strings ? 'strings have no compiled form' : bodies();
}

/** Entry `i` of the i64 extents of a picture in its room; less than 1 counts as 1, as in `pictureOf`. */
export function extentOfRun(input: string, i: number, room: number): Expr {
  const said = binary('max', load(input, 'i64', [index(i)]), index(1));
  return binary('min', said, index(room));
}

/** Extents that come from data: non-negative integers, and not absurdly many elements. */
export function checkedShape(
  ctx: { node: string; op: string },
  shape: readonly number[],
): readonly number[] {
  const valid = shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0);
  if (!valid || elementCount(shape) > MAX_ELEMENTS) {
    fail(
      'HONE-SHAPE-003',
      `node ${ctx.node} (${ctx.op}): output shape [${shape.join(',')}] is not possible`,
      ctx.node,
      'check the shapes the model was exported with, or the --shape you gave',
    );
  }
  return shape;
}

/** The one element of a constant as an expression of its dtype. */
export function constantExpr(tensor: Tensor, at = 0): Expr {
  const value = elementsOf(tensor)[at];
  const { dtype } = tensor;
  if (dtype === 'f16') return constant(dtype, f16ToNumber(value as number));
  if (dtype === 'bf16') return constant(dtype, bf16ToNumber(value as number));
  return constant(dtype, value as number | bigint);
}

/** The constant 0 of a dtype. */
export function zeroExpr(dtype: DType): Expr {
  return constant(dtype, isBig(dtype) ? 0n : 0);
}

export function oneExpr(dtype: DType): Expr {
  return constant(dtype, isBig(dtype) ? 1n : 1);
}

/** floor(a / divisor) of an index, folded where trivial. */
export function ifloordiv(a: Expr, divisor: number): Expr {
  if (divisor === 1) return a;
  if (isIndex(a)) return index(Math.floor(Number(a.value) / divisor));
  return binary('floordiv', a, index(divisor));
}

/** a mod divisor (non-negative) of an index, folded where trivial. */
export function imod(a: Expr, divisor: number): Expr {
  if (divisor === 1) return index(0);
  if (isIndex(a)) {
    const value = Number(a.value);
    return index(value - Math.floor(value / divisor) * divisor);
  }
  return binary('mod', a, index(divisor));
}

/** All conditions hold; undefined when there are none. */
export function allOf(conditions: readonly Expr[]): Expr | undefined {
  return conditions.length === 0
    ? undefined
    : conditions.reduce((left, right) => binary('and', left, right));
}

/** The constant of an input, if it is there and known at compile time. */
export function knownInput(ctx: InferContext, position: number): Tensor | undefined {
  const input = ctx.inputs[position];
  return input?.constant ? input.constant() : undefined;
}

/** Index of the only element of a scalar or a one-element list. */
export function onlyElement(type: ValueType): Expr[] {
  return type.shape.map(() => index(0));
}
