/** Bias correction of every kind of contraction: the mean shift of rounded weights is taken back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { compileModel, rebuildArtifact, writeArtifact } from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { ValueId } from 'hone/graph/types';
import { interpretAll } from 'hone/ops/interpret';
import { opBuilder } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bias-'));
after(() => rmSync(folder, { recursive: true }));

const random = seededRandom(9);

function normal(shape: readonly number[]): Tensor {
  const values = Float64Array.from({ length: elementCount(shape) }, () => random.normal());
  return fromNumbers('f32', shape, values);
}

/** Weights between two levels: rounding moves all of them the same way. */
const between = (shape: readonly number[], each: number): Tensor =>
  fromNumbers(
    'f32',
    shape,
    Float64Array.from({ length: elementCount(shape) }, (_, i) =>
      Math.floor(i / each) % 4 === 0 ? 1 : 5.4 / 127,
    ),
  );

type OpBuilding = ReturnType<typeof opBuilder>;

const SHIFTED: Readonly<Record<string, (b: OpBuilding) => { x: ValueId; y: ValueId }>> = {
  Conv: (b) => {
    const x = b.graph.input('x', { dtype: 'f32', shape: [1, 4, 6, 6] });
    const y = b.op('Conv', [x, b.constant(between([8, 4, 1, 1], 1), 'w')], {}, { name: 'c' });
    return { x, y };
  },
  'depthwise Conv': (b) => {
    const x = b.graph.input('x', { dtype: 'f32', shape: [1, 8, 6, 6] });
    const w = b.constant(between([8, 1, 2, 2], 1), 'w');
    return { x, y: b.op('Conv', [x, w], { group: 8 }, { name: 'c' }) };
  },
  Gemm: (b) => {
    const x = b.graph.input('x', { dtype: 'f32', shape: [6, 16] });
    const bias = b.constant(normal([8]), 'bias');
    const w = b.constant(between([8, 16], 1), 'w');
    return { x, y: b.op('Gemm', [x, w, bias], { transB: 1 }, { name: 'c' }) };
  },
  MatMul: (b) => {
    const x = b.graph.input('x', { dtype: 'f32', shape: [2, 6, 16] });
    return { x, y: b.op('MatMul', [x, b.constant(between([16, 8], 8), 'w')], {}, { name: 'c' }) };
  },
};

for (const [kind, build] of Object.entries(SHIFTED)) {
  test(`${kind}: corrected biases take back the mean shift of rounded weights, and rebuild`, async () => {
    const b = opBuilder('shifted');
    const { x, y } = build(b);
    const { shape } = b.graph.value(x).type;
    const file = path.join(folder, `${kind}.onnx`);
    writeFileSync(file, exportOnnx(b.graph.finish([b.op('Neg', [y])])));
    const given = Array.from({ length: 4 }, (_, i) => {
      const values = toNumbers(normal(shape)).map((value) => value + 5);
      return { name: `${i}`, inputs: { x: fromNumbers('f32', shape, values) } };
    });
    const meanError = async (correctBias: boolean, name: string): Promise<number> => {
      const artifact = path.join(folder, name);
      const model = await compileModel(file, {
        precision: 'int8',
        calibration: { samples: given, calibrator: 'minmax', correctBias },
      });
      assert.equal(model.plan?.contractions.get('c'), 'int8');
      await writeArtifact(model, artifact);
      const session = load(artifact);
      const graph = b.graph.finish([y]);
      let [sum, count] = [0, 0];
      for (const { inputs } of given) {
        const [output] = Object.values(session.runSync(inputs));
        const wanted = toNumbers(interpretAll(graph, [inputs.x])(y));
        toNumbers(output as Tensor).forEach((value, i) => {
          sum += -value - (wanted[i] as number);
          count++;
        });
      }
      session.close();
      return Math.abs(sum / count);
    };
    const plain = await meanError(false, `plain ${kind}.hone`);
    const corrected = await meanError(true, `corrected ${kind}.hone`);
    assert.ok(plain > 0.02, `rounding shifts the mean: ${plain}`);
    assert.ok(corrected < plain / 4, `${corrected} instead of ${plain}`);
    await rebuildArtifact(openArtifact(path.join(folder, `corrected ${kind}.hone`)), file);
  });
}
