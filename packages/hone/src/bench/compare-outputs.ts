/**
 * Whether two engines gave the same outputs: |a - b| ≤ atol · scale + rtol · |b|, where b is the
 * reference and its scale the largest finite magnitude of the output. NaN and infinities must be
 * at the same places.
 */
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';

export interface OutputTolerance {
  readonly rtol: number;
  /** Relative to the output's scale. */
  readonly atol: number;
}

export const TOLERANCE: OutputTolerance = { rtol: 1e-3, atol: 1e-5 };

export interface OutputError {
  readonly name: string;
  /** Largest absolute difference; Infinity where the outputs cannot be compared. */
  readonly maxError: number;
  /** The same, relative to the scale. */
  readonly ofScale: number;
  readonly scale: number;
  readonly within: boolean;
  /** Why not, beyond numbers. */
  readonly problem?: string;
}

type Tensors = Readonly<Record<string, Tensor>>;

/** One entry per output of the reference. */
export function compareOutputs(
  ours: Tensors,
  reference: Tensors,
  tolerance: OutputTolerance = TOLERANCE,
): OutputError[] {
  return Object.entries(reference).map(([name, expected]) => {
    const actual = ours[name];
    if (actual === undefined) return incomparable(name, 'the output is missing');
    if (actual.dtype !== expected.dtype) {
      return incomparable(name, `dtype ${actual.dtype} instead of ${expected.dtype}`);
    }
    if (actual.shape.join() !== expected.shape.join()) {
      return incomparable(name, `shape [${actual.shape}] instead of [${expected.shape}]`);
    }
    return compareTensors(name, toNumbers(actual), toNumbers(expected), tolerance);
  });
}

/** The entry with the largest error relative to its scale. */
export function worstOutput(errors: readonly OutputError[]): OutputError | undefined {
  return errors.reduce<OutputError | undefined>((worst, error) => {
    if (worst === undefined || (worst.within && !error.within)) return error;
    return error.within === worst.within && error.ofScale > worst.ofScale ? error : worst;
  }, undefined);
}

function compareTensors(
  name: string,
  a: Float64Array,
  b: Float64Array,
  { rtol, atol }: OutputTolerance,
): OutputError {
  let scale = 0;
  for (const value of b) {
    const size = Math.abs(value);
    if (size > scale && size < Number.POSITIVE_INFINITY) scale = size;
  }
  let maxError = 0;
  let beyond = 0;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (Object.is(x, y) || x === y) continue;
    const difference = Math.abs(x - y);
    const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    if (error > maxError) maxError = error;
    if (!(error <= atol * scale + rtol * Math.abs(y)) || !Number.isFinite(error)) beyond++;
  }
  const ofScale = maxError === 0 ? 0 : maxError / scale;
  const result = { name, maxError, ofScale, scale, within: beyond === 0 };
  return beyond === 0
    ? result
    : { ...result, problem: `${beyond} of ${b.length} elements beyond the tolerance` };
}

function incomparable(name: string, problem: string): OutputError {
  const infinite = Number.POSITIVE_INFINITY;
  return { name, maxError: infinite, ofScale: infinite, scale: 0, within: false, problem };
}
