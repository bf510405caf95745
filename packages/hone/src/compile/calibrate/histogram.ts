/**
 * How the elements of a value are spread over all samples seen so far. Bins are 2^exponent wide and
 * meet at zero; joining a histogram with wider bins is exact.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { FACTS, HALF } from './observe.ts';

/** Counts per bin: bin b covers [(b - zero) · width, (b - zero + 1) · width). */
export interface Bins {
  readonly width: number;
  /** The first bin of values that are not negative. */
  readonly zero: number;
  readonly counts: Float64Array;
}

const MAX_BINS = 2048;

export class Histogram {
  #exponent = Number.NEGATIVE_INFINITY;
  #counts = new Float64Array(2 * HALF);
  least = Number.POSITIVE_INFINITY;
  largest = Number.NEGATIVE_INFINITY;
  /** Elements seen, without those that are not finite. */
  elements = 0;
  notFinite = 0;

  /** Adds what `Observe` found in one sample, or `ObserveMore` in a body. */
  add(facts: ArrayLike<number>, counts: ArrayLike<number>): void {
    for (let slice = 0; slice < facts.length / FACTS; slice++) {
      const fact = (k: number): number => facts[slice * FACTS + k] as number;
      this.notFinite += fact(3);
      if (fact(0) > fact(1)) continue;
      this.least = Math.min(this.least, fact(0));
      this.largest = Math.max(this.largest, fact(1));
      this.#addCounts(fact(2), counts, slice * 2 * HALF);
    }
  }

  /** At most 2048 bins that cover all that was seen, and zero. */
  bins(): Bins {
    const low = HALF - Math.ceil(-Math.min(0, this.least) / this.#width);
    const high = HALF + Math.max(1, Math.floor(Math.max(0, this.largest) / this.#width) + 1);
    let factor = 1;
    const below = (): number => Math.ceil((HALF - low) / factor);
    const above = (): number => Math.ceil((high - HALF) / factor);
    while (below() + above() > MAX_BINS) factor *= 2;
    const counts = new Float64Array(below() + above());
    for (let bin = Math.max(0, low); bin < Math.min(2 * HALF, high); bin++) {
      const to = Math.floor((bin - HALF) / factor) + below();
      counts[to] = (counts[to] as number) + (this.#counts[bin] as number);
    }
    return { width: this.#width * factor, zero: below(), counts };
  }

  get #width(): number {
    return 2 ** this.#exponent;
  }

  #addCounts(exponent: number, counts: ArrayLike<number>, from: number): void {
    if (exponent > this.#exponent) {
      this.#counts = coarser(this.#counts, exponent - this.#exponent);
      this.#exponent = exponent;
    }
    const shift = this.#exponent - exponent;
    for (let bin = 0; bin < 2 * HALF; bin++) {
      const count = counts[from + bin] as number;
      if (count === 0) continue;
      const to = shifted(bin, shift);
      this.#counts[to] = (this.#counts[to] as number) + count;
      this.elements += count;
    }
  }
}

/** Where a bin goes when bins become 2^shift as wide. */
function shifted(bin: number, shift: number): number {
  return Math.floor((bin - HALF) / 2 ** shift) + HALF;
}

function coarser(counts: Float64Array, shift: number): Float64Array<ArrayBuffer> {
  const out = new Float64Array(counts.length);
  counts.forEach((count, bin) => {
    if (count === 0) return;
    const to = shifted(bin, shift);
    out[to] = at([out[to] as number], 0) + count;
  });
  return out;
}
