/** int8 of models that carry state from run to run: what is carried, and what narrows by the answers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { findCarried } from 'hone/compile/calibrate/carried';
import type { Sample } from 'hone/compile/calibrate/run';
import {
  type CompiledModel,
  type CompileOptions,
  compileModel,
  rebuildArtifact,
  writeArtifact,
} from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { formatNpy } from 'hone/cli/input/npy';
import { formatNpz } from '../support/npz.ts';
import { hone } from '../support/hone-process.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-carried-'));
after(() => rmSync(folder, { recursive: true }));

const random = seededRandom(33);
const STATE = [1, 32];

function noise(shape: readonly number[], scale: number): Tensor {
  const values = Float64Array.from({ length: elementCount(shape) }, () => scale * random.normal());
  return fromNumbers('f32', shape, values);
}

/** A leaky state: what a run adds to it is still there a hundred runs later. */
const MODEL = path.join(folder, 'model.onnx');
{
  const b = opBuilder('leaky');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 16] });
  const state = b.graph.input('state', { dtype: 'f32', shape: STATE });
  const named = (value: string) => ({ name: value, outputNames: [value] });
  const dense = (from: number, name: string, ic: number, oc: number): number =>
    b.op('Gemm', [from, b.constant(noise([ic, oc], 1 / Math.sqrt(ic)))], {}, named(name));
  const fresh = b.op('Relu', [dense(x, 'read', 16, 32)], {}, named('fresh'));
  const mixed = b.op('Tanh', [dense(state, 'again', 32, 32)], {}, named('mixed'));
  const kept = b.op('Mul', [state, b.scalar(0.95)], {}, named('kept'));
  const added = b.op('Mul', [mixed, b.scalar(0.05)], {}, named('added'));
  const sum = b.op('Add', [kept, added], {}, named('sum'));
  const part = b.op('Mul', [fresh, b.scalar(0.1)], {}, named('part'));
  const next = b.op('Add', [sum, part], {}, named('stateN'));
  const answer = b.op('Sigmoid', [dense(next, 'answer', 32, 1)], {}, named('y'));
  writeFileSync(MODEL, exportOnnx(b.graph.finish([answer, next])));
}

const xs = Array.from({ length: 40 }, () => noise([1, 16], 1));
const sequence: readonly Sample[] = xs.map((x, i) => ({ name: `${i}`, inputs: { x } }));

function compile(
  calibration: Partial<NonNullable<CompileOptions['calibration']>>,
  options: CompileOptions = {},
): Promise<CompiledModel> {
  const asked = { samples: sequence, ...calibration };
  return compileModel(MODEL, { precision: 'int8', ...options, calibration: asked });
}

function graphOf(inputs: readonly string[], outputs: readonly string[]): Graph {
  const b = opBuilder('ports');
  const [first = 0] = inputs.map((name) => b.graph.input(name, { dtype: 'f32', shape: [2] }));
  return b.graph.finish(
    outputs.map((name) => b.op('Relu', [first], {}, { name, outputNames: [name] })),
  );
}

test('state is found by the names of both sides', () => {
  const found = (inputs: string[], outputs: string[]) => [...findCarried(graphOf(inputs, outputs))];
  assert.deepEqual(found(['x', 'h', 'c'], ['y', 'hn', 'cn']), [
    ['h', 'hn'],
    ['c', 'cn'],
  ]);
  for (const [input, output] of [
    ['state', 'stateN'],
    ['past_kv.0', 'present_kv.0'],
    ['hiddenIn', 'hiddenOut'],
    ['prev_state', 'new_state'],
  ] as const) {
    assert.deepEqual(found(['x', input], ['y', output]), [[input, output]]);
  }
  assert.deepEqual(found(['input'], ['output']), []);
  assert.deepEqual(found(['image'], ['image_out']), [], 'a model of state alone');
  assert.deepEqual(found(['x', 'h'], ['hn', 'h_out']), [], 'two that could be it');
});

test('layers narrow by what they do to the answers of a sequence; it rebuilds', async () => {
  const model = await compile({ leastSnr: 35 });
  const { calibrated, plan, reasons } = model;
  assert.deepEqual(calibrated?.carried, { state: 'stateN' });
  assert.ok(calibrated?.answers !== undefined && plan !== undefined);
  assert.equal(calibrated.answers.samples, 40);
  assert.ok(calibrated.answers.snr >= 45, `${calibrated.answers.snr}`);
  const kinds = [...plan.contractions.values()];
  assert.ok(kinds.includes('int8') && kinds.every((kind) => kind === 'int8' || kind === 'f32'));
  assert.match([...(reasons?.values() ?? [])].join('\n'), /with state fed back/);
  const artifact = path.join(folder, 'sequence.hone');
  await writeArtifact(model, artifact);
  await rebuildArtifact(openArtifact(artifact), MODEL);
});

test('samples that do not follow one another leave what feeds the state wide', async () => {
  const samples = sequence.map(({ name, inputs }) => {
    return { name, inputs: { ...inputs, state: noise(STATE, 1) } };
  });
  const { plan, reasons, calibrated } = await compile({ samples });
  assert.equal(calibrated?.answers, undefined);
  assert.equal(plan?.contractions.get('read'), 'f32');
  assert.match(reasons?.get('read') ?? '', /^stays f32: feeds the carried state state/);
  assert.equal(plan?.contractions.get('answer'), 'int8');
});

test('a recorded state that follows counts as a sequence; {} says that nothing is carried', async () => {
  const artifact = path.join(folder, 'wide.hone');
  await writeArtifact(await compileModel(MODEL, {}), artifact);
  const session = load(artifact);
  let state = fromNumbers('f32', STATE, new Float64Array(32));
  const samples = sequence.map(({ name, inputs }): Sample => {
    const sample = { name, inputs: { ...inputs, state } };
    state = session.runSync(sample.inputs)['stateN'] as Tensor;
    return sample;
  });
  session.close();
  const [told, found] = [await compile({ samples, leastSnr: 35 }), await compile({ leastSnr: 35 })];
  assert.deepEqual(told.plan, found.plan);
  const loose = await compile({ samples, carried: {} });
  assert.equal(loose.calibrated?.carried, undefined);
  assert.ok(
    toNumbers(state).some((value) => value !== 0),
    'the state moves',
  );
});

test('pairs that do not fit are refused; without state a sample is incomplete', async () => {
  const codeOf = async (calibration: Parameters<typeof compile>[0]): Promise<string> => {
    try {
      await compile(calibration);
    } catch (error) {
      if (error instanceof HoneError) return error.code;
      throw error;
    }
    return 'none';
  };
  assert.equal(await codeOf({ carried: { state: 'nowhere' } }), 'HONE-CALIBRATE-013');
  assert.equal(await codeOf({ carried: { nothing: 'stateN' } }), 'HONE-CALIBRATE-013');
  assert.equal(await codeOf({ carried: { x: 'stateN' } }), 'HONE-CALIBRATE-013');
  assert.equal(await codeOf({ carried: {} }), 'HONE-CALIBRATE-002');
});

test('the command line: states may be left out, are said, and compare feeds them back', async () => {
  const data = Float32Array.from(xs.flatMap((x) => [...toNumbers(x)]));
  const values: Tensor = { dtype: 'f32', shape: [xs.length, 16], data };
  const [npz, npy] = [path.join(folder, 'x.npz'), path.join(folder, 'x.npy')];
  writeFileSync(npz, formatNpz({ x: values }));
  writeFileSync(npy, formatNpy(values));
  const artifact = path.join(folder, 'line.hone');
  const command = ['compile', MODEL, '-o', artifact, '--precision', 'int8'];
  for (const options of [[npz], [npy], [npy, '--carry', 'state=stateN']]) {
    const { code, stdout, stderr } = await hone([...command, '--calibrate', ...options]);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /state carried from run to run, stateN to state: over 40 samples the answers keep \d+ dB/,
    );
  }
  const explained = await hone(['explain', artifact]);
  assert.match(explained.stdout, /with state fed back/);
  const compared = await hone(['compare', artifact, MODEL, '--inputs', npz]);
  assert.equal(compared.code, 0, compared.stderr);
  assert.match(compared.stdout, /^40 samples/m);
  for (const pairs of ['state', 'state=', 'a=b=c']) {
    const { stderr } = await hone([...command, '--calibrate', npz, '--carry', pairs]);
    assert.match(stderr, /^HONE-CLI-006/m);
  }
  const { stderr } = await hone([...command, '--calibrate', npz, '--carry', 'none']);
  assert.match(stderr, /^HONE-CALIBRATE-002/m);
});
