/** Channels before depthwise convolutions brought to like ranges: which, by how much, and the same results. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpretAll } from 'hone/ops/interpret';
import { opBuilder } from 'hone/ops/registry';
import { evenable, evenChannels, evenExponents } from 'hone/passes/even-channels';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

const random = seededRandom(5);
function normal(shape: readonly number[]): Tensor {
  return fromNumbers(
    'f32',
    shape,
    Array.from({ length: elementCount(shape) }, () => random.normal()),
  );
}

/** A sigmoid that two depthwise convolutions read, one of them with two rows of weights a channel. */
function network(alsoRead: boolean): Graph {
  const b = opBuilder('even');
  const x = b.graph.input('x', { dtype: 'f32', shape: [1, 4, 5, 5] });
  const s = b.op('Sigmoid', [x], {}, { outputNames: ['s'] });
  const convolution = (name: string, rows: number) =>
    b.op(
      'Conv',
      [s, b.constant(normal([rows, 1, 3, 3])), null],
      { group: 4, kernel_shape: [3, 3] },
      { name, outputNames: [`${name}/y`] },
    );
  const [one, two] = [convolution('one', 4), convolution('two', 8)];
  return b.graph.finish(alsoRead ? [one, two, b.op('Relu', [s], {})] : [one, two]);
}

const named = (graph: Graph, ids: readonly ValueId[]): string[] =>
  ids.map((id) => valueById(graph, id).name);

test('only what depthwise convolutions alone read is evened', () => {
  const graph = network(false);
  assert.deepEqual(named(graph, evenable(graph, ['one', 'two'])), ['s']);
  assert.deepEqual(evenable(graph, ['one']), [], 'the other one stays wide');
  const shared = network(true);
  assert.deepEqual(evenable(shared, ['one', 'two']), [], 'something else reads it');
});

test('exponents bring channels to the middle; dead ones stay', () => {
  assert.deepEqual(evenExponents([1, 4, 16]), [-2, 0, 2]);
  assert.deepEqual(evenExponents([0, 2, 2, Number.POSITIVE_INFINITY]), [0, 0, 0, 0]);
  assert.deepEqual(evenExponents([2 ** -30, 2 ** 30]), [-10, 10]);
});

test('the results are the same bits', () => {
  const graph = network(false);
  const even = evenChannels(graph, new Map([['s', [-3, 0, 2, 5]]]));
  const x = normal([1, 4, 5, 5]);
  const results = [graph, even].map((form) => {
    const found = interpretAll(form, [x]);
    return form.outputs.map((id) => [...toNumbers(found(id))]);
  });
  assert.deepEqual(results[1], results[0]);
  const s = interpretAll(even, [x]);
  const [wide, divided] = ['s', 's/even'].map((name) =>
    toNumbers(s(even.values.find((value) => value.name === name)?.id as ValueId)),
  );
  assert.deepEqual(
    [...(divided ?? [])],
    [...(wide ?? [])].map((value, i) => value * ([8, 1, 1 / 4, 1 / 32][Math.floor(i / 25)] ?? 0)),
  );
});
