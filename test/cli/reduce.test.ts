/** `hone reduce` on models that fail in each of the ways a model can. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { type RawModel, rawModel } from '../onnx/raw-model.ts';
import { type HoneResult, hone } from '../support/hone-process.ts';
import { writeSmallModel } from '../support/small-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-reduce-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const run = (...args: string[]): Promise<HoneResult> => hone(args);

function write(name: string, model: RawModel): string {
  writeFileSync(at(name), rawModel(model));
  return at(name);
}

async function reduce(...args: string[]) {
  const { code, stdout, stderr } = await run('reduce', ...args, '--json');
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout);
}

async function errorOf(...args: string[]) {
  const { code, stdout } = await run(...args, '--json');
  assert.equal(code, 1);
  return JSON.parse(stdout).error;
}

const i64 = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);
const weights = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const data = Float64Array.from({ length: count }, (_unused, i) => Math.sin(i));
  return fromNumbers('f32', shape, data);
};

test('an operator that is not supported, in the middle', async () => {
  const model = write('middle.onnx', {
    inputs: [{ name: 'x', shape: ['N', 3, 16, 16] }],
    outputs: [{ name: 'y', shape: ['N', 10] }],
    domains: { 'com.acme': 1 },
    initializers: { w: weights(8, 3, 3, 3), table: weights(8, 4096), d: weights(8, 10) },
    nodes: [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
      { op: 'Relu', inputs: ['c'], outputs: ['r'] },
      { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
      {
        op: 'Sparkle',
        domain: 'com.acme',
        inputs: ['f', 'table'],
        outputs: ['s'],
        attrs: { level: { int: 3 }, mode: { text: 'soft' } },
      },
      { op: 'MatMul', inputs: ['s', 'd'], outputs: ['m'] },
      { op: 'Softmax', inputs: ['m'], outputs: ['y'] },
    ],
  });
  const output = at('middle.small.onnx');
  const result = await reduce(model, '-o', output, '--shape', 'N=2');
  assert.equal(result.failure.code, 'HONE-ONNX-020');
  assert.equal(result.failure.stage, 'import');
  assert.deepEqual(result.nodes, [{ op: 'Sparkle', domain: 'com.acme', name: 'Sparkle_4' }]);
  assert.equal(result.nodes_before, 7);
  assert.equal(result.verified, true);
  assert.equal(result.minimal, true);
  assert.deepEqual(result.freed, ['table']);
  assert.deepEqual(result.inputs, [
    { name: 'f', dtype: 'f32', shape: [2, 8] },
    { name: 'table', dtype: 'f32', shape: [8, 4096] },
  ]);
  assert.equal(statSync(output).size, result.bytes);
  assert.ok(result.bytes < 400, `${result.bytes} bytes`);
  const again = await errorOf('compile', output, '-o', at('never.hone'));
  assert.equal(again.code, 'HONE-ONNX-020');
  assert.match(again.message, /com\.acme:Sparkle \(1 node: Sparkle_4\)/);
  // Reduced again it stays what it is.
  const twice = await reduce(output, '-o', at('twice.onnx'));
  assert.deepEqual(twice.nodes, result.nodes);
  assert.deepEqual(readFileSync(at('twice.onnx')), readFileSync(output));
});

test('a file whose nodes are not in order: what is left of it is', async () => {
  const model = write('unordered.onnx', {
    inputs: [{ name: 'x', shape: [2, 3] }],
    outputs: [{ name: 'y', shape: [2, 3] }],
    domains: { 'com.acme': 1 },
    nodes: [
      { op: 'Softmax', inputs: ['s'], outputs: ['y'] },
      { op: 'Sparkle', domain: 'com.acme', inputs: ['n'], outputs: ['s'] },
      { op: 'Neg', inputs: ['x'], outputs: ['n'] },
    ],
  });
  const output = at('unordered.small.onnx');
  const result = await reduce(model, '-o', output);
  assert.deepEqual(result.nodes, [{ op: 'Sparkle', domain: 'com.acme', name: 'Sparkle_1' }]);
  assert.equal(result.verified, true);
  assert.match((await errorOf('compile', output, '-o', at('never.hone'))).message, /Sparkle_1/);
});

test('a shape that does not fit: computed sizes become constants', async () => {
  const model = write('shape.onnx', {
    inputs: [{ name: 'x', shape: [4, 6] }],
    outputs: [{ name: 'y', shape: [4, 5] }],
    initializers: { zero: i64(0), five: i64(5), b: weights(5) },
    nodes: [
      { op: 'Relu', inputs: ['x'], outputs: ['r'], name: 'relu' },
      { op: 'Shape', inputs: ['r'], outputs: ['s'], name: 'shape' },
      { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'], name: 'rows' },
      {
        op: 'Concat',
        inputs: ['n', 'five'],
        outputs: ['t'],
        name: 'sizes',
        attrs: { axis: { int: 0 } },
      },
      { op: 'Reshape', inputs: ['r', 't'], outputs: ['q'], name: 'reshape' },
      { op: 'Add', inputs: ['q', 'b'], outputs: ['y'], name: 'add' },
    ],
  });
  const result = await reduce(model, '-o', at('shape.small.onnx'));
  assert.match(result.failure.code, /^HONE-SHAPE-/);
  assert.deepEqual(
    result.nodes.map(({ name }: { name: string }) => name),
    ['reshape'],
  );
  assert.deepEqual(
    result.inputs.map(({ name }: { name: string }) => name),
    ['r'],
  );
  const { error } = JSON.parse((await run('compile', at('shape.small.onnx'), '--json')).stdout);
  assert.equal(error.message, result.failure.message);
});

test('what only several nodes together make fail: a limit of memory', async () => {
  const chain = ['Sin', 'Relu', 'Softmax', 'Transpose', 'MatMul', 'Cos'];
  const model = write('memory.onnx', {
    inputs: [{ name: 'v0', shape: [64, 64] }],
    outputs: [{ name: 'v6', shape: [64, 64] }],
    nodes: [
      { op: 'Constant', inputs: [], outputs: ['w'], attrs: { value: { tensor: weights(64, 64) } } },
      ...chain.map((op, i) => ({
        op,
        name: op,
        inputs: op === 'MatMul' ? [`v${i}`, 'w'] : [`v${i}`],
        outputs: [`v${i + 1}`],
      })),
    ],
  });
  const result = await reduce(model, '-o', at('memory.small.onnx'), '--memory', '24KiB');
  assert.equal(result.failure.stage, 'compile');
  assert.match(result.failure.code, /^HONE-COMPILE-/);
  assert.equal(result.verified, true);
  assert.ok(
    result.nodes.length > 1 && result.nodes.length < chain.length,
    `${result.nodes.length}`,
  );
  const fine = await run('compile', at('memory.small.onnx'), '-o', at('memory.hone'));
  assert.equal(fine.code, 0, fine.stderr);
});

test('answers that differ from the interpreter’s: 16 bits where 32 are due', async () => {
  const model = write('wrong.onnx', {
    inputs: [{ name: 'x', shape: [8, 32] }],
    outputs: [{ name: 'y', shape: [8, 32] }],
    initializers: { w: weights(32, 32), one: weights(32) },
    nodes: [
      { op: 'Abs', inputs: ['x'], outputs: ['a'], name: 'abs' },
      { op: 'Softmax', inputs: ['a'], outputs: ['s'], name: 'softmax' },
      { op: 'MatMul', inputs: ['s', 'w'], outputs: ['m'], name: 'product' },
      { op: 'Neg', inputs: ['m'], outputs: ['y'], name: 'neg' },
    ],
  });
  const cast = ['--precision', 'bf16', '--check', 'outputs'];
  const result = await reduce(model, '-o', at('wrong.small.onnx'), ...cast);
  assert.equal(result.failure.code, null);
  assert.equal(result.failure.stage, 'outputs');
  assert.deepEqual(
    result.nodes.map(({ name }: { name: string }) => name),
    ['product'],
  );
  // Only weights are rounded: as an input it would not fail.
  assert.deepEqual(result.freed, []);
  assert.equal(result.verified, true);
});

test('nothing fails: says so, and writes nothing', async () => {
  writeSmallModel(at('small.onnx'));
  const error = await errorOf('reduce', at('small.onnx'), '-o', at('nothing.onnx'));
  assert.equal(error.code, 'HONE-CLI-009');
  assert.match(error.message, /nothing to reduce/);
  assert.match(error.cure, /--check outputs/);
  assert.ok(!existsSync(at('nothing.onnx')));
});

test('what it cannot do is an error that says what to do', async () => {
  const model = at('small.onnx');
  writeSmallModel(model);
  const bad = await errorOf('reduce', model, '--check', 'speed');
  assert.equal(bad.code, 'HONE-CLI-006');
  const int8 = await errorOf('reduce', model, '--precision', 'int8');
  assert.equal(int8.code, 'HONE-CLI-006');
  const open = write('open.onnx', {
    inputs: [{ name: 'x', shape: [1, null] }],
    outputs: [{ name: 'y' }],
    nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
  });
  assert.equal((await errorOf('reduce', open)).code, 'HONE-SHAPE-010');
});
