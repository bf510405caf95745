/** 3×3 weights for minimal filtering: transformed, in double precision; or as they are, in order. */
import type { Tensor } from 'hone-runtime/base/tensor';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { ConvSpec } from '../../stages/types.ts';
import type { WinogradMatrices } from './winograd-matrices.ts';

/** [oc][ic][3][3] → [oc/(L·q)][point][ic][q][L]; output channels past the last are zero. */
export function packWinograd(
  weights: Tensor,
  spec: ConvSpec,
  w: WinogradMatrices,
  lanes: number,
  q: number,
): Float32Array {
  const source = weights.data instanceof Float32Array ? weights.data : toNumbers(weights);
  const { n } = w;
  const points = n * n;
  const width = q * lanes;
  const groups = Math.ceil(spec.oc / width);
  const out = new Float32Array(groups * points * spec.ic * width);
  const g = Float64Array.from(w.weights.flat());
  const half = new Float64Array(n * 3);
  for (let oc = 0; oc < spec.oc; oc++) {
    const group = Math.floor(oc / width);
    const lane = oc % width;
    for (let ic = 0; ic < spec.ic; ic++) {
      const from = (oc * spec.ic + ic) * 9;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < 3; j++) {
          let sum = 0;
          for (let k = 0; k < 3; k++) {
            sum += (g[i * 3 + k] as number) * (source[from + k * 3 + j] as number);
          }
          half[i * 3 + j] = sum;
        }
      }
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let k = 0; k < 3; k++) sum += (half[i * 3 + k] as number) * (g[j * 3 + k] as number);
          const point = i * n + j;
          out[((group * points + point) * spec.ic + ic) * width + lane] = sum;
        }
      }
    }
  }
  return out;
}

/** [oc][ic][3][3] → [oc/(L·q)][ic][3·3][q][L], for kernels that transform as they go. */
export function packPlain(weights: Tensor, spec: ConvSpec, lanes: number, q: number): Float32Array {
  const source = weights.data instanceof Float32Array ? weights.data : toNumbers(weights);
  const width = q * lanes;
  const out = new Float32Array(Math.ceil(spec.oc / width) * spec.ic * 9 * width);
  for (let oc = 0; oc < spec.oc; oc++) {
    const group = Math.floor(oc / width);
    const lane = oc % width;
    for (let ic = 0; ic < spec.ic; ic++) {
      const from = (oc * spec.ic + ic) * 9;
      const to = (group * spec.ic + ic) * 9 * width + lane;
      for (let i = 0; i < 9; i++) out[to + i * width] = source[from + i] as number;
    }
  }
  return out;
}
