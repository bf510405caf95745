/** Judges random outputs: shapes and dtypes, and whether both could come from one distribution. */
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** Standard errors of the difference of two means that are still taken as chance. */
const SIGMAS = 5;

/** What speaks against it as a sentence, or undefined. */
export function distributionDifference(
  got: readonly Tensor[],
  expected: readonly Tensor[],
): string | undefined {
  if (got.length !== expected.length) return `${got.length} outputs, not ${expected.length}`;
  for (const [i, wanted] of expected.entries()) {
    const found = tensorDifference(got[i] as Tensor, wanted);
    if (found !== undefined) return `output ${i} ${found}`;
  }
  return undefined;
}

function tensorDifference(got: Tensor, wanted: Tensor): string | undefined {
  const [mine, theirs] = [got, wanted].map(({ dtype, shape }) => `${dtype}[${shape.join(',')}]`);
  if (mine !== theirs) return `is ${mine}, not ${theirs}`;
  const [a, b] = [moments(got), moments(wanted)];
  const error = Math.sqrt((Math.max(a.variance, b.variance) * 2) / Math.max(1, b.count));
  if (Math.abs(a.mean - b.mean) <= SIGMAS * error + 1e-6) return undefined;
  return `(${theirs}) has a mean of ${a.mean.toFixed(3)}, not ${b.mean.toFixed(3)}`;
}

function moments(x: Tensor): { count: number; mean: number; variance: number } {
  const values = toNumbers(x);
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, count);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, variance: squares / Math.max(1, count - 1) };
}
