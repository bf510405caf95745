/** Every fast row of the contraction table against the oracle, per target, on poisoned memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph } from 'hone/graph/types';
import { checkGraph, runnableTargets } from '../support/compiled-graph.ts';
import {
  attentionGraph,
  chainGraph,
  convGraph,
  doubleMatMulGraph,
  lateConvGraph,
  matMulGraph,
  transposedGraph,
} from '../support/contraction-graphs.ts';

/** Minimal filtering loses about two digits of f32's seven; a sigmoid behind it hides the scale. */
const TOLERANCE = 3e-5;

/** Sums of a thousand products in f64 in another order; rounded to f32, half a step of the last bit more. */
const F64_TOLERANCE = { f64: 1e-14, f32: 1.2e-7 } as const;

const GRAPHS: readonly {
  readonly name: string;
  readonly make: () => Graph;
  readonly expect: readonly string[];
}[] = [
  {
    name: 'convolutions',
    make: convGraph,
    expect: ['conv_', 'winograd4', 'winograd2', 'depthwise', '_planar', 'contract_'],
  },
  {
    name: 'a chain of everything',
    make: chainGraph,
    expect: ['conv_', 'depthwise', 'reduce_lanes', 'matmul'],
  },
  { name: 'transposed convolutions', make: transposedGraph, expect: ['conv_', 'map', 'contract_'] },
  { name: 'matrix products', make: matMulGraph, expect: ['matmul', '_inplace'] },
  { name: 'attention', make: attentionGraph, expect: ['matmul', '_inplace', 'reduce_row'] },
];

for (const target of runnableTargets()) {
  for (const { name, make, expect } of GRAPHS) {
    test(`${name} on ${target}`, async () => {
      const { rows } = await checkGraph(make(), { target }, TOLERANCE);
      for (const prefix of expect) {
        assert.ok(
          rows.some((row) => row.includes(prefix)),
          `no stage took a ${prefix} row: ${rows}`,
        );
      }
    });
  }
}

for (const target of runnableTargets()) {
  test(`weights transformed late on ${target}`, async () => {
    const options = { target, contract: { transform: 'late' } } as const;
    const { rows } = await checkGraph(lateConvGraph(), options, TOLERANCE);
    const late = rows.filter((row) => row.endsWith('_late'));
    assert.equal(late.length, 3, `rows: ${rows}`);
    for (const prefix of ['winograd4', 'winograd2']) {
      assert.ok(
        late.some((row) => row.startsWith(prefix)),
        `no ${prefix} among ${late}`,
      );
    }
  });
}

for (const target of runnableTargets()) {
  for (const dtype of ['f64', 'f32'] as const) {
    test(`matrix products in f64, given as ${dtype}, on ${target}`, async () => {
      const graph = doubleMatMulGraph(dtype);
      const { rows } = await checkGraph(graph, { target }, F64_TOLERANCE[dtype]);
      for (const part of ['matmul_f64_', '_inplace', 'contract_']) {
        assert.ok(
          rows.some((row) => row.includes(part)),
          `no ${part} among ${rows}`,
        );
      }
      const naive = { target, contract: { naive: true } } as const;
      await checkGraph(graph, naive, F64_TOLERANCE[dtype]);
    });
  }
}

test('naive rows agree too', async () => {
  for (const { make } of GRAPHS) {
    const { rows } = await checkGraph(make(), { contract: { naive: true } });
    assert.ok(rows.every((row) => !/^(conv|winograd|depthwise|matmul)/.test(row)));
  }
});
