/**
 * A small model whose constants are of every kind: listed in the graph's text, left in the model
 * file, left in a file beside it. Its dimensions are open.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { external, rawModel, rawTensor } from '../onnx/raw-model.ts';

const random = seededRandom(3);
const noise = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return fromNumbers(
    'f32',
    shape,
    Float64Array.from({ length: count }, () => random.normal()),
  );
};
const WEIGHTS = noise(64, 40);
const BIAS = noise(40);
const SCALE = new Float32Array(40 * 40).map((_, i) => Math.sin(i));

/** Options that make its shapes static, as `hone compile` takes them. */
export const STORED_OPTIONS = ['--shape', 'rows=3', '--shape', 'x=2x64', '--batch', '2'];

/** y[N,40] = relu(x[N,64] · w), z[rows,40] = (s[rows,40] · external) + bias. Written to `file`. */
export function writeStoredModel(file: string): void {
  mkdirSync(path.join(path.dirname(file), 'data'), { recursive: true });
  writeFileSync(path.join(path.dirname(file), 'data', 'scale.bin'), SCALE);
  const entries = { location: 'data/scale.bin', offset: '0', length: `${SCALE.byteLength}` };
  const bytes = rawModel({
    inputs: [
      { name: 'x', shape: ['N', 64] },
      { name: 's', shape: ['rows', 40] },
    ],
    outputs: [{ name: 'y' }, { name: 'z' }],
    initializers: {
      w: WEIGHTS,
      bias: BIAS,
      scale: rawTensor('scale', 1, [40, 40], external(entries)),
    },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['xw'] },
      { op: 'Relu', inputs: ['xw'], outputs: ['y'] },
      { op: 'MatMul', inputs: ['s', 'scale'], outputs: ['ss'] },
      { op: 'Add', inputs: ['ss', 'bias'], outputs: ['z'] },
    ],
  });
  writeFileSync(file, bytes);
}
