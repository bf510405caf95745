/** The same model, options and compiler give the same bytes, wherever and whenever; a rebuild proves it. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { cacheDirectory } from 'hone/backends/c/toolchain-cache';
import { compileModel, rebuildArtifact, writeArtifact } from 'hone/compile/index';
import { type Manifest, parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { sha256 } from 'hone-runtime/base/digest';
import { hone } from '../support/hone-process.ts';
import { STORED_OPTIONS, writeStoredModel } from './stored-model.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-repro-'));
after(() => rmSync(folder, { recursive: true }));

const MODEL = path.join(folder, 'stored.onnx');
const ARTIFACT = path.join(folder, 'stored.hone');
writeStoredModel(MODEL);

/** Every file with its bytes, evidence aside. */
function contents(artifact: string): Map<string, Buffer> {
  const files = readdirSync(artifact, { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(path.join(artifact, file)).isFile())
    .filter((file) => !file.startsWith('evidence'));
  return new Map(files.sort().map((file) => [file, readFileSync(path.join(artifact, file))]));
}

test('two folders, homes, caches, locales and time zones give the same bytes', async () => {
  const build = async (place: string, env: Record<string, string>): Promise<string> => {
    const work = path.join(folder, place);
    mkdirSync(path.join(work, 'tmp'), { recursive: true });
    writeStoredModel(path.join(work, 'stored.onnx'));
    const model = place === 'one' ? 'stored.onnx' : path.join(work, 'stored.onnx');
    const output = path.join(work, `${place}.hone`);
    const result = await hone(
      ['compile', model, '-o', output, ...STORED_OPTIONS],
      { TMPDIR: path.join(work, 'tmp'), HOME: path.join(work, 'home'), ...env },
      work,
    );
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(readdirSync(path.join(work, 'tmp')), []);
    return output;
  };
  // No objects in either cache, so every unit is compiled twice. One cache is found through HOME
  // and has the compiler's own files of earlier compilations, the other has nothing.
  const own = path.join(folder, 'one', 'home', '.cache', 'hone');
  mkdirSync(own, { recursive: true });
  symlinkSync(path.join(cacheDirectory(), 'zig'), path.join(own, 'zig'));
  const one = await build('one', {
    HONE_CACHE_DIR: '',
    XDG_CACHE_HOME: '',
    TZ: 'Asia/Tokyo',
    LC_ALL: 'C',
    SOURCE_DATE_EPOCH: '0',
  });
  const two = await build('two/deeper', {
    HONE_CACHE_DIR: path.join(folder, 'cache'),
    TZ: 'America/New_York',
    LC_ALL: 'tr_TR.UTF-8',
    LANG: 'tr_TR.UTF-8',
    CPATH: folder,
    COLUMNS: '17',
  });
  const [a, b] = [contents(one), contents(two)];
  assert.deepEqual([...a.keys()], [...b.keys()]);
  for (const [file, bytes] of a) assert.ok(bytes.equals(b.get(file) as Buffer), `${file} differs`);
  for (const [file, bytes] of a) {
    for (const trace of [folder, os.tmpdir(), os.hostname(), process.cwd()]) {
      assert.equal(bytes.indexOf(trace), -1, `${file} contains ${trace}`);
    }
  }
});

test('the manifest records the options, complete and sorted', async () => {
  const shapes = { x: [2, 64], s: [3, 40] };
  const model = await compileModel(MODEL, {
    contract: { direct: true },
    target: 'x86-64-v3',
    shapes,
    fuse: false,
    batch: 2,
    dims: {},
  });
  assert.equal(
    JSON.stringify(model.options),
    '{"batch":2,"contract":{"direct":true},"dims":{},"fuse":false,"shapes":{"s":[3,40],"x":[2,64]},"target":["x86-64-v3-linux-gnu"]}',
  );
  assert.equal(
    JSON.stringify(model.source.external?.map(({ name }) => name)),
    '["data/scale.bin"]',
  );
  await writeArtifact(model, ARTIFACT);
  assert.match(readFileSync(path.join(ARTIFACT, 'graph.ir'), 'utf8'), /file \d+ "stored\.onnx"/);
  assert.match(readFileSync(path.join(ARTIFACT, 'graph.ir'), 'utf8'), /file 0 "data\/scale\.bin"/);
});

test('verify --rebuild compiles again, from a model of any name', async () => {
  const other = path.join(folder, 'elsewhere', 'renamed.onnx');
  writeStoredModelAt(other);
  const good = await hone(['verify', ARTIFACT, '--rebuild', other, '--json']);
  assert.equal(good.code, 0, good.stderr);
  const files = openArtifact(ARTIFACT).manifest.files.length;
  const { bytes, ...rest } = JSON.parse(good.stdout);
  assert.ok(bytes > 0);
  assert.deepEqual(rest, {
    artifact: ARTIFACT,
    valid: true,
    files,
    signed_by: null,
    rebuilt: true,
  });
});

function writeStoredModelAt(file: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  cpSync(MODEL, file);
  cpSync(path.join(folder, 'data'), path.join(path.dirname(file), 'data'), { recursive: true });
}

/** Changes a file and the manifest with it, so that all digests are right. */
function forge(file: string, manifestChange: (manifest: Manifest) => Manifest): string {
  const forged = path.join(folder, 'forged.hone');
  rmSync(forged, { recursive: true, force: true });
  cpSync(ARTIFACT, forged, { recursive: true });
  if (file !== '') appendFileSync(path.join(forged, file), '\n/* more */\n');
  const name = path.join(forged, 'manifest.json');
  const manifest = manifestChange(parseManifest(readFileSync(name, 'utf8'), name));
  const files = manifest.files.map((entry) => {
    if (entry.path !== file) return entry;
    const content = readFileSync(path.join(forged, file));
    return { ...entry, bytes: content.byteLength, sha256: sha256(content) };
  });
  writeFileSync(name, printManifest({ ...manifest, files }));
  return forged;
}

const refused = async (work: Promise<unknown>, code: string, words: RegExp): Promise<void> => {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof HoneError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    assert.ok(error.cure);
    return true;
  });
};

test('a rebuild names the first file that differs', async () => {
  const same = (manifest: Manifest): Manifest => manifest;
  const forged = openArtifact(forge('src/hone_cpu.c', same));
  await refused(
    rebuildArtifact(forged, MODEL),
    'HONE-ARTIFACT-042',
    /: src\/hone_cpu\.c has \d+ bytes, rebuilt \d+; so do manifest\.json/,
  );
  const renamed = openArtifact(forge('', (manifest) => ({ ...manifest, name: 'other' })));
  await refused(
    rebuildArtifact(renamed, MODEL),
    'HONE-ARTIFACT-042',
    /: manifest\.json differs in "name"$/,
  );
});

test('a rebuild needs the same model, compiler and options', async () => {
  const artifact = openArtifact(ARTIFACT);
  const other = path.join(folder, 'other', 'stored.onnx');
  writeStoredModelAt(other);
  const data = path.join(path.dirname(other), 'data', 'scale.bin');
  writeFileSync(data, readFileSync(data).fill(1, 8, 9));
  await refused(rebuildArtifact(artifact, other), 'HONE-ARTIFACT-040', /other external data/);
  appendFileSync(other, new Uint8Array([0x12, 0]));
  await refused(rebuildArtifact(artifact, other), 'HONE-ARTIFACT-040', /is not the model/);

  const from = (compiler: Partial<Manifest['compiler']>) =>
    openArtifact(forge('', (m) => ({ ...m, compiler: { ...m.compiler, ...compiler } })));
  const gcc = from({ toolchain: 'gcc 99' });
  await refused(rebuildArtifact(gcc, MODEL), 'HONE-ARTIFACT-041', /with gcc 99; this is hone/);
  for (const options of [{ magic: 1 }, { contract: { magic: 1 } }, { operators: 'own' }]) {
    const odd = from({ options });
    await refused(rebuildArtifact(odd, MODEL), 'HONE-ARTIFACT-041', /magic|operators/);
  }
  await refused(
    rebuildArtifact(from({ options: { batch: 'two' } }), MODEL),
    'HONE-ARTIFACT-003',
    /options: batch is no count/,
  );
});
