/** A small ONNX model on disk, for tests that need a file and not a network. */
import { writeFileSync } from 'node:fs';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

export const SMALL_INPUT = [1, 3, 8, 8];

/** Convolution, relu, mean, dense layer, softmax: x[1,3,8,8] → y[1,4]. Written to `path`. */
export function writeSmallModel(path: string): void {
  const random = seededRandom(7);
  const weights = (...shape: number[]): Tensor => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    return fromNumbers(
      'f32',
      shape,
      Float64Array.from({ length: count }, () => random.normal()),
    );
  };
  const b = opBuilder('small');
  const x = b.graph.input('x', { dtype: 'f32', shape: SMALL_INPUT });
  const pads = [1, 1, 1, 1];
  const conv = b.op('Conv', [x, b.constant(weights(6, 3, 3, 3), 'w')], { pads }, { name: 'conv' });
  const relu = b.op('Relu', [conv], {}, { name: 'relu' });
  const mean = b.op('GlobalAveragePool', [relu], {}, { name: 'mean' });
  const flat = b.op('Flatten', [mean], {}, { name: 'flat' });
  const dense = b.op('Gemm', [flat, b.constant(weights(6, 4), 'd')], {}, { name: 'dense' });
  const y = b.op('Softmax', [dense], { axis: 1 }, { name: 'softmax', outputNames: ['y'] });
  writeFileSync(path, exportOnnx(b.graph.finish([y])));
}
