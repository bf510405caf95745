/** Bounds that are assumed or asked for: the manifest says so, and Node, Python and C stop runs beyond. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { type RawGraph, type RawModel, rawModel } from '../onnx/raw-model.ts';
import { writeCompiler } from '../support/c-compiler.ts';
import { shell } from '../support/doc-examples.ts';
import { missingPython, PYTHON_RUNTIME, python } from '../support/python.ts';
import { node } from './cases.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bounds-'));
after(() => rmSync(folder, { recursive: true }));

/** y: the sum of 0 … k - 1, made inside of a branch where n is positive, and no output of that length. */
const SUM: RawGraph = {
  nodes: [
    node('Range', ['zero', 'k', 'one'], ['inner']),
    node('ReduceSum', ['inner', 'axis'], ['sum'], { keepdims: { int: 0 } }),
  ],
  outputs: [{ name: 'sum', dtype: 'i64', shape: [] }],
};

const MODEL: RawModel = {
  opset: 18,
  inputs: [
    { name: 'n', dtype: 'i64', shape: [] },
    { name: 'k', dtype: 'i64', shape: [] },
  ],
  initializers: {
    zero: fromNumbers('i64', [], [0]),
    one: fromNumbers('i64', [], [1]),
    axis: fromNumbers('i64', [1], [0]),
  },
  nodes: [
    node('Range', ['zero', 'n', 'one'], ['r']),
    node('Greater', ['n', 'zero'], ['isPositive']),
    node('If', ['isPositive'], ['y'], {
      then_branch: { graph: SUM },
      else_branch: {
        graph: {
          nodes: [node('Neg', ['k'], ['other'])],
          outputs: [{ name: 'other', dtype: 'i64', shape: [] }],
        },
      },
    }),
  ],
  outputs: [
    { name: 'r', dtype: 'i64', shape: [null] },
    { name: 'y', dtype: 'i64', shape: [] },
  ],
};

const ASSUMED =
  'inner along axis 0: at most 1024, assumed as nothing bounds it; compile with --bound inner=1024';
const ASKED = 'r along axis 0: at most 12, as --bound says';
const CASES: readonly (readonly [n: number, k: number, error?: string])[] = [
  [12, 1024],
  [0, 99_999],
  [13, 5, ASKED],
  [3, 1025, ASSUMED],
];

const scalar = (value: number): Tensor => fromNumbers('i64', [], [value]);

let artifact = '';
before(async () => {
  const file = path.join(folder, 'free.onnx');
  writeFileSync(file, rawModel(MODEL));
  artifact = path.join(folder, 'free.hone');
  await writeArtifact(await compileModel(file, { bounds: { r: 12 } }), artifact);
});

test('the manifest lists the bounds, and which are assumed', () => {
  const { manifest } = openArtifact(artifact);
  assert.deepEqual(manifest.bounds, [
    { tensor: 'r', axis: 0, most: [12], assumed: false, node: 'Range_0', option: 'r=12' },
    {
      tensor: 'inner',
      axis: 0,
      most: [1024],
      assumed: true,
      node: 'Range_0.1',
      option: 'inner=1024',
    },
  ]);
  assert.deepEqual(manifest.compiler.options['bounds'], { r: 12 });
});

test('Node: at the bounds, and an error beyond each', async () => {
  const session = load(artifact, { poison: true });
  for (const [n, k, error] of CASES) {
    const inputs = { n: scalar(n), k: scalar(k) };
    const isWanted = (thrown: unknown): boolean =>
      thrown instanceof HoneError &&
      thrown.code === 'HONE-RUN-010' &&
      thrown.message.includes(error ?? '?');
    if (error === undefined) {
      const { r, y } = await session.run(inputs);
      assert.deepEqual(r?.shape, [n]);
      assert.equal(Number(y?.data[0]), n > 0 ? (k * (k - 1)) / 2 : -k);
    } else {
      assert.throws(() => session.runSync(inputs), isWanted);
      await assert.rejects(session.run(inputs), isWanted);
    }
  }
  session.close();
});

test('Python: the same', { skip: missingPython }, () => {
  const script = `
import sys, numpy as np, hone_runtime
with hone_runtime.load(sys.argv[1], 2, poison=True) as model:
    try:
        out = model.run({"n": np.int64(sys.argv[2]), "k": np.int64(sys.argv[3])})
        print(out["r"].shape[0], int(out["y"]))
    except hone_runtime.HoneError as error:
        print(error.code, error.message)
`;
  for (const [n, k, error] of CASES) {
    const { status, stdout, stderr } = spawnSync(
      python ?? 'python3',
      ['-c', script, artifact, `${n}`, `${k}`],
      { encoding: 'utf8', env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME } },
    );
    assert.equal(status, 0, stderr);
    if (error === undefined) {
      assert.equal(stdout, `${n} ${n > 0 ? (k * (k - 1)) / 2 : -k}\n`);
    } else {
      assert.match(stdout, /^HONE-RUN-010 /);
      assert.ok(stdout.includes(error), stdout);
    }
  }
});

test('C: the same', () => {
  const source = path.join(folder, 'free.c');
  writeFileSync(
    source,
    `#include <stdio.h>
#include <stdlib.h>
#include "model.h"
int main(int argc, char **argv) {
  hone_context *model;
  hone_tensor in[2], out[2];
  int64_t values[2];
  if (argc != 4 || hone_open(argv[1], NULL, &model)) return 1;
  for (uint32_t i = 0; i < 2; i++) {
    hone_input(i, &in[i]);
    hone_output(i, &out[i]);
    values[i] = strtoll(argv[2 + i], NULL, 10);
    in[i].data = &values[i];
  }
  if (hone_run(model, in, 2, out, 2)) printf("%s\\n", hone_last_error(model));
  else printf("%lld %lld\\n", (long long)out[0].shape[0], (long long)*(int64_t *)out[1].data);
  hone_close(model);
  return 0;
}
`,
  );
  const cc = writeCompiler(path.join(folder, 'bin'));
  const program = path.join(folder, 'free');
  const session = load(artifact);
  const library = path.join(artifact, 'lib', `${session.target}.so`);
  session.close();
  shell(`'${cc}' -I '${artifact}/include' '${source}' '${library}' -o '${program}'`, folder, {});
  for (const [n, k, error] of CASES) {
    const { status, stdout } = spawnSync(program, [artifact, `${n}`, `${k}`], { encoding: 'utf8' });
    assert.equal(status, 0);
    if (error === undefined) {
      assert.equal(stdout, `${n} ${n > 0 ? (k * (k - 1)) / 2 : -k}\n`);
    } else {
      assert.match(stdout, /^HONE-RUN-010: /);
      assert.ok(stdout.includes(error), stdout);
    }
  }
});

test('bounds that name nothing, or are none, are refused with what could be bounded', () => {
  const model = readOnnx(memorySource(rawModel(MODEL), 'free.onnx'));
  const refuse = (
    bounds: Readonly<Record<string, number | number[]>>,
    code: string,
    says: RegExp,
  ) =>
    assert.throws(
      () => importOnnx(model, { bounds }),
      (error) =>
        error instanceof HoneError &&
        error.code === code &&
        says.test(`${error.message} ${error.cure}`),
      JSON.stringify(bounds),
    );
  refuse({ q: 3 }, 'HONE-SHAPE-017', /--bound q: .* one of these: n, k, r/);
  refuse({ 'n[0]': 3 }, 'HONE-SHAPE-017', /--bound n\[0\]/);
  refuse({ 'r[1]': 3 }, 'HONE-SHAPE-017', /--bound r\[1\]/);
  refuse({ n: [1, 2] }, 'HONE-SHAPE-018', /has 2 numbers for 1 elements/);
  refuse({ r: [1, 2] }, 'HONE-SHAPE-018', /has 2 numbers for 1 axes/);
  refuse({ r: 2 ** 31 }, 'HONE-SHAPE-018', /from 0 to 1073741824/);
  refuse({ r: -1 }, 'HONE-SHAPE-018', /no bound of a size/);
  refuse({ n: 1.5 }, 'HONE-SHAPE-018', /is no bound/);
});

test('where tensors would become too large, less is assumed', () => {
  const cube: RawModel = {
    opset: 18,
    inputs: [{ name: 'n', dtype: 'i64', shape: [] }],
    initializers: {
      zero: fromNumbers('i64', [], [0]),
      one: fromNumbers('i64', [], [1]),
      last: fromNumbers('i64', [2], [1, 2]),
      outer: fromNumbers('i64', [2], [0, 2]),
      first: fromNumbers('i64', [2], [0, 1]),
    },
    nodes: [
      node('Range', ['zero', 'n', 'one'], ['r']),
      node('Unsqueeze', ['r', 'last'], ['a']),
      node('Unsqueeze', ['r', 'outer'], ['b']),
      node('Unsqueeze', ['r', 'first'], ['c']),
      node('Add', ['a', 'b'], ['plane']),
      node('Mul', ['plane', 'c'], ['y']),
    ],
    outputs: [{ name: 'y', dtype: 'i64', shape: [null, null, null] }],
  };
  const { bounds } = importOnnx(readOnnx(memorySource(rawModel(cube), 'cube.onnx')));
  assert.deepEqual(
    bounds.map(({ tensor, most }) => [tensor, most]),
    [['r', [256]]],
  );
});
