/** Operators of com.microsoft that ai.onnx has too, from before it had them or with fewer conditions. */
import type { Attrs } from '../../graph/types.ts';
import { constantInts, float, int, text, textAttr } from '../checks.ts';
import type { OpDef } from '../define-op.ts';
import { f32, i64, tensor, uniform } from '../math/samples.ts';
import { causalConvWithState } from '../nn/causal-conv.ts';
import { linearAttention } from '../nn/linear-attention.ts';
import { fusedMatMul } from '../nn/matmul.ts';
import { sample } from '../nn/samples.ts';
import { dequantizeLinear } from '../quant/dequantize.ts';
import { quantizeLinear } from '../quant/quantize.ts';
import { Unique } from '../tensor/data-sized.ts';
import { GatherND } from '../tensor/gather.ts';
import { Range } from '../tensor/generate.ts';
import { GridSample } from '../tensor/grid-sample.ts';
import { Pad } from '../tensor/pad.ts';
import { Unsqueeze } from '../tensor/reshape.ts';
import { Trilu } from '../tensor/trilu.ts';
import { defineAlias } from './alias.ts';

const SAMPLE_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

/** com.microsoft says bilinear and bicubic. */
function sampleAttrs(attrs: Attrs): Attrs {
  const mode = textAttr(attrs, 'mode');
  return { ...attrs, mode: SAMPLE_MODES[mode] ?? mode };
}

export const ALIASES: readonly OpDef[] = [
  defineAlias({
    name: 'Pad',
    doc: 'Pad of ai.onnx from before its amounts were inputs.',
    real: Pad,
    attrs: { mode: text('constant') },
    // Amounts may be one row of a matrix.
    inputs: (ctx) => {
      const amounts = constantInts(ctx, 1, 'pads');
      return [0, i64([amounts.length], amounts), ...(ctx.inputs[2] ? [2] : [])];
    },
    cases: () => [
      { inputs: [uniform([2, 3]), i64([4], [0, 1, 1, 0]), f32([1], [7])] },
      {
        note: 'one row of amounts',
        inputs: [uniform([2, 3]), i64([1, 4], [1, 0, 0, 2])],
        attrs: { mode: 'edge' },
      },
    ],
  }),
  defineAlias({
    name: 'Range',
    doc: 'start, start + delta, … up to, but not including, limit.',
    real: Range,
    attrs: {},
    inputs: (ctx) => {
      const dtype = ctx.inputs[0]?.type.dtype ?? 'i64';
      return [0, 1, ctx.inputs[2] ? 2 : tensor(dtype, [], [1])];
    },
    cases: () => [
      { inputs: [f32([], [1]), f32([], [3]), f32([], [0.5])] },
      { note: 'no delta', inputs: [i64([], [2]), i64([], [5])] },
    ],
  }),
  defineAlias({
    name: 'Trilu',
    doc: 'Trilu of ai.onnx from before opset 14.',
    real: Trilu,
    cases: () => [{ inputs: [uniform([3, 4])] }],
  }),
  defineAlias({
    name: 'Unique',
    doc: 'The distinct elements in order of appearance, where each element is among them, how often.',
    real: Unique,
    attrs: {},
    realAttrs: () => ({ sorted: 0 }),
    outputs: [0, 2, 3],
    cases: () => [{ inputs: [f32([5], [2, 1, 1, 3, 2])], outputs: 3 }],
  }),
  defineAlias({
    name: 'GatherND',
    doc: 'GatherND of ai.onnx from before opset 11.',
    real: GatherND,
    attrs: {},
    cases: () => [{ inputs: [uniform([2, 3]), i64([2, 1], [1, 0])] }],
  }),
  defineAlias({
    name: 'ExpandDims',
    doc: 'A dimension of extent 1 at an axis.',
    real: Unsqueeze,
    attrs: {},
    inputs: (ctx) => [0, i64([1], constantInts(ctx, 1, 'the axis'))],
    cases: () => [{ inputs: [uniform([2, 3]), tensor('i32', [], [1])] }],
  }),
  defineAlias({
    name: 'GridSample',
    doc: 'GridSample of ai.onnx from before opset 16.',
    real: GridSample,
    attrs: { align_corners: int(0), mode: text('bilinear'), padding_mode: text('zeros') },
    realAttrs: sampleAttrs,
    cases: () => [
      {
        inputs: [sample([1, 2, 3, 4]), uniform([1, 2, 2, 2], -1.2, 1.2)],
        attrs: { mode: 'bicubic' },
      },
    ],
  }),
  defineAlias({
    name: 'CausalConvWithState',
    doc: 'CausalConvWithState of ai.onnx from before opset 27.',
    real: causalConvWithState,
    cases: () => [{ inputs: [sample([2, 3, 5], 1), sample([3, 1, 4], 2)], outputs: 2 }],
  }),
  defineAlias({
    name: 'LinearAttention',
    doc: 'LinearAttention of ai.onnx from before opset 27.',
    real: linearAttention,
    cases: () => (linearAttention.cases?.() ?? []).slice(0, 2),
  }),
  defineAlias({
    name: 'TransposeMatMul',
    doc: 'Old name of FusedMatMul.',
    real: fusedMatMul,
    attrs: { alpha: float(1), transA: int(0), transB: int(0) },
    cases: () => [
      { inputs: [sample([4, 3], 1), sample([5, 4], 2)], attrs: { transA: 1, transB: 1 } },
    ],
  }),
  defineAlias({
    name: 'QuantizeLinear',
    doc: 'QuantizeLinear of ai.onnx with types that it once lacked.',
    real: quantizeLinear,
    attrs: { axis: int(1) },
    cases: () => [
      { inputs: [uniform([2, 3]), f32([], [0.5]), tensor('u16', [], [7])] },
      {
        note: 'per column',
        inputs: [uniform([2, 3]), f32([3], [0.5, 1, 2]), tensor('i8', [3], [0, 1, 2])],
      },
    ],
  }),
  defineAlias({
    name: 'DequantizeLinear',
    doc: 'DequantizeLinear of ai.onnx with types that it once lacked.',
    real: dequantizeLinear,
    attrs: { axis: int(1) },
    cases: () => [
      { inputs: [sample([2, 3], 1, 'i16'), f32([], [0.5]), tensor('i16', [], [7])] },
      { note: 'no zero point', inputs: [sample([2, 3], 1, 'i32'), f32([3], [0.5, 1, 2])] },
    ],
  }),
];
