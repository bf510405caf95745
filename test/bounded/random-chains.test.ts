/**
 * Random chains of operators on tensors whose size depends on data, against the same model with its
 * inputs given as constants: that is imported with exact sizes and computed by the references.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import type { BoundOptions } from 'hone/frontends/onnx/bounded/bounds';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { rawModel } from '../onnx/raw-model.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { type Chain, FREE_BOUNDS, freeChain, randomChain } from './random-chains.ts';
import { randomLoop } from './random-loops.ts';

const SEEDS = Array.from({ length: 80 }, (_, i) => i + 1);

interface Opened extends Chain {
  readonly seed: number;
  readonly graph: Graph;
  readonly wanted: readonly (readonly Tensor[])[];
}

function open(seed: number, isFree = false): Opened {
  const chain = isFree ? freeChain(seed) : randomChain(seed);
  return opened(seed, chain, isFree ? FREE_BOUNDS : {});
}

function opened(seed: number, chain: Chain, bounds: BoundOptions): Opened {
  const model = readOnnx(memorySource(rawModel(chain.model), `chain ${seed}`));
  const graph = verifyGraph(importOnnx(model, { bounds }).graph);
  const wanted = chain.runs.map((constants) => {
    const exact = importOnnx(model, { constants }).graph;
    assert.equal(exact.extents, undefined, `${seed}: sizes of constants are exact`);
    return interpret(exact, []);
  });
  return { ...chain, seed, graph, wanted };
}

function check(what: string, got: readonly Tensor[], wanted: readonly Tensor[]): void {
  wanted.forEach((expected, i) => {
    const actual = got[i] as Tensor;
    assert.deepEqual([...actual.shape], [...expected.shape], `${what}, output ${i}: shape`);
    const [a, b] = [toNumbers(actual), toNumbers(expected)];
    b.forEach((y, k) => {
      const x = a[k] ?? Number.NaN;
      const isSame = Object.is(x, y) || Math.abs(x - y) <= 1e-5 + 1e-4 * Math.abs(y);
      assert.ok(isSame || x === y, `${what}, output ${i}: element ${k} is ${x}, not ${y}`);
    });
  });
}

test('a number beyond its bound is an error of the run', () => {
  for (const seed of SEEDS.slice(0, 10)) {
    const { graph, runs } = open(1000 + seed, true);
    const k = fromNumbers('i64', [3], [3, 2, 7]);
    const beyond = Object.values({ ...runs[0], k });
    assert.throws(() => interpret(graph, beyond), { code: 'HONE-RUN-010' }, `${seed}`);
  }
});

test('interpreted and compiled, the sizes and elements are those of constants', async () => {
  await agree([
    ...SEEDS.map((seed) => open(seed)),
    ...SEEDS.slice(0, 60).map((seed) => open(1000 + seed, true)),
  ]);
});

test('loops whose tensors grow in any way: the same', async () => {
  await agree(SEEDS.slice(0, 40).map((seed) => opened(2000 + seed, randomLoop(2000 + seed), {})));
});

async function agree(all: readonly Opened[]): Promise<void> {
  const inputs = (run: number) => all.map(({ runs }) => Object.values(runs[run] ?? {}));
  for (const { seed, graph, runs, wanted } of all) {
    runs.forEach((run, i) => {
      check(`seed ${seed}, run ${i}`, interpret(graph, Object.values(run)), wanted[i] ?? []);
    });
  }
  const library = await mergedLibrary(all.map(({ graph }) => compileGraph(graph)));
  try {
    for (const run of all[0]?.runs.keys() ?? []) {
      for (const threads of [1, 2]) {
        library.run(inputs(run), { threads, poison: true }).forEach(({ outputs, damage }, g) => {
          const what = `seed ${all[g]?.seed}, run ${run}, ${threads} workers`;
          assert.equal(damage, undefined, what);
          check(what, outputs, all[g]?.wanted[run] ?? []);
        });
      }
    }
  } finally {
    library.close();
  }
}
