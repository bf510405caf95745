/**
 * Plain loops of the references: element-wise over broadcast operands and over reduced axes.
 *
 * Floats are computed as doubles, integers as bigints (exact, wrapped to the dtype at the end).
 * Nothing here knows of expressions or stages.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { wrapSmallInt } from 'hone-runtime/base/bit-patterns';
import { type DType, isFloat, isInteger, isSmallInt } from 'hone-runtime/base/dtype';
import {
  allocateData,
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toBigInts,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';
import type { ReferenceContext } from '../define-op.ts';
import { floatToInteger } from './saturate.ts';

/** Offsets of every index of a grid, in row-major order. */
export function gridOffsets(extents: readonly number[], strides: readonly number[]): Int32Array {
  const count = elementCount(extents);
  const out = new Int32Array(count);
  const index = new Array<number>(extents.length).fill(0);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    out[i] = offset;
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      offset += strides[axis] as number;
      if (next < (extents[axis] as number)) {
        index[axis] = next;
        break;
      }
      offset -= next * (strides[axis] as number);
      index[axis] = 0;
    }
  }
  return out;
}

/** For every element of `out`, the offset of the element of `shape` that broadcasts there. */
export function broadcastOffsets(shape: readonly number[], out: readonly number[]): Int32Array {
  const strides = stridesOf(shape);
  const skip = out.length - shape.length;
  return gridOffsets(
    out,
    out.map((_, axis) => {
      const own = axis - skip;
      return own < 0 || shape[own] === 1 ? 0 : (strides[own] as number);
    }),
  );
}

/** A tensor from exact integers, wrapped to the dtype; bool is `!= 0`. */
export function fromBigInts(
  dtype: DType,
  shape: readonly number[],
  values: readonly bigint[],
): Tensor {
  const data = allocateData(dtype, values.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < values.length; i++) data[i] = values[i] as bigint;
    return { dtype, shape, data };
  }
  if (dtype !== 'bool' && isInteger(dtype)) {
    for (let i = 0; i < values.length; i++) {
      const low = Number(BigInt.asIntN(32, values[i] as bigint));
      data[i] = isSmallInt(dtype) ? wrapSmallInt(dtype, low) : low;
    }
    return { dtype, shape, data };
  }
  return fromNumbers(
    dtype,
    shape,
    values.map((value) => Number(value)),
  );
}

/** An operator on scalars, as doubles and as exact integers. */
export interface ScalarFunction {
  readonly number: (...x: number[]) => number;
  /** Absent: integers are computed as doubles. */
  readonly big?: (...x: bigint[]) => bigint;
}

/** Element-wise over broadcast operands; integers when all operands are. */
export function elementwise(inputs: readonly Tensor[], out: ValueType, fn: ScalarFunction): Tensor {
  const offsets = inputs.map((input) => broadcastOffsets(input.shape, out.shape));
  const count = elementCount(out.shape);
  if (fn.big !== undefined && inputs.every((input) => isInteger(input.dtype))) {
    const values = inputs.map(toBigInts);
    const result = new Array<bigint>(count);
    for (let i = 0; i < count; i++) {
      result[i] = fn.big(
        ...values.map((list, k) => list[(offsets[k] as Int32Array)[i] as number] as bigint),
      );
    }
    return fromBigInts(out.dtype, out.shape, result);
  }
  const values = inputs.map(toNumbers);
  const result = new Float64Array(count);
  const [a, b] = values;
  const [atA, atB] = offsets;
  if (values.length === 1 && a !== undefined) {
    for (let i = 0; i < count; i++) result[i] = fn.number(a[i] as number);
  } else if (values.length === 2 && a && b && atA && atB) {
    for (let i = 0; i < count; i++) {
      result[i] = fn.number(a[atA[i] as number] as number, b[atB[i] as number] as number);
    }
  } else {
    for (let i = 0; i < count; i++) {
      result[i] = fn.number(
        ...values.map((list, k) => list[at(offsets, k)[i] as number] as number),
      );
    }
  }
  // Where a float is among the operands, the result is one, and then an integer.
  const isReal = inputs.some((input) => isFloat(input.dtype));
  const make = isReal ? fromFloats : fromNumbers;
  return make(out.dtype, out.shape, result);
}

/** An operator that folds a list of elements into one. */
export interface ListFunction {
  readonly number: (x: Float64Array) => number;
  /** Absent: integers are computed as doubles. */
  readonly big?: (x: readonly bigint[], dtype: DType) => bigint;
}

/** Folds `axes` (sorted, non-negative) of a tensor; the output keeps the other axes' order. */
export function reduceLoop(
  input: Tensor,
  axes: readonly number[],
  out: ValueType,
  fn: ListFunction,
): Tensor {
  const strides = stridesOf(input.shape);
  const kept = input.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const pick = (from: readonly number[], which: readonly number[]): number[] =>
    which.map((axis) => at(from, axis));
  const outer = gridOffsets(pick(input.shape, kept), pick(strides, kept));
  // Without lists there is nothing to walk, however long they would be.
  const folded = outer.length === 0 ? [0] : pick(input.shape, axes);
  const inner = gridOffsets(folded, outer.length === 0 ? [0] : pick(strides, axes));
  if (fn.big !== undefined && !isFloat(input.dtype)) {
    const values = toBigInts(input);
    const big = fn.big;
    const result = [...outer].map((base) =>
      big(
        Array.from(inner, (offset) => values[base + offset] as bigint),
        input.dtype,
      ),
    );
    return fromBigInts(out.dtype, out.shape, result);
  }
  const values = toNumbers(input);
  const list = new Float64Array(inner.length);
  const result = new Float64Array(outer.length);
  for (let o = 0; o < outer.length; o++) {
    const base = outer[o] as number;
    for (let i = 0; i < inner.length; i++) list[i] = values[base + (inner[i] as number)] as number;
    result[o] = fn.number(list);
  }
  return fromFloats(out.dtype, out.shape, result);
}

/** Results computed in floats: of an integer dtype as Cast makes them, truncated and saturated. */
export function fromFloats(dtype: DType, shape: readonly number[], values: Float64Array): Tensor {
  if (!isInteger(dtype)) return fromNumbers(dtype, shape, values);
  return fromBigInts(
    dtype,
    shape,
    Array.from(values, (x) => floatToInteger(x, dtype)),
  );
}

/** A present input of a reference. */
export function given(inputs: readonly (Tensor | null)[], k: number): Tensor {
  const tensor = inputs[k];
  if (tensor === undefined || tensor === null) throw new TypeError(`input ${k} is missing`);
  return tensor;
}

/** The inferred type of output 0. */
export function outputOf(ctx: ReferenceContext): ValueType {
  return at(ctx.outputTypes, 0);
}

/** One element as it is stored (narrow floats as bit patterns). */
export type Element = number | bigint | string;

export function elementAt(from: Tensor, offset: number): Element {
  return from.data[offset] as Element;
}

/** A tensor whose stored elements are chosen one by one. */
export function collect(out: ValueType, pick: (i: number) => Element): Tensor {
  const { dtype, shape } = out;
  const count = elementCount(shape);
  if (dtype === 'string') {
    return { dtype, shape, data: Array.from({ length: count }, (_, i) => String(pick(i))) };
  }
  const data = allocateData(dtype, count);
  // The picked element is of the array's own kind; TypeScript cannot see that they vary together.
  for (let i = 0; i < count; i++) data[i] = pick(i) as never;
  return { dtype, shape, data };
}

export function largest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

export function smallest(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
