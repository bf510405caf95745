/**
 * Turns a strided ConvTranspose with constant weights into a convolution with one group of output
 * channels per phase, and a DepthToSpace that interleaves the phases: then the fast convolution
 * kernels do it, and no output position is looked for by division.
 *
 * With u = o + padBegin, phase u mod s meets taps phase, phase + s, … of inputs ⌊u/s⌋, ⌊u/s⌋ - 1, …
 * Requires one group, no dilation, two spatial axes, f32; the strides may differ, as those of what was one
 * line do. Channels per phase are padded to 16 where there are many, so that they stay whole blocks; a Slice
 * takes what is asked.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { inputOf, type OpBuilder } from '../ops/builder.ts';
import { type ConvTransposeGeometry, convTransposeGeometry } from '../ops/nn/conv-transpose.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';

const CHANNEL_BLOCK = 16;
/** Most phases along an axis. */
const MAX_STRIDE = 8;

type Pair = readonly [number, number];

export const splitConvTranspose: Pass = {
  name: 'split-conv-transpose',
  run: (graph, ctx) => rewriteGraph(graph, ctx, split),
};

function split(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  if (node.op !== 'ConvTranspose' || node.domain !== '') return undefined;
  const [x, w, bias] = node.inputs;
  if (x === null || x === undefined || w === null || w === undefined) return undefined;
  const inputs = node.inputs.map((id) => (id === null ? null : inputOf(valueById(r.old, id))));
  const weights = inputs[1]?.constant;
  const biases = inputs[2]?.constant;
  if (weights === null || weights === undefined) return undefined;
  if (bias !== null && bias !== undefined && (biases === null || biases === undefined)) {
    return undefined;
  }
  const { name, op, attrs } = node;
  const g = convTransposeGeometry({ node: name, op, attrs, inputs, outputCount: 1 });
  const isF32 = inputs[0]?.type.dtype === 'f32' && inputs[1]?.type.dtype === 'f32';
  const fits = isF32 && g.group === 1 && g.stride.length === 2 && Math.max(...g.stride) > 1;
  if (!fits || g.stride.some((s) => s > MAX_STRIDE) || g.dilation.some((d) => d !== 1)) {
    return undefined;
  }
  const stride: Pair = [at(g.stride, 0), at(g.stride, 1)];
  const width = g.oc > 8 ? Math.ceil(g.oc / CHANNEL_BLOCK) * CHANNEL_BLOCK : g.oc;
  const taps = g.kernel.map((k, i) => Math.ceil(k / at(stride, i)));
  // Positions per phase that are needed, and zeros in front of and behind the input for them.
  const counts = g.output.map(
    (extent, i) => Math.floor((extent - 1 + at(g.padBegin, i)) / at(stride, i)) + 1,
  );
  const ends = counts.map((count, i) => Math.max(0, count - at(g.input, i)));
  const { b } = r;
  const phased = b.constant(phaseWeights(weights(), g, stride, width, taps), `${name}/phases`);
  const parts =
    biases === undefined || biases === null
      ? []
      : [b.constant(phaseBias(biases(), g, stride, width), `${name}/phase-bias`)];
  const y = b.op('Conv', [r.map(x), phased, ...parts], {
    kernel_shape: taps,
    strides: [1, 1],
    dilations: [1, 1],
    group: 1,
    pads: [...taps.map((t) => t - 1), ...ends],
  });
  const spread = interleave(b, y, stride);
  const starts = [0, ...g.padBegin];
  const stops = [g.oc, ...g.output.map((extent, i) => extent + at(g.padBegin, i))];
  const { shape } = b.typeOf(spread);
  const whole = starts.every((n) => n === 0) && stops.every((n, i) => n === shape[i + 1]);
  if (whole) return [spread];
  return [b.op('Slice', [spread, b.ints(starts), b.ints(stops), b.ints([1, 2, 3])])];
}

/** Phases of channels, [N][(phase row, phase column, channel)][H][W], become pixels between pixels. */
function interleave(b: OpBuilder, y: ValueId, [rows, columns]: Pair): ValueId {
  if (rows === columns) return b.op('DepthToSpace', [y], { blocksize: rows, mode: 'DCR' });
  const [n, all, height, width] = b.typeOf(y).shape as [number, number, number, number];
  const channels = all / (rows * columns);
  const apart = b.reshape(y, [n, rows, columns, channels, height, width]);
  const between = b.op('Transpose', [apart], { perm: [0, 3, 4, 1, 5, 2] });
  return b.reshape(between, [n, channels, height * rows, width * columns]);
}

/** [ic][oc][kh][kw] → [(phase row, phase column, oc)][ic][taps][taps], taps mirrored. */
function phaseWeights(
  weights: Tensor,
  g: ConvTransposeGeometry,
  [sh, sw]: Pair,
  width: number,
  taps: readonly number[],
): Tensor {
  const source = toNumbers(weights);
  const [kh, kw] = [at(g.kernel, 0), at(g.kernel, 1)];
  const [th, tw] = [at(taps, 0), at(taps, 1)];
  const data = new Float32Array(sh * sw * width * g.ic * th * tw);
  for (let ic = 0; ic < g.ic; ic++) {
    for (let oc = 0; oc < g.oc; oc++) {
      for (let row = 0; row < kh; row++) {
        for (let column = 0; column < kw; column++) {
          const phase = (row % sh) * sw + (column % sw);
          const i = th - 1 - Math.floor(row / sh);
          const j = tw - 1 - Math.floor(column / sw);
          const to = (((phase * width + oc) * g.ic + ic) * th + i) * tw + j;
          data[to] = source[((ic * g.oc + oc) * kh + row) * kw + column] as number;
        }
      }
    }
  }
  return { dtype: 'f32', shape: [sh * sw * width, g.ic, th, tw], data };
}

function phaseBias(bias: Tensor, g: ConvTransposeGeometry, [sh, sw]: Pair, width: number): Tensor {
  const source = toNumbers(bias);
  const data = new Float32Array(sh * sw * width);
  for (let i = 0; i < data.length; i++) {
    const oc = i % width;
    data[i] = oc < g.oc ? (source[oc] as number) : 0;
  }
  return { dtype: 'f32', shape: [sh * sw * width], data };
}
