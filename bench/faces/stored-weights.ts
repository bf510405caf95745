/**
 * Weights of @vladmandic/face-api's models: a list of names and shapes beside one file of bytes,
 * most of them quantised to 8 bits for the way over the network.
 */
import { readFileSync } from 'node:fs';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import { npmFile } from '../npm-files.ts';

interface StoredWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly quantization?: { readonly scale: number; readonly min: number };
}

/** The tensors of `<name>_model` by name, in f32. */
export function storedWeights(name: string): ReadonlyMap<string, Tensor> {
  const file = (ending: string): Buffer =>
    readFileSync(npmFile('@vladmandic/face-api', `model/${name}_model${ending}`));
  const [group] = JSON.parse(file('-weights_manifest.json').toString()) as {
    readonly weights: readonly StoredWeight[];
  }[];
  const bytes = file('.bin');
  const tensors = new Map<string, Tensor>();
  let at = 0;
  for (const { name: weight, shape, quantization } of group?.weights ?? []) {
    const count = elementCount(shape);
    const data = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      data[i] =
        quantization === undefined
          ? bytes.readFloatLE(at + 4 * i)
          : (bytes[at + i] ?? 0) * quantization.scale + quantization.min;
    }
    tensors.set(weight, { dtype: 'f32', shape, data });
    at += quantization === undefined ? 4 * count : count;
  }
  if (at !== bytes.length) throw new RangeError(`${name}: ${bytes.length - at} bytes are left`);
  return tensors;
}

/** Axes of a tensor in another order. */
export function transposed({ dtype, shape, data }: Tensor, perm: readonly number[]): Tensor {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const out = perm.map((axis) => shape[axis] ?? 1);
  const moved = new Float32Array(data.length);
  const steps = perm.map((axis) => strides[axis] ?? 1);
  for (let i = 0; i < moved.length; i++) {
    let [rest, place] = [i, 0];
    for (let axis = out.length - 1; axis >= 0; axis--) {
      const extent = out[axis] ?? 1;
      place += (rest % extent) * (steps[axis] ?? 0);
      rest = Math.floor(rest / extent);
    }
    moved[i] = Number(data[place]);
  }
  return { dtype, shape: out, data: moved } as Tensor;
}
