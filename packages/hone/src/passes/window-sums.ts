/**
 * Sums of the data that each output of an integer product reads: what a constant added to all its
 * weights would add to it, for that constant 1. They are the same for all output channels.
 */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../graph/types.ts';
import type { Rebuild } from './pass.ts';

/** ONNX's codes of f32 and i32. */
const [F32, I32] = [1, 6];

/**
 * Of u8 data [batch, channels, spatial…] under a kernel of one group, i32 [batch, 1, spatial…]; or of
 * rows [rows…, k] where there is no kernel, i32 [rows…, 1]. Exact while a window holds fewer than
 * 2^24 / 255 elements.
 */
export function windowSums(
  r: Rebuild,
  data: ValueId,
  kernel: readonly number[] | null,
  attrs: Attrs,
): ValueId {
  if (kernel === null) {
    const wide = r.b.op('Cast', [data], { to: I32 });
    return r.b.op('ReduceSum', [wide, r.b.ints([-1])], { keepdims: 1 });
  }
  const { shape } = r.b.typeOf(data);
  const points = kernel.map(() => 1);
  const channels = [1, shape[1] ?? 1, ...points];
  const ones = r.b.constant(fromNumbers('i8', channels, new Array(channels[1]).fill(1)));
  if (kernel.every((extent) => extent === 1)) return r.b.op('ConvInteger', [data, ones], attrs);
  // Over the channels first, once for all positions of the kernel.
  const sums = r.b.op('ConvInteger', [data, ones], {});
  const box = [1, 1, ...kernel];
  const count = kernel.reduce((product, extent) => product * extent, 1);
  const weights = r.b.constant(fromNumbers('f32', box, new Array(count).fill(1)));
  const windows = r.b.op('Conv', [r.b.op('Cast', [sums], { to: F32 }), weights], attrs);
  return r.b.op('Cast', [windows], { to: I32 });
}
