/**
 * From the histogram of a value to the range that 256 levels are spread over. Ranges hold zero, so
 * that padding and what ReLU cuts off are exact; a value that is never negative begins at zero.
 *
 * `minmax` keeps everything, `percentile` leaves out the outermost 0.01 %, `mse` has the least mean
 * square error, `entropy` the least Kullback-Leibler divergence from what was seen. A spread of few
 * elements is noise: `entropy` keeps everything there.
 */
import type { Bins, Histogram } from './histogram.ts';

export const CALIBRATORS = ['entropy', 'minmax', 'percentile', 'mse'] as const;
export type Calibrator = (typeof CALIBRATORS)[number];

export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface Quantization {
  /** Distance of two levels. */
  readonly scale: number;
  /** Level of the real value 0, 0…255. */
  readonly zeroPoint: number;
}

const LEVELS = 256;

/** Elements below which a spread says nothing about its form: 16 for each level. */
const FEW = 16 * LEVELS;

export function rangeOf(histogram: Histogram, calibrator: Calibrator): Range {
  switch (calibrator) {
    case 'minmax':
      return whole(histogram);
    case 'percentile':
      return percentile(histogram, OUTSIDE);
    case 'mse':
      return best(histogram, squareError);
    case 'entropy':
      return histogram.elements < FEW ? whole(histogram) : best(histogram, divergence);
    default:
      return calibrator satisfies never;
  }
}

/** Levels over a range that holds zero and is not empty; zero is a level. */
export function quantizationOf({ low, high }: Range): Quantization {
  // The scale is stored in f32: what it is there is what counts.
  const scale = Math.fround((high - low) / (LEVELS - 1));
  const zeroPoint = Math.min(LEVELS - 1, Math.max(0, Math.round(-low / scale)));
  return { scale, zeroPoint };
}

function whole({ least, largest }: Histogram): Range {
  return { low: Math.min(0, least), high: Math.max(0, largest) };
}

/** Share of elements that may lie outside. */
const OUTSIDE = 1e-4;

function percentile(histogram: Histogram, outside: number): Range {
  const { low, high } = whole(histogram);
  const { width, zero, counts } = histogram.bins();
  const tails = low < 0 && high > 0 ? 2 : 1;
  const allowed = (histogram.elements * outside) / tails;
  let first = 0;
  for (let sum = 0; first < zero; first++) {
    sum += counts[first] as number;
    if (sum > allowed) break;
  }
  let end = counts.length;
  for (let sum = 0; end > zero; end--) {
    sum += counts[end - 1] as number;
    if (sum > allowed) break;
  }
  return {
    low: Math.max(low, (first - zero) * width),
    high: Math.min(high, (end - zero) * width),
  };
}

type Cost = (bins: Bins, quantization: Quantization) => number;

/** Shares of the seen range that are tried, on each side that there is. */
const SHARES = Array.from({ length: 48 }, (_, i) => 0.93 ** i);
const COARSE_SHARES = Array.from({ length: 24 }, (_, i) => 0.87 ** i);

function best(histogram: Histogram, cost: Cost): Range {
  const { low, high } = whole(histogram);
  const bins = histogram.bins();
  const twoSided = low < 0 && high > 0;
  const shares = twoSided ? COARSE_SHARES : SHARES;
  let found: Range = { low, high };
  let least = Number.POSITIVE_INFINITY;
  for (const below of low < 0 ? shares : [1]) {
    for (const above of high > 0 ? shares : [1]) {
      const range = { low: low * below, high: high * above };
      const value = cost(bins, quantizationOf(range));
      if (value < least) [found, least] = [range, value];
    }
  }
  return found;
}

/** Sum of squared errors, elements taken at the middle of their bins (zero itself for the first). */
function squareError({ width, zero, counts }: Bins, { scale, zeroPoint }: Quantization): number {
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin] as number;
    if (count === 0 || bin === zero) continue;
    const x = (bin - zero + 0.5) * width;
    const level = Math.min(LEVELS - 1, Math.max(0, Math.round(x / scale) + zeroPoint));
    const error = x - (level - zeroPoint) * scale;
    sum += count * error * error;
  }
  return sum;
}

/**
 * Divergence of the quantised spread from the clipped one. Elements beyond the range belong to the
 * outermost bins inside; a level's elements are spread over its bins that had any. Many zeros, as
 * ReLU makes, are exact in any case and must not outweigh the rest: their bin counts as its
 * neighbour.
 */
function divergence({ width, zero, counts }: Bins, { scale, zeroPoint }: Quantization): number {
  const first = Math.max(0, zero + Math.round((-zeroPoint * scale) / width));
  const last = Math.min(
    counts.length - 1,
    zero + Math.ceil(((LEVELS - 1 - zeroPoint) * scale) / width) - 1,
  );
  if (last <= first) return Number.POSITIVE_INFINITY;
  const seen = counts.slice(first, last + 1);
  const own = zero - first;
  if (own >= 0 && own + 1 < seen.length) seen[own] = seen[own + 1] as number;
  const sums = new Float64Array(LEVELS);
  const filled = new Float64Array(LEVELS);
  const levels = new Uint8Array(seen.length);
  for (let i = 0; i < seen.length; i++) {
    const x = (first + i - zero + 0.5) * width;
    const level = Math.min(LEVELS - 1, Math.max(0, Math.round(x / scale) + zeroPoint));
    levels[i] = level;
    if (seen[i] === 0) continue;
    sums[level] = (sums[level] as number) + (seen[i] as number);
    filled[level] = (filled[level] as number) + 1;
  }
  for (let bin = 0; bin < first; bin++) seen[0] = (seen[0] as number) + (counts[bin] as number);
  for (let bin = last + 1; bin < counts.length; bin++) {
    seen[seen.length - 1] = (seen[seen.length - 1] as number) + (counts[bin] as number);
  }
  let total = 0;
  let kept = 0;
  for (let i = 0; i < seen.length; i++) {
    total += seen[i] as number;
    const level = levels[i] as number;
    if (seen[i] !== 0 && filled[level] !== 0) {
      kept += (sums[level] as number) / (filled[level] as number);
    }
  }
  let sum = 0;
  for (let i = 0; i < seen.length; i++) {
    const p = (seen[i] as number) / total;
    if (p === 0) continue;
    const level = levels[i] as number;
    const q = (sums[level] as number) / ((filled[level] as number) || 1) / kept;
    sum += p * Math.log(p / Math.max(q, 1e-12));
  }
  return sum;
}
