/** U-Net (Ronneberger et al. 2015) with padded convolutions and transposed ones on the way up. */
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

export function unet(name: string, size: number): Graph {
  const net = new Net(name);
  const double = (x: ValueId, c: number): ValueId =>
    net.relu(net.conv(net.relu(net.conv(x, c, 3)), c, 3));
  let x = double(net.input('input', [1, 3, size, size]), 64);
  const skips: ValueId[] = [];
  for (const c of [128, 256, 512, 1024]) {
    skips.push(x);
    x = double(net.maxPool(x, 2, 2), c);
  }
  for (const c of [512, 256, 128, 64]) {
    const skip = skips.pop();
    const up = net.upConv(x, c);
    x = double(skip === undefined ? up : net.concat([skip, up]), c);
  }
  return net.finish([net.conv(x, 2, 1)]);
}
