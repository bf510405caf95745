/** Artifacts of models with control flow: rebuilt, profiled, compared layer by layer, in every precision. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readReport } from 'hone/cli/stored-report';
import type { Sample } from 'hone/compile/calibrate/run';
import { compareModel } from 'hone/compile/compare/index';
import {
  type CompileOptions,
  type CompiledModel,
  compileModel,
  rebuildArtifact,
  writeArtifact,
} from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { optimizeGraph } from 'hone/compile/pipeline';
import type { Graph } from 'hone/graph/types';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { relativeError, runnableTargets } from '../support/compiled-graph.ts';
import { noise } from '../support/control-graphs.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-control-'));
after(() => rmSync(folder, { recursive: true }));

const SHAPE = [1, 16, 10, 10];
const MODEL = path.join(folder, 'model.onnx');
writeModel();

/** A convolution, a loop of as many more as an input says, a convolution behind it. */
function writeModel(): void {
  const b = opBuilder('repeated');
  const type = { dtype: 'f32', shape: SHAPE } as const;
  const named = (value: string) => ({ name: value, outputNames: [value] });
  const pads = { pads: [1, 1, 1, 1] };
  const weights = (seed: number): Tensor => {
    const { shape, data } = noise([16, 16, 3, 3], seed);
    return { dtype: 'f32', shape, data: (data as Float32Array).map((value) => value / 8) };
  };
  const n = b.graph.input('n', { dtype: 'i64', shape: [] });
  const x = b.graph.input('x', type);
  const first = b.op('Conv', [x, b.constant(weights(1))], pads, named('first'));
  const body = b.nested('body');
  body.graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = body.graph.input('go_on', { dtype: 'bool', shape: [] });
  const state = body.graph.input('state', type);
  const inner = body.op('Conv', [state, body.constant(weights(2))], pads, named('inner'));
  const next = body.op('Tanh', [inner], {}, named('next'));
  const [last] = b.ops(
    'Loop',
    [n, null, first],
    { body: body.graph.finish([goOn, next]) },
    named('loop'),
  );
  const y = b.op('Conv', [last ?? null, b.constant(weights(3))], pads, named('y'));
  writeFileSync(MODEL, exportOnnx(b.graph.finish([y])));
}

const TRIPS = 3;
const samples: readonly Sample[] = Array.from({ length: 4 }, (_, i) => ({
  name: `${i}`,
  inputs: { n: fromNumbers('i64', [], [TRIPS]), x: noise(SHAPE, 50 + i) },
}));
const inputs = at(samples, 0).inputs;

async function compileTo(
  name: string,
  options: CompileOptions,
): Promise<{ directory: string; model: CompiledModel; y: Tensor }> {
  const directory = path.join(folder, name);
  const model = await compileModel(MODEL, options);
  await writeArtifact(model, directory);
  const outputs = [1, 2].map((threads) => {
    const session = load(directory, { threads, poison: true });
    try {
      return session.runSync(inputs)['y'] as Tensor;
    } finally {
      session.close();
    }
  });
  assert.deepEqual(outputs[0], outputs[1], `${name}: any number of workers`);
  return { directory, model, y: at(outputs, 0) };
}

const wide = compileTo('wide.hone', {});

function compare(directory: string) {
  const { stages } = readReport(openArtifact(directory));
  return compareModel(
    directory,
    MODEL,
    () => samples,
    () => stages,
  );
}

test('the artifact is rebuilt byte for byte', async () => {
  const { directory } = await wide;
  await rebuildArtifact(openArtifact(directory), MODEL);
});

test('a profile counts how often the kernels of the body run', async () => {
  const { directory, model } = await wide;
  const session = load(directory);
  const { steps } = session.profile(inputs, { runs: 4 });
  session.close();
  const times = (part: string): readonly number[] =>
    model.report.stages.flatMap(({ label, row }, i) =>
      label.includes(part) && row !== 'control' ? [at(steps, i).times] : [],
    );
  assert.deepEqual(new Set(times('loop/body: inner')), new Set([TRIPS]));
  assert.deepEqual(times('first').slice(0, 1), [1]);
  const inside = model.report.stages.find(({ label }) => label.includes('inner'));
  assert.equal(inside?.runs, null, 'the compiler does not know how often');
});

test('layers outside of the loop equal the model', async () => {
  const { directory } = await wide;
  const { layers, worst } = await compare(directory);
  assert.deepEqual(worst, []);
  assert.ok(layers.some(({ value }) => value === 'first'));
  assert.ok(layers.every(({ verdict }) => verdict === 'fine'));
});

test('bf16: the body too', async (t) => {
  if (runnableTargets().length === 0) {
    t.skip('no x86-64 here');
    return;
  }
  const { model, y } = await compileTo('half.hone', { precision: 'bf16' });
  const rows = model.report.stages.filter(({ label }) => label.includes('inner'));
  assert.match(rows.map(({ row }) => row).join(), /bf16/);
  const error = relativeError(y, (await wide).y);
  assert.ok(error > 0 && error < 0.05, `${error}`);
});

test('int8: what is around the loop and in it, rebuilt byte for byte from its choices', async () => {
  const { directory, model, y } = await compileTo('narrow.hone', {
    precision: 'int8',
    calibration: { samples, leastSnr: 0 },
  });
  assert.doesNotMatch(model.notes.join('\n'), /computed in fp32/);
  const rows = model.report.stages.map(({ label, row }) => `${label} ${row}`);
  assert.ok(
    rows.some((row) => /^first.*u8i8/.test(row)),
    rows.join('\n'),
  );
  assert.ok(
    rows.some((row) => /inner.*u8i8/.test(row)),
    rows.join('\n'),
  );
  await rebuildArtifact(openArtifact(directory), MODEL);
  const error = relativeError(y, (await wide).y);
  assert.ok(error < 0.1, `${error}`);
  const { worst } = await compare(directory);
  assert.deepEqual(worst, []);
});

/** A convolution in each branch; `reads` lets one of them read at a position that is data. */
function choice(reads: boolean): Graph {
  const b = opBuilder('choice');
  const type = { dtype: 'f32', shape: SHAPE } as const;
  const go = b.graph.input('go', { dtype: 'bool', shape: [] });
  const at = b.graph.input('at', { dtype: 'i64', shape: [1] });
  const x = b.graph.input('x', type);
  const branch = (seed: number, isReading: boolean) => {
    const inner = b.nested('branch');
    const own = inner.graph.input('x', type);
    const place = inner.graph.input('at', { dtype: 'i64', shape: [1] });
    const weights = inner.constant(noise([16, 16, 3, 3], seed));
    const conv = inner.op('Conv', [own, weights], { pads: [1, 1, 1, 1] }, { name: `conv${seed}` });
    const part = isReading ? inner.op('Gather', [own, place], { axis: 0 }) : own;
    return inner.graph.finish([inner.op('Add', [conv, part])]);
  };
  const attrs = { then_branch: branch(1, reads), else_branch: branch(2, false), captures: 2 };
  return b.graph.finish([b.op('If', [go, x, at], attrs, { name: 'choose' })]);
}

test('int8: branches that cannot fail are both computed, others stay bodies', () => {
  const options = { registry: standardRegistry, precision: 'int8' } as const;
  const ops = (graph: Graph): readonly string[] => graph.nodes.map(({ op }) => op);
  const both = ops(optimizeGraph(choice(false), options));
  assert.equal(both.filter((op) => op === 'Conv').length, 2);
  assert.ok(both.includes('Where') && !both.includes('If'));
  assert.deepEqual(ops(optimizeGraph(choice(true), options)), ['If']);
  assert.deepEqual(ops(optimizeGraph(choice(false), { registry: standardRegistry })), ['If']);
});

test('several targets, a prefix, and a static archive', async (t) => {
  const target = runnableTargets();
  if (target.length === 0) {
    t.skip('no x86-64 here');
    return;
  }
  const { directory, model } = await compileTo('many.hone', { target, prefix: 'm', static: true });
  assert.equal(model.variants.length, target.length);
  const wanted = toNumbers((await wide).y);
  for (const name of target) {
    const session = load(directory, { target: name });
    const got = toNumbers(session.runSync(inputs)['y'] as Tensor);
    session.close();
    got.forEach((value, i) => {
      assert.ok(Math.abs(value - at([wanted[i] ?? 0], 0)) < 1e-5, `${name}: element ${i}`);
    });
  }
});
