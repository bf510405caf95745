/** Transformers from their parts: BERT-base at sequence 128, ViT-small/16 at 224. */
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

/** Devlin et al. 2018: 12 layers of width 768, 12 heads; token ids and an attention mask in. */
export function bertBase128(): Graph {
  const net = new Net('bert-base-128');
  const [s, width, layers, heads] = [128, 768, 12, 12];
  const ids = net.input('input_ids', [1, s], 'i64');
  const mask = net.input('attention_mask', [1, s], 'i64');
  const table = net.weights([30522, width], 1);
  const words = net.op('Gather', [table, ids], { axis: 0 });
  const positions = net.weights([1, s, width], 0.3);
  let x = net.layerNorm(net.add(words, positions));
  const wide = net.reshape(mask, [1, 1, 1, s]);
  const inverse = net.op('Sub', [net.b.scalar(1), net.op('Cast', [wide], { to: 1 })]);
  const bias = net.op('Mul', [inverse, net.b.scalar(-10000)]);
  for (let layer = 0; layer < layers; layer++) {
    x = net.layerNorm(net.add(net.attention(x, heads, bias), x));
    const inner = net.gelu(net.linear(x, width * 4));
    x = net.layerNorm(net.add(net.linear(inner, width), x));
  }
  const first = net.op('Gather', [x, net.b.scalar(0, 'i64')], { axis: 1 });
  const pooled = net.op('Tanh', [net.gemm(first, width)]);
  return net.finish([x, pooled]);
}

/** Dosovitskiy et al. 2020, width 384, 12 layers, 6 heads, patches of 16. */
export function vitSmall(): Graph {
  const net = new Net('vit-small');
  const [width, layers, heads] = [384, 12, 6];
  const image = net.input('input', [1, 3, 224, 224]);
  const patches = net.conv(image, width, 16, { stride: 16, pad: 0 });
  let x: ValueId = net.transpose(net.reshape(patches, [1, width, 196]), [0, 2, 1]);
  x = net.concat([net.weights([1, 1, width], 0.5), x], 1);
  x = net.add(x, net.weights([1, 197, width], 0.2));
  for (let layer = 0; layer < layers; layer++) {
    x = net.add(x, net.attention(net.layerNorm(x), heads));
    const inner = net.gelu(net.linear(net.layerNorm(x), width * 4));
    x = net.add(x, net.linear(inner, width, 0.5));
  }
  const first = net.op('Gather', [net.layerNorm(x), net.b.scalar(0, 'i64')], { axis: 1 });
  return net.finish([net.gemm(first, 1000)]);
}
