/**
 * Random uses of ai.onnx.ml's operators: the references against onnxruntime-node, which has them all in its
 * build for processors, and the compiled forms against the references.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';
import { disagreement, graphOfUse, peerAnswers } from '../support/peer-node.ts';
import { mlUse } from './ml-uses.ts';

const ANSWERED = 800;
const COMPILED = 160;
/** Rounding, in parts of the largest value. */
const RELATIVE = 1e-5;

test(`ai.onnx.ml: ${ANSWERED} random uses, as onnxruntime-node`, async (t) => {
  const faults: string[] = [];
  const refused = new Map<string, number>();
  for (let seed = 0; seed < ANSWERED; seed++) {
    const use = mlUse(seed);
    const item = graphOfUse(use);
    const mine = interpret(item.graph, item.inputs);
    let theirs: readonly Tensor[];
    try {
      theirs = await peerAnswers(item);
    } catch (error) {
      // It lacks integers as rows of some operators.
      const why = `${use.op}: ${(error as Error).message.slice(0, 60)}`;
      refused.set(why, (refused.get(why) ?? 0) + 1);
      continue;
    }
    const problem = disagreement(mine, theirs, RELATIVE);
    if (problem !== undefined) faults.push(`seed ${seed}, ${use.op}: ${problem}`);
  }
  const count = [...refused.values()].reduce((a, b) => a + b, 0);
  t.diagnostic(`${ANSWERED - count} answered; not taken: ${[...refused.keys()].join('; ')}`);
  assert.deepEqual(faults, []);
  assert.ok(count < ANSWERED / 10, 'the peer answers most uses');
});

test(`ai.onnx.ml: ${COMPILED} random uses compiled, as their references`, async (t) => {
  const ready = [];
  const reasons = new Set<string>();
  for (let seed = 0; seed < COMPILED; seed++) {
    const use = mlUse(seed);
    const item = graphOfUse(use);
    try {
      ready.push({ seed, use, ...item, compiled: compileGraph(item.graph) });
    } catch (error) {
      if (!(error instanceof HoneError && error.code === 'HONE-COMPILE-001')) throw error;
      reasons.add(error.message);
    }
  }
  for (const reason of reasons) t.diagnostic(`not compiled: ${reason}`);
  const library = await mergedLibrary(ready.map(({ compiled }) => compiled));
  try {
    const results = library.run(
      ready.map(({ inputs }) => inputs),
      { threads: 2, poison: true },
    );
    for (const [i, { seed, use, graph, inputs }] of ready.entries()) {
      const wanted = interpret(graph, inputs);
      const problem =
        results[i]?.damage ?? disagreement(results[i]?.outputs ?? [], wanted, RELATIVE);
      assert.equal(problem, undefined, `seed ${seed}, ${use.op}`);
    }
  } finally {
    library.close();
  }
  assert.ok(ready.length > COMPILED / 2, `${ready.length} compiled`);
});
