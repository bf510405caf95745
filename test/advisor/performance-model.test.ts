/** The stored model is what the fit gives, is as good as is said, and its topologies are current. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrate, lookup, observationsOf, OWN_ENGINE } from 'hone/advisor/calibration';
import { loadCatalogue, loadMeasurements, loadModel, loadWorkloads } from 'hone/advisor/data-files';
import type { ErrorSummary, Validation } from 'hone/advisor/fitted-model';
import { parametersOf } from 'hone/advisor/fitted-model';
import { predict } from 'hone/advisor/predict';
import { storedWorkload } from 'hone/advisor/stored-workloads';
import { leaveOut, summarize } from 'hone/advisor/validation';
import { workloadOf } from 'hone/advisor/workload';
import { buildTopology } from '../../bench/networks/topologies.ts';

const model = loadModel();
const catalogue = loadCatalogue();
const workloads = loadWorkloads();
const devices = new Map(catalogue.accelerators.map((device) => [device.id, device]));
const observations = observationsOf(loadMeasurements(), workloads, devices);

const within = (summary: ErrorSummary | null, median: number, p90: number, what: string): void => {
  assert.ok(summary !== null && summary.count > 100, what);
  assert.ok(summary.median <= median, `${what}: median ${summary.median}`);
  assert.ok(summary.p90 <= p90, `${what}: 90th percentile ${summary.p90}`);
  assert.ok(summary.median < summary.baselineMedian / 2, `${what}: no better than a roofline`);
};

for (const [name, validation] of [
  ['accelerator', model.byAccelerator],
  ['family', model.byFamily],
] as readonly (readonly [string, Validation])[]) {
  test(`left out by ${name}: errors of throughput and latency`, () => {
    const { kernelLatency, wholeThroughput, wholeLatency } = validation.all;
    within(kernelLatency, 0.25, 0.6, 'kernels, latency');
    within(wholeThroughput, 0.2, 0.6, 'whole, throughput');
    within(wholeLatency, 0.25, 0.6, 'whole, latency');
  });
}

test('accelerators are in the right order for nine pairs of ten', () => {
  for (const { pairs, right } of [model.order.throughput, model.order.cost]) {
    assert.ok(pairs > 300);
    assert.ok(right / pairs >= 0.9, `${right} of ${pairs}`);
  }
});

test('fitting again gives the stored parameters, and leaving L4 out the stored errors', () => {
  const fit = calibrate(observations);
  const stored = parametersOf(model);
  const again = lookup(fit);
  for (const name of fit.names) {
    assert.ok(Math.abs(stored(name) - again(name)) < 1e-3, `${name}: ${again(name)}`);
  }
  const published = observations.filter((item) => item.run.engine !== OWN_ENGINE);
  const left = leaveOut(published, (item) => (item.chip === 'l4' ? 'l4' : 'others'), fit);
  const only = new Map([...left].filter(([group]) => group === 'l4'));
  const found = summarize(only, 1).all.kernelLatency;
  const expected = model.byAccelerator.groups.find(({ group }) => group === 'l4')?.kernelLatency;
  assert.ok(found && expected);
  assert.equal(found.count, expected.count);
  assert.ok(Math.abs(found.median - expected.median) < 5e-3, `${found.median}`);
});

test('workloads of topologies are what the bench builds', () => {
  for (const name of ['resnet18', 'mobilenetv2']) {
    const built = storedWorkload({ ...workloadOf(buildTopology(name)), name });
    const stored = storedWorkload(workloads.get(name) ?? assert.fail(name));
    assert.deepEqual(built, stored, 'run `npm run bench:topologies` and `npm run fit`, and commit');
  }
});

test('work of a batch is for one sample, whatever the batch', () => {
  const resnet = workloads.get('resnet18') ?? assert.fail();
  const t4 = devices.get('t4') ?? assert.fail();
  const at = (batch: number): number =>
    predict(resnet, t4, { engine: 'compiled', precision: 'fp16', batch }, model).latencyMs;
  assert.ok(at(1) < at(8) && at(8) < 8 * at(1));
});

test('a chip without public figures is extrapolated, with a wider interval', () => {
  const resnet = workloads.get('resnet50') ?? assert.fail();
  const options = { engine: 'server', precision: 'fp32', batch: 1 } as const;
  const [k80, t4] = ['k80', 't4'].map((id) => devices.get(id) ?? assert.fail(id));
  assert.ok(k80 && t4);
  const old = predict(resnet, k80, options, model);
  const known = predict(resnet, t4, options, model);
  assert.equal(old.extrapolated, true);
  assert.equal(known.extrapolated, false);
  assert.ok(old.logSpreadLatency > known.logSpreadLatency);
});
