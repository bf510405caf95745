/** Transformers from their parts: BERT of any size (base at sequence 128), ViT at 224 (small/16). */
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

export interface BertSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width of the feed-forward layer. */
  readonly inner: number;
  readonly sequence: number;
  /** Two scores a token, as answers to questions are found, in place of the hidden states. */
  readonly spans?: boolean;
}

/** Devlin et al. 2018, base: 12 layers of width 768, 12 heads. */
export function bertBase128(): Graph {
  return bert('bert-base-128', { layers: 12, width: 768, heads: 12, inner: 3072, sequence: 128 });
}

/** Token ids and an attention mask in; hidden states and pooled output, or spans, out. */
export function bert(name: string, sizes: BertSizes): Graph {
  const net = new Net(name);
  const { layers, width, heads, inner: innerWidth, sequence: s } = sizes;
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
    const inner = net.gelu(net.linear(x, innerWidth));
    x = net.layerNorm(net.add(net.linear(inner, width), x));
  }
  if (sizes.spans === true) return net.finish([net.linear(x, 2)]);
  const first = net.op('Gather', [x, net.b.scalar(0, 'i64')], { axis: 1 });
  const pooled = net.op('Tanh', [net.gemm(first, width)]);
  return net.finish([x, pooled]);
}

export interface VitSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Side of a patch. */
  readonly patch: number;
}

/** Dosovitskiy et al. 2020, width 384, 12 layers, 6 heads, patches of 16. */
export function vitSmall(): Graph {
  return vit('vit-small', { layers: 12, width: 384, heads: 6, patch: 16 });
}

/** At 224 × 224, 1000 classes. */
export function vit(name: string, { layers, width, heads, patch }: VitSizes): Graph {
  const net = new Net(name);
  const image = net.input('input', [1, 3, 224, 224]);
  const patches = net.conv(image, width, patch, { stride: patch, pad: 0 });
  const tokens = (224 / patch) ** 2;
  let x: ValueId = net.transpose(net.reshape(patches, [1, width, tokens]), [0, 2, 1]);
  x = net.concat([net.weights([1, 1, width], 0.5), x], 1);
  x = net.add(x, net.weights([1, tokens + 1, width], 0.2));
  for (let layer = 0; layer < layers; layer++) {
    x = net.add(x, net.attention(net.layerNorm(x), heads));
    const inner = net.gelu(net.linear(net.layerNorm(x), width * 4));
    x = net.add(x, net.linear(inner, width, 0.5));
  }
  const first = net.op('Gather', [net.layerNorm(x), net.b.scalar(0, 'i64')], { axis: 1 });
  return net.finish([net.gemm(first, 1000)]);
}
