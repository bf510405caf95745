/** Advice in the light of measurements: measured rows, refitted machines, and the rest untouched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advise } from 'hone/advisor/advise';
import type { AdviceRow } from 'hone/advisor/advice-types';
import { loadCatalogue, loadModel, loadWorkloads } from 'hone/advisor/data-files';
import { readDemand } from 'hone/advisor/demand';
import { learnFrom, predictedMs, probedDevice } from 'hone/advisor/measured-candidates';
import type { MeasuredResult } from 'hone/advisor/measured-result';

const CATALOGUE = loadCatalogue();
const MODEL = loadModel();
const WORKLOAD =
  [...loadWorkloads().values()].find(({ name }) => name === 'resnet50') ??
  [...loadWorkloads().values()][0];
const SHA = 'a'.repeat(64);

function measured(
  p50_ms: number,
  changes: Partial<MeasuredResult['setting']> = {},
  disturbed = false,
): MeasuredResult {
  assert.ok(WORKLOAD);
  return {
    measured_at: '2026-11-26T00:00:00.000Z',
    by: 'here',
    hone: '0.1.0',
    machine: {
      name: 'c5.xlarge',
      cpu: 'x',
      cores: 2,
      memory_bytes: 8e9,
      l3_bytes: null,
      os: 'linux',
      peak: null,
    },
    model: { name: 'm', sha256: SHA, shapes: [], flops: 1e9, workload: WORKLOAD },
    artifact: { sha256: 'b'.repeat(64), target: 'x86-64-v4-linux-gnu' },
    setting: { precision: 'fp32', batch: 1, concurrency: 1, threads: 2, ...changes },
    p50_ms,
    p90_ms: p50_ms * 1.05,
    p95_ms: p50_ms * 1.1,
    p99_ms: p50_ms * 1.2,
    mean_ms: p50_ms,
    throughput_per_s: 1000 / p50_ms,
    peak_rss_bytes: 1e8,
    runs: 100,
    conditions: { disturbed, load_before: 0, load_after: 1, governor: null },
  };
}

function rowsWith(
  results: readonly MeasuredResult[],
  modelSha256 = SHA,
): ReadonlyMap<string, readonly AdviceRow[]> {
  assert.ok(WORKLOAD);
  const advice = advise({
    path: 'm.onnx',
    workload: WORKLOAD,
    catalogue: CATALOGUE,
    model: MODEL,
    demand: readDemand({
      sla: 'p99=10s',
      throughput: '1/s',
      hardware: 'c5.xlarge,c5.2xlarge',
      offline: false,
    }),
    today: '2026-11-26',
    ...(results.length === 0
      ? {}
      : { measured: { learned: learnFrom(results, CATALOGUE, MODEL), modelSha256 } }),
  });
  const all = [...advice.rows, ...advice.alternatives];
  return new Map(
    ['c5.xlarge', 'c5.2xlarge'].map((name) => [
      name,
      all.filter(({ instance }) => instance === name),
    ]),
  );
}

const find = (rows: readonly AdviceRow[] | undefined, batch: number, lanes: number): AdviceRow => {
  const row = rows?.find(
    (one) => one.precision === 'fp32' && one.batch === batch && one.station.lanes === lanes,
  );
  assert.ok(row !== undefined, `batch ${batch}, ${lanes} lanes`);
  return row;
};

test('a measured setting replaces the predicted one, and moves others of its machine alone', () => {
  const before = rowsWith([]);
  const predicted = find(before.get('c5.xlarge'), 1, 1);
  assert.notEqual(predicted.basis, 'measured');
  const slow = measured(predicted.station.service_ms * 1.5);
  const after = rowsWith([slow]);
  const row = find(after.get('c5.xlarge'), 1, 1);
  assert.equal(row.basis, 'measured');
  assert.ok(
    Math.abs(row.station.service_ms - slow.p50_ms) < 1e-9 &&
      Math.abs(row.station.tail - 1.2) < 1e-9,
  );
  assert.ok(row.p50_ms.high / row.p50_ms.low < predicted.p50_ms.high / predicted.p50_ms.low);
  const { parts } = row;
  const sum =
    parts.compute_ms + parts.memory_ms + parts.launch_ms + parts.transfer_ms + parts.fallback_ms;
  assert.ok(Math.abs(sum - slow.p50_ms) < 1e-6, 'its parts add up');
  const [other, otherBefore] = [after, before].map((rows) => find(rows.get('c5.xlarge'), 1, 2));
  const factor = (other?.station.service_ms ?? 0) / (otherBefore?.station.service_ms ?? 1);
  assert.ok(factor > 1.2 && factor < 1.5, `refitted by ${factor}`);
  assert.notEqual(other?.basis, 'measured');
  assert.deepEqual(after.get('c5.2xlarge'), before.get('c5.2xlarge'));
});

test('what was measured of another model refits the machine, but is no measured row', () => {
  const predicted = find(rowsWith([]).get('c5.xlarge'), 1, 1);
  const after = rowsWith([measured(predicted.station.service_ms * 2)], 'c'.repeat(64));
  const row = find(after.get('c5.xlarge'), 1, 1);
  assert.notEqual(row.basis, 'measured');
  assert.ok(row.station.service_ms > predicted.station.service_ms * 1.3);
});

test('busy machines teach nothing, and requests that took turns are no service time', () => {
  const predicted = find(rowsWith([]).get('c5.xlarge'), 1, 1).station.service_ms;
  const busy = rowsWith([measured(predicted * 9, {}, true)], 'c'.repeat(64));
  assert.ok(Math.abs(find(busy.get('c5.xlarge'), 1, 1).station.service_ms / predicted - 1) < 1e-9);
  const calm = measured(predicted * 1.1);
  const later = { ...measured(predicted * 9, {}, true), measured_at: '2027-01-01T00:00:00.000Z' };
  const both = rowsWith([calm, later]);
  assert.ok(Math.abs(find(both.get('c5.xlarge'), 1, 1).station.service_ms - calm.p50_ms) < 1e-9);
  const turns = rowsWith([measured(predicted * 2, { concurrency: 2, threads: 2 })]);
  assert.notEqual(find(turns.get('c5.xlarge'), 1, 2).basis, 'measured');
});

test('a machine of no catalogue is predicted from its probe', () => {
  const probed = measured(50);
  const machine = {
    ...probed.machine,
    name: 'under my desk',
    peak: { fp32_gflops: 228, bf16_gflops: 456, int8_gops: 914, read_gbytes_per_second: 40 },
  };
  const ms = predictedMs({ ...probed, machine }, CATALOGUE, MODEL);
  assert.ok(ms !== undefined && ms > 5 && ms < 500, `${ms}`);
  assert.equal(probedDevice(probed.machine), undefined);
  assert.equal(
    predictedMs({ ...probed, machine: { ...probed.machine, name: 'nowhere' } }, CATALOGUE, MODEL),
    undefined,
  );
});
