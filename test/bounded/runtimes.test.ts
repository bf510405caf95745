/** Outputs whose size depends on data, as Node, Python and C give them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { load } from 'hone-runtime';
import { bytesOf, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { writeCompiler } from '../support/c-compiler.ts';
import { shell } from '../support/doc-examples.ts';
import { missingPython, PYTHON_RUNTIME, python } from '../support/python.ts';
import { BOUNDED, compileTo } from '../runtimes/models.ts';
import { noise } from './cases.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bounded-'));
after(() => rmSync(folder, { recursive: true }));
let artifact = '';
before(async () => {
  artifact = await compileTo(folder, BOUNDED);
});

/** None of five, some, all. */
const MASKS = [
  [0, 0, 0, 0, 0],
  [1, 0, 0, 1, 1],
  [1, 1, 1, 1, 1],
];

function inputsOf(mask: readonly number[]): Record<string, Tensor> {
  const seed = mask.reduce((a, b) => 2 * a + b, 1);
  return {
    x: noise([3, 5, 2], seed),
    where: fromNumbers('bool', [5], mask),
    scores: fromNumbers(
      'f32',
      [3, 4],
      Array.from({ length: 12 }, (_, i) => (mask[i % 5] === 1 ? 1 : -1)),
    ),
  };
}

/** What Compress along axis 1 gives. */
function compressed(mask: readonly number[]): number[] {
  const x = inputsOf(mask)['x']?.data as Float32Array;
  return [...x].filter((_, i) => mask[Math.floor(i / 2) % 5] === 1);
}

test('the manifest says which axes are bounds', () => {
  const session = load(artifact);
  const outputs = session.signature.outputs.map(({ name, shape, bounded }) => [
    name,
    shape,
    bounded,
  ]);
  assert.deepEqual(outputs, [
    ['inner', [3, 5, 2], [1]],
    ['outer', [5, 3], [0]],
    ['fixed', [3, 4], undefined],
    ['positions', [2, 12], [1]],
  ]);
  session.close();
});

test('Node: actual shapes, elements one after the other', async () => {
  const session = load(artifact, { poison: true });
  for (const mask of MASKS) {
    const count = mask.reduce((a, b) => a + b, 0);
    const inputs = inputsOf(mask);
    for (const outputs of [session.runSync(inputs), await session.run(inputs)]) {
      assert.deepEqual(outputs['inner']?.shape, [3, count, 2]);
      assert.deepEqual([...(outputs['inner']?.data ?? [])], compressed(mask));
      assert.deepEqual(outputs['outer']?.shape, [count, 3]);
      assert.equal(outputs['outer']?.data.length, count * 3);
      assert.deepEqual(outputs['fixed']?.shape, [3, 4]);
      assert.equal(outputs['positions']?.shape[0], 2);
    }
  }
  session.close();
});

test('Node: arrays for outputs have the size of the bound', () => {
  const session = load(artifact);
  const inputs = inputsOf([0, 1, 0, 0, 0]);
  const room = fromNumbers('f32', [3, 5, 2], new Float64Array(30));
  const { inner } = session.runSync(inputs, { outputs: { inner: room } });
  assert.deepEqual(inner?.shape, [3, 1, 2]);
  assert.equal(bytesOf(inner as Tensor).buffer, bytesOf(room).buffer);
  const small = fromNumbers('f32', [3, 1, 2], new Float64Array(6));
  assert.throws(() => session.runSync(inputs, { outputs: { inner: small } }), {
    code: 'HONE-INPUT-005',
  });
  session.close();
});

function writeInputs(mask: readonly number[]): string[] {
  return Object.entries(inputsOf(mask)).map(([name, tensor]) => {
    const file = path.join(folder, `${name}.bin`);
    writeFileSync(file, bytesOf(tensor));
    return file;
  });
}

test('Python: actual shapes', { skip: missingPython }, () => {
  const script = `
import sys, numpy as np, hone_runtime
with hone_runtime.load(sys.argv[1], 2, poison=True) as model:
    assert model.outputs[0].bounded == (1,), model.outputs
    assert str(model.outputs[0]) == "f32 [3, ≤5, 2]", str(model.outputs[0])
    files = sys.argv[2:]
    inputs = {s.name: np.fromfile(f, s.numpy_dtype).reshape(s.shape) for s, f in zip(model.inputs, files)}
    outputs = model.run(inputs)
    print(outputs["inner"].shape, outputs["inner"].tolist() == inputs["x"][:, inputs["where"]].tolist())
    mine = {"inner": np.zeros((3, 5, 2), np.float32)}
    again = model.run(inputs, mine)["inner"]
    print(np.shares_memory(again, mine["inner"]), again.flags.c_contiguous)
`;
  for (const mask of MASKS) {
    const count = mask.reduce((a, b) => a + b, 0);
    const args = ['-W', 'error', '-c', script, artifact, ...writeInputs(mask)];
    const { status, stdout, stderr } = spawnSync(python ?? 'python3', args, {
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME, PYTHONIOENCODING: 'utf-8' },
    });
    assert.equal(status, 0, stderr);
    const shares = count === 0 ? 'False True' : 'True True';
    assert.equal(stdout, `(3, ${count}, 2) True\n${shares}\n`);
  }
});

test('C: shape and bytes are set by the run, bounds are marked', () => {
  const source = path.join(folder, 'shapes.c');
  writeFileSync(
    source,
    `#include <stdio.h>
#include "model.h"
int main(int argc, char **argv) {
  hone_context *model;
  hone_tensor in[3], out[4];
  static char data[3][256];
  if (hone_open(argv[1], NULL, &model)) return 1;
  for (uint32_t i = 0; i < 3; i++) {
    hone_input(i, &in[i]);
    FILE *file = fopen(argv[2 + i], "rb");
    fread(data[i], 1, sizeof data[i], file);
    fclose(file);
    in[i].data = data[i];
  }
  for (uint32_t i = 0; i < 4; i++) {
    hone_output(i, &out[i]);
    printf("%u ", (unsigned)out[i].flags);
  }
  if (hone_output(4, &out[0]) || argc != 5) return 2;
  hone_output(0, &out[0]);
  if (hone_run(model, in, 3, out, 4)) return 3;
  for (uint32_t i = 0; i < 4; i++)
    printf("| %lld %lld %d ", (long long)out[i].shape[0], (long long)out[i].shape[1], (int)out[i].bytes);
  hone_close(model);
  return 0;
}
`,
  );
  const cc = writeCompiler(path.join(folder, 'bin'));
  const program = path.join(folder, 'shapes');
  const session = load(artifact);
  const library = path.join(artifact, 'lib', `${session.target}.so`);
  session.close();
  shell(`'${cc}' -I '${artifact}/include' '${source}' '${library}' -o '${program}'`, folder, {});
  for (const mask of MASKS) {
    const count = mask.reduce((a, b) => a + b, 0);
    const set = inputsOf(mask)['scores']?.data as Float32Array;
    const ones = [...set].filter((value) => value > 0).length;
    const { status, stdout } = spawnSync(program, [artifact, ...writeInputs(mask)], {
      encoding: 'utf8',
    });
    assert.equal(status, 0);
    const shapes = `| 3 ${count} ${3 * count * 2 * 4} | ${count} 3 ${count * 3 * 4} | 3 4 48 | 2 ${ones} ${2 * ones * 8} `;
    assert.equal(stdout, `2 1 0 2 ${shapes}`);
  }
});
