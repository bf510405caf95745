/** Lower precision in the bodies of control flow: what is observed there, over all that runs, and what it decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { bodyPlan, bodyScopes } from 'hone/compile/calibrate/body-plans';
import type { Histogram } from 'hone/compile/calibrate/histogram';
import { NOTHING_SEEN, observe, observeMore } from 'hone/compile/calibrate/observe';
import { calibrate } from 'hone/compile/calibrate/run';
import { choosePrecision } from 'hone/compile/choose-precision';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { runPasses } from 'hone/passes/index';
import { bodiesWithin } from 'hone/passes/precision-plan';
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { relativeError } from '../support/compiled-graph.ts';
import { noise, textGraph } from '../support/control-graphs.ts';
import { mergedLibrary } from '../support/merged-library.ts';

const registry = standardRegistry;
const count = (value: number): Tensor => fromNumbers('i64', [], [value]);
const context = { node: 'observe', outputTypes: [], run: () => [] };

/** A loop with a product of its own, and in it a branch with one each; rows are what the products read. */
const LOOP = runPasses(
  textGraph(`graph main(%n: i64[], %x: f32[2,8]) {
    %last, %rows, %count = Loop(%n, _, %x) {
      bound=12,
      body=graph body(%i: i64[], %go: bool[], %s: f32[2,8]) {
        %w = const f32[8,8] splat 0.3
        %a = MatMul(%s, %w) "first"
        %t = Tanh(%a)
        %two = const i64[] {2}
        %zero = const i64[] {0}
        %r = Mod(%i, %two)
        %even = Equal(%r, %zero)
        %u = If(%even, %t, %s) {
          captures=2,
          then_branch=graph then(%t: f32[2,8], %s: f32[2,8]) {
            %v = const f32[8,8] splat -0.2
            %e = Exp(%t)
            %b = MatMul(%e, %v) "second"
            %p = Softmax(%b) {axis=1}
            return %p
          },
          else_branch=graph else(%t: f32[2,8], %s: f32[2,8]) {
            %v = const f32[8,8] splat 0.7
            %e = Sub(%s, %t)
            %b = MatMul(%e, %v) "third"
            %p = Softmax(%b) {axis=1}
            return %p
          }} "choose"
        %next = Add(%s, %u)
        return %go, %next, %s
      }} "repeat"
    return %last, %rows, %count
  }`),
  { registry },
);

const samples = [3, 1, 12, 0].map((trips, i) => ({
  name: `${i}`,
  inputs: { n: count(trips), x: noise([2, 8], 20 + i) },
}));

async function seen(graph: Graph, used: typeof samples) {
  const scopes = bodyScopes(graph, registry);
  const bodies = scopes.map(({ prefix, scope }) => ({ prefix, values: scope.values }));
  const found = await calibrate(graph, [], used, { bodies });
  return { scopes, found };
}

test('a value of a body is observed over all iterations of all samples', async () => {
  const { scopes, found } = await seen(LOOP, samples);
  assert.deepEqual(
    scopes.map(({ prefix, scope }) => [prefix, scope.contractions]),
    [
      ['repeat/body: ', ['first']],
      ['repeat/body: choose/then: ', ['second']],
      ['repeat/body: choose/else: ', ['third']],
    ],
  );
  const rows = samples.flatMap(({ inputs: { n, x } }) => {
    const [, stacked] = interpret(LOOP, [n, x]);
    return [...toNumbers(stacked as Tensor).subarray(0, 16 * Number(n.data[0]))];
  });
  const [outer, inThen, inElse] = scopes.map(
    ({ prefix, scope }) => found.bodies.get(prefix)?.get(at(scope.values, 0)) as Histogram,
  );
  assert.ok(outer && inThen && inElse);
  assert.equal(outer.elements, rows.length);
  const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-5, `${a}, not ${b}`);
  near(outer.least, Math.min(...rows));
  near(outer.largest, Math.max(...rows));
  const bins = outer.bins();
  const edges = rows.map((x) => Math.floor(x / bins.width) + bins.zero);
  let apart = 0;
  bins.counts.forEach((have, bin) => {
    apart += Math.abs(have - edges.filter((edge) => edge === bin).length);
  });
  // Kernels round otherwise than the interpreter: a few elements lie in the next bin.
  assert.ok(apart <= rows.length * 0.02, `${apart} of ${rows.length}`);
  // Of 3, 1, 12 and 0 iterations the even ones, and the odd ones.
  assert.equal(inThen.elements, 16 * (2 + 1 + 6));
  assert.equal(inElse.elements, 16 * (1 + 6));
});

test('a branch that was never taken stays wide', async () => {
  const { scopes, found } = await seen(LOOP, samples.slice(1, 2));
  const plans = scopes.map((body) =>
    bodyPlan(body, found.bodies.get(body.prefix) ?? new Map(), 'minmax', 8, registry),
  );
  assert.deepEqual(
    plans.map(({ plan }) => [...plan.contractions.keys()]),
    [['first'], ['second'], []],
  );
});

test('going on observing is the same as observing all at once', () => {
  const parts = [noise([40], 1), noise([40], 2), fromNumbers('f32', [3], [1e4, Number.NaN, -7])];
  let [facts, counts] = NOTHING_SEEN;
  for (const part of parts) {
    [facts, counts] = observeMore.reference([part, facts ?? null, counts ?? null], {}, context);
  }
  const all = parts.flatMap((part) => [...toNumbers(part)]);
  const whole = fromNumbers('f32', [all.length], all);
  const [wanted, bins] = observe.reference([whole], {}, context).map(toNumbers);
  const [least, largest, exponent, odd] = toNumbers(facts as Tensor);
  const slices = [0, 1, 2, 3].map((s) => (wanted ?? new Float64Array()).subarray(s * 4, s * 4 + 4));
  assert.equal(least, Math.min(...slices.map(([x = 0]) => x)));
  assert.equal(largest, Math.max(...slices.map(([, x = 0]) => x)));
  assert.equal(exponent, Math.max(...slices.map(([, , x = 0]) => x)));
  assert.equal(odd, 1);
  const total = (list: Float64Array = new Float64Array()): number =>
    list.reduce((a, b) => a + b, 0);
  assert.equal(total(toNumbers(counts as Tensor)), total(bins));
});

test('bf16, fp16 and int8 in nested bodies: near the model, each in its kernels', async (t) => {
  const narrow = await choosePrecision(LOOP, {
    precision: 'int8',
    calibration: { samples, leastSnr: 0 },
  });
  const bounded = await choosePrecision(LOOP, { precision: 'int8', calibration: { samples } });
  const options = [{}, { precision: 'bf16' }, { precision: 'fp16' }, narrow, bounded] as const;
  const compiled = options.map((chosen) => compileGraph(LOOP, chosen));
  const rows = compiled.map(({ report }) => report.stages.map(({ row }) => row).join(' '));
  assert.equal(bodiesWithin(at(compiled, 3).graph).length, 3);
  const kinds = ['f32', 'bf16', 'f16', 'u8i8'].map((kind) => new RegExp(`_${kind}_|_${kind}$`));
  t.diagnostic(rows.join('\n'));
  kinds.slice(1).forEach((kind, i) => {
    assert.match(rows[i + 1] ?? '', kind, `${i + 1}`);
  });
  for (const name of ['repeat/body: first', 'repeat/body: choose/then: second']) {
    assert.match(bounded.reasons?.get(name) ?? '', /dB/, name);
  }
  const library = await mergedLibrary(compiled);
  try {
    for (const trips of [0, 5, 12]) {
      const inputs = [count(trips), noise([2, 8], 77)];
      const [plain, ...others] = library.run(
        compiled.map(() => inputs),
        { threads: 2, poison: true },
      );
      for (const [i, other] of others.entries()) {
        for (const k of [0, 1]) {
          const [got, wanted] = [other.outputs[k] as Tensor, plain?.outputs[k] as Tensor];
          const error = relativeError(got, wanted);
          // What an iteration rounds the next ones multiply.
          assert.ok(
            error < (i < 2 ? 0.02 : 0.08),
            `${i}, ${trips} iterations, output ${k}: ${error}`,
          );
        }
      }
    }
  } finally {
    library.close();
  }
});
