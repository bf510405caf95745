/** Seeded inputs for this folder's test cases. */
import { type DType, dtypeKind } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import { uniform } from '../math/samples.ts';

/** Floats in [-2, 2), signed integers in (-9, 9), unsigned ones in [0, 19). Another seed per input. */
export function sample(shape: readonly number[], seed = 1, dtype: DType = 'f32'): Tensor {
  const kind = dtypeKind(dtype);
  if (kind === 'float') return uniform(shape, -2, 2, dtype, seed);
  if (kind === 'bool') return uniform(shape, 0, 2, 'u8', seed);
  return kind === 'int' ? uniform(shape, -9, 9, dtype, seed) : uniform(shape, 0, 19, dtype, seed);
}
