/**
 * Sizes that depend on data: the interpreter and compiled code, with one worker and with two and their
 * memory poisoned, give what onnxruntime gives, at the sizes that it gives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import { interpret } from 'hone/ops/interpret';
import { bytesOf } from 'hone-runtime/base/tensor';
import { type MergedResult, mergedLibrary } from '../support/merged-library.ts';
import type { BoundedCase } from './cases.ts';
import { CHAIN_CASES } from './chain-cases.ts';
import { CONTROL_CASES } from './control-cases.ts';
import { DETECTION_CASES } from './detection-cases.ts';
import { LOOP_CASES } from './loop-cases.ts';
import { OPTIONAL_CASES } from './optional-cases.ts';
import { PICTURE_CASES } from './picture-cases.ts';
import { check, open, type Opened } from './peer.ts';
import { PRODUCER_CASES } from './producer-cases.ts';
import { WEIGHT_CASES } from './weight-cases.ts';
import { WHILE_CASES } from './while-cases.ts';
import { WIDE_CASES } from './wide-cases.ts';
import { RANK_CASES } from './rank-cases.ts';
import { SEQUENCE_CASES } from './sequence-cases.ts';
import { SPATIAL_CASES } from './spatial-cases.ts';

const CASES: readonly BoundedCase[] = [
  ...PRODUCER_CASES,
  ...CHAIN_CASES,
  ...DETECTION_CASES,
  ...LOOP_CASES,
  ...CONTROL_CASES,
  ...WIDE_CASES,
  ...WEIGHT_CASES,
  ...PICTURE_CASES,
  ...SPATIAL_CASES,
  ...SEQUENCE_CASES,
  ...OPTIONAL_CASES,
  ...RANK_CASES,
  ...WHILE_CASES,
];

const opened: Opened[] = [];
for (const item of CASES) {
  test(`${item.name}: interpreted as onnxruntime computes it`, async () => {
    const found = await open(item);
    const text = printGraph(found.graph, { constants: 'full' });
    assert.deepEqual(parseGraph(text), found.graph);
    item.runs.forEach((inputs, run) => {
      check(`run ${run}`, interpret(found.graph, inputs), found.wanted[run] ?? []);
    });
    opened.push(found);
  });
}

test('compiled: the same at any number of workers, on poisoned memory', async () => {
  const library = await mergedLibrary(opened.map(({ graph }) => compileGraph(graph)));
  try {
    const most = Math.max(...opened.map(({ item }) => item.runs.length));
    for (let run = 0; run < most; run++) {
      const pick = <T>(list: readonly T[]): T => list[run % list.length] as T;
      const inputs = opened.map(({ item }) => pick(item.runs));
      let first: readonly MergedResult[] | undefined;
      for (const threads of [1, 2]) {
        const results = library.run(inputs, { threads, poison: true });
        results.forEach(({ outputs, damage }, g) => {
          const what = `${opened[g]?.item.name}, run ${run}, ${threads} workers`;
          assert.equal(damage, undefined, what);
          check(what, outputs, pick(opened[g]?.wanted ?? []));
          outputs.forEach((tensor, i) => {
            const before = first?.[g]?.outputs[i];
            if (before !== undefined)
              assert.deepEqual(bytesOf(tensor), bytesOf(before), `${what}: other bytes`);
          });
        });
        first ??= results;
      }
    }
  } finally {
    library.close();
  }
});
