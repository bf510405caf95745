/**
 * A whole translator (encoder, decoder with caches and cross-attention, greedy loop) built by the
 * bench: token for token what onnxruntime generates, at lengths that depend on what is translated.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { exportOnnx, importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { load } from 'hone-runtime';
import { memorySource } from 'hone-runtime/base/io';
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { END, PADDING, TRANSLATOR, translator } from '../../bench/networks/seq2seq.js';
import { openPair } from '../support/against-onnxruntime.js';

const FIRST_WORD = 3;
const LEAST_WORDS = 4;

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-seq2seq-'));
after(() => rmSync(folder, { recursive: true }));

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

const stacked = translator('stacked');
const carried = translator('carried', { ...TRANSLATOR, tokens: 'carried' });

async function openPeer(graph: Graph): Promise<(source: Tensor) => Promise<number[]>> {
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

/** What was generated, without what lies behind the end. */
function generated(tokens: readonly number[]): readonly number[] {
  const end = tokens.indexOf(END);
  return end < 0 ? tokens : tokens.slice(0, end + 1);
}

test('a translator by reference: the tokens are onnxruntime’s', async () => {
  const peer = await openPeer(stacked);
  for (const [i, source] of sources(4, 1).entries()) {
    const [tokens] = interpret(stacked, [source]);
    const got = generated([...toNumbers(tokens as Tensor)]);
    assert.deepEqual(got, await peer(source), `source ${i}`);
  }
});

test('the lengths generated differ, some of them the longest', async () => {
  const peer = await openPeer(stacked);
  const lengths: number[] = [];
  for (const source of sources(24, 2)) lengths.push((await peer(source)).length);
  assert.ok(new Set(lengths).size >= 8, lengths.join(' '));
  const cut = lengths.filter((length) => length === TRANSLATOR.longest).length;
  assert.ok(cut >= 1 && cut < lengths.length / 2, lengths.join(' '));
});

for (const [name, graph] of [
  ['stacked', stacked],
  ['carried', carried],
] as const) {
  test(`compiled, tokens ${name}: exactly onnxruntime’s, in one thread and two`, async () => {
    const file = path.join(folder, `${name}.onnx`);
    writeFileSync(file, exportOnnx(graph));
    const pair = await openPair(file);
    try {
      const lengths = new Set<number>();
      for (const [i, source] of sources(24, 2).entries()) {
        const wanted = Object.values(await pair.peer({ source }));
        for (const session of pair.sessions) {
          const got = Object.values(session.runSync({ source }));
          const parts = ({ shape, data }: Tensor) => [[...shape], [...data]];
          assert.deepEqual(got.map(parts), wanted.map(parts), `source ${i}`);
        }
        lengths.add(generated([...toNumbers(wanted[0] as Tensor)]).length);
      }
      assert.ok(lengths.size >= 8, [...lengths].join(' '));
    } finally {
      await pair.close();
    }
  });
}

/** How many of the tokens of fp32 come before the first one that differs, as a share of all. */
async function sharedTokens(file: string, options: CompileOptions): Promise<number> {
  const tokens = async (chosen: CompileOptions, name: string): Promise<readonly number[][]> => {
    const directory = path.join(folder, `${name}.hone`);
    const model = await compileModel(file, chosen);
    assert.doesNotMatch(model.notes.join(), /computed in fp32/);
    await writeArtifact(model, directory);
    const session = load(directory, { threads: 1 });
    try {
      return sources(60, 9).map((source) => {
        const [said] = Object.values(session.runSync({ source }));
        return [...toNumbers(said as Tensor)];
      });
    } finally {
      session.close();
    }
  };
  const wanted = await tokens({}, 'fp32');
  const got = await tokens(options, options.precision ?? 'fp32');
  let [same, all] = [0, 0];
  wanted.forEach((list, i) => {
    const end = list.findIndex((token, k) => token !== got[i]?.[k]);
    same += end < 0 ? list.length : end;
    all += list.length;
  });
  return same / all;
}

test('bf16, fp16 and int8, in the loop too: most tokens as in fp32', async (t) => {
  const file = path.join(folder, 'precise.onnx');
  writeFileSync(file, exportOnnx(stacked));
  const samples = sources(32, 5).map((source, i) => ({ name: `${i}`, inputs: { source } }));
  // The weights are seeded, not trained: the surest token is often hardly surer than the next.
  for (const [options, least] of [
    [{ precision: 'bf16' }, 0.7],
    [{ precision: 'fp16' }, 0.9],
    [{ precision: 'int8', calibration: { samples } }, 0.4],
  ] as const) {
    const share = await sharedTokens(file, options);
    t.diagnostic(`${options.precision}: ${(share * 100).toFixed(1)} % before a difference`);
    assert.ok(share >= least, `${options.precision}: ${share}`);
  }
});

test('imported and exported again, the translator says the same', async () => {
  const bytes = exportOnnx(stacked);
  const { graph } = importOnnx(readOnnx(memorySource(bytes, 'translator.onnx')));
  assert.ok(graph.extents !== undefined);
  const [first, second] = [await openPeer(stacked), await openPeer(graph)];
  for (const source of sources(4, 3)) {
    const wanted = await first(source);
    assert.deepEqual(await second(source), wanted);
    const [tokens] = interpret(graph, [source]);
    assert.deepEqual([...toNumbers(tokens as Tensor)], wanted);
  }
});
