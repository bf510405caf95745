/** Control flow compiled: bodies run as often as data says, and nothing else of them does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledGraph, compileGraph } from 'hone/compile/index';
import { interpret } from 'hone/ops/interpret';
import { parseStages } from 'hone/stages/parse';
import { printStages } from 'hone/stages/print';
import { verifyStages } from 'hone/stages/verify';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { bytesOf, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { assertClose } from '../support/compare.ts';
import { controlCases, textGraph } from '../support/control-graphs.ts';
import { mergedLibrary } from '../support/merged-library.ts';

test('compiled bodies agree with the interpreter, in any number of workers', async (t) => {
  const cases = controlCases();
  const compiled = cases.map(({ graph }): CompiledGraph => compileGraph(graph));
  for (const [i, { stages, program }] of compiled.entries()) {
    const title = cases[i]?.title;
    assert.ok(
      program.steps.some(({ kind }) => kind !== 'kernel'),
      `${title} has control steps`,
    );
    const text = printStages(verifyStages(stages), { constants: 'full' });
    assert.deepEqual(parseStages(text), stages, `${title}: stages read back equal`);
  }
  const runs = Math.max(...cases.map((item) => item.runs.length));
  const library = await mergedLibrary(compiled);
  try {
    for (let r = 0; r < runs; r++) {
      const inputs = cases.map((item) => item.runs[r % item.runs.length] as readonly Tensor[]);
      const results = [1, 2, 3].map((threads) => library.run(inputs, { threads, poison: true }));
      for (const [g, { title, graph }] of cases.entries()) {
        const wanted = interpret(graph, inputs[g] as readonly Tensor[]);
        wanted.forEach((tensor, k) => {
          const got = results.map((result) => result[g]?.outputs[k] as Tensor);
          const what = `${title}, run ${r}, output ${k}`;
          assert.equal(results[0]?.[g]?.damage, undefined, what);
          assertClose(got[0] as Tensor, tensor, what);
          for (const other of got) {
            assert.deepEqual(bytesOf(other), bytesOf(got[0] as Tensor), `${what}: bytes`);
          }
        });
      }
    }
  } finally {
    library.close();
  }
  t.diagnostic(`${cases.length} graphs, ${runs} runs`);
});

/** Runs a graph compiled; gives its outputs, or the code of the error. */
async function outcome(
  text: string,
  inputs: readonly Tensor[],
): Promise<readonly Tensor[] | string> {
  const library = await mergedLibrary([compileGraph(textGraph(text))]);
  try {
    return library.run([inputs], { threads: 2, poison: true })[0]?.outputs ?? [];
  } catch (error) {
    return error instanceof HoneError ? error.code : String(error);
  } finally {
    library.close();
  }
}

const count = (value: number): Tensor => fromNumbers('i64', [], [value]);

test('a branch that is not taken does not run: it may divide by zero or index outside', async () => {
  const guarded = `graph main(%n: i64[], %at: i64[], %x: f32[4]) {
    %zero = const i64[] {0}
    %safe = Greater(%n, %zero)
    %q, %v = If(%safe, %n, %at, %x) {
      captures=3,
      then_branch=graph then(%n: i64[], %at: i64[], %x: f32[4]) {
        %seven = const i64[] {7}
        %q = Div(%seven, %n)
        %v = Gather(%x, %at) {axis=0}
        return %q, %v
      },
      else_branch=graph else(%n: i64[], %at: i64[], %x: f32[4]) {
        %none = const f32[] {-1}
        return %n, %none
      }}
    return %q, %v
  }`;
  const x = fromNumbers('f32', [4], [1, 2, 3, 4]);
  const numbers = async (n: number, at: number) => {
    const result = await outcome(guarded, [count(n), count(at), x]);
    return typeof result === 'string' ? result : result.map(({ data }) => Number(data[0]));
  };
  assert.deepEqual(await numbers(0, 99), [0, -1]);
  assert.deepEqual(await numbers(3, 2), [2, 3]);
  assert.equal(await numbers(3, 99), 'HONE-RUN-010');
});

test('a loop without end, or beyond its bound, is an error of the run', async () => {
  const endless = `graph main(%x: f32[2]) {
    %y = Loop(_, _, %x) {
      body=graph body(%i: i64[], %go: bool[], %x: f32[2]) {
        %y = Neg(%x)
        return %go, %y
      }}
    return %y
  }`;
  assert.equal(await outcome(endless, [fromNumbers('f32', [2], [1, 2])]), 'HONE-RUN-014');
  const bounded = `graph main(%n: i64[], %x: f32[2]) {
    %rows, %count = Loop(%n, _, %x) {
      bound=3, captures=1,
      body=graph body(%i: i64[], %go: bool[], %x: f32[2]) {
        %y = Neg(%x)
        return %go, %y
      }}
    return %rows, %count
  }`;
  const x = fromNumbers('f32', [2], [1, 2]);
  const three = await outcome(bounded, [count(3), x]);
  assert.ok(typeof three !== 'string');
  assert.deepEqual(toNumbers(three[0] as Tensor), Float64Array.of(-1, -2, -1, -2, -1, -2));
  assert.equal(await outcome(bounded, [count(4), x]), 'HONE-RUN-010');
});
