/** EfficientNet (Tan and Le 2019): inverted residuals with squeeze-and-excitation. */
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

/** [expansion, channels, repeats, stride, kernel] of table 1, before scaling. */
const STAGES = [
  [1, 16, 1, 1, 3],
  [6, 24, 2, 2, 3],
  [6, 40, 2, 2, 5],
  [6, 80, 3, 2, 3],
  [6, 112, 3, 1, 5],
  [6, 192, 4, 2, 5],
  [6, 320, 1, 1, 3],
] as const;

/** Channels scaled and rounded to a multiple of 8, never down by more than a tenth. */
function rounded(channels: number): number {
  const near = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return near < 0.9 * channels ? near + 8 : near;
}

export function efficientnet(name: string, width: number, depth: number, size: number): Graph {
  const net = new Net(name);
  const scale = (channels: number): number => rounded(channels * width);
  let x = net.silu(net.conv(net.input('input', [1, 3, size, size]), scale(32), 3, { stride: 2 }));
  for (const [expansion, channels, repeats, stride, kernel] of STAGES) {
    for (let i = 0; i < Math.ceil(repeats * depth); i++) {
      x = block(net, x, expansion, scale(channels), i === 0 ? stride : 1, kernel);
    }
  }
  x = net.silu(net.conv(x, scale(1280), 1));
  return net.finish([net.gemm(net.flatten(net.globalPool(x)), 1000)]);
}

function block(
  net: Net,
  x: ValueId,
  expansion: number,
  channels: number,
  stride: number,
  kernel: number,
): ValueId {
  const input = net.channels(x);
  const hidden = input * expansion;
  let y = expansion === 1 ? x : net.silu(net.conv(x, hidden, 1));
  y = net.silu(net.conv(y, hidden, kernel, { stride, groups: hidden }));
  const squeezed = net.silu(net.conv(net.globalPool(y), Math.max(1, Math.floor(input / 4)), 1));
  const excited = net.op('Sigmoid', [net.conv(squeezed, hidden, 1)]);
  y = net.conv(net.op('Mul', [y, excited]), channels, 1, { gain: 0.7 });
  return stride === 1 && input === channels ? net.add(x, y) : y;
}
