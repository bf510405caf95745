/** The QDQ form of a network: what quantisers write, near to the network, products of integers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/pipeline';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { verifyOps } from 'hone/ops/verify';
import { at } from 'hone-runtime/base/diagnostics';
import { expandNames } from '../../bench/models.js';
import { Net } from '../../bench/networks/net.js';
import { quantizedForm } from '../../bench/networks/quantized-form.js';
import { randomInputs, relativeError } from '../support/compiled-graph.js';

function network(): Graph {
  const net = new Net('small');
  const x = net.input('x', [1, 3, 12, 12]);
  const stem = net.maxPool(net.relu(net.conv(x, 8, 3)), 2, 2);
  const sum = net.relu(net.add(net.conv(stem, 8, 3, { gain: 0.5 }), stem));
  return net.finish([net.gemm(net.flatten(net.globalPool(sum)), 5)]);
}

test('a network in QDQ form', async () => {
  const graph = network();
  const quantized = verifyOps(await quantizedForm(graph));
  const count = (op: string): number => quantized.nodes.filter((node) => node.op === op).length;
  // The input, both limited results, the pool, one convolution, the mean, flat, the output.
  assert.equal(count('QuantizeLinear'), 8);
  // Weights and biases of three products, too.
  assert.equal(count('DequantizeLinear'), 8 + 6);
  assert.equal(new Set(quantized.nodes.map(({ name }) => name)).size, quantized.nodes.length);
  const inputs = randomInputs(graph);
  const error = relativeError(at(interpret(quantized, inputs), 0), at(interpret(graph, inputs), 0));
  assert.ok(error > 0 && error < 0.1, `relative error ${error}`);
  const { stages } = compileGraph(quantized).stages;
  const contractions = stages.filter(({ body }) => body.kind === 'contract');
  assert.equal(contractions.length, 3);
  for (const { body } of contractions)
    assert.ok(body.kind === 'contract' && body.accDtype === 'i32');
});

test('names of QDQ forms', () => {
  assert.deepEqual(expandNames(['resnet50-qdq']), ['resnet50-qdq']);
  assert.throws(() => expandNames(['nothing-qdq']), { code: 'HONE-BENCH-001' });
  assert.throws(() => expandNames(['mlsd-qdq']), { code: 'HONE-BENCH-001' });
});
