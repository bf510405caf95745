/**
 * Random uses of the operators of ai.onnx.ml and com.microsoft: the references against onnxruntime-node, the
 * origin of both, and the compiled forms against the references.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';
import { disagreement, graphOfUse, type NodeUse, peerAnswers } from '../support/peer-node.ts';
import { contribUse } from './contrib-uses.ts';
import { mlUse } from './ml-uses.ts';

interface Domain {
  readonly name: string;
  readonly use: (seed: number) => NodeUse;
  readonly answered: number;
  readonly compiled: number;
  /** Rounding, in parts of the largest value. */
  readonly relative: number;
}

const DOMAINS: readonly Domain[] = [
  { name: 'ai.onnx.ml', use: mlUse, answered: 800, compiled: 160, relative: 1e-5 },
  // Scores behind a mask of -10000 have few digits left.
  { name: 'com.microsoft', use: contribUse, answered: 600, compiled: 108, relative: 2e-4 },
];

for (const { name, use: useOf, answered, compiled, relative } of DOMAINS) {
  test(`${name}: ${answered} random uses, as onnxruntime-node`, async (t) => {
    const faults: string[] = [];
    const refused = new Map<string, number>();
    for (let seed = 0; seed < answered; seed++) {
      const use = useOf(seed);
      const item = graphOfUse(use);
      const mine = interpret(item.graph, item.inputs);
      let theirs: readonly Tensor[];
      try {
        theirs = await peerAnswers(item);
      } catch (error) {
        // It lacks some dtypes and combinations.
        const why = `${use.op}: ${(error as Error).message.replace(/.*Status Message: /, '')}`;
        refused.set(why.slice(0, 90), (refused.get(why.slice(0, 90)) ?? 0) + 1);
        continue;
      }
      const problem = disagreement(mine, theirs, relative);
      if (problem !== undefined) faults.push(`seed ${seed}, ${use.op}: ${problem}`);
    }
    const count = [...refused.values()].reduce((a, b) => a + b, 0);
    t.diagnostic(`${answered - count} answered; not taken: ${[...refused.keys()].join('; ')}`);
    assert.deepEqual(faults, []);
    assert.ok(count < answered / 10, 'the peer answers most uses');
  });

  test(`${name}: ${compiled} random uses compiled, as their references`, async (t) => {
    const ready = [];
    const reasons = new Set<string>();
    for (let seed = 0; seed < compiled; seed++) {
      const use = useOf(seed);
      const item = graphOfUse(use);
      try {
        ready.push({ seed, use, ...item, compiled: compileGraph(item.graph) });
      } catch (error) {
        if (!(error instanceof HoneError && error.code === 'HONE-COMPILE-001')) throw error;
        reasons.add(error.message);
      }
    }
    for (const reason of reasons) t.diagnostic(`not compiled: ${reason}`);
    const library = await mergedLibrary(ready.map((item) => item.compiled));
    try {
      const results = library.run(
        ready.map(({ inputs }) => inputs),
        { threads: 2, poison: true },
      );
      for (const [i, { seed, use, graph, inputs }] of ready.entries()) {
        const wanted = interpret(graph, inputs);
        const { damage, outputs = [] } = results[i] ?? {};
        const problem = damage ?? disagreement(outputs, wanted, relative);
        assert.equal(problem, undefined, `seed ${seed}, ${use.op}`);
      }
    } finally {
      library.close();
    }
    assert.ok(ready.length > compiled / 2, `${ready.length} compiled`);
  });
}
