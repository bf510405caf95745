/** Summaries of measured times. Inputs need not be sorted; an empty list gives NaN. */

export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly mean: number;
  /** Distance of the quartiles in percent of the median. */
  readonly spreadPercent: number;
}

/** Quantile 0..1 with linear interpolation between neighbours. */
export function quantile(values: readonly number[], q: number): number {
  return ofSorted(ascending(values), q);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function summarize(values: readonly number[]): Summary {
  const sorted = ascending(values);
  const p50 = ofSorted(sorted, 0.5);
  return {
    count: sorted.length,
    p50,
    p90: ofSorted(sorted, 0.9),
    p95: ofSorted(sorted, 0.95),
    p99: ofSorted(sorted, 0.99),
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    spreadPercent: (100 * (ofSorted(sorted, 0.75) - ofSorted(sorted, 0.25))) / p50,
  };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

function ofSorted(sorted: readonly number[], q: number): number {
  const place = q * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
