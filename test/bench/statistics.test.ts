/** Summaries of times, comparison of outputs, judging of disturbed rounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from 'hone-runtime/base/tensor';
import { judge, type Round, roundRatios, summarizeTurns } from 'hone/bench/alternation';
import { compareOutputs, worstOutput } from 'hone/bench/compare-outputs';
import { makeInputs } from 'hone/bench/engine-inputs';
import { geometricMean, median, quantile, summarize } from 'hone/bench/statistics';

test('quantiles interpolate between neighbours', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([0, 10], 0.9), 9);
  assert.equal(quantile([7], 0.99), 7);
  assert.ok(Number.isNaN(median([])));
  const { p50, p90, mean, spreadPercent, count } = summarize([1, 2, 3, 4, 5]);
  assert.deepEqual([p50, p90, mean, count], [3, 4.6, 3, 5]);
  assert.equal(Math.round(spreadPercent), 67);
  assert.ok(Math.abs(geometricMean([0.5, 2]) - 1) < 1e-12);
});

/** A round of two engines whose runs took `ours` and `theirs` ms. */
function round(ours: number, theirs: number, burns: readonly [number, number]): Round {
  return [ours, theirs].map((ms, engine) => ({
    turn: { runs: [ms, ms], ms: 2 * ms },
    burn: burns[engine] ?? 0,
  }));
}

test('disturbed rounds are left out and counted', () => {
  const rounds = [
    round(10, 20, [100, 99]),
    round(30, 20, [70, 99]),
    round(10, 22, [95, 95]),
    round(10, 24, [99, 98]),
  ];
  const judged = judge(rounds, 100);
  assert.equal(judged.rounds.length, 3);
  assert.deepEqual([judged.windows, judged.discarded, judged.disturbed], [8, 1, false]);
  assert.equal(summarizeTurns(judged.rounds, 0).p50, 10);
  assert.equal(summarizeTurns(judged.rounds, 0).rateAverage, 100);
  assert.equal(median(roundRatios(judged.rounds, 0, 1, 'latency')), 2.2);
  assert.equal(median(roundRatios(judged.rounds, 0, 1, 'throughput')), 2.2);
});

test('without clean rounds the better half is taken, and said so', () => {
  const rounds = [round(10, 20, [50, 60]), round(30, 60, [20, 30]), round(12, 24, [40, 80])];
  const judged = judge(rounds, 100);
  assert.equal(judged.disturbed, true);
  assert.deepEqual(judged.rounds, [rounds[0], rounds[2]]);
});

function tensor(values: readonly number[], shape = [values.length]): Tensor {
  return { dtype: 'f32', shape, data: Float32Array.from(values) };
}

test('outputs are compared relative to their scale', () => {
  const reference = { y: tensor([100, 1e-4, -50]) };
  const [close] = compareOutputs({ y: tensor([100.05, 1e-3, -50]) }, reference);
  assert.equal(close?.within, true);
  assert.ok(Math.abs((close?.ofScale ?? 0) - 5e-4) < 1e-6);
  const [far] = compareOutputs({ y: tensor([100, 2e-3, -50]) }, reference);
  assert.equal(far?.within, false);
  assert.match(far?.problem ?? '', /1 of 3 elements/);
});

test('NaN, infinities, missing outputs and other shapes are differences', () => {
  const reference = { y: tensor([Number.NaN, Number.POSITIVE_INFINITY, 1]) };
  assert.equal(compareOutputs(reference, reference)[0]?.within, true);
  for (const values of [
    [0, Number.POSITIVE_INFINITY, 1],
    [Number.NaN, 3, 1],
    [Number.NaN, Number.POSITIVE_INFINITY, Number.NaN],
    [Number.NaN, Number.NEGATIVE_INFINITY, 1],
  ]) {
    assert.equal(compareOutputs({ y: tensor(values) }, reference)[0]?.within, false);
  }
  assert.match(compareOutputs({}, reference)[0]?.problem ?? '', /missing/);
  const reshaped = { y: tensor([Number.NaN, Number.POSITIVE_INFINITY, 1], [1, 3]) };
  assert.match(compareOutputs(reshaped, reference)[0]?.problem ?? '', /shape/);
  const errors = compareOutputs({ y: tensor([5]) }, { x: tensor([1]), y: tensor([5]) });
  assert.equal(worstOutput(errors)?.name, 'x');
  assert.equal(worstOutput([]), undefined);
});

test('inputs are the same for the same plan, and within their range', () => {
  const plans = [
    { name: 'x', dtype: 'f32', shape: [2, 3] },
    { name: 'ids', dtype: 'i64', shape: [1, 8], low: 5, high: 9 },
    { name: 'page', dtype: 'f32', shape: [1, 3, 64, 64], low: 0, high: 255, content: 'page' },
  ] as const;
  const inputs = makeInputs(plans);
  assert.deepEqual(inputs, makeInputs(plans));
  assert.notDeepEqual(inputs['x'], makeInputs(plans, 1)['x']);
  const ids = [...((inputs['ids']?.data ?? []) as BigInt64Array)];
  assert.ok(ids.length === 8 && ids.every((id) => id >= 5n && id < 9n));
  const page = new Set(inputs['page']?.data as Float32Array);
  assert.deepEqual([...page].sort(), [0, 255]);
  assert.throws(
    () => makeInputs([{ name: 's', dtype: 'string', shape: [1] }]),
    /HONE-BENCH-004|strings/,
  );
});
