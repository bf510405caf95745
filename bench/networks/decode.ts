/**
 * One step of generating text, cut down to what bounds it: two products of one row by 4096 × 4096
 * weights, in f32 and quantised alone to 4 or 8 bits in blocks of 32.
 */
import { seededRandom } from 'hone-runtime/base/random';
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

const WIDTH = 4096;
const BLOCK = 32;

function decode(name: string, product: (net: Net, x: ValueId) => ValueId): Graph {
  const net = new Net(name);
  const x = net.input('x', [1, WIDTH]);
  return net.finish([product(net, net.relu(product(net, x)))]);
}

function packed(bits: 4 | 8): (net: Net, x: ValueId) => ValueId {
  const random = seededRandom(bits);
  return (net, x) => {
    const blocks = WIDTH / BLOCK;
    const bytes = (BLOCK * bits) / 8;
    const data = Uint8Array.from({ length: WIDTH * blocks * bytes }, () => random.integer(256));
    const weights = net.b.constant({ dtype: 'u8', shape: [WIDTH, blocks, bytes], data });
    // The elements are even in their range: their deviation is its width over the root of 12.
    const scale = Math.sqrt((2 * 12) / WIDTH) / 2 ** bits;
    const scales = net.weights([WIDTH, blocks], scale / 10, scale);
    const attrs = { K: WIDTH, N: WIDTH, bits, block_size: BLOCK };
    const options = { domain: 'com.microsoft' };
    return net.b.op('MatMulNBits', [x, weights, scales], attrs, options);
  };
}

export const DECODE: Readonly<Record<string, () => Graph>> = {
  'decode-4096': () =>
    decode('decode-4096', (net, x) =>
      net.op('MatMul', [x, net.weights([WIDTH, WIDTH], Math.sqrt(2 / WIDTH))]),
    ),
  'decode-4096-int4': () => decode('decode-4096-int4', packed(4)),
  'decode-4096-int8': () => decode('decode-4096-int8', packed(8)),
};
