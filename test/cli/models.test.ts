/** Commands on a real model: compile, run, explain, profile, inspect, verify, analyze. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatNpy, parseNpy } from 'hone/cli/input/npy';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { type HoneResult, hone } from '../support/hone-process.ts';
import { SMALL_INPUT, writeSmallModel } from '../support/small-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-models-'));
const at = (name: string): string => join(folder, name);
const model = at('small.onnx');
const artifact = at('small.hone');
const input = at('x.npy');
const values = Float32Array.from({ length: 192 }, (_unused, i) => Math.sin(i));

const run = (...args: string[]): Promise<HoneResult> => hone(args, { HONE_CACHE_DIR: at('cache') });

async function json(...args: string[]) {
  const { code, stdout, stderr } = await run(...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

before(async () => {
  writeSmallModel(model);
  writeFileSync(input, formatNpy(fromNumbers('f32', SMALL_INPUT, values)));
  const { code, stderr } = await run('compile', model, '-o', artifact);
  assert.equal(code, 0, stderr);
});
after(() => rmSync(folder, { recursive: true }));

test('run: the answer is onnxruntime’s, from the artifact and from the model', async () => {
  const session = await ort.InferenceSession.create(model, { graphOptimizationLevel: 'disabled' });
  const feeds = { x: new ort.Tensor('float32', values, SMALL_INPUT) };
  const expected = (await session.run(feeds))['y']?.data as Float32Array;
  for (const path of [artifact, model]) {
    const out = at('y.npy');
    const result = await json(
      'run',
      path,
      '--input',
      `x=${input}`,
      '--output',
      `y=${out}`,
      '--top',
      '2',
    );
    const got = toNumbers(parseNpy(readFileSync(out), out));
    for (const [i, value] of got.entries()) {
      assert.ok(Math.abs(value - (expected[i] as number)) < 1e-5);
    }
    const best = expected.indexOf(Math.max(...expected));
    assert.equal(result.top[0].index, best);
    assert.equal(result.top.length, 2);
    assert.equal(result.outputs[0].file, out);
    assert.equal(result.outputs[0].values.length, 4);
  }
});

test('run: a model is compiled once', async () => {
  const first = await json('run', model, '--random', '--batch', '1');
  assert.equal(first.origin, 'compiled');
  const second = await json('run', model, '--random', '--batch', '1');
  assert.equal(second.origin, 'cache');
  assert.deepEqual(second.outputs, first.outputs);
});

test('run: one thread and two give the same bits', async () => {
  const one = await json('run', artifact, '--random', '--threads', '1');
  const two = await json('run', artifact, '--random', '--threads', '2');
  assert.deepEqual(one.outputs, two.outputs);
});

test('explain: every node is in one group, or gone; memory is stated', async () => {
  const { groups, memory, alone } = await json('explain', artifact);
  const nodes = groups.flatMap((group: { nodes: string[] }) => group.nodes);
  for (const name of ['conv', 'relu', 'mean', 'dense']) assert.ok(nodes.includes(name), name);
  assert.ok(Array.isArray(alone));
  assert.ok(memory.weights_bytes > 0);
});

test('profile: kernels add up to the total', async () => {
  const { kernels, total_ms } = await json('profile', artifact, '--runs', '3');
  const sum = kernels.reduce((total: number, row: { ms: number }) => total + row.ms, 0);
  assert.ok(Math.abs(sum - total_ms) <= 1e-9 + 1e-6 * total_ms);
  assert.ok(kernels.length > 0);
});

test('inspect: model and artifact have the same signature', async () => {
  const ofModel = await json('inspect', model);
  const ofArtifact = await json('inspect', artifact);
  assert.equal(ofModel.kind, 'model');
  assert.equal(ofArtifact.kind, 'artifact');
  assert.deepEqual(ofModel.inputs, ofArtifact.inputs);
  assert.deepEqual(ofModel.outputs, ofArtifact.outputs);
});

test('analyze: operators, figures, nothing left over', async () => {
  const result = await json('analyze', model);
  assert.equal(result.compilable, true);
  assert.deepEqual(result.fallback, []);
  assert.equal(result.parameters, 6 * 27 + 24);
  assert.ok(result.flops >= 2 * 6 * 27 * 64);
  assert.ok(result.operators.some((row: { op: string }) => row.op === 'Conv'));
  const [most] = result.work;
  assert.deepEqual([most.op, most.how, most.flops], ['Conv', 'compiled', 2 * 6 * 27 * 64]);
  for (const share of ['flops_share', 'bytes_share']) {
    const all = result.work.reduce(
      (sum: number, row: Record<string, number>) => sum + (row[share] ?? 0),
      0,
    );
    assert.ok(Math.abs(all - 1) < 1e-9, `${share}: ${all}`);
  }
});

test('verify: whole, then damaged', async () => {
  assert.equal((await json('verify', artifact)).valid, true);
  const damaged = at('damaged.hone');
  assert.equal((await run('compile', model, '-o', damaged)).code, 0);
  const library = join(damaged, 'lib', readdirSync(join(damaged, 'lib'))[0] as string);
  const bytes = readFileSync(library);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(library, bytes);
  for (const command of [
    ['verify', damaged],
    ['run', damaged, '--random'],
  ]) {
    const { code, stderr } = await run(...command);
    assert.equal(code, 1);
    assert.match(stderr, /^HONE-ARTIFACT-\d+: /);
  }
});

test('compile: a target other than this machine’s', async () => {
  const out = at('v3.hone');
  const { target } = await json('compile', model, '-o', out, '--target', 'x86-64-v3');
  assert.equal(target, 'x86-64-v3-linux-gnu');
});

const REFUSALS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['input missing', ['run', artifact], /^HONE-INPUT-001: .*"x".*\n {2}cure: .*--input x=/],
  ['input of wrong name', ['run', artifact, '--input', `z=${input}`], /^HONE-INPUT-002: .*"z"/],
  ['input of wrong dtype', ['run', artifact, '--input', at('f64.npy')], /^HONE-INPUT-003: .*f64/],
  ['input of wrong rank', ['run', artifact, '--input', at('rank.npy')], /^HONE-INPUT-004: .*rank/],
  [
    'input of wrong size',
    ['run', artifact, '--input', at('size.npy')],
    /^HONE-INPUT-005: .*1x3x8x9/,
  ],
  [
    'unknown output',
    ['run', artifact, '--random', '--output', 'q=q.npy'],
    /^HONE-INPUT-002: .*"q"/,
  ],
  [
    'wrong shape',
    ['compile', model, '--shape', 'x=1x4x8x8', '-o', at('no')],
    /^HONE-SHAPE-\d+: .*x/,
  ],
  [
    'shape of an unknown input',
    ['compile', model, '--shape', 'q=1x4', '-o', at('no')],
    /^HONE-SHAPE-\d+: .*q/,
  ],
  [
    'unknown target',
    ['compile', model, '--target', 'z80', '-o', at('no')],
    /^HONE-TARGET-001: .*z80/,
  ],
  [
    'target with an accelerator',
    ['compile', model, '--target', 'ml_p3', '-o', at('no')],
    /^HONE-TARGET-004/,
  ],
  ['truncated model', ['compile', at('cut.onnx'), '-o', at('no')], /^HONE-[A-Z]+-\d+: .*cut\.onnx/],
  [
    'options for an artifact',
    ['run', artifact, '--batch', '2', '--random'],
    /^HONE-CLI-006: .*--batch/,
  ],
  ['artifact where a model belongs', ['compile', artifact], /^HONE-CLI-008/],
  ['model where an artifact belongs', ['verify', model], /^HONE-CLI-008/],
  ['an output that is no artifact', ['compile', model, '-o', at('keep')], /^HONE-ARTIFACT-\d+: /],
];

test('refusals: coded, with a cure, exit 1, nothing written', async (t) => {
  const npy = (name: string, dtype: 'f32' | 'f64', shape: number[]): void => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    writeFileSync(at(name), formatNpy(fromNumbers(dtype, shape, new Array(count).fill(0))));
  };
  npy('f64.npy', 'f64', SMALL_INPUT);
  npy('rank.npy', 'f32', [3, 8, 8]);
  npy('size.npy', 'f32', [1, 3, 8, 9]);
  copyFileSync(model, at('cut.onnx'));
  truncateSync(at('cut.onnx'), 300);
  writeFileSync(at('keep'), 'something of the user');
  for (const [name, args, expected] of REFUSALS) {
    await t.test(name, async () => {
      const { code, stdout, stderr } = await run(...args);
      assert.equal(code, 1, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, expected);
      assert.match(stderr, /\n {2}cure: /);
      assert.equal(existsSync(at('no')), false);
    });
  }
  assert.equal(readFileSync(at('keep'), 'utf8'), 'something of the user');
});

test('a missing compiler is a coded error; what is compiled still runs', async () => {
  const env = { HONE_CC: at('no-compiler'), HONE_CACHE_DIR: at('empty-cache') };
  const failed = await hone(['compile', model, '-o', at('no')], env);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^HONE-TOOL-\d+: .*\n {2}cure: /);
  assert.equal((await hone(['run', artifact, '--random'], env)).code, 0);
});
