/** Ranges of integer dtypes, and floats as integers: truncated, beyond the range its nearest end. */
import { type DType, dtypeBits, isSmallInt } from 'hone-runtime/base/dtype';

/** [lowest, highest] of an integer dtype or bool. */
export function integerLimits(dtype: DType): readonly [bigint, bigint] {
  if (dtype === 'bool') return [0n, 1n];
  const bits = BigInt(dtypeBits(dtype));
  return dtype.startsWith('u')
    ? [0n, (1n << bits) - 1n]
    : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
}

/** Truncates and saturates (2 and 4 bits: the low bits of 32 that do); NaN becomes 0. */
export function floatToInteger(value: number, dtype: DType): bigint {
  const [low, high] = integerLimits(isSmallInt(dtype) ? 'i32' : dtype);
  if (Number.isNaN(value)) return 0n;
  if (value >= Number(high)) return high;
  return value <= Number(low) ? low : BigInt(Math.trunc(value));
}
