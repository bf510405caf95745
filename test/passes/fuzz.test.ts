/** Fuzz: every pass, and all in order, keep what random graphs compute and how they are signed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printGraph } from 'hone/graph/print';
import { standardRegistry } from 'hone/ops/registry';
import { verifyOps } from 'hone/ops/verify';
import { eliminateDead } from 'hone/passes/eliminate-dead';
import { runPasses, STANDARD_PASSES } from 'hone/passes/index';
import { validate } from '../support/golden.js';
import { randomGraph } from '../support/random-graph.js';

const SEED = Number(process.env['HONE_FUZZ_SEED'] ?? 71);
const COUNT = Number(process.env['HONE_FUZZ_COUNT'] ?? 250);
const CTX = { registry: standardRegistry };

test('passes keep the meaning of random graphs', () => {
  for (let n = 0; n < COUNT; n++) {
    const seed = SEED + n;
    const graph = verifyOps(eliminateDead.run(randomGraph(seed), CTX));
    for (const pass of new Set(STANDARD_PASSES)) {
      const what = `seed ${seed}, ${pass.name}\n${printGraph(graph, { constants: 'full' })}`;
      try {
        const result = verifyOps(pass.run(graph, CTX));
        validate(graph, result, { seed, tolerance: 1e-4 });
        assert.equal(pass.run(result, CTX), result, 'the pass leaves its own result alone');
      } catch (error) {
        assert.fail(`${what}\n${error instanceof Error ? error.stack : String(error)}`);
      }
    }
    const text = printGraph(graph, { constants: 'full' });
    try {
      validate(graph, verifyOps(runPasses(graph, CTX)), { seed, tolerance: 1e-4 });
    } catch (error) {
      assert.fail(
        `seed ${seed}, all passes\n${text}\n${error instanceof Error ? error.stack : ''}`,
      );
    }
  }
});
