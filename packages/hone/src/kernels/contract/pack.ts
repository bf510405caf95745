/**
 * Packs constant weights into the order a kernel reads them, once, at compile time.
 * Positions past the real channels are zero.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ConvSpec } from '../../stages/types.ts';

function floats(tensor: Tensor): ArrayLike<number> {
  return tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
}

/**
 * [oc][ic/group][kh][kw] → [oc/(L·q)][ic/L][kh][kw][L][q][L] (planar: [ic][kh][kw][q][L]); the last
 * input block holds only the real channels. Groups smaller than a block become block diagonals.
 */
export function packConv(
  weights: Tensor,
  spec: ConvSpec,
  lanes: number,
  q: number,
  planar: boolean,
): Float32Array {
  const source = floats(weights);
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const taps = kh * kw;
  const icGroup = spec.ic / spec.group;
  const ocGroup = spec.oc / spec.group;
  const diagonal = spec.group > 1 && (icGroup % lanes !== 0 || ocGroup % lanes !== 0);
  const length = diagonal ? lanes : icGroup;
  const groups = Math.ceil(spec.oc / (lanes * q));
  const out = new Float32Array(groups * length * taps * q * lanes);
  const block = planar ? 1 : lanes;
  for (let oc = 0; oc < spec.oc; oc++) {
    const og = Math.floor(oc / (lanes * q));
    const j = Math.floor(oc / lanes) % q;
    const lane = oc % lanes;
    const base = og * length * taps * q * lanes + j * lanes + lane;
    for (let ic = 0; ic < icGroup; ic++) {
      const c = diagonal ? (Math.floor(oc / ocGroup) * icGroup + ic) % lanes : ic;
      const blockStart = Math.floor(c / block) * block;
      const width = Math.min(block, length - blockStart);
      const from = (oc * icGroup + ic) * taps;
      for (let tap = 0; tap < taps; tap++) {
        const step = blockStart * taps + tap * width + (c - blockStart);
        out[base + step * q * lanes] = source[from + tap] as number;
      }
    }
  }
  return out;
}

/** Depthwise [c][1][kh][kw] → [c/L][kh][kw][L]. */
export function packDepthwise(weights: Tensor, spec: ConvSpec, lanes: number): Float32Array {
  const source = floats(weights);
  const taps = at(spec.kernel, 0) * at(spec.kernel, 1);
  const out = new Float32Array(Math.ceil(spec.oc / lanes) * taps * lanes);
  for (let c = 0; c < spec.oc; c++) {
    const base = Math.floor(c / lanes) * taps * lanes + (c % lanes);
    for (let tap = 0; tap < taps; tap++) {
      out[base + tap * lanes] = source[c * taps + tap] as number;
    }
  }
  return out;
}

/**
 * A k × n matrix with element (r, c) at r·rowStride + c·columnStride →
 * [n/(q·L)][k][q][L]; the last group is narrower when n is not a multiple.
 */
export function packMatrix(
  weights: Tensor,
  shape: {
    readonly k: number;
    readonly n: number;
    readonly rowStride: number;
    readonly columnStride: number;
    readonly base: number;
  },
  lanes: number,
  q: number,
): Float32Array {
  const source = floats(weights);
  const { k, n, rowStride, columnStride } = shape;
  const width = q * lanes;
  const whole = Math.floor(n / width);
  const rest = n - whole * width;
  const restWidth = Math.ceil(rest / lanes) * lanes;
  const out = new Float32Array(k * (whole * width + restWidth));
  for (let c = 0; c < n; c++) {
    const group = Math.floor(c / width);
    const groupWidth = group < whole ? width : restWidth;
    let to = group * width * k + (c - group * width);
    let from = shape.base + c * columnStride;
    for (let r = 0; r < k; r++) {
      out[to] = source[from] as number;
      to += groupWidth;
      from += rowStride;
    }
  }
  return out;
}
