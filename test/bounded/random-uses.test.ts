/**
 * Random uses of operators with windows and of normalisations (the fuzzer's, in all their attributes) on tensors of
 * unknown extents: interpreted, and compiled on poisoned memory, they are what they are at the exact size.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { interpret } from 'hone/ops/interpret';
import { isFloat } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { randomCase } from '../fuzz/operators/random-case.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { differs, isTrial, placesOf, surveyCase, titleOf, type Trial } from './survey.ts';

const WINDOWS =
  'Conv|ConvInteger|ConvTranspose|MaxPool|AveragePool|LpPool|MaxUnpool|Col2Im|QLinearConv|DeformConv';
const NORMALISATIONS =
  'BatchNormalization|Global.*Pool|InstanceNormalization|GroupNormalization|LRN|LpNormalization|MeanVarianceNormalization';
const DRAWN = new RegExp(`^(${WINDOWS}|${NORMALISATIONS}|com.microsoft:FusedConv)$`);

const SEEDS = 200;
/** One in so many is compiled too. */
const COMPILED = 10;

const isPlain = (x: Tensor | null): boolean =>
  x === null || !isFloat(x.dtype) || toNumbers(x).every(Number.isFinite);

const trials: Trial[] = [];

const whatOf = (trial: Trial, seed: number): string =>
  `seed ${seed}: ${trial.op}, axes ${placesOf(trial)}`;

test('interpreted', () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { op, inputs, attrs, outputs } = randomCase(seed, (one) => DRAWN.test(titleOf(one)));
    // An infinite element times a 0 of the room is no number: docs/data-dependent-sizes.md says so.
    if (!inputs.every(isPlain)) continue;
    for (const found of surveyCase(op, { inputs, attrs, outputs })) {
      if (!isTrial(found)) {
        assert.equal(found.error.code, 'HONE-SHAPE-002', `seed ${seed}: ${found.op}`);
        continue;
      }
      trials.push(found);
      for (const run of found.runs) {
        const got = interpret(found.graph, run.inputs);
        run.wanted.forEach((tensor, k) => {
          assert.equal(differs(got[k] as Tensor, tensor), undefined, whatOf(found, seed));
        });
      }
    }
  }
});

test('compiled', async () => {
  const chosen = trials.filter(({ runs }, i) => i % COMPILED === 0 && runs.length > 0);
  const graphs = chosen.map(({ graph }) => compileGraph(graph));
  const library = await mergedLibrary(graphs, { quick: true });
  try {
    for (let r = 0; r < Math.max(...chosen.map(({ runs }) => runs.length)); r++) {
      const runs = chosen.map((trial) => trial.runs[r % trial.runs.length]);
      const inputs = runs.map((run) => run?.inputs ?? []);
      library.run(inputs, { threads: 2, poison: true }).forEach(({ outputs, damage }, g) => {
        const what = whatOf(chosen[g] as Trial, g);
        assert.equal(damage, undefined, what);
        runs[g]?.wanted.forEach((tensor, k) => {
          assert.equal(differs(outputs[k] as Tensor, tensor), undefined, what);
        });
      });
    }
  } finally {
    library.close();
  }
});
