/** Models with texts: steps of the Node runtime around the compiled part; others refuse them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { compileGraph, compileModel, writeArtifact } from 'hone/compile/index';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { interpret } from 'hone/ops/interpret';
import { opBuilder } from 'hone/ops/registry';
import { load } from 'hone-runtime';
import { parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { openCLibrary } from 'hone-runtime/runtime/drivers/c';
import { missingPython, PYTHON_RUNTIME, python } from '../support/python.ts';

const ML = { domain: 'ai.onnx.ml' };
const WORDS = ['good', 'bad', 'dull'];

/** Counts words, scores two classes, names the winner; also gives the words backwards. */
function sentiment() {
  const b = opBuilder('sentiment');
  const words = b.graph.input('words', { dtype: 'string', shape: [1, 4] });
  const offset = b.graph.input('offset', { dtype: 'f32', shape: [1] });
  const lower = b.op('StringNormalizer', [words], { case_change_action: 'LOWER' });
  const counts = b.op('TfIdfVectorizer', [lower], {
    mode: 'TF',
    min_gram_length: 1,
    max_gram_length: 1,
    max_skip_count: 0,
    ngram_counts: [0],
    ngram_indexes: [0, 1, 2],
    pool_strings: WORDS,
  });
  const moved = b.op('Add', [counts, offset]);
  const classifier = {
    coefficients: [1, -1, -0.5, -1, 1, 0.5],
    intercepts: [0.1, 0],
    classlabels_strings: ['liked', 'disliked'],
    post_transform: 'SOFTMAX',
  };
  const options = { ...ML, outputs: 2, outputNames: ['label', 'scores'] };
  const results = b.ops('LinearClassifier', [moved], classifier, options);
  const order = b.constant(fromNumbers('i64', [4], [3, 2, 1, 0]));
  const named = { outputNames: ['backwards'] };
  const backwards = b.op('Gather', [lower, order], { axis: 1 }, named);
  return b.graph.finish([...results, backwards]);
}

const texts = (...data: string[]): Tensor => ({ dtype: 'string', shape: [1, data.length], data });
const code = (expected: string) => (error: unknown) =>
  error instanceof HoneError && error.code === expected;

describe('steps on texts', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-texts-'));
  const artifact = path.join(folder, 'sentiment.hone');
  after(() => rmSync(folder, { recursive: true }));
  const inputs = {
    words: texts('Good', 'BAD', 'good', 'film'),
    offset: fromNumbers('f32', [1], [0.5]),
  };

  before(async () => {
    const model = path.join(folder, 'sentiment.onnx');
    writeFileSync(model, exportOnnx(sentiment()));
    await writeArtifact(await compileModel(model, {}), artifact);
  });

  test('Node runs them as the interpreter does', async () => {
    const wanted = interpret(sentiment(), [inputs.words, inputs.offset]);
    const session = load(artifact);
    try {
      assert.deepEqual(
        session.signature.inputs.map(({ name, dtype }) => `${name} ${dtype}`),
        ['words string', 'offset f32'],
      );
      const results = await session.run(inputs);
      assert.deepEqual(results['label']?.data, ['liked']);
      assert.deepEqual(results['backwards']?.data, ['film', 'good', 'bad', 'good']);
      assert.deepEqual(results, session.runSync(inputs));
      assert.deepEqual(Object.keys(results), ['label', 'scores', 'backwards']);
      const scores = wanted[1]?.data as Float32Array;
      const got = results['scores'];
      assert.ok(got !== undefined);
      (got.data as Float32Array).forEach((value, i) => {
        assert.ok(Math.abs(value - (scores[i] as number)) < 1e-6);
      });
      const other = session.createContext();
      assert.deepEqual(other.runSync(inputs), results);
      other.close();
      assert.ok(session.profile(inputs).totalNs > 0);
      assert.throws(() => session.runSync({ offset: inputs.offset }), code('HONE-INPUT-001'));
      const few = { ...inputs, words: texts('a') };
      assert.throws(() => session.runSync(few), code('HONE-INPUT-005'));
      const numbers = { ...inputs, words: fromNumbers('f32', [1, 4], [1, 2, 3, 4]) };
      assert.throws(() => session.runSync(numbers), code('HONE-INPUT-003'));
    } finally {
      session.close();
    }
  });

  test('no more of them than allowed', () => {
    assert.throws(
      () => compileGraph(sentiment(), { maxFallback: 1 }),
      (error) => code('HONE-COMPILE-043')(error) && /normalize.*n_grams/.test(String(error)),
    );
    assert.ok(compileGraph(sentiment(), { maxFallback: 9 }).program.host !== undefined);
  });

  test('the manifest keeps them, and damaged ones are refused', () => {
    const { manifest } = openArtifact(artifact);
    assert.deepEqual(parseManifest(printManifest(manifest), 'm'), manifest);
    const { host } = manifest;
    assert.ok(host !== undefined);
    assert.ok(host.steps.some((step) => step.kind === 'native'));
    const strange = host.steps.map((step) =>
      step.kind === 'routine' ? { ...step, routine: 'format_disk' } : step,
    );
    const text = printManifest({ ...manifest, host: { ...host, steps: strange } });
    assert.throws(() => parseManifest(text, 'm'), code('HONE-ARTIFACT-003'));
    const twice = { ...host, steps: [...host.steps, { kind: 'native' } as const] };
    const again = printManifest({ ...manifest, host: twice });
    assert.throws(() => parseManifest(again, 'm'), code('HONE-ARTIFACT-003'));
  });

  test('C refuses the model', () => {
    const entry = openArtifact(artifact).manifest.libraries[0];
    assert.ok(entry !== undefined);
    const library = openCLibrary(readFileSync(path.join(artifact, entry.file)), entry.file);
    assert.throws(() => library.open(artifact, {}), code('HONE-RUN-006'));
    library.unload();
  });

  test('Python refuses the model', { skip: missingPython }, () => {
    const script = [
      'import sys, hone_runtime',
      'try: hone_runtime.load(sys.argv[1])',
      'except hone_runtime.HoneError as error: print(error.code)',
    ].join('\n');
    const { stdout } = spawnSync(python ?? '', ['-c', script, artifact], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME, PYTHONDONTWRITEBYTECODE: '1' },
    });
    assert.equal(stdout.trim(), 'HONE-RUN-006');
  });
});
