/** Symmetric quantisation of weights, one scale for each output channel. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

export interface QuantizedWeights {
  /** i8, the shape of the weights. */
  readonly weights: Tensor;
  /** f32 [channels]. */
  readonly scales: Tensor;
}

/**
 * weights ≈ quantised · scale of its index along `axis`; the largest magnitude of a channel becomes
 * `limit` (127, or 63 where pairs of products must fit 16 bits). A channel of zeros has scale 1.
 */
export function quantizeWeights(source: Tensor, axis: number, limit: number): QuantizedWeights {
  const values = toNumbers(source);
  const channels = at(source.shape, axis);
  const stride = at(stridesOf(source.shape), axis);
  const channelOf = (i: number): number => Math.floor(i / stride) % channels;
  const largest = new Float64Array(channels);
  values.forEach((value, i) => {
    const c = channelOf(i);
    largest[c] = Math.max(largest[c] as number, Math.abs(value));
  });
  const scales = Float32Array.from(largest, (value) => (value > 0 ? value / limit : 1));
  const data = new Int8Array(elementCount(source.shape));
  values.forEach((value, i) => {
    const whole = Math.round(value / (scales[channelOf(i)] as number));
    data[i] = Math.min(Math.max(whole, -limit), limit);
  });
  return {
    weights: { dtype: 'i8', shape: source.shape, data },
    scales: { dtype: 'f32', shape: [channels], data: scales },
  };
}
