/**
 * Contractions in bf16, f16 and int8: compiled, per target, against the interpreter's run of the
 * same graph with its precision made explicit.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuseGraph } from 'hone/fusion/index';
import type { Graph } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { applyPrecision } from 'hone/passes/apply-precision';
import { autocastPlan } from 'hone/passes/autocast';
import { runPasses } from 'hone/passes/index';
import { CONTRACTIONS, type PrecisionPlan, type ValuePrecision } from 'hone/passes/precision-plan';
import { nativeTarget } from 'hone-runtime/target/parse';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { checkGraph, randomInputs, runnableTargets } from '../support/compiled-graph.ts';
import { chainGraph, convGraph, matMulGraph } from '../support/contraction-graphs.ts';

const ctx = { registry: standardRegistry };

/** Every f32 value that lies in memory as u8, by its own range; every contraction in int8. */
function int8Plan(graph: Graph, inputs: readonly Tensor[], weightBits: 7 | 8): PrecisionPlan {
  const fused = fuseGraph(graph, ctx);
  const stored = new Set(
    fused.buffers.flatMap(({ name, role, dtype }) =>
      dtype === 'f32' && (role === 'temp' || role === 'input') ? [name] : [],
    ),
  );
  for (const node of graph.nodes) {
    // What is written into a concatenation in place has no memory of its own.
    const [data] = CONTRACTIONS.has(node.op) ? node.inputs : [];
    if (data !== null && data !== undefined) stored.add(valueById(graph, data).name);
  }
  const kept = graph.values.filter(({ name, constant }) => stored.has(name) && !constant);
  const tensors = interpret({ ...graph, outputs: kept.map(({ id }) => id) }, inputs);
  const values = new Map<string, ValuePrecision>();
  kept.forEach(({ name }, i) => {
    const numbers = toNumbers(tensors[i] as Tensor);
    const low = numbers.reduce((a, b) => Math.min(a, b), 0);
    const high = numbers.reduce((a, b) => Math.max(a, b), 1e-6);
    const scale = Math.fround((high - low) / 255);
    values.set(name, { kind: 'u8', scale, zeroPoint: Math.round(-low / scale) });
  });
  const nodes = graph.nodes.filter((node) => {
    const weights = node.inputs[1];
    const isConstant = weights !== null && weights !== undefined;
    return CONTRACTIONS.has(node.op) && isConstant && valueById(graph, weights).constant;
  });
  return {
    values,
    contractions: new Map(nodes.map(({ name }) => [name, 'int8'])),
    weightBits,
  };
}

interface NarrowCase {
  readonly name: string;
  readonly make: () => Graph;
  /** Of the output's scale; chains pass roundings on that fall the other way. */
  readonly tolerance: number;
}

const GRAPHS: readonly NarrowCase[] = [
  { name: 'convolutions', make: convGraph, tolerance: 2e-5 },
  { name: 'matrix products', make: matMulGraph, tolerance: 2e-5 },
  { name: 'a chain of everything', make: chainGraph, tolerance: 0.04 },
];

async function check(
  { make, tolerance }: NarrowCase,
  target: string,
  planOf: (graph: Graph, inputs: readonly Tensor[]) => PrecisionPlan,
): Promise<readonly string[]> {
  const source = make();
  const graph = runPasses(source, ctx);
  const inputs = randomInputs(source);
  const plan = planOf(graph, inputs);
  const wanted = interpret(applyPrecision(graph, plan, ctx), inputs);
  const { rows } = await checkGraph(source, { target, plan }, tolerance, inputs, wanted);
  return rows;
}

/** This machine's own target has instructions that its level alone does not have. */
const [own] = [nativeTarget().name];
const [widest, ...levels] = runnableTargets();

const PRECISIONS: Readonly<Record<string, readonly ('bf16' | 'f16' | 'int8')[]>> = {
  ...Object.fromEntries(levels.map((name) => [name, ['int8'] as const])),
  ...(widest === undefined ? {} : { [widest]: ['bf16', 'int8'] as const }),
  [own]: ['bf16', 'f16', 'int8'],
};

for (const [target, precisions] of Object.entries(PRECISIONS)) {
  for (const item of GRAPHS) {
    for (const precision of precisions) {
      test(`${item.name} in ${precision} on ${target}`, async () => {
        if (precision === 'int8') {
          const rows = await check(item, target, (graph, inputs) => int8Plan(graph, inputs, 8));
          assert.ok(rows.some((row) => row.includes('_u8i8_')));
          return;
        }
        // A 16-bit value that rounds the other way is off by 2^-8.
        const loose = { ...item, tolerance: Math.max(item.tolerance, 5e-3) };
        const rows = await check(loose, target, (graph) =>
          autocastPlan(graph, fuseGraph(graph, ctx), precision, 'all'),
        );
        assert.ok(rows.some((row) => row.includes(`_${precision}_`)));
      });
    }
  }
}

test('weights of 7 and of 8 bits are exact on AVX2', {
  skip: levels.some((name) => name.startsWith('x86-64-v3')) ? false : 'no AVX2 here',
}, async () => {
  const [item] = GRAPHS;
  assert.ok(item !== undefined);
  for (const bits of [7, 8] as const) {
    await check(item, 'x86-64-v3-linux-gnu', (graph, inputs) => int8Plan(graph, inputs, bits));
  }
});
