/** The language of networks (networks/net.ts) with trained weights by name, as @vladmandic/face-api stores them. */
import type { ValueId } from 'hone/graph/types';
import type { Tensor } from 'hone-runtime/base/tensor';
import { Net } from '../networks/net.ts';
import { storedWeights, transposed } from './stored-weights.ts';

const MEAN = [122.782, 117.001, 104.298] as const;

export class Trained extends Net {
  readonly #file: string;
  readonly #stored: ReadonlyMap<string, Tensor>;

  constructor(name: string, file: string) {
    super(name);
    this.#file = file;
    this.#stored = storedWeights(file);
  }

  /** A stored weight, its axes as ONNX has them. */
  stored(name: string, perm?: readonly number[]): ValueId {
    const tensor = this.#stored.get(name);
    if (tensor === undefined) throw new RangeError(`${this.#file} has no ${name}`);
    return this.b.constant(perm === undefined ? tensor : transposed(tensor, perm), name);
  }

  /** Channels first, less the mean, about -0.5 to 0.5. */
  face(side: number): ValueId {
    const nhwc = this.input('face', [1, side, side, 3]);
    const mean = this.b.constant({ dtype: 'f32', shape: [3], data: Float32Array.from(MEAN) });
    const centred = this.op('Div', [this.op('Sub', [nhwc, mean]), this.b.scalar(255)]);
    return this.transpose(centred, [0, 3, 1, 2]);
  }

  convolve(x: ValueId, name: string, stride: number, pad: 'SAME_UPPER' | 'VALID'): ValueId {
    const inputs = [x, this.stored(`${name}/filters`, [3, 2, 0, 1]), this.stored(`${name}/bias`)];
    return this.op('Conv', inputs, { strides: [stride, stride], auto_pad: pad });
  }

  separable(x: ValueId, name: string, stride: number): ValueId {
    const depthwise = this.op('Conv', [x, this.stored(`${name}/depthwise_filter`, [2, 3, 0, 1])], {
      strides: [stride, stride],
      auto_pad: 'SAME_UPPER',
      group: this.channels(x),
    });
    const pointwise = this.stored(`${name}/pointwise_filter`, [3, 2, 0, 1]);
    return this.op('Conv', [depthwise, pointwise, this.stored(`${name}/bias`)]);
  }
}
