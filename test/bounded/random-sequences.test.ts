/** Random models on sequences: interpreted, and some of them compiled, they give what onnxruntime gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { memorySource } from 'hone-runtime/base/io';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { rawModel } from '../onnx/raw-model.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import type { BoundedCase } from './cases.ts';
import { randomSequences } from './random-sequences.ts';

/** 221: elements change their places in a loop. */
const SEEDS = [...Array.from({ length: 60 }, (_, i) => i + 1), 221];
const COMPILED = 16;
const TYPES = { f32: 'float32', i64: 'int64', bool: 'bool' } as const;

/** Runs that onnxruntime refuses, such as positions outside, are left out. */
async function wantedOf({ model, runs }: BoundedCase): Promise<readonly Run[]> {
  const options = { logSeverityLevel: 4 } as const;
  const session = await ort.InferenceSession.create(rawModel(model), options);
  const wanted: Run[] = [];
  for (const inputs of runs) {
    const feeds = Object.fromEntries(
      inputs.map(({ dtype, shape, data }, i) => [
        model.inputs?.[i]?.name ?? '',
        new ort.Tensor(TYPES[dtype as keyof typeof TYPES], data as Float32Array, [...shape]),
      ]),
    );
    try {
      const results = await session.run(feeds);
      wanted.push({ inputs, outputs: model.outputs.map(({ name }) => results[name]) });
    } catch {
      // It is no run that both could compute.
    }
  }
  await session.release();
  return wanted;
}

interface Run {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly (ort.Tensor | undefined)[];
}

function check(what: string, got: readonly Tensor[], { outputs }: Run): void {
  outputs.forEach((wanted, i) => {
    const actual = got[i] as Tensor;
    assert.ok(wanted);
    assert.deepEqual([...actual.shape], [...wanted.dims], `${what}, output ${i}: shape`);
    const numbers = Array.from(wanted.data as Float32Array, Number);
    assert.deepEqual([...toNumbers(actual)], numbers, `${what}, output ${i}`);
  });
}

const opened: { seed: number; graph: Graph; runs: readonly Run[] }[] = [];

test('interpreted as onnxruntime computes them', async () => {
  for (const seed of SEEDS) {
    const item = randomSequences(seed);
    const source = memorySource(rawModel(item.model), item.name);
    const graph = verifyGraph(importOnnx(readOnnx(source)).graph);
    const runs = await wantedOf(item);
    runs.forEach((run, r) => {
      check(`seed ${seed}, run ${r}`, interpret(graph, run.inputs), run);
    });
    opened.push({ seed, graph, runs });
  }
  assert.ok(opened.flatMap(({ runs }) => runs).length > SEEDS.length * 3);
});

test('compiled, on poisoned memory, too', async () => {
  const chosen = opened.filter(({ runs }) => runs.length > 0).slice(-COMPILED);
  const library = await mergedLibrary(
    chosen.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (const r of [0, 1, 2, 3]) {
      const runs = chosen.map((item) => item.runs[r % item.runs.length] as Run);
      const inputs = runs.map((run) => run.inputs);
      library.run(inputs, { threads: 2, poison: true }).forEach(({ outputs, damage }, g) => {
        const what = `seed ${chosen[g]?.seed}, run ${r}`;
        assert.equal(damage, undefined, what);
        check(what, outputs, runs[g] as Run);
      });
    }
  } finally {
    library.close();
  }
});
