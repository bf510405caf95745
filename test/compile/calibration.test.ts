/** What calibration sees of values, and the ranges it makes of it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { CALIBRATORS, quantizationOf, rangeOf } from 'hone/compile/calibrate/calibrators';
import { Histogram } from 'hone/compile/calibrate/histogram';
import { holdOut, holdOutLast } from 'hone/compile/calibrate/hold-out';
import { int8Plan, int8Scope } from 'hone/compile/calibrate/int8-plan';
import { observe } from 'hone/compile/calibrate/observe';
import { calibrate, type Sample } from 'hone/compile/calibrate/run';
import { readChoices } from 'hone/compile/choices';
import { weightBits } from 'hone/compile/choose-precision';
import { compileModel, rebuildArtifact, writeArtifact } from 'hone/compile/index';
import { optimizeGraph } from 'hone/compile/pipeline';
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpretAll } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { resolveTarget } from 'hone-runtime/target/parse';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-calibration-'));
after(() => rmSync(folder, { recursive: true }));

const random = seededRandom(11);
function normal(shape: readonly number[], scale = 1): Tensor {
  const values = Float64Array.from({ length: elementCount(shape) }, () => scale * random.normal());
  return fromNumbers('f32', shape, values);
}

/** A histogram by the operator's reference. */
function histogramOf(...samples: Tensor[]): Histogram {
  const histogram = new Histogram();
  for (const sample of samples) {
    const context = { node: 'observe', outputTypes: [], run: () => [] };
    const [facts, counts] = observe.reference([sample], {}, context);
    histogram.add(toNumbers(facts as Tensor), toNumbers(counts as Tensor));
  }
  return histogram;
}

/** Two convolutions with pooling between, a residual addition, a dense layer. */
function network(): Graph {
  const b = opBuilder('net');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 3, 12, 12] });
  const weights = (...shape: number[]) => b.constant(normal(shape, 0.3));
  const pads = { pads: [1, 1, 1, 1] };
  const named = (name: string) => ({ name, outputNames: [name] });
  const c1 = b.op('Conv', [x, weights(8, 3, 3, 3)], pads, named('c1'));
  const r1 = b.op('Relu', [c1], {}, named('r1'));
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  const p1 = b.op('MaxPool', [r1], pool, named('p1'));
  const c2 = b.op('Conv', [p1, weights(8, 8, 3, 3)], pads, named('c2'));
  const sum = b.op('Add', [c2, p1], {}, named('sum'));
  const c3 = b.op('Conv', [sum, weights(8, 8, 1, 1)], {}, named('c3'));
  const mean = b.op('GlobalAveragePool', [c3], {}, named('mean'));
  const flat = b.op('Flatten', [mean], {}, named('flat'));
  const dense = b.op('Gemm', [flat, weights(8, 4)], {}, named('dense'));
  return b.graph.finish([b.op('Softmax', [dense], {}, named('y'))]);
}

function samples(count: number): Sample[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `${i}`,
    inputs: { x: normal([1, 3, 12, 12], 1 + i) },
  }));
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof HoneError) return error.code;
    throw error;
  }
  return 'none';
}

test('compiled observation: extremes and counts are those of the values themselves', async () => {
  const graph = optimizeGraph(network(), {});
  const { values, contractions, shared } = int8Scope(graph, standardRegistry);
  assert.deepEqual([...contractions], ['c1', 'c2', 'c3', 'dense']);
  const given = samples(3);
  const progress: string[] = [];
  const found = await calibrate(graph, values, given, {
    onProgress: (message) => progress.push(message),
  });
  assert.equal(found.samples, 3);
  assert.equal(progress.at(-1), 'calibrating: 3 samples');
  for (const id of values) {
    const { name } = valueById(graph, id);
    const all = given.map(({ inputs }) => toNumbers(interpretAll(graph, [inputs.x as Tensor])(id)));
    const histogram = found.histograms.get(id) as Histogram;
    const flat = all.flatMap((part) => [...part]);
    assert.equal(histogram.elements, flat.length, name);
    assert.ok(Math.abs(histogram.largest - Math.max(...flat)) < 1e-4, name);
    assert.ok(Math.abs(histogram.least - Math.min(...flat)) < 1e-4, name);
    const { width, zero, counts } = histogram.bins();
    assert.ok(counts.length <= 2048 && counts.length >= 1024, `${name}: ${counts.length} bins`);
    // No dead activations: a value that is the same everywhere would show nothing.
    assert.ok(counts.filter((count) => count > 0).length > 20, name);
    const middle = flat.filter((value) => value >= width * 3).length;
    const above = counts.slice(zero + 3).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(above - middle) <= 2, `${name}: ${above} and ${middle}`);
  }
  // Pooling picks elements: its result has the scale of what it reads.
  const id = (name: string): ValueId => graph.values.findIndex((value) => value.name === name);
  assert.equal(shared.get(id('p1')), id('r1'));
  const plan = int8Plan(graph, { values, contractions, shared }, found.histograms, 'mse', 8);
  assert.deepEqual(plan.values.get('p1'), plan.values.get('r1'));
  assert.equal(plan.values.has('dense'), false, 'what the softmax reads stays wide');
  for (const [name, kept] of plan.values) {
    assert.ok(kept.kind === 'u8' && kept.scale > 0 && Number.isInteger(kept.zeroPoint), name);
    if (name === 'r1') assert.equal(kept.zeroPoint, 0, 'never negative: begins at zero');
  }
});

test('histograms of samples merge exactly, in any order', () => {
  const parts = [normal([500], 0.01), normal([700], 3), normal([300], 100)];
  const [a, b, c] = parts as [Tensor, Tensor, Tensor];
  assert.deepEqual(histogramOf(a, b, c).bins(), histogramOf(c, a, b).bins());
  const zeros = histogramOf(fromNumbers('f32', [8], new Float64Array(8)));
  assert.equal(zeros.elements, 8);
  const odd = histogramOf(fromNumbers('f32', [4], [Number.NaN, Number.POSITIVE_INFINITY, 1, 2]));
  assert.deepEqual([odd.notFinite, odd.least, odd.largest, odd.elements], [2, 1, 2, 2]);
});

test('every calibrator: zero is a level, ranges lie within what was seen', () => {
  const positive = fromNumbers(
    'f32',
    [4000],
    toNumbers(normal([4000])).map((v) => Math.max(0, v)),
  );
  const shifted = fromNumbers(
    'f32',
    [900],
    toNumbers(normal([900])).map((value) => value + 9),
  );
  const tensors = [normal([5000]), positive, shifted, normal([64], 1e-6), normal([64], 1e6)];
  for (const tensor of tensors) {
    const histogram = histogramOf(tensor);
    for (const calibrator of CALIBRATORS) {
      const range = rangeOf(histogram, calibrator);
      assert.ok(range.low <= 0 && range.high >= 0, `${calibrator} holds zero`);
      assert.ok(range.low >= Math.min(0, histogram.least) * 1.0001, calibrator);
      assert.ok(range.high <= Math.max(0, histogram.largest) * 1.0001, calibrator);
      const { scale, zeroPoint } = quantizationOf(range);
      assert.ok(scale > 0 && zeroPoint >= 0 && zeroPoint <= 255);
      if (histogram.least >= 0) assert.equal(zeroPoint, 0);
    }
  }
});

test('outliers: percentile and the searches cut them off, minmax keeps them', () => {
  const values = toNumbers(normal([200_000]));
  values[17] = 400;
  const histogram = histogramOf(fromNumbers('f32', [values.length], values));
  assert.equal(rangeOf(histogram, 'minmax').high, 400);
  // The square of one large error weighs: mse gives way less.
  const limits = { percentile: 10, entropy: 100, mse: 390 } as const;
  for (const calibrator of ['percentile', 'entropy', 'mse'] as const) {
    const { high } = rangeOf(histogram, calibrator);
    assert.ok(high < limits[calibrator] && high > 1, `${calibrator}: ${high}`);
  }
});

test('targets with AVX2 but without VNNI take 7-bit weights', () => {
  const bits = (...names: string[]) => weightBits(names.map(resolveTarget));
  assert.equal(bits('x86-64-v3'), 7);
  assert.equal(bits('x86-64-v4+vnni'), 8);
  assert.equal(bits('x86-64-v4+vnni', 'x86-64-v3'), 7);
  assert.equal(bits('arm64'), 8);
});

test('samples that say nothing are refused', async () => {
  const graph = optimizeGraph(network(), {});
  const scope = int8Scope(graph, standardRegistry);
  const [first] = samples(1) as [Sample];
  const run = (...given: Sample[]) => codeOf(() => calibrate(graph, scope.values, given));
  assert.equal(await run(), 'HONE-CALIBRATE-001');
  assert.equal(await run({ name: 'none', inputs: {} }), 'HONE-CALIBRATE-002');
  const shape = { name: 'shape', inputs: { x: normal([1, 3, 12, 11]) } };
  assert.equal(await run(first, shape), 'HONE-CALIBRATE-003');
  const nan = fromNumbers('f32', [1, 3, 12, 12], new Float64Array(432).fill(Number.NaN));
  assert.equal(await run({ name: 'nan', inputs: { x: nan } }), 'HONE-CALIBRATE-004');
  for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const one = fromNumbers('f32', [1, 3, 12, 12], new Float64Array(432).with(7, value));
    assert.equal(await run(first, { name: 'one', inputs: { x: one } }), 'HONE-CALIBRATE-004');
  }
  const flat = fromNumbers('f32', [1, 3, 12, 12], new Float64Array(432));
  const { histograms } = await calibrate(graph, scope.values, [
    { name: 'flat', inputs: { x: flat } },
  ]);
  const plan = () => int8Plan(graph, scope, histograms, 'minmax', 8);
  assert.equal(await codeOf(plan), 'HONE-CALIBRATE-006');
});

test('a value inside that overflows on the samples, and models with nothing to narrow, are refused', async () => {
  const b = opBuilder('overflow');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 4] });
  const powers = b.op('Exp', [x], {}, { name: 'powers', outputNames: ['powers'] });
  const weights = b.constant(fromNumbers('f32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]));
  const dense = b.op('MatMul', [powers, weights], {}, { name: 'dense' });
  const overflow = path.join(folder, 'overflow.onnx');
  writeFileSync(overflow, exportOnnx(b.graph.finish([dense])));
  const plain = opBuilder('plain');
  const input = plain.graph.input('x', { dtype: 'f32', shape: [1, 4] });
  const nothing = path.join(folder, 'plain.onnx');
  writeFileSync(nothing, exportOnnx(plain.graph.finish([plain.op('Relu', [input])])));
  const large = { name: 'large', inputs: { x: fromNumbers('f32', [1, 4], [1, 2, 3, 200]) } };
  const run = (file: string) =>
    codeOf(() => compileModel(file, { precision: 'int8', calibration: { samples: [large] } }));
  assert.equal(await run(overflow), 'HONE-CALIBRATE-005');
  assert.equal(await run(nothing), 'HONE-CALIBRATE-008');
});

test('of eight samples every fourth is held out, of fewer none; of a sequence the last quarter', async () => {
  const named = (count: number): Sample[] =>
    Array.from({ length: count }, (_, i) => ({ name: `${i}`, inputs: {} }));
  const split = async (count: number, most: number) => {
    const held: Sample[] = [];
    const used: string[] = [];
    for await (const { name } of holdOut(named(count), held, most)) used.push(name);
    return [used.join(' '), held.map(({ name }) => name).join(' ')];
  };
  assert.deepEqual(await split(7, 9), ['0 1 2 3 4 5 6', '']);
  assert.deepEqual(await split(8, 9), ['0 1 2 4 5 6', '3 7']);
  assert.deepEqual(await split(12, 2), ['0 1 2 4 5 6 8 9 10', '3 7']);
  const sequence = named(9).map((sample, i) => ({ ...sample, continues: i > 0 }));
  const { judged, held } = holdOutLast(sequence);
  assert.deepEqual([judged.length, held.length], [7, 2]);
  assert.deepEqual(
    held.map(({ continues }) => continues),
    [false, true],
  );
});

const APART = 8;

/** Channels of ranges 1 … 2^-14, made by a convolution, that a depthwise one brings back to 1. */
function rangesApart(file: string): Graph {
  const b = opBuilder('apart');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, APART, 6, 6] });
  const range = (c: number): number => 4 ** -c;
  const spread = Array.from({ length: APART ** 2 }, (_, i) => {
    const c = Math.floor(i / APART);
    return range(c) * (i % APART === c ? 1 : 0.3);
  });
  const back = Array.from({ length: APART }, (_, c) => 1 / range(c));
  const w = b.constant(fromNumbers('f32', [APART, APART, 1, 1], spread), 'w');
  const d = b.constant(fromNumbers('f32', [APART, 1, 1, 1], back), 'd');
  const c = b.op('Conv', [x, w], {}, { name: 'spread', outputNames: ['c'] });
  const r = b.op('Relu', [c], {}, { name: 'relu', outputNames: ['r'] });
  const depthwise = { name: 'depthwise', outputNames: ['z'] };
  const z = b.op('Conv', [r, d], { group: APART }, depthwise);
  const graph = b.graph.finish([b.op('Neg', [z], {}, { name: 'y', outputNames: ['y'] })]);
  writeFileSync(file, exportOnnx(graph));
  return graph;
}

test('ranges far apart: the layer stays wide, or its channels are equalised; both rebuild', async () => {
  const file = path.join(folder, 'apart.onnx');
  const graph = rangesApart(file);
  const given = Array.from({ length: 4 }, (_, i) => ({
    name: `${i}`,
    inputs: { x: normal([1, APART, 6, 6]) },
  }));
  /** Noise over signal in dB, and what the depthwise layer multiplies. */
  const judge = async (name: string, settings: { leastSnr?: number; equalize?: boolean }) => {
    const artifact = path.join(folder, name);
    const model = await compileModel(file, {
      precision: 'int8',
      calibration: { samples: given, calibrator: 'minmax', ...settings },
    });
    await writeArtifact(model, artifact);
    const session = load(artifact);
    let [signal, noise] = [0, 0];
    for (const { inputs } of given) {
      const output = toNumbers(session.runSync(inputs)['y'] as Tensor);
      const [y] = graph.outputs;
      const wanted = toNumbers(interpretAll(graph, [inputs.x])(y as ValueId));
      wanted.forEach((value, i) => {
        signal += value ** 2;
        noise += (value - (output[i] as number)) ** 2;
      });
    }
    session.close();
    const opened = openArtifact(artifact);
    await rebuildArtifact(opened, file);
    const { plan, reasons } = readChoices(opened);
    return {
      snr: 10 * Math.log10(signal / noise),
      kind: plan?.contractions.get('depthwise'),
      why: reasons?.get('depthwise') ?? '',
    };
  };
  const even = await judge('even.hone', {});
  const bounded = await judge('bounded.hone', { leastSnr: 60 });
  const equal = await judge('equal.hone', { equalize: true });
  assert.equal(even.kind, 'int8');
  assert.ok(even.snr > 30, `channels of like ranges: ${even.snr} dB`);
  assert.ok(bounded.kind === 'bf16' || bounded.kind === 'f32', bounded.kind);
  assert.match(bounded.why, /^stays wide: int8 has -?\d+ dB .* less than 60$/);
  assert.ok(bounded.snr > 30, `${bounded.snr} dB`);
  assert.equal(equal.kind, 'int8');
  assert.match(equal.why, /^int8 was asked for; int8 has \d+ dB/);
  assert.ok(equal.snr > 30, `${equal.snr} dB`);
});
