/**
 * Models with maps, as converters of scikit-learn write them: a classifier's scores behind ZipMap, features in
 * a map before DictVectorizer. They compile whole; the keys are in the signature.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { load, type Session } from 'hone-runtime';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { type RawModel, type RawNode, rawModel } from './raw-model.ts';

const ML = 'ai.onnx.ml';

async function withSession(model: RawModel, use: (session: Session) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hone-maps-'));
  try {
    const file = join(folder, 'model.onnx');
    writeFileSync(file, rawModel({ domains: { [ML]: 1 }, ...model }));
    const artifact = join(folder, 'model.hone');
    await writeArtifact(await compileModel(file), artifact);
    const session = load(artifact);
    try {
      use(session);
    } finally {
      session.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function classifier(labels: 'ints' | 'texts'): RawModel {
  const names = { texts: ['red', 'green'] };
  const numbers = { ints: [7, 9] };
  const classify: RawNode = {
    op: 'LinearClassifier',
    domain: ML,
    name: 'classify',
    inputs: ['x'],
    outputs: ['label', 'scores'],
    attrs: {
      ...(labels === 'ints' ? { classlabels_ints: numbers } : { classlabels_strings: names }),
      coefficients: { floats: [1, 0.5, -1, 2] },
      intercepts: { floats: [0.25, 0] },
      post_transform: { text: 'SOFTMAX' },
    },
  };
  const zip: RawNode = {
    op: 'ZipMap',
    domain: ML,
    name: 'zip',
    inputs: ['scores'],
    outputs: ['probabilities'],
    attrs: labels === 'ints' ? { classlabels_int64s: numbers } : { classlabels_strings: names },
  };
  const keys = labels === 'ints' ? 'i64' : 'string';
  return {
    nodes: [classify, zip],
    inputs: [{ name: 'x', shape: [3, 2] }],
    outputs: [
      { name: 'label', dtype: labels === 'ints' ? 'i64' : 'string', shape: [3] },
      { name: 'probabilities', container: 'maps', keys },
    ],
  };
}

for (const labels of ['ints', 'texts'] as const) {
  test(`a classifier with ZipMap, keys are ${labels}, gives a tensor and the keys`, async () => {
    await withSession(classifier(labels), (session) => {
      const [label, probabilities] = session.signature.outputs;
      const expected = labels === 'ints' ? [7, 9] : ['red', 'green'];
      assert.deepEqual(probabilities?.keys, expected);
      assert.deepEqual(probabilities?.shape, [3, 2]);
      assert.equal(label?.keys, undefined);
      const out = session.runSync({ x: fromNumbers('f32', [3, 2], [1, 2, -1, 0.5, 3, -1]) });
      const scores = [...toNumbers(out['probabilities'] ?? fromNumbers('f32', [0], []))];
      const rows = [0, 1, 2].map((row) => scores.slice(2 * row, 2 * row + 2));
      for (const row of rows) assert.ok(Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-6);
      const best = rows.map(([a = 0, b = 0]) => expected[a >= b ? 0 : 1]);
      const given = out['label'];
      const found = given?.dtype === 'string' ? given.data : [...toNumbers(given as never)];
      assert.deepEqual([...found], best);
    });
  });
}

function vectorizer(after: readonly RawNode[] = []): RawModel {
  const vectorize: RawNode = {
    op: 'DictVectorizer',
    domain: ML,
    name: 'vectorize',
    inputs: ['features'],
    outputs: ['row'],
    attrs: { string_vocabulary: { texts: ['age', 'height', 'weight'] } },
  };
  return {
    nodes: [vectorize, ...after],
    inputs: [{ name: 'features', container: 'map', keys: 'string', shape: [] }],
    outputs: [{ name: after.length === 0 ? 'row' : 'y', shape: [1, 3] }],
  };
}

test('a map before DictVectorizer is a row of values, one for each word', async () => {
  const double: RawNode = { op: 'Add', name: 'double', inputs: ['row', 'row'], outputs: ['y'] };
  await withSession(vectorizer([double]), (session) => {
    const [input] = session.signature.inputs;
    assert.deepEqual(input?.keys, ['age', 'height', 'weight']);
    const { y } = session.runSync({ features: fromNumbers('f32', [1, 3], [1, 2, 3]) });
    assert.deepEqual([...toNumbers(y ?? fromNumbers('f32', [0], []))], [2, 4, 6]);
  });
});

test('CastMap of a sparse map casts the values', async () => {
  const cast: RawNode = {
    op: 'CastMap',
    domain: ML,
    name: 'cast',
    inputs: ['map'],
    outputs: ['y'],
    attrs: { map_form: { text: 'SPARSE' }, max_map: { int: 3 }, cast_to: { text: 'TO_INT64' } },
  };
  const model: RawModel = {
    nodes: [cast],
    inputs: [{ name: 'map', container: 'map', shape: [] }],
    outputs: [{ name: 'y', dtype: 'i64', shape: [1, 3] }],
  };
  await withSession(model, (session) => {
    assert.deepEqual(session.signature.inputs[0]?.keys, [0, 1, 2]);
    const { y } = session.runSync({ map: fromNumbers('f32', [1, 3], [1, 2.5, -3]) });
    assert.deepEqual([...toNumbers(y ?? fromNumbers('f32', [0], []))], [1, 2, -3]);
  });
});

test('maps that are not tensors in any arrangement are refused by name', async () => {
  const refused = async (model: RawModel, code: string, text: RegExp): Promise<void> => {
    await assert.rejects(
      withSession(model, () => {}),
      (error) => error instanceof HoneError && error.code === code && text.test(error.message),
    );
  };
  const identity: RawNode = { op: 'Relu', name: 'r', inputs: ['probabilities'], outputs: ['y'] };
  const model = classifier('ints');
  await refused(
    { ...model, nodes: [...model.nodes, identity], outputs: [{ name: 'y', shape: [3, 2] }] },
    'HONE-ONNX-019',
    /node r \(Relu\) reads a tensor, but is given maps/,
  );
  await refused(
    {
      nodes: [{ op: 'Identity', name: 'i', inputs: ['m'], outputs: ['y'] }],
      inputs: [{ name: 'm', container: 'map', shape: [] }],
      outputs: [{ name: 'y', container: 'map', shape: [] }],
    },
    'HONE-ONNX-019',
    /input m is a map, and what reads it does not say which keys/,
  );
});
