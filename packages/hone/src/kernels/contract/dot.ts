/**
 * What a contraction multiplies, and by which step: the table that makes one kernel generator
 * serve f32, 16-bit floats and 8-bit integers. A step takes `group` neighbouring elements of the
 * reduction: the data's are broadcast, each lane of an output vector has its own weights.
 */
import type { DType } from 'hone-runtime/base/dtype';
import type { Target } from 'hone-runtime/target/types';
import type { Expr } from '../../expr/types.ts';
import type { ContractBody } from '../../stages/types.ts';

/** Operands of a contraction as they lie in memory. */
export interface OperandForm {
  readonly data: 'f32' | 'bf16' | 'f16' | 'u8';
  readonly weights: 'f32' | 'bf16' | 'f16' | 'i8';
  /** What is read outside the image: 0, or the zero point of quantised data. */
  readonly outside: number;
}

/** The form of operands that fast rows know; a reason where there is none. */
export function operandForm(body: ContractBody): OperandForm | string {
  const { a, b, accDtype } = body;
  const guard = a.kind === 'select' ? a : undefined;
  const data = storedDtype(guard?.a ?? a, 0);
  const weights = storedDtype(b, 1);
  if (data === null || weights === null) return 'an operand is computed';
  const outside = guard === undefined ? 0 : literal(guard.b);
  if (outside === null) return 'what lies outside the image is computed';
  const isHalf = (dtype: DType): boolean => dtype === 'bf16' || dtype === 'f16';
  const pair = `${data}·${weights}`;
  if (accDtype === 'f32' && data === 'f32' && weights === 'f32') return { data, weights, outside };
  if (accDtype === 'f32' && isHalf(data) && data === weights) {
    return { data: data as 'bf16', weights: weights as 'bf16', outside };
  }
  if (accDtype === 'i32' && data === 'u8' && weights === 'i8') return { data, weights, outside };
  return `multiplies ${pair}, summed in ${accDtype}`;
}

/** dtype of operand k where the value is its element, perhaps widened. */
function storedDtype(value: Expr, k: number): DType | null {
  const inner = value.kind === 'cast' ? value.x : value;
  return inner.kind === 'load' && Number(inner.source) === k ? inner.dtype : null;
}

function literal(value: Expr): number | null {
  return value.kind === 'const' ? Number(value.value) : null;
}

export interface Dot {
  /** As kernel rows are called: f32, bf16, u8i8. */
  readonly name: string;
  readonly data: DType;
  readonly weights: DType;
  readonly acc: 'f32' | 'i32';
  /** Elements of the reduction that one step takes. */
  readonly group: 1 | 2 | 4;
  /** The instruction that does it; absent: a multiplication and an addition. */
  readonly instr?: string;
}

/** The best step that a target has for a form. */
export function chooseDot(form: OperandForm, target: Target): Dot {
  const { data, weights } = form;
  const has = (feature: string): boolean => target.features.includes(feature);
  const name = data === 'u8' ? 'u8i8' : data;
  const acc = data === 'u8' ? 'i32' : 'f32';
  const isWide = target.arch === 'x86-64' && target.lanes === 16;
  if (data === 'bf16' && isWide && has('bf16')) {
    return { name, data, weights, acc, group: 2, instr: 'vdpbf16ps' };
  }
  if (data === 'u8' && isWide && has('vnni')) {
    return { name, data, weights, acc, group: 4, instr: 'vpdpbusd' };
  }
  return { name, data, weights, acc, group: 1 };
}

/** The same data and weights, one element a step: for reductions that groups do not divide. */
export function singleDot(dot: Dot): Dot {
  const { instr: _, ...rest } = dot;
  return { ...rest, group: 1 };
}

export const F32_DOT: Dot = {
  name: 'f32',
  data: 'f32',
  weights: 'f32',
  acc: 'f32',
  group: 1,
};
