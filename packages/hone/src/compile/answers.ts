/**
 * How much answers of one model differ from another's on the same inputs: agreement of classes,
 * divergence of distributions, signal to noise. An answer is an output with its elements in rows of
 * the last axis; rows that are no distribution are taken through softmax first. A row of one chance
 * decides by whether it is above a half.
 */
import { at } from 'hone-runtime/base/diagnostics';

export interface Answers {
  /** Rows compared. */
  readonly rows: number;
  /** Share of rows whose highest entry is the same. */
  readonly agreement: number;
  /** Share of rows whose highest entry is among the five highest of the other. */
  readonly top5: number;
  /** Kullback-Leibler divergence from the reference, in nats. */
  readonly meanKl: number;
  readonly maxKl: number;
  /** Signal to noise over all elements in dB; Infinity where nothing differs. */
  readonly snr: number;
}

/** One entry per run, each all elements of an output; `classes` is its last extent. */
export function compareAnswers(
  reference: readonly Float64Array[],
  other: readonly Float64Array[],
  classes: number,
): Answers {
  let [rows, same, near, sumKl, maxKl, signal, noise] = [0, 0, 0, 0, 0, 0, 0];
  reference.forEach((wanted, run) => {
    const got = at(other, run);
    const chances = classes === 1 && [...wanted].every((value) => value >= 0 && value <= 1);
    for (let begin = 0; begin + classes <= wanted.length; begin += classes) {
      const [a, b] = [wanted, got].map((all) => {
        const row = all.subarray(begin, begin + classes);
        return chances ? twoWays(row[0] as number) : row;
      }) as [Float64Array, Float64Array];
      const best = highest(a);
      rows++;
      if (highest(b) === best) same++;
      if (rankOf(b, best) < 5) near++;
      const kl = divergence(asDistribution(a), asDistribution(b));
      sumKl += kl;
      maxKl = Math.max(maxKl, kl);
    }
    for (let i = 0; i < wanted.length; i++) {
      signal += (wanted[i] as number) ** 2;
      noise += ((wanted[i] as number) - (got[i] as number)) ** 2;
    }
  });
  return {
    rows,
    agreement: same / rows,
    top5: near / rows,
    meanKl: sumKl / rows,
    maxKl,
    snr: decibels(signal, noise),
  };
}

/** A chance beside that of the opposite, which wins a tie. */
function twoWays(chance: number): Float64Array {
  const kept = Math.min(1, Math.max(0, chance));
  return Float64Array.of(1 - kept, kept);
}

/** Entries of a row of answers: the last extent that is not 1, so that [1, 1000, 1, 1] has 1000. */
export function classesOf(shape: readonly number[]): number {
  return shape.findLast((extent) => extent > 1) ?? 1;
}

/** 10 · log10(signal / noise), both sums of squares. */
export function decibels(signal: number, noise: number): number {
  if (noise === 0) return Number.POSITIVE_INFINITY;
  return 10 * Math.log10(signal / noise);
}

/** Position of the highest entry; of equals the first. */
export function highest(row: Float64Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  return best;
}

function rankOf(row: Float64Array, index: number): number {
  const value = row[index] as number;
  let rank = 0;
  row.forEach((other, i) => {
    if (other > value || (other === value && i < index)) rank++;
  });
  return rank;
}

const LEAST_PROBABILITY = 1e-9;

function divergence(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const [a, b] = [p[i] as number, Math.max(q[i] as number, LEAST_PROBABILITY)];
    if (a > LEAST_PROBABILITY) sum += a * Math.log(a / b);
  }
  return Math.max(0, sum);
}

/** The row itself where it is a distribution; else its softmax. */
export function asDistribution(row: Float64Array): Float64Array {
  const sum = row.reduce((total, value) => total + value, 0);
  if (row.every((value) => value >= 0 && value <= 1.001) && Math.abs(sum - 1) < 0.02) return row;
  const top = row.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY);
  const powers = row.map((value) => Math.exp(value - top));
  const total = powers.reduce((all, value) => all + value, 0);
  return powers.map((value) => value / total);
}
