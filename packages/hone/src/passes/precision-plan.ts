/**
 * In which precision each value of a graph is kept and each contraction computed: plain data, made
 * by a policy (bf16, f16) or by calibration (int8), carried out by `applyPrecision`.
 */

/** How a value lies in memory. */
export type ValuePrecision =
  | { readonly kind: 'f32' }
  | { readonly kind: 'half'; readonly dtype: 'bf16' | 'f16' }
  /** real = (stored - zeroPoint) · scale, stored in 0…255. */
  | { readonly kind: 'u8'; readonly scale: number; readonly zeroPoint: number };

/** What a contraction (Conv, MatMul, Gemm with constant weights) multiplies; it sums in 32 bits. */
export type ContractionPrecision = 'f32' | 'bf16' | 'f16' | 'int8';

export interface PrecisionPlan {
  /** By name of the value; absent: f32. A value of the graph's signature keeps its dtype outside. */
  readonly values: ReadonlyMap<string, ValuePrecision>;
  /**
   * By name of the node; absent: f32. `int8` needs the first input kept as u8. A half contraction
   * may read a value kept in f32: it is narrowed for such readers alone.
   */
  readonly contractions: ReadonlyMap<string, ContractionPrecision>;
  /** Magnitudes of quantised weights: 8 bits are -127…127, 7 bits -63…63. */
  readonly weightBits: 8 | 7;
}

/** Operators that a plan's `contractions` speaks of, all of ai.onnx. */
export const CONTRACTIONS: ReadonlySet<string> = new Set(['Conv', 'MatMul', 'Gemm']);
