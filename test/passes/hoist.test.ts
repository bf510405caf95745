/**
 * What is the same in every iteration, computed before the loop: the same bits as in it, no error that the loop
 * would not have made, and nothing that draws.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledGraph, type CompileOptions, compileGraph } from 'hone/compile/index';
import { generateWithin } from 'hone/compile/budget';
import { fuseGraph } from 'hone/fusion/index';
import type { Graph, Node, Value, ValueId } from 'hone/graph/types';
import { subgraphs } from 'hone/graph/verify';
import { valueById } from 'hone/graph/walk';
import { assignLayouts } from 'hone/kernels/index';
import { standardRegistry } from 'hone/ops/registry';
import { verifyOps } from 'hone/ops/verify';
import { optimizeBodies, runPasses, STANDARD_PASSES } from 'hone/passes/index';
import { optimizeBodiesWith } from 'hone/passes/optimize-bodies';
import type { Pass, PassContext } from 'hone/passes/pass';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { bytesOf, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { resolveTarget } from 'hone-runtime/target/parse';
import { randomGraph } from '../fuzz/random-graphs.ts';
import { noise, textGraph } from '../support/control-graphs.ts';
import { mergedLibrary } from '../support/merged-library.ts';

const registry = standardRegistry;
const count = (value: number): Tensor => fromNumbers('i64', [], [value]);

const WITHOUT: readonly Pass[] = STANDARD_PASSES.flatMap((pass) => {
  if (pass.name === 'hoist-invariants') return [];
  return pass === optimizeBodies ? [optimizeBodiesWith(runWithout)] : [pass];
});

function runWithout(graph: Graph, ctx: PassContext): Graph {
  return runPasses(graph, ctx, WITHOUT);
}

/** Compiled, but for the pass. */
function compileUnhoisted(source: Graph): CompiledGraph {
  const graph = runWithout(source, { registry });
  const target = resolveTarget('native');
  const stages = assignLayouts(fuseGraph(graph, { registry }), target);
  return { graph, stages, target, ...generateWithin(graph, stages, { target }) };
}

/** Operators in the body of the first loop. */
function inside(graph: Graph): readonly string[] {
  const loop = graph.nodes.find(({ op }) => op === 'Loop');
  const [body] = Object.values(loop?.attrs ?? {}).flatMap(subgraphs);
  return body?.nodes.map(({ op }) => op) ?? [];
}

const optimized = (graph: Graph): Graph => runPasses(graph, { registry });

const DECODER =
  textGraph(`graph main(%n: i64[], %k: f32[2,5,4], %v: f32[5,4], %q: f32[2,3,4], %m: bool[5]) {
  %y = Loop(%n, _, %q, %k, %v, %m) {
    captures=3,
    body=graph body(%i: i64[], %go: bool[], %q: f32[2,3,4], %k: f32[2,5,4], %v: f32[5,4], %m: bool[5]) {
      %t = Transpose(%k) {perm=[0, 2, 1]}
      %no = const f32[] {-10000}
      %zero = const f32[] {0}
      %mask = Where(%m, %zero, %no)
      %s = MatMul(%q, %t)
      %b = Add(%s, %mask)
      %p = Softmax(%b) {axis=2}
      %e = Exp(%v)
      %g = Softmax(%e) {axis=1}
      %x = MatMul(%p, %g)
      return %go, %x
    }} "step"
  return %y
}`);

/** An iteration adds to a product, outside and inside of the loop. */
const PRODUCTS =
  textGraph(`graph main(%n: i64[], %a: f32[64], %b: f32[64], %c: f32[64], %s: f32[64]) {
  %ab = Mul(%a, %b)
  %y, %z = Loop(%n, _, %s, %s, %ab, %c, %a) {
    captures=3,
    body=graph body(%i: i64[], %go: bool[], %s: f32[64], %r: f32[64], %ab: f32[64], %c: f32[64], %a: f32[64]) {
      %outer = Add(%ab, %c)
      %ac = Mul(%a, %c)
      %inner = Sub(%s, %ac)
      %both = Mul(%inner, %outer)
      %neg = Neg(%ac)
      %last = Add(%neg, %r)
      %t = Tanh(%both)
      return %go, %t, %last
    }} "step"
  return %y, %z
}`);

/** Undefined of a graph with a node that has no compiled form, which random ones may draw. */
function unlessUncompiled(compile: () => CompiledGraph): CompiledGraph | undefined {
  try {
    return compile();
  } catch (error) {
    if (error instanceof HoneError && error.code === 'HONE-COMPILE-001') return undefined;
    throw error;
  }
}

test('transposes, masks and softmaxes of captured values leave the body', () => {
  assert.deepEqual(inside(optimized(DECODER)), ['MatMul', 'Add', 'Softmax', 'MatMul']);
  assert.ok(inside(optimized(PRODUCTS)).includes('Add'));
});

test('the results are the same bits', async (t) => {
  const random = seededRandom(11);
  const cases: { readonly graph: Graph; readonly inputs: readonly Tensor[] }[] = [];
  for (const n of [0, 1, 4]) {
    const mask = fromNumbers('bool', [5], [1, 0, 1, 1, 0]);
    const [k, v, q] = [noise([2, 5, 4], 1), noise([5, 4], 2), noise([2, 3, 4], 3)];
    cases.push({ graph: DECODER, inputs: [count(n), k, v, q, mask] });
    const rows = [4, 5, 6, 7].map((seed) => noise([64], seed));
    cases.push({ graph: PRODUCTS, inputs: [count(n), ...rows] });
  }
  let moved = 0;
  for (let seed = 1; cases.length < 90 && seed < 2000; seed++) {
    const made = repeated(seed, random.next);
    if (made === undefined) continue;
    cases.push(made);
  }
  const pairs = cases.flatMap(({ graph, inputs }) => {
    const plain = unlessUncompiled(() => compileUnhoisted(graph));
    if (plain === undefined) return [];
    const hoisted = compileGraph(graph);
    if (inside(hoisted.graph).length < inside(plain.graph).length) moved++;
    verifyOps(hoisted.graph);
    return [{ inputs, both: [plain, hoisted] }];
  });
  assert.ok(moved > pairs.length / 3, `${moved} of ${pairs.length}`);
  const library = await mergedLibrary(pairs.flatMap(({ both }) => both));
  try {
    const all = library.run(
      pairs.flatMap(({ inputs }) => [inputs, inputs]),
      { threads: 2, poison: true },
    );
    pairs.forEach((_, p) => {
      const [plain, hoisted] = [all[2 * p]?.outputs ?? [], all[2 * p + 1]?.outputs ?? []];
      plain.forEach((tensor, k) => {
        const other = hoisted[k] as Tensor;
        assert.deepEqual(
          bytesOf(other),
          bytesOf(tensor),
          `${cases[p]?.graph.name}, case ${p}, output ${k}`,
        );
      });
    });
  } finally {
    library.close();
  }
  t.diagnostic(`${pairs.length} graphs, nodes moved in ${moved}`);
});

/** A random graph as the body of a loop that captures all it reads, and adds and multiplies what it makes. */
function repeated(
  seed: number,
  next: () => number,
): { readonly graph: Graph; readonly inputs: readonly Tensor[] } | undefined {
  const { graph: source, inputs } = randomGraph(seed);
  if (source.extents !== undefined || source.nodes.length > 25) return undefined;
  const made = source.nodes.flatMap(({ outputs }) => outputs);
  const floats = made.filter((id) => {
    const { dtype, shape } = valueById(source, id).type;
    return dtype === 'f32' && shape.length > 0 && !shape.includes(0);
  });
  if (floats.length === 0) return undefined;
  const values: Value[] = [...source.values];
  const nodes: Node[] = [...source.nodes];
  const add = (name: string, type: Value['type']): ValueId => {
    values.push({ id: values.length, name, type });
    return values.length - 1;
  };
  const iteration = add('own iteration', { dtype: 'i64', shape: [] });
  const goOn = add('own condition', { dtype: 'bool', shape: [] });
  const state = add('own state', { dtype: 'f32', shape: [] });
  const op = (
    name: string,
    what: string,
    ids: readonly ValueId[],
    type: Value['type'],
    attrs = {},
  ): ValueId => {
    const output = add(name, type);
    nodes.push({ op: what, domain: '', name, inputs: ids, outputs: [output], attrs });
    return output;
  };
  const picked = [0, 1, 2].map(() => floats[Math.floor(next() * floats.length)] as ValueId);
  const rows = picked.map((id, i) => {
    const { type } = valueById(source, id);
    const product = op(`own ${i}`, i === 1 ? 'Mul' : 'Add', [id, state], type);
    return op(`own row ${i}`, 'Sub', [product, state], type);
  });
  const cosine = op('own next', 'Cos', [state], { dtype: 'f32', shape: [] });
  const body: Graph = {
    name: 'body',
    inputs: [iteration, goOn, state, ...source.inputs],
    outputs: [goOn, cosine, ...rows],
    values,
    nodes,
  };
  const outer: Value[] = [];
  const value = (name: string, type: Value['type']): ValueId => {
    outer.push({ id: outer.length, name, type });
    return outer.length - 1;
  };
  const trips = value('trips', { dtype: 'i64', shape: [] });
  const start = value('start', { dtype: 'f32', shape: [] });
  const taken = source.inputs.map((id) => {
    const { name, type } = valueById(source, id);
    return value(`given ${name}`, type);
  });
  const outputs = [
    value('last', { dtype: 'f32', shape: [] }),
    ...rows.map((id, i) => {
      const { dtype, shape } = valueById(body, id).type;
      return value(`rows ${i}`, { dtype, shape: [3, ...shape] });
    }),
    value('count', { dtype: 'i64', shape: [] }),
  ];
  const attrs = { body, captures: taken.length, bound: 3 };
  const loop = { op: 'Loop', domain: '', name: 'step', inputs: [trips, null, start, ...taken] };
  const graph: Graph = {
    name: `repeated ${seed}`,
    inputs: [trips, start, ...taken],
    outputs,
    values: outer,
    nodes: [{ ...loop, outputs, attrs }],
  };
  return { graph, inputs: [count(2), fromNumbers('f32', [], [0.37]), ...inputs] };
}

async function outcome(graph: Graph, inputs: readonly Tensor[]): Promise<string> {
  const library = await mergedLibrary([compileGraph(graph)]);
  try {
    library.run([inputs], { threads: 2, poison: true });
    return 'fine';
  } catch (error) {
    return error instanceof HoneError ? error.code : String(error);
  } finally {
    library.close();
  }
}

test('what may fail stays: a loop of no iterations divides by nothing and reads nothing', async () => {
  const graph = textGraph(`graph main(%n: i64[], %d: i64[4], %at: i64[2], %x: f32[4]) {
    %seven = const i64[] {7}
    %begin = const i64[4] {1, 2, 3, 4}
    %none = const f32[2] {0, 0}
    %y, %z = Loop(%n, _, %begin, %none, %d, %at, %x, %seven) {
      captures=4,
      body=graph body(%i: i64[], %go: bool[], %s: i64[4], %r: f32[2], %d: i64[4], %at: i64[2], %x: f32[4], %seven: i64[]) {
        %q = Div(%seven, %d)
        %m = Mod(%seven, %d)
        %e = Exp(%x)
        %g = Gather(%e, %at) {axis=0}
        %a = Add(%q, %m)
        %next = Add(%s, %a)
        %t = Add(%r, %g)
        return %go, %next, %t
      }} "step"
    return %y, %z
  }`);
  const ops = inside(optimized(graph));
  for (const op of ['Div', 'Mod', 'Gather']) assert.ok(ops.includes(op), `${op}: ${ops.join()}`);
  assert.ok(!ops.includes('Exp'), ops.join());
  const x = noise([4], 1);
  const run = (n: number, d: number, at: number) =>
    outcome(graph, [
      count(n),
      fromNumbers('i64', [4], [1, d, 2, 3]),
      fromNumbers('i64', [2], [0, at]),
      x,
    ]);
  assert.equal(await run(0, 0, 99), 'fine');
  assert.equal(await run(2, 1, 3), 'fine');
  assert.equal(await run(2, 1, 99), 'HONE-RUN-010');
});

test('what draws stays, what is larger than its source stays, narrow captures stay narrow', async () => {
  const graph = textGraph(`graph main(%n: i64[], %x: f32[1,8], %s: f32[4,8]) {
    %y = Loop(%n, _, %s, %x) {
      captures=1,
      body=graph body(%i: i64[], %go: bool[], %s: f32[4,8], %x: f32[1,8]) {
        %size = const i64[2] {4, 8}
        %big = Expand(%x, %size)
        %r = RandomUniformLike(%x) {seed=3}
        %t = Add(%s, %big)
        %u = Add(%t, %r)
        return %go, %u
      }} "step"
    return %y
  }`);
  assert.deepEqual(inside(optimized(graph)), ['Expand', 'RandomUniformLike', 'Add', 'Add']);
  const half = textGraph(`graph main(%n: i64[], %x: f32[4,64], %s: f32[4,64]) {
    %h = Softmax(%x) {axis=1}
    %y = Loop(%n, _, %s, %h) {
      captures=1,
      body=graph body(%i: i64[], %go: bool[], %s: f32[4,64], %h: f32[4,64]) {
        %w = const f32[64,64] splat 0.02
        %p = MatMul(%h, %w)
        %a = Add(%p, %s)
        %t = Tanh(%a)
        %q = MatMul(%t, %w)
        return %go, %q
      }} "step"
    return %y
  }`);
  const options: CompileOptions = { precision: 'bf16' };
  const ops = inside(compileGraph(half, options).graph);
  assert.equal(ops.filter((op) => op === 'MatMul').length, 1, ops.join());
});
