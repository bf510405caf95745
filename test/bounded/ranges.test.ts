/**
 * Inputs whose sizes vary from run to run, in one artifact: what onnxruntime gives at every size, with room
 * that is no number; sizes outside are refused.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { load } from 'hone-runtime';
import { spawnSync } from 'node:child_process';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { memorySource } from 'hone-runtime/base/io';
import { bytesOf, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { rawModel } from '../onnx/raw-model.ts';
import { npmModel } from '../../bench/npm-files.js';
import { writeCompiler } from '../support/c-compiler.ts';
import { shell } from '../support/doc-examples.ts';
import { missingPython, PYTHON_RUNTIME, python } from '../support/python.ts';
import { noise } from './cases.ts';
import { check, onnxruntimeOn } from './peer.ts';
import { ATTENTION, LINES, RANGE_CASES, type RangeCase } from './range-cases.ts';
import { checkSizes, compiledIn } from './range-checks.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-ranges-'));
after(() => rmSync(folder, { recursive: true }));

const compiled = (item: RangeCase): Promise<string> => compiledIn(folder, item);

for (const item of RANGE_CASES) {
  test(`${item.name}: as onnxruntime at each size`, async () => {
    await checkSizes(folder, item);
  });
}

test('what a session says of such inputs, and what it refuses', async () => {
  const session = load(await compiled(LINES));
  const { inputs } = session.signature;
  assert.deepEqual(
    inputs.map(({ name, shape, bounded, least }) => ({ name, shape, bounded, least })),
    [{ name: 'x', shape: [1, 1, 8, 40], bounded: [3], least: [9] }],
  );
  for (const width of [0, 8, 41, 1000]) {
    const message = new RegExp(`"x" has ${width} elements along axis 3, the model takes 9 to 40`);
    assert.throws(() => session.runSync({ x: noise([1, 1, 8, width], 1) }), {
      code: 'HONE-INPUT-005',
      message,
    });
  }
  assert.throws(() => session.runSync({ x: noise([1, 1, 7, 20], 1) }), { code: 'HONE-INPUT-005' });
  assert.throws(() => session.runSync({ x: noise([1, 8, 20], 1) }), { code: 'HONE-INPUT-004' });
  const short: Tensor = { dtype: 'f32', shape: [1, 1, 8, 20], data: new Float32Array(159) };
  assert.throws(() => session.runSync({ x: short }), { code: 'HONE-INPUT-006' });
  session.close();
});

test('inputs that share a dimension have to agree', async () => {
  const { model, options } = ATTENTION;
  const session = load(await compiled(ATTENTION));
  const mask = fromNumbers('i64', [2, 4], [1, 1, 1, 1, 1, 1, 1, 1]);
  assert.throws(() => session.runSync({ x: noise([2, 5, 8], 1), mask }), {
    code: 'HONE-INPUT-020',
  });
  assert.equal(session.runSync({ x: noise([2, 4, 8], 1), mask })['y']?.shape[1], 4);
  session.close();
  const read = readOnnx(memorySource(rawModel(model), 'attention.onnx'));
  const apart = { ...options, shapes: { x: [2, 16, 8], mask: [2, 16] } };
  assert.throws(() => importOnnx(read, { ...apart, least: { 'x[1]': 1, 'mask[1]': 2 } }), {
    code: 'HONE-SHAPE-014',
  });
  for (const key of ['y', 'x[7]', 'z[0]', 'T'])
    assert.throws(() => importOnnx(read, { ...apart, least: { [key]: 1 } }), {
      code: 'HONE-SHAPE-019',
    });
  assert.throws(() => importOnnx(read, { ...apart, least: { S: 17 } }), {
    code: 'HONE-SHAPE-019',
  });
  // From the most to the most is no range.
  const { graph } = importOnnx(read, { ...apart, least: { S: 16 } });
  assert.equal(graph.ranges, undefined);
});

test('int8 and auto are refused', async () => {
  const file = path.join(folder, 'lines.onnx');
  writeFileSync(file, rawModel(LINES.model));
  for (const precision of ['int8', 'auto'] as const) {
    const calibration = { samples: [{ name: 'a', inputs: { x: noise([1, 1, 8, 40], 1) } }] };
    const options = { ...LINES.options, precision, calibration };
    await assert.rejects(compileModel(file, options), { code: 'HONE-CALIBRATE-014' });
  }
});

test('16-bit precisions work: shapes are right, values near', async () => {
  const item = {
    ...LINES,
    name: 'lines-bf16',
    options: { ...LINES.options, precision: 'bf16' },
  } as const;
  const [session, wide] = [
    load(await compiled(item), { poison: true }),
    load(await compiled(LINES)),
  ];
  for (const inputs of LINES.runs) {
    const [y, z] = [session.runSync(inputs)['y'], wide.runSync(inputs)['y']];
    assert.deepEqual(y?.shape, z?.shape);
    const [a, b] = [toNumbers(y as Tensor), toNumbers(z as Tensor)];
    assert.ok(a.every((value, i) => Math.abs(value - (b[i] ?? 0)) < 0.02));
  }
  for (const one of [session, wide]) one.close();
});

/** Files of the inputs of each run, and of what the session gives: both inputs, then both outputs. */
async function attentionFiles(): Promise<{ artifact: string; target: string; runs: string[][] }> {
  const artifact = await compiled(ATTENTION);
  const session = load(artifact);
  const runs = ATTENTION.runs.map((inputs, run) => {
    const outputs = session.runSync(inputs);
    const all = { ...inputs, ...outputs };
    return ['x', 'mask', 'y', 'mean'].map((name) => {
      const file = path.join(folder, `${name}-${run}.bin`);
      writeFileSync(file, bytesOf(all[name] as Tensor));
      return file;
    });
  });
  const { target } = session;
  session.close();
  return { artifact, target, runs };
}

test('Python: the same at each size', { skip: missingPython }, async () => {
  const { artifact, runs } = await attentionFiles();
  const script = `
import sys, numpy as np, hone_runtime
with hone_runtime.load(sys.argv[1], 2, poison=True) as model:
    assert str(model.inputs[0]) == "f32 [2, 1..16, 8]", str(model.inputs[0])
    read = lambda file, dtype, *shape: np.fromfile(file, dtype).reshape(shape)
    for i in range(2, len(sys.argv), 4):
        x, mask, y, mean = sys.argv[i : i + 4]
        inputs = {"x": read(x, "f4", 2, -1, 8), "mask": read(mask, "i8", 2, -1)}
        outputs = model.run(inputs)
        assert np.array_equal(outputs["y"], read(y, "f4", 2, -1, 8))
        assert np.array_equal(outputs["mean"], read(mean, "f4", 2, 8))
    def refused(code, x, mask):
        try:
            model.run({"x": np.zeros((2, x, 8), "f4"), "mask": np.zeros((2, mask), "i8")})
        except hone_runtime.HoneError as error:
            assert error.code == code, error
        else:
            raise AssertionError(code)
    refused("HONE-INPUT-005", 17, 17)
    refused("HONE-INPUT-005", 0, 0)
    refused("HONE-INPUT-020", 3, 4)
`;
  const args = ['-W', 'error', '-c', script, artifact, ...runs.flat()];
  const { status, stderr } = spawnSync(python ?? 'python3', args, {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME, PYTHONIOENCODING: 'utf-8' },
  });
  assert.equal(status, 0, stderr);
});

test('C: the shape of an input tensor is what is meant', async () => {
  const { artifact, target, runs } = await attentionFiles();
  const source = path.join(folder, 'ranges.c');
  writeFileSync(
    source,
    `#include <stdio.h>
#include <string.h>
#include "model.h"
static size_t load_file(const char *name, void *to) {
  FILE *file = fopen(name, "rb");
  size_t bytes = fread(to, 1, 4096, file);
  fclose(file);
  return bytes;
}
int main(int argc, char **argv) {
  hone_context *model;
  hone_tensor in[2], out[2];
  static char data[4][4096];
  hone_options options = {sizeof options, 2, 0, HONE_POISON};
  if (hone_open(argv[1], &options, &model)) return 1;
  if (hone_input(2, &in[0])) return 2;
  for (int k = 2; k + 3 < argc; k += 4) {
    for (uint32_t i = 0; i < 2; i++) {
      hone_input(i, &in[i]);
      if (in[i].flags != 2 || in[i].shape[1] != 16) return 3;
      hone_output(i, &out[i]);
    }
    size_t bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = load_file(argv[k + i], data[i]);
    for (int i = 0; i < 2; i++) {
      in[i].data = data[i];
      in[i].bytes = bytes[i];
      in[i].shape[1] = (int64_t)(bytes[0] / 64);
    }
    if (hone_run(model, in, 2, out, 2)) return 4;
    for (int i = 0; i < 2; i++)
      if (out[i].bytes != bytes[2 + i] || memcmp(out[i].data, data[2 + i], out[i].bytes)) return 5;
    printf("%d ", (int)out[0].shape[1]);
  }
  in[0].shape[1] = 17;
  if (hone_run(model, in, 2, out, 2) != HONE_ERROR_ARGUMENT) return 6;
  printf("| %s ", hone_last_error(model));
  in[0].shape[1] = 4;
  in[0].bytes = 256;
  if (hone_run(model, in, 2, out, 2) != HONE_ERROR_ARGUMENT) return 7;
  printf("| %s", hone_last_error(model));
  hone_close(model);
  return 0;
}
`,
  );
  const cc = writeCompiler(path.join(folder, 'bin'));
  const program = path.join(folder, 'ranges');
  const library = path.join(artifact, 'lib', `${target}.so`);
  shell(`'${cc}' -I '${artifact}/include' '${source}' '${library}' -o '${program}'`, folder, {});
  const { status, stdout } = spawnSync(program, [artifact, ...runs.flat()], { encoding: 'utf8' });
  assert.equal(status, 0);
  const [sizes, outside, apart] = stdout.split('|');
  assert.equal(sizes, '16 1 2 9 15 ');
  assert.match(outside ?? '', /HONE-INPUT-005: input x has 17 elements along axis 1, .* 1 to 16/);
  assert.match(apart ?? '', /HONE-INPUT-006|HONE-INPUT-020/);
});

test("PP-OCR's recogniser at several widths in one artifact", async () => {
  const file = npmModel('ppocr-rec');
  const options = { shapes: { x: [1, 3, 48, 480] }, least: { 'x[3]': 320 } };
  const artifact = path.join(folder, 'recogniser.hone');
  const model = await compileModel(file, options);
  // Masks between layers do not make convolutions slow.
  const slow = model.report.stages.filter(
    ({ ops, row }) => ops.includes('Conv') && !/^(conv|depthwise|winograd)/.test(row),
  );
  assert.deepEqual(
    slow.map(({ label }) => label),
    [],
  );
  await writeArtifact(model, artifact);
  const runs = [320, 333, 400, 480].map((width) => ({ x: noise([1, 3, 48, width], width) }));
  const session = load(artifact, { poison: true });
  const wanted = await onnxruntimeOn(readFileSync(file), runs, [
    session.signature.outputs[0]?.name ?? '',
  ]);
  for (const [i, inputs] of runs.entries()) {
    const [output] = Object.values(session.runSync(inputs));
    check(`width ${inputs.x.shape[3]}`, output === undefined ? [] : [output], wanted[i] ?? []);
  }
  session.close();
});
