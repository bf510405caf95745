/** Latency under load against a simulated queue, and its limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from 'hone-runtime/base/random';
import type { Station } from 'hone/advisor/advice-types';
import { latencyAtLoad, usableLoad } from 'hone/advisor/queue';

const station = (changes: Partial<Station> = {}): Station => ({
  service_ms: 10,
  lanes: 1,
  batch: 1,
  tail: 1,
  network_ms: 0,
  ...changes,
});

/** Latencies of random arrivals at lanes of fixed service time, first come first served. */
function simulate(lanes: number, serviceMs: number, ratePerSecond: number): number[] {
  const random = seededRandom(7);
  const free = new Array<number>(lanes).fill(0);
  const latencies: number[] = [];
  let now = 0;
  for (let i = 0; i < 200_000; i++) {
    now -= (Math.log(1 - random.next()) * 1000) / ratePerSecond;
    const lane = free.indexOf(Math.min(...free));
    const start = Math.max(now, free[lane] ?? 0);
    free[lane] = start + serviceMs;
    latencies.push(start + serviceMs - now);
  }
  return latencies.sort((a, b) => a - b);
}

for (const [lanes, load] of [
  [1, 0.3],
  [1, 0.6],
  [1, 0.9],
  [4, 0.6],
  [4, 0.9],
] as const) {
  test(`99th percentile of ${lanes} lanes at ${load * 100} % load is near the simulated one`, () => {
    const rate = (load * lanes * 1000) / 10;
    const simulated = simulate(lanes, 10, rate)[198_000] ?? 0;
    const computed = latencyAtLoad(station({ lanes }), rate, 99);
    const ratio = computed / simulated;
    assert.ok(
      ratio > 0.8 && ratio < 1.25,
      `${computed.toFixed(1)} against ${simulated.toFixed(1)} ms`,
    );
  });
}

test('latency grows with the load, and has no end at what the station can do', () => {
  const loads = [0, 1, 20, 50, 80, 95, 99];
  const times = loads.map((rate) => latencyAtLoad(station(), rate, 99));
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.equal(latencyAtLoad(station(), 100, 99), Number.POSITIVE_INFINITY);
});

test('usable load meets its limits, and a little more would not', () => {
  const limits = { '50': 12, '99': 30 };
  const rate = usableLoad(station(), limits);
  const holds = (load: number): boolean =>
    latencyAtLoad(station(), load, 50) <= 12 && latencyAtLoad(station(), load, 99) <= 30;
  assert.ok(rate > 0 && holds(rate) && !holds(rate * 1.01));
  assert.equal(usableLoad(station(), { '99': 9 }), 0);
  assert.equal(usableLoad(station({ batch: 4 }), {}), 0.95 * 400);
});
