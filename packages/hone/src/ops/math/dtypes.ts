/** The groups of dtypes operators take. */
import type { DType } from 'hone-runtime/base/dtype';

export const FLOATS: readonly DType[] = ['f32', 'f64', 'f16', 'bf16'];
export const SIGNED_INTS: readonly DType[] = ['i8', 'i16', 'i32', 'i64'];
export const UNSIGNED_INTS: readonly DType[] = ['u8', 'u16', 'u32', 'u64'];
export const INTS: readonly DType[] = [...SIGNED_INTS, ...UNSIGNED_INTS];
export const NUMBERS: readonly DType[] = [...FLOATS, ...INTS];
export const BOOL: readonly DType[] = ['bool'];
export const NUMBERS_AND_BOOL: readonly DType[] = [...NUMBERS, 'bool'];
export const EVERY: readonly DType[] = [...NUMBERS_AND_BOOL, 'string'];
