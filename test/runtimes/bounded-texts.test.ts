/** Texts whose number depends on data: steps of the Node runtime give what onnxruntime gives. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { compileModel, writeArtifact } from 'hone/compile/index';
import type { BoundOptions } from 'hone/frontends/onnx/bounded/bounds';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { memorySource } from 'hone-runtime/base/io';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { type RawModel, type RawNode, rawModel } from '../onnx/raw-model.ts';
import { flags, i64, noise, node, scalar, SHARES } from '../bounded/cases.ts';

const ML = { domain: 'ai.onnx.ml' };
const texts = (...data: string[]): Tensor => ({ dtype: 'string', shape: [data.length], data });
const ml = (...args: Parameters<typeof node>): RawNode => ({ ...node(...args), ...ML });

interface Case {
  readonly name: string;
  readonly model: RawModel;
  readonly runs: readonly (readonly Tensor[])[];
}

const NAMES = ['ann', 'bob c', 'cyd', 'dan e f', '', 'fay'];

/** Labels of what is set, by a table and by position; joined, cut and matched. */
const labels: Case = {
  name: 'labels of what data says',
  model: {
    opset: 20,
    domains: { 'ai.onnx.ml': 4 },
    inputs: [
      { name: 'x', shape: [6, 3] },
      { name: 'c', dtype: 'bool', shape: [6] },
    ],
    outputs: [
      { name: 'places', dtype: 'i64', shape: [null] },
      { name: 'digits', dtype: 'string', shape: [null] },
      { name: 'named', dtype: 'string', shape: [null] },
      { name: 'picked', dtype: 'string', shape: [null] },
      { name: 'both', dtype: 'string', shape: [null, null] },
      { name: 'best', dtype: 'string', shape: [null] },
      { name: 'matches', dtype: 'bool', shape: [null] },
      { name: 'rows', shape: [null, 3] },
      { name: 'pieces', dtype: 'string', shape: [null, null] },
      { name: 'counts', dtype: 'i64', shape: [null] },
      { name: 'label', dtype: 'string', shape: [null] },
    ],
    initializers: {
      names: texts(...NAMES),
      letters: texts('a', 'b', 'c'),
      flat: i64(-1),
      column: i64(1),
    },
    nodes: [
      node('NonZero', ['c'], ['found']),
      node('Reshape', ['found', 'flat'], ['places']),
      node('Cast', ['places'], ['digits'], { to: { int: 8 } }),
      ml('LabelEncoder', ['places'], ['named'], {
        keys_int64s: { ints: [0, 1, 3] },
        values_strings: { texts: ['zero', 'one', 'three'] },
        default_string: { text: 'other' },
      }),
      node('Gather', ['names', 'places'], ['picked']),
      node('Unsqueeze', ['named', 'column'], ['standing']),
      node('StringConcat', ['standing', 'letters'], ['both']),
      node('Compress', ['x', 'c'], ['rows'], { axis: { int: 0 } }),
      node('ArgMax', ['rows'], ['top'], { axis: { int: 1 }, keepdims: { int: 0 } }),
      node('Gather', ['letters', 'top'], ['best']),
      node('RegexFullMatch', ['named'], ['matches'], { pattern: { text: '.*e' } }),
      node('StringSplit', ['picked'], ['pieces', 'counts']),
      ml('LinearClassifier', ['rows'], ['label', 'scores'], {
        coefficients: { floats: [1, -1, -0.5, -1, 1, 0.5, 0.2, 0.1, -1] },
        intercepts: { floats: [0.1, 0, 0.05] },
        classlabels_strings: { texts: ['liked', 'disliked', 'neither'] },
        post_transform: { text: 'NONE' },
      }),
    ],
  },
  runs: SHARES.map((share, k) => [noise([6, 3], k), flags([6], share, k + 2)]),
};

/** Labels without some; onnxruntime refuses to normalise none. */
const left: Case = {
  name: 'labels of which some are left out',
  model: {
    ...labels.model,
    outputs: [{ name: 'kept', dtype: 'string', shape: [null] }],
    nodes: [
      ...labels.model.nodes.slice(0, 4),
      node('StringNormalizer', ['named'], ['kept'], {
        stopwords: { texts: ['other'] },
        case_change_action: { text: 'UPPER' },
        locale: { text: 'C' },
      }),
    ],
  },
  runs: labels.runs.filter(([, c]) => c !== undefined && toNumbers(c).includes(1)),
};

/** Words without stop words and the pieces of sentences, counted, numbered and looked up. */
const words: Case = {
  name: 'words of which some are left out',
  model: {
    opset: 20,
    domains: { 'ai.onnx.ml': 4 },
    inputs: [
      { name: 'words', dtype: 'string', shape: [5] },
      { name: 'lines', dtype: 'string', shape: [3] },
      { name: 'table', shape: [4, 2] },
    ],
    outputs: [
      { name: 'kept', dtype: 'string', shape: [null] },
      { name: 'count', dtype: 'i64', shape: [] },
      { name: 'counted', shape: [3] },
      { name: 'ids', dtype: 'i64', shape: [null] },
      { name: 'vectors', shape: [null, 2] },
      { name: 'pieces', dtype: 'string', shape: [3, null] },
      { name: 'lengths', dtype: 'i64', shape: [3] },
      { name: 'grams', shape: [3, 3] },
      { name: 'few', dtype: 'string', shape: [3, null] },
      { name: 'doubled', dtype: 'string', shape: [null] },
    ],
    initializers: { mark: texts('!') },
    nodes: [
      node('StringNormalizer', ['words'], ['kept'], {
        stopwords: { texts: ['the', 'a'] },
        case_change_action: { text: 'LOWER' },
        locale: { text: 'C' },
      }),
      node('Size', ['kept'], ['count']),
      tfIdf('kept', 'counted'),
      ml('LabelEncoder', ['kept'], ['ids'], {
        keys_strings: { texts: ['good', 'bad', 'dull'] },
        values_int64s: { ints: [0, 1, 2] },
        default_int64: { int: 3 },
      }),
      node('Gather', ['table', 'ids'], ['vectors']),
      node('StringSplit', ['lines'], ['pieces', 'lengths']),
      tfIdf('pieces', 'grams'),
      node('StringSplit', ['lines'], ['few', 'own'], { maxsplit: { int: 1 } }),
      node('StringConcat', ['kept', 'mark'], ['doubled']),
    ],
  },
  runs: [
    [texts('Good', 'the', 'bad', 'a', 'film'), texts('good bad', '', 'a good  bad film')],
    [texts('the', 'the', 'the', 'a', 'A'), texts('', '', '')],
    [texts('dull', 'dull', 'bad', 'good', ''), texts('dull', 'bad bad bad', ' good ')],
  ].map((run, k) => [...run, noise([4, 2], k)]),
};

/** Texts and numbers in turns: what one phase of the compiled part makes another reads. */
const turns: Case = {
  name: 'texts and numbers in turns',
  model: {
    opset: 20,
    domains: { 'ai.onnx.ml': 4 },
    inputs: [
      { name: 'words', dtype: 'string', shape: [4] },
      { name: 'table', shape: [4, 3] },
      { name: 'w', shape: [3, 3] },
    ],
    outputs: [
      { name: 'hidden', shape: [4, 3] },
      { name: 'joined', dtype: 'string', shape: [4] },
      { name: 'sum', shape: [4, 3] },
      { name: 'last', dtype: 'string', shape: [4] },
      { name: 'kept', dtype: 'string', shape: [null] },
      { name: 'vectors', shape: [null, 3] },
      { name: 'best', dtype: 'string', shape: [null] },
      { name: 'marked', dtype: 'string', shape: [null] },
      { name: 'count', dtype: 'i64', shape: [] },
    ],
    initializers: {
      names: texts('good', 'bad', 'dull'),
      marks: texts('?', '!', '.'),
      axis: i64(1),
      two: scalar(2),
    },
    nodes: [
      idsOf('words', 'ids'),
      node('Gather', ['table', 'ids'], ['rows']),
      node('MatMul', ['rows', 'w'], ['hidden']),
      node('ArgMax', ['hidden'], ['top'], { axis: { int: 1 }, keepdims: { int: 0 } }),
      node('Gather', ['names', 'top'], ['named']),
      node('StringConcat', ['named', 'words'], ['joined']),
      idsOf('named', 'again'),
      node('Gather', ['table', 'again'], ['own']),
      node('Add', ['own', 'hidden'], ['sum']),
      node('ArgMax', ['sum'], ['end'], { axis: { int: 1 }, keepdims: { int: 0 } }),
      node('Gather', ['names', 'end'], ['last']),
      node('StringNormalizer', ['last'], ['kept'], {
        stopwords: { texts: ['dull'] },
        locale: { text: 'C' },
      }),
      idsOf('kept', 'left'),
      node('Gather', ['table', 'left'], ['vectors']),
      node('ArgMin', ['vectors'], ['least'], { axis: { int: 1 }, keepdims: { int: 0 } }),
      node('Gather', ['marks', 'least'], ['best']),
      node('StringConcat', ['kept', 'best'], ['marked']),
      node('Size', ['marked'], ['size']),
      node('Mul', ['size', 'two'], ['count']),
    ],
  },
  runs: [
    [texts('good', 'the', 'bad', 'dull')],
    [texts('dull', 'dull', 'dull', 'dull')],
    [texts('bad', 'good', 'bad', '')],
  ].map((run, k) => [...run, noise([4, 3], k), noise([3, 3], k + 20)]),
};

function idsOf(input: string, output: string): RawNode {
  return ml('LabelEncoder', [input], [output], {
    keys_strings: { texts: ['good', 'bad', 'dull'] },
    values_int64s: { ints: [0, 1, 2] },
    default_int64: { int: 3 },
  });
}

function tfIdf(input: string, output: string): RawNode {
  return node('TfIdfVectorizer', [input], [output], {
    mode: { text: 'TF' },
    min_gram_length: { int: 1 },
    max_gram_length: { int: 2 },
    max_skip_count: { int: 0 },
    ngram_counts: { ints: [0, 2] },
    ngram_indexes: { ints: [0, 1, 2] },
    pool_strings: { texts: ['good', 'bad', 'good', 'bad'] },
  });
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bounded-texts-'));
after(() => rmSync(folder, { recursive: true }));

const DTYPES = { f32: 'float32', i64: 'int64', bool: 'bool', string: 'string' } as const;
type Known = keyof typeof DTYPES;

async function wantedOf({ model, runs }: Case): Promise<(readonly ort.Tensor[])[]> {
  const session = await ort.InferenceSession.create(rawModel(model), { logSeverityLevel: 3 });
  const wanted: (readonly ort.Tensor[])[] = [];
  for (const run of runs) {
    const feeds = Object.fromEntries(
      run.map(({ dtype, shape, data }, i) => [
        model.inputs?.[i]?.name ?? '',
        new ort.Tensor(DTYPES[dtype as Known], data as Float32Array, [...shape]),
      ]),
    );
    const results = await session.run(feeds);
    wanted.push(model.outputs.map(({ name }) => results[name] as ort.Tensor));
  }
  await session.release();
  return wanted;
}

function check(got: Tensor | undefined, wanted: ort.Tensor, what: string): void {
  assert.ok(got, what);
  assert.deepEqual([...got.shape], [...wanted.dims], `${what}: shape`);
  const theirs = Array.from(wanted.data as Float32Array, (x: unknown) =>
    typeof x === 'string' ? x : Number(x),
  );
  const mine = got.dtype === 'string' ? [...(got.data as readonly string[])] : [...toNumbers(got)];
  assert.equal(mine.length, theirs.length, what);
  theirs.forEach((theirOwn, i) => {
    const own = mine[i];
    const isNear =
      typeof own === 'number' && typeof theirOwn === 'number' && Math.abs(own - theirOwn) <= 1e-5;
    assert.ok(own === theirOwn || isNear, `${what}: element ${i} is ${own}, not ${theirOwn}`);
  });
}

for (const item of [labels, left, words, turns]) {
  test(`${item.name}: interpreted and run as onnxruntime does`, async () => {
    const bytes = rawModel(item.model);
    const { graph } = importOnnx(readOnnx(memorySource(bytes, 'm.onnx')));
    verifyGraph(graph);
    const wanted = await wantedOf(item);
    item.runs.forEach((run, k) => {
      interpret(graph, run).forEach((tensor, i) => {
        const { name } = item.model.outputs[i] ?? { name: '' };
        check(tensor, wanted[k]?.[i] as ort.Tensor, `run ${k}, interpreted ${name}`);
      });
    });
    const file = path.join(folder, `${item.name}.onnx`);
    writeFileSync(file, bytes);
    const artifact = path.join(folder, `${item.name}.hone`);
    await writeArtifact(await compileModel(file, {}), artifact);
    const { manifest } = openArtifact(artifact);
    assert.deepEqual(parseManifest(printManifest(manifest), 'm'), manifest);
    const session = load(artifact, { poison: true });
    try {
      const own = session.signature.outputs.map(({ name, bounded = [] }) => [name, bounded.length]);
      assert.ok(own.some(([, count]) => count === 1));
      const runs = (manifest.host?.steps ?? []).filter(({ kind }) => kind === 'native');
      assert.equal(runs.length, item === turns ? 3 : 1);
      for (const [k, run] of item.runs.entries()) {
        const inputs = Object.fromEntries(
          run.map((tensor, i) => [item.model.inputs?.[i]?.name ?? '', tensor]),
        );
        for (const made of [session.runSync(inputs), await session.run(inputs)]) {
          item.model.outputs.forEach(({ name }, i) => {
            check(made[name], wanted[k]?.[i] as ort.Tensor, `run ${k}, ${name}`);
          });
        }
      }
    } finally {
      session.close();
    }
  });
}

test('a position of texts that data puts outside, and too many pieces, are faults of the run', () => {
  const model: RawModel = {
    opset: 20,
    inputs: [
      { name: 'where', dtype: 'i64', shape: [] },
      { name: 'line', dtype: 'string', shape: [1] },
    ],
    outputs: [
      { name: 'y', dtype: 'string', shape: [] },
      { name: 'pieces', dtype: 'string', shape: [1, null] },
    ],
    initializers: { names: texts('a', 'b') },
    nodes: [
      node('Gather', ['names', 'where'], ['y']),
      node('StringSplit', ['line'], ['pieces', 'counts'], { delimiter: { text: ',' } }),
    ],
  };
  const { graph } = importOnnx(readOnnx(memorySource(rawModel(model), 'm.onnx')));
  const line = (pieces: number): Tensor => texts(new Array(pieces).fill('x').join());
  const [y, pieces] = interpret(graph, [scalar(-1), line(256)]);
  assert.deepEqual(y?.data, ['b']);
  assert.deepEqual(pieces?.shape, [1, 256]);
  for (const inputs of [
    [scalar(2), line(1)],
    [scalar(0), line(257)],
  ]) {
    assert.throws(() => interpret(graph, inputs), { code: 'HONE-RUN-010' });
  }
});

test('how many pieces a text has is assumed and said, or bounded by an option', () => {
  const model: RawModel = {
    opset: 20,
    inputs: [{ name: 'lines', dtype: 'string', shape: [2] }],
    outputs: [{ name: 'pieces', dtype: 'string', shape: [2, null] }],
    nodes: [node('StringSplit', ['lines'], ['pieces', 'counts'])],
  };
  const read = (bounds: BoundOptions) =>
    importOnnx(readOnnx(memorySource(rawModel(model), 'm.onnx')), { bounds });
  const assumed = read({});
  assert.match(assumed.notes.join(), /ASSUMED: .* pieces .* at most 256 along axis 1/);
  assert.match(assumed.notes.join(), /--bound pieces=2x256/);
  assert.deepEqual(
    assumed.bounds.map(({ most, axis, node: by }) => [most, axis, by]),
    [[[256], 1, 'StringSplit_0']],
  );
  for (const pieces of [3, [2, 3]]) {
    const { graph, notes, bounds } = read({ pieces });
    assert.doesNotMatch(notes.join(), /ASSUMED/);
    assert.deepEqual(
      bounds.map(({ most, assumed: isAssumed }) => [most, isAssumed]),
      [[[3], false]],
    );
    const [made] = interpret(graph, [texts('a b', 'c d e')]);
    assert.deepEqual(
      [made?.shape, made?.data],
      [
        [2, 3],
        ['a', 'b', '', 'c', 'd', 'e'],
      ],
    );
    assert.throws(() => interpret(graph, [texts('a b', 'c d e f')]), {
      code: 'HONE-RUN-010',
      message: /4 pieces, .* for 3 \(pieces along axis 1: at most 3, as --bound says\)/,
    });
  }
});
