/**
 * What a contraction multiplies, and by which step: the table that makes one kernel generator
 * serve f32, f64, 16-bit floats and 8-bit integers. A step takes `group` neighbouring elements of the
 * reduction: the data's are broadcast, each lane of an output vector has its own weights.
 */
import type { DType } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Target } from 'hone-runtime/target/types';
import type { Expr } from '../../expr/types.ts';
import type { ContractBody } from '../../stages/types.ts';

/** Operands of a contraction as they lie in memory. */
export interface OperandForm {
  readonly data: 'f32' | 'f64' | 'bf16' | 'f16' | 'u8';
  readonly weights: 'f32' | 'f64' | 'bf16' | 'f16' | 'i8';
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
  if (accDtype === 'f64' && data === 'f64' && weights === 'f64') return { data, weights, outside };
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
  /** As kernel rows are called: f32, f64, bf16, u8i8. */
  readonly name: string;
  readonly data: DType;
  readonly weights: DType;
  readonly acc: 'f32' | 'f64' | 'i32';
  /** Elements of the reduction that one step takes. */
  readonly group: 1 | 2 | 4;
  /** The instruction that does it; absent: a multiplication and an addition. */
  readonly instr?: string;
  /** Instructions of a step, and registers beside accumulators and weights. Default 1 each. */
  readonly ops?: number;
  readonly registers?: number;
  /** Largest magnitude of weights it is exact for; larger ones take `otherwise`. */
  readonly limit?: number;
  readonly otherwise?: Dot;
}

/**
 * The target as a step of f64 sees it: half as many lanes fill a register. Where that would be two,
 * a vector is four in two registers.
 */
export function targetOf(dot: Dot, target: Target): Target {
  if (dot.acc !== 'f64') return target;
  const { lanes, vectorRegisters } = target;
  return lanes > 4
    ? { ...target, lanes: lanes / 2 }
    : { ...target, vectorRegisters: Math.floor(vectorRegisters / 2) };
}

/** The best step that a target has for a form, if the weights allow it (see `exactDot`). */
export function chooseDot(form: OperandForm, target: Target): Dot {
  const { data, weights } = form;
  const name = data === 'u8' ? 'u8i8' : data;
  const acc = data === 'u8' ? 'i32' : data === 'f64' ? 'f64' : 'f32';
  const single: Dot = { name, data, weights, acc, group: 1 };
  if (data === 'u8') return integerDot(single, target);
  const isWide = target.arch === 'x86-64' && target.lanes === 16;
  if (data === 'bf16' && isWide && target.features.includes('bf16')) {
    return { ...single, group: 2, instr: 'vdpbf16ps' };
  }
  return single;
}

function integerDot(single: Dot, { arch, lanes, features }: Target): Dot {
  const row = (instr: string): Dot => ({ ...single, group: 4, instr });
  const has = (feature: string): boolean => features.includes(feature);
  if (arch === 'x86-64' && lanes === 16 && has('vnni')) return row('vpdpbusd');
  if (arch === 'x86-64' && lanes === 8) {
    if (has('avxvnni')) return row('vpdpbusd256');
    const wide: Dot = { ...single, group: 2, instr: 'vpmaddwd', ops: 3, registers: 2 };
    return { ...row('vpmaddubsw'), ops: 3, registers: 3, limit: 64, otherwise: wide };
  }
  if (arch === 'arm64' && has('i8mm')) return row('usdot');
  if (arch === 'arm64' && has('dotprod')) return { ...row('sdot'), ops: 2, registers: 3 };
  return single;
}

/**
 * The step of a depthwise convolution, where lanes are channels: four columns of the kernel at once,
 * or one product of values widened to f32, whose sums of 8-bit products are exact (they stay below
 * 2^24 for kernels of up to 500 taps).
 */
export function depthwiseDot({ data }: OperandForm, dilation: number, target: Target): Dot {
  const has = (feature: string): boolean => target.features.includes(feature);
  const name = data === 'u8' ? 'u8i8' : data;
  if (data === 'u8' && dilation === 1 && target.lanes === 16 && has('vnni') && has('vbmi')) {
    return { name, data, weights: 'i8', acc: 'i32', group: 4, instr: 'vpermb_dot' };
  }
  return { name, data, weights: 'f32', acc: 'f32', group: 1 };
}

/** The step itself where it is exact for these weights, else the one that is. */
export function exactDot(dot: Dot, weights: Tensor): Dot {
  const { limit, otherwise } = dot;
  if (limit === undefined || otherwise === undefined) return dot;
  const fits = toNumbers(weights).every((value) => Math.abs(value) <= limit);
  return fits ? dot : otherwise;
}

/** The same data and weights, one element a step: for reductions that groups do not divide. */
export function singleDot(dot: Dot): Dot {
  const { name, data, weights, acc } = dot;
  return { name, data, weights, acc, group: 1 };
}

export const F32_DOT: Dot = {
  name: 'f32',
  data: 'f32',
  weights: 'f32',
  acc: 'f32',
  group: 1,
};
