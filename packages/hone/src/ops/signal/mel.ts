/** MelWeightMatrix: triangular filters from the bins of a spectrum to mel bands. */
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { constantInput, int, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { given, outputOf } from '../math/loops.ts';
import { f32, i64 } from '../math/samples.ts';
import { outputDType } from './windows.ts';

const NAMES = [
  'num_mel_bins',
  'dft_length',
  'sample_rate',
  'lower_edge_hertz',
  'upper_edge_hertz',
] as const;

const toMel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
const toHertz = (mel: number): number => 700 * (10 ** (mel / 2595) - 1);

function shapeOf(ctx: InferContext): readonly number[] {
  const [bands = 0, length = 0] = NAMES.map(
    (name, k) => toNumbers(constantInput(ctx, k, name))[0] ?? 0,
  );
  const bins = Math.floor(length / 2) + 1;
  if (!(bands > 0 && length > 0 && bands * bins <= 2 ** 28)) {
    shapeError(ctx, `${bands} bands of a transform of ${length}`);
  }
  return [bins, bands];
}

/** Bins at which the bands' triangles begin, peak and end. */
function cornersOf(inputs: readonly (Tensor | null)[]): readonly number[] {
  const [bands = 0, length = 0, rate = 1, lower = 0, upper = 0] = NAMES.map(
    (_, k) => toNumbers(given(inputs, k))[0] ?? 0,
  );
  const low = toMel(lower);
  const step = (toMel(upper) - low) / (bands + 2);
  return Array.from({ length: bands + 2 }, (_, i) =>
    Math.floor(((length + 1) * toHertz(low + i * step)) / rate),
  );
}

export const melWeightMatrix = defineOp({
  kind: 'host',
  name: 'MelWeightMatrix',
  doc: 'Triangular filters from the bins of a spectrum to mel bands.',
  since: 17,
  reason: 'all its inputs have to be constants',
  attrs: { output_datatype: int(1) },
  infer: (ctx) => [{ dtype: outputDType(ctx), shape: shapeOf(ctx) }],
  reference: (inputs, _attrs, ctx) => {
    const { dtype, shape } = outputOf(ctx);
    const [bins = 0, bands = 0] = shape;
    const corners = cornersOf(inputs);
    const values = new Float64Array(bins * bands);
    const put = (bin: number, band: number, weight: number): void => {
      if (bin >= 0 && bin < bins) values[bin * bands + band] = weight;
    };
    for (let band = 0; band < bands; band++) {
      const [from = 0, peak = 0, to = 0] = corners.slice(band, band + 3);
      if (peak === from) put(peak, band, 1);
      else
        for (let j = Math.max(0, from); j <= Math.min(peak, bins - 1); j++)
          put(j, band, (j - from) / (peak - from));
      for (let j = Math.max(0, peak); j < Math.min(to, bins); j++)
        put(j, band, (to - j) / (to - peak));
    }
    return [fromNumbers(dtype, shape, values)];
  },
  cases: () => [
    { inputs: [i64([], [8]), i64([], [16]), i64([], [8192]), f32([], [0]), f32([], [4096])] },
  ],
});
