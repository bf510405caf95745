/** Comparison of tensors within a tolerance: the same NaNs and infinities, the rest near enough. */
import assert from 'node:assert/strict';
import type { Tolerance } from 'hone/ops/define-op';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** What rounding once or twice to a dtype may cost. */
const USUAL: Readonly<Partial<Record<DType, Tolerance>>> = {
  f64: { relative: 1e-9, absolute: 1e-11 },
  f32: { relative: 2e-5, absolute: 2e-6 },
  f16: { relative: 4e-3, absolute: 1e-3 },
  bf16: { relative: 3e-2, absolute: 1e-2 },
};

export function usualTolerance(dtype: DType): Tolerance {
  return USUAL[dtype] ?? { relative: 0, absolute: 0 };
}

/** Fails with the first element that is too far off. */
export function assertClose(
  got: Tensor,
  wanted: Tensor,
  what: string,
  tolerance: Tolerance = usualTolerance(wanted.dtype),
): void {
  assert.equal(got.dtype, wanted.dtype, `${what}: dtype`);
  assert.deepEqual([...got.shape], [...wanted.shape], `${what}: shape`);
  assert.equal(got.data.length, wanted.data.length, `${what}: element count`);
  if (!isFloat(wanted.dtype)) {
    assert.deepEqual([...got.data], [...wanted.data], what);
    return;
  }
  const [a, b] = [toNumbers(got), toNumbers(wanted)];
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    const near = Math.abs(x - y) <= tolerance.absolute + tolerance.relative * Math.abs(y);
    if (Object.is(x, y) || x === y || near) continue;
    assert.fail(`${what}: element ${i} is ${x}, wanted ${y}`);
  }
}
