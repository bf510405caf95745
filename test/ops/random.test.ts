/** Random operators: the distribution of what they make, and that seeds and positions matter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { standardRegistry } from 'hone/ops/registry';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { runCase } from '../support/op-cases.ts';

const COUNT = 40_000;

function draw(name: string, attrs: Attrs, inputs: readonly Tensor[] = []): Float64Array {
  const op = standardRegistry.find(name, '');
  assert.ok(op, name);
  return toNumbers(runCase(op, { inputs, attrs }).outputs[0] as Tensor);
}

/** The largest distance between the empirical and the true distribution function. */
function distance(values: Float64Array, cdf: (x: number) => number): number {
  const sorted = values.toSorted();
  return sorted.reduce(
    (most, x, i) => Math.max(most, Math.abs(cdf(x) - (i + 0.5) / sorted.length)),
    0,
  );
}

/** Kolmogorov's bound that chance passes once in a thousand. */
const LIMIT = 1.95 / Math.sqrt(COUNT);

/** Abramowitz and Stegun 7.1.26, good to 1.5e-7. */
function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const terms = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const tail = terms.reduce((sum, c) => sum * t + c, 0) * t * Math.exp(-z * z);
  return x > 0 ? 1 - tail / 2 : tail / 2;
}

test('uniform numbers are uniform, normal ones normal', () => {
  for (const seed of [0, 1, 2.5]) {
    const even = draw('RandomUniform', { shape: [COUNT], low: -2, high: 6, seed });
    assert.ok(distance(even, (x) => (x + 2) / 8) < LIMIT, `seed ${seed}`);
    const normal = draw('RandomNormal', { shape: [COUNT], mean: 3, scale: 0.5, seed });
    assert.ok(distance(normal, (x) => normalCdf((x - 3) / 0.5)) < LIMIT, `seed ${seed}`);
  }
});

test('neighbours and seeds are independent', () => {
  const first = draw('RandomUniform', { shape: [COUNT], seed: 1 });
  const second = draw('RandomUniform', { shape: [COUNT], seed: 2 });
  const correlation = (a: Float64Array, b: Float64Array): number =>
    (12 / a.length) * a.reduce((sum, x, i) => sum + (x - 0.5) * ((b[i] ?? 0.5) - 0.5), 0);
  assert.ok(Math.abs(correlation(first, second)) < 0.02);
  for (const lag of [1, 2, 16, 256]) {
    assert.ok(Math.abs(correlation(first.subarray(0, -lag), first.subarray(lag))) < 0.02, `${lag}`);
  }
  assert.deepEqual(draw('RandomUniform', { shape: [COUNT], seed: 1 }), first);
});

test('Bernoulli, Multinomial and Dropout keep their shares', () => {
  const mean = (values: Float64Array): number =>
    values.reduce((sum, x) => sum + x, 0) / values.length;
  const thirty = fromNumbers('f32', [COUNT], new Float64Array(COUNT).fill(0.3));
  assert.ok(Math.abs(mean(draw('Bernoulli', { seed: 4 }, [thirty])) - 0.3) < 0.01);
  const logits = fromNumbers('f32', [1, 3], [0, Math.log(2), Math.log(5)]);
  const drawn = draw('Multinomial', { sample_size: COUNT, seed: 4 }, [logits]);
  [1, 2, 5].forEach((weight, k) => {
    const share = drawn.filter((x) => x === k).length / COUNT;
    assert.ok(Math.abs(share - weight / 8) < 0.01, `class ${k}: ${share}`);
  });
  const ones = fromNumbers('f32', [COUNT], new Float64Array(COUNT).fill(1));
  const training = fromNumbers('bool', [], [1]);
  const kept = draw('Dropout', { seed: 4 }, [ones, fromNumbers('f32', [], [0.25]), training]);
  assert.ok(Math.abs(mean(kept) - 1) < 0.02);
  assert.ok(kept.every((x) => x === 0 || Math.abs(x - 4 / 3) < 1e-6));
});
