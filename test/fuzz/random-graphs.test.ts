/** A few fixed seeds of the compiler's fuzz; `npm run fuzz` tries others for as long as wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printGraph } from 'hone/graph/print';
import { runnableTargets } from '../support/compiled-graph.ts';
import { fuzzGraphs } from './fuzz-graphs.ts';
import { randomGraph } from './random-graphs.ts';

const SEED = Number(process.env['HONE_FUZZ_SEED'] ?? 1);
const GRAPHS = 8;

runnableTargets().forEach((target, i) => {
  test(`random graphs on ${target}`, async () => {
    const seed = SEED + i * GRAPHS;
    const { tried, faults } = await fuzzGraphs({ seed, count: GRAPHS, seconds: 60, target });
    assert.equal(tried, GRAPHS);
    assert.deepEqual(faults, []);
  });
});

test('a seed gives the same graph again', () => {
  assert.equal(printGraph(randomGraph(5).graph), printGraph(randomGraph(5).graph));
});
