/**
 * Sizes that nothing in the model bounds, at bounds that are assumed or asked for, and sizes of which a node
 * takes only some: as onnxruntime at those, and an error of the run that says what is wrong at others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../support/merged-library.ts';
import { FITTING_CASES } from './fitting-cases.ts';
import { FREE_CASES, type FreeCase } from './free-cases.ts';
import { GROWING_CASES } from './growing-cases.ts';
import { LIST_CASES } from './list-cases.ts';
import { ROW_CASES } from './row-cases.ts';
import { check, open, type Opened } from './peer.ts';

const opened: Opened<FreeCase>[] = [];

function isBeyond(says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoneError, String(error));
    assert.equal(error.code, 'HONE-RUN-010', error.message);
    assert.match(error.message, says);
    return true;
  };
}

for (const item of [
  ...FREE_CASES,
  ...FITTING_CASES,
  ...LIST_CASES,
  ...GROWING_CASES,
  ...ROW_CASES,
]) {
  test(`${item.name}: interpreted as onnxruntime computes it`, async () => {
    const found = await open(item);
    const text = printGraph(found.graph, { constants: 'full' });
    assert.deepEqual(parseGraph(text), found.graph);
    item.runs.forEach((inputs, run) => {
      check(`run ${run}`, interpret(found.graph, inputs), found.wanted[run] ?? []);
    });
    for (const [inputs, says] of item.beyond)
      assert.throws(() => interpret(found.graph, inputs), isBeyond(says));
    opened.push(found);
  });
}

test('compiled: the same at any number of workers, and an error beyond every bound', async () => {
  const library = await mergedLibrary(opened.map(({ graph }) => compileGraph(graph)));
  try {
    const most = Math.max(...opened.map(({ item }) => item.runs.length));
    for (let run = 0; run < most; run++) {
      const pick = <T>(list: readonly T[]): T => list[run % list.length] as T;
      const inputs = opened.map(({ item }) => pick(item.runs));
      for (const threads of [1, 2]) {
        library.run(inputs, { threads, poison: true }).forEach(({ outputs, damage }, g) => {
          const what = `${opened[g]?.item.name}, run ${run}, ${threads} workers`;
          assert.equal(damage, undefined, what);
          check(what, outputs, pick(opened[g]?.wanted ?? []));
        });
      }
    }
    opened.forEach(({ item }, g) => {
      for (const [beyond, says] of item.beyond) {
        const inputs = opened.map((other, i) =>
          i === g ? beyond : (other.item.runs[0] as readonly Tensor[]),
        );
        const run = (): unknown => library.run(inputs, { threads: 2, poison: true });
        assert.throws(run, isBeyond(says), item.name);
      }
    });
  } finally {
    library.close();
  }
});
