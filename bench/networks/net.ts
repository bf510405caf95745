/**
 * A small language for benchmark networks on top of the operator builder: seeded weights, scaled so
 * that activations keep a variance near 1 (no denormals, no overflow), nodes as PyTorch's exporter
 * writes them.
 */
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import { opBuilder } from 'hone/ops/registry';

export interface ConvOptions {
  readonly stride?: number;
  /** Default: (kernel - 1) / 2. */
  readonly pad?: number;
  readonly groups?: number;
  readonly dilation?: number;
  readonly bias?: boolean;
  /** Scales the weights' standard deviation; below 1 at the end of residual branches. */
  readonly gain?: number;
}

export class Net {
  readonly b: OpBuilder;
  readonly #random;
  #count = 0;

  constructor(name: string, seed = 1) {
    this.b = opBuilder(name);
    this.#random = seededRandom(seed);
  }

  input(name: string, shape: readonly number[], dtype: Tensor['dtype'] = 'f32'): ValueId {
    return this.b.graph.input(name, { dtype, shape });
  }

  shape(x: ValueId): readonly number[] {
    return this.b.typeOf(x).shape;
  }

  channels(x: ValueId): number {
    return this.shape(x)[1] ?? 1;
  }

  /** Uniform weights of a standard deviation; uniform is as good as normal here, and quick. */
  weights(shape: readonly number[], deviation: number, mean = 0): ValueId {
    const data = new Float32Array(elementCount(shape));
    const width = deviation * Math.sqrt(12);
    for (let i = 0; i < data.length; i++) data[i] = mean + (this.#random.next() - 0.5) * width;
    return this.b.constant({ dtype: 'f32', shape, data }, `weight_${this.#count++}`);
  }

  op(op: string, inputs: readonly (ValueId | null)[], attrs: Attrs = {}): ValueId {
    return this.b.op(op, inputs, attrs, { name: `/${op}_${this.#count++}` });
  }

  conv(x: ValueId, oc: number, kernel: number, options: ConvOptions = {}): ValueId {
    const { stride = 1, groups = 1, dilation = 1, bias = true, gain = 1 } = options;
    const pad = options.pad ?? (dilation * (kernel - 1)) / 2;
    const ic = this.channels(x) / groups;
    const deviation = gain * Math.sqrt(2 / (ic * kernel * kernel));
    const w = this.weights([oc, ic, kernel, kernel], deviation);
    const inputs = bias ? [x, w, this.weights([oc], 0.1)] : [x, w];
    return this.op('Conv', inputs, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      group: groups,
      dilations: [dilation, dilation],
    });
  }

  /** Transposed convolution 2 × 2 of stride 2: twice the height and width. */
  upConv(x: ValueId, oc: number): ValueId {
    const ic = this.channels(x);
    const w = this.weights([ic, oc, 2, 2], Math.sqrt(1 / ic));
    return this.op('ConvTranspose', [x, w, this.weights([oc], 0.1)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    });
  }

  /** Twice the height and width, nearest neighbours. */
  upsample(x: ValueId): ValueId {
    const scales = { dtype: 'f32', shape: [4], data: new Float32Array([1, 1, 2, 2]) } as const;
    return this.op('Resize', [x, null, this.b.constant(scales)], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  }

  relu(x: ValueId): ValueId {
    return this.op('Relu', [x]);
  }

  relu6(x: ValueId): ValueId {
    return this.op('Clip', [x, this.b.scalar(0), this.b.scalar(6)]);
  }

  silu(x: ValueId): ValueId {
    return this.op('Mul', [x, this.op('Sigmoid', [x])]);
  }

  add(a: ValueId, b: ValueId): ValueId {
    return this.op('Add', [a, b]);
  }

  concat(parts: readonly ValueId[], axis = 1): ValueId {
    return this.op('Concat', parts, { axis });
  }

  maxPool(x: ValueId, kernel: number, stride: number, pad = 0): ValueId {
    return this.op('MaxPool', [x], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
  }

  averagePool(x: ValueId, kernel: number, stride: number): ValueId {
    return this.op('AveragePool', [x], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
    });
  }

  /** Inference batch normalisation with its own constants. */
  batchNorm(x: ValueId): ValueId {
    const c = this.channels(x);
    const inputs = [
      this.weights([c], 0.1, 1),
      this.weights([c], 0.1),
      this.weights([c], 0.1),
      this.weights([c], 0.05, 1),
    ];
    return this.op('BatchNormalization', [x, ...inputs]);
  }

  globalPool(x: ValueId): ValueId {
    return this.op('GlobalAveragePool', [x]);
  }

  flatten(x: ValueId): ValueId {
    return this.op('Flatten', [x], { axis: 1 });
  }

  /** A fully connected layer on [n, features], as Gemm. */
  gemm(x: ValueId, units: number): ValueId {
    const features = this.shape(x)[1] ?? 1;
    const w = this.weights([units, features], Math.sqrt(1 / features));
    return this.op('Gemm', [x, w, this.weights([units], 0.1)], { transB: 1 });
  }

  /** A fully connected layer on [.., features], as MatMul and Add. */
  linear(x: ValueId, units: number, gain = 1): ValueId {
    const features = this.shape(x).at(-1) ?? 1;
    const w = this.weights([features, units], gain * Math.sqrt(1 / features));
    return this.add(this.weights([units], 0.1), this.op('MatMul', [x, w]));
  }

  layerNorm(x: ValueId): ValueId {
    const width = this.shape(x).at(-1) ?? 1;
    const inputs = [x, this.weights([width], 0.1, 1), this.weights([width], 0.1)];
    return this.op('LayerNormalization', inputs, { axis: -1, epsilon: 1e-12 });
  }

  /** GELU as exported: x · (1 + erf(x / √2)) / 2. */
  gelu(x: ValueId): ValueId {
    const erf = this.op('Erf', [this.op('Div', [x, this.b.scalar(Math.SQRT2)])]);
    const scaled = this.op('Mul', [x, this.add(erf, this.b.scalar(1))]);
    return this.op('Mul', [scaled, this.b.scalar(0.5)]);
  }

  reshape(x: ValueId, shape: readonly number[]): ValueId {
    return this.op('Reshape', [x, this.b.ints(shape)]);
  }

  transpose(x: ValueId, perm: readonly number[]): ValueId {
    return this.op('Transpose', [x], { perm });
  }

  /** Multi-head self-attention on [n, s, width] from its parts. */
  attention(x: ValueId, heads: number, mask: ValueId | null = null): ValueId {
    const [n = 1, s = 1, width = 1] = this.shape(x);
    const size = width / heads;
    const split = (y: ValueId): ValueId => this.reshape(y, [n, s, heads, size]);
    const q = this.transpose(split(this.linear(x, width)), [0, 2, 1, 3]);
    const k = this.transpose(split(this.linear(x, width)), [0, 2, 3, 1]);
    const v = this.transpose(split(this.linear(x, width)), [0, 2, 1, 3]);
    const product = this.op('MatMul', [q, k]);
    const scores = this.op('Div', [product, this.b.scalar(Math.sqrt(size))]);
    const masked = mask === null ? scores : this.add(scores, mask);
    const mixed = this.op('MatMul', [this.op('Softmax', [masked], { axis: -1 }), v]);
    const joined = this.reshape(this.transpose(mixed, [0, 2, 1, 3]), [n, s, width]);
    return this.linear(joined, width, 0.5);
  }

  finish(outputs: readonly ValueId[]): Graph {
    return this.b.graph.finish(outputs);
  }
}
