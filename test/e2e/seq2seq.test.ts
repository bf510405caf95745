/**
 * A whole translator (encoder, decoder with caches and cross-attention, greedy loop) built by the
 * bench: token for token what onnxruntime generates, at lengths that depend on what is translated.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { interpret } from 'hone/ops/interpret';
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { END, PADDING, TRANSLATOR, translator } from '../../bench/networks/seq2seq.js';

const FIRST_WORD = 3;
const LEAST_WORDS = 4;

/** Sources of random words and lengths, padded. */
function sources(count: number, seed: number): Tensor[] {
  const random = seededRandom(seed);
  const { source, vocabulary } = TRANSLATOR;
  return Array.from({ length: count }, () => {
    const words = LEAST_WORDS + random.integer(source - LEAST_WORDS + 1);
    const ids = Array.from({ length: source }, (_, i) =>
      i < words ? FIRST_WORD + random.integer(vocabulary - FIRST_WORD) : PADDING,
    );
    return fromNumbers('i64', [1, source], ids);
  });
}

const graph = translator('translator');

async function openPeer(): Promise<(source: Tensor) => Promise<number[]>> {
  const session = await ort.InferenceSession.create(exportOnnx(graph), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  return async ({ shape, data }) => {
    const feeds = { source: new ort.Tensor('int64', data as BigInt64Array, shape) };
    const [tokens] = Object.values(await session.run(feeds));
    assert.ok(tokens !== undefined);
    return Array.from(tokens.data as BigInt64Array, Number);
  };
}

/** What the interpreter generates, without the padding up to the longest. */
function byReference(source: Tensor): number[] {
  const [tokens] = interpret(graph, [source]);
  const all = toNumbers(tokens as Tensor);
  const end = all.indexOf(END);
  return Array.from(end < 0 ? all : all.slice(0, end + 1));
}

test('a translator by reference: the tokens are onnxruntime’s', async () => {
  const peer = await openPeer();
  for (const [i, source] of sources(4, 1).entries()) {
    assert.deepEqual(byReference(source), await peer(source), `source ${i}`);
  }
});

test('the lengths generated differ, few of them the longest', async () => {
  const peer = await openPeer();
  const lengths: number[] = [];
  for (const source of sources(20, 2)) lengths.push((await peer(source)).length);
  assert.ok(new Set(lengths).size >= 8, lengths.join(' '));
  const cut = lengths.filter((length) => length === TRANSLATOR.longest).length;
  assert.ok(cut >= 1 && cut < lengths.length / 2, lengths.join(' '));
});
