/** Says where tensors differ from the expected ones by more than a tolerance. */
import type { Tolerance } from 'hone/ops/define-op';
import { isFloat } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** The first difference as a sentence, or undefined. Integers, booleans and strings are exact. */
export function difference(
  got: readonly Tensor[],
  expected: readonly Tensor[],
  tolerance: Tolerance,
): string | undefined {
  if (got.length !== expected.length) return `${got.length} outputs, not ${expected.length}`;
  for (const [i, wanted] of expected.entries()) {
    const found = tensorDifference(got[i] as Tensor, wanted, tolerance);
    if (found !== undefined) return `output ${i} ${found}`;
  }
  return undefined;
}

function tensorDifference(got: Tensor, wanted: Tensor, tolerance: Tolerance): string | undefined {
  const [mine, theirs] = [got, wanted].map(({ dtype, shape }) => `${dtype}[${shape.join(',')}]`);
  if (mine !== theirs) return `is ${mine}, not ${theirs}`;
  const floats = isFloat(wanted.dtype);
  const [a, b] = floats ? [toNumbers(got), toNumbers(wanted)] : [got.data, wanted.data];
  let wrong = 0;
  let first = '';
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i], b[i]];
    if (floats ? isNear(x as number, y as number, tolerance) : x === y) continue;
    if (wrong++ === 0) first = `element ${i} is ${x}, not ${y}`;
  }
  return wrong === 0 ? undefined : `(${theirs}): ${first} (${wrong} of ${b.length} are wrong)`;
}

function isNear(x: number, y: number, { absolute, relative }: Tolerance): boolean {
  if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return true;
  return Math.abs(x - y) <= absolute + relative * Math.abs(y);
}
