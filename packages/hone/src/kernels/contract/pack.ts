/**
 * Packs constant weights into the order a kernel reads them, once, at compile time.
 * Positions past the real channels are zero.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType, TypedArray } from 'hone-runtime/base/dtype';
import { allocateData, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ConvSpec } from '../../stages/types.ts';

function floats(tensor: Tensor): ArrayLike<number> {
  return tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
}

/**
 * [oc][ic/group][kh][kw] → [oc/(L·q)][ic/L][kh][kw][L/g][q][L][g], g the elements of a step; the last
 * input block holds only the real channels, rounded up to whole steps. Planar: steps run along kw,
 * [ic][kh][kw/g][q][L][g]. Groups smaller than a block become block diagonals.
 */
export function packConv(
  weights: Tensor,
  spec: ConvSpec,
  lanes: number,
  q: number,
  planar: boolean,
  group: number,
): TypedArray {
  const source = weights.data;
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const taps = kh * kw;
  const icGroup = spec.ic / spec.group;
  const ocGroup = spec.oc / spec.group;
  const diagonal = spec.group > 1 && (icGroup % lanes !== 0 || ocGroup % lanes !== 0);
  const length = diagonal ? lanes : icGroup;
  const steps = convSteps(spec, length, lanes, planar, group);
  const width = q * lanes * group;
  const out = allocateData(weights.dtype, Math.ceil(spec.oc / (lanes * q)) * steps * width);
  /** Position of channel c and a tap among the steps, and within its step. */
  const place = (c: number, tap: number): readonly [number, number] => {
    if (planar) {
      const row = c * kh + Math.floor(tap / kw);
      const column = tap % kw;
      return [row * Math.ceil(kw / group) + Math.floor(column / group), column % group];
    }
    const block = Math.floor(c / lanes);
    const inside = c - block * lanes;
    const perTap = Math.ceil(Math.min(lanes, length - block * lanes) / group);
    const step = (block * taps * lanes) / group + tap * perTap + Math.floor(inside / group);
    return [step, inside % group];
  };
  for (let oc = 0; oc < spec.oc; oc++) {
    const og = Math.floor(oc / (lanes * q));
    const vectorLane = (Math.floor(oc / lanes) % q) * lanes + (oc % lanes);
    const base = og * steps * width + vectorLane * group;
    for (let ic = 0; ic < icGroup; ic++) {
      const c = diagonal ? (Math.floor(oc / ocGroup) * icGroup + ic) % lanes : ic;
      const from = (oc * icGroup + ic) * taps;
      for (let tap = 0; tap < taps; tap++) {
        const [step, inside] = place(c, tap);
        out[base + step * width + inside] = source[from + tap] as number;
      }
    }
  }
  return out;
}

/** Steps of the reduction for one group of output vectors. */
export function convSteps(
  spec: ConvSpec,
  channels: number,
  lanes: number,
  planar: boolean,
  group: number,
): number {
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  if (planar) return channels * kh * Math.ceil(kw / group);
  const whole = Math.floor(channels / lanes) * (lanes / group);
  return kh * kw * (whole + Math.ceil((channels % lanes) / group));
}

/** Depthwise [c][1][kh][kw] → [c/L][kh][kw/g][L][g], in the type of the step's weights. */
export function packDepthwise(
  weights: Tensor,
  spec: ConvSpec,
  lanes: number,
  dtype: DType,
  group: number,
): TypedArray {
  const source = floats(weights);
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const columns = Math.ceil(kw / group);
  const width = lanes * group;
  const out = allocateData(dtype, Math.ceil(spec.oc / lanes) * kh * columns * width);
  for (let c = 0; c < spec.oc; c++) {
    const base = Math.floor(c / lanes) * kh * columns * width + (c % lanes) * group;
    for (let tap = 0; tap < kh * kw; tap++) {
      const [row, column] = [Math.floor(tap / kw), tap % kw];
      const step = row * columns + Math.floor(column / group);
      out[base + step * width + (column % group)] = source[c * kh * kw + tap] as number;
    }
  }
  return out;
}

/**
 * A k × n matrix with element (r, c) at r·rowStride + c·columnStride →
 * [n/(q·L)][k/g][q][L][g]; the last group is narrower when n is not a multiple. g divides k.
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
  group: number,
): TypedArray {
  const source = weights.data;
  const { k, n, rowStride, columnStride } = shape;
  const width = q * lanes;
  const whole = Math.floor(n / width);
  const rest = n - whole * width;
  const restWidth = Math.ceil(rest / lanes) * lanes;
  const out = allocateData(weights.dtype, k * (whole * width + restWidth));
  for (let c = 0; c < n; c++) {
    const panel = Math.floor(c / width);
    const panelWidth = panel < whole ? width : restWidth;
    const base = panel * width * k + (c - panel * width) * group;
    let from = shape.base + c * columnStride;
    for (let r = 0; r < k; r += group) {
      const to = base + r * panelWidth;
      for (let i = 0; i < group; i++) {
        out[to + i] = source[from] as number;
        from += rowStride;
      }
    }
  }
  return out;
}
