/** How far a layer's values are from others, gathered over samples. */
import { decibels } from '../answers.ts';

export interface LayerErrors {
  /** Signal to noise in dB; null: nothing differs. */
  readonly snr: number | null;
  readonly cosine: number;
  readonly largestError: number;
  /** Largest magnitude of the reference. */
  readonly scale: number;
}

export class ErrorSums {
  #signal = 0;
  #noise = 0;
  #other = 0;
  #product = 0;
  #largest = 0;
  #scale = 0;

  add(wanted: Float64Array, got: Float64Array): void {
    for (let i = 0; i < wanted.length; i++) {
      const [a, b] = [wanted[i] as number, got[i] as number];
      // Infinities that are the same are no noise: masked places hold them.
      if (a === b && !Number.isFinite(a)) continue;
      const error = Math.abs(a - b);
      this.#signal += a * a;
      this.#other += b * b;
      this.#product += a * b;
      this.#noise += error * error;
      if (!(error <= this.#largest)) this.#largest = error;
      if (Math.abs(a) > this.#scale) this.#scale = Math.abs(a);
    }
  }

  /** Sum of squared errors; NaN where anything was NaN. */
  get noise(): number {
    return this.#noise;
  }

  get signal(): number {
    return this.#signal;
  }

  result(): LayerErrors {
    const snr = decibels(this.#signal, this.#noise);
    const norms = Math.sqrt(this.#signal * this.#other);
    return {
      snr: this.#noise === 0 ? null : snr,
      cosine: norms === 0 ? (this.#noise === 0 ? 1 : 0) : this.#product / norms,
      largestError: this.#largest,
      scale: this.#scale,
    };
  }
}
