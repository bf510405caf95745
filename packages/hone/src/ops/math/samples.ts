/** Small tensors for the operators' test cases. */
import type { DType } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

export function f32(shape: readonly number[], values: readonly number[]): Tensor {
  return fromNumbers('f32', shape, values);
}

export function i64(shape: readonly number[], values: readonly (number | bigint)[]): Tensor {
  return { dtype: 'i64', shape, data: BigInt64Array.from(values, (value) => BigInt(value)) };
}

export function bools(shape: readonly number[], values: readonly number[]): Tensor {
  return fromNumbers('bool', shape, values);
}

export function tensor(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  return fromNumbers(dtype, shape, values);
}

/** Seeded uniform values in [low, high). */
export function uniform(
  shape: readonly number[],
  low = -2,
  high = 2,
  dtype: DType = 'f32',
  seed = 1,
): Tensor {
  const random = seededRandom(seed);
  const values = Array.from(
    { length: elementCount(shape) },
    () => low + random.next() * (high - low),
  );
  return fromNumbers(dtype, shape, values);
}

/** NaN, infinities, zeros of both signs, ones. */
export function specials(dtype: DType = 'f32'): Tensor {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1, -1];
  return fromNumbers(dtype, [values.length], values);
}
