/** What fusion leaves apart: where joining would cost a contraction its fast kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuseGraph } from 'hone/fusion/index';
import type { Graph } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';

/** A residual block that doubles the channels: what is added is `added` channels and then zeros. */
function residual(added: number): Graph {
  const random = seededRandom(1);
  const b = opBuilder('residual');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 8, 6, 6] });
  const data = Float32Array.from({ length: 16 * 8 * 9 }, () => random.next() - 0.5);
  const w = b.constant({ dtype: 'f32', shape: [16, 8, 3, 3], data });
  const y = b.op('Conv', [x, w], { pads: [1, 1, 1, 1] }, { name: 'conv' });
  const other = b.graph.input('other', { dtype: 'f32', shape: [1, added, 6, 6] });
  const deep = b.op('Pad', [other, b.ints([0, 0, 0, 0, 0, 16 - added, 0, 0])]);
  return b.graph.finish([b.op('Relu', [b.op('Add', [y, deep])])]);
}

test('a convolution takes in the sum with an image of its own shape', () => {
  const { stages } = fuseGraph(residual(16));
  assert.deepEqual(
    stages.map(({ body }) => body.kind),
    ['contract'],
  );
});

test('a convolution does not take in what covers a part of its result', () => {
  const { stages, notes } = fuseGraph(residual(8));
  assert.deepEqual(
    stages.map(({ body }) => body.kind),
    ['contract', 'map'],
  );
  const why = notes.find(({ node }) => node === 'conv')?.reason;
  assert.equal(why, 'an operand of the reader covers a part of the result');
});
