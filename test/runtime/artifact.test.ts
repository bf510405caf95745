import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { load } from 'hone-runtime';
import { parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { isPlainPath } from 'hone-runtime/artifact/plain-path';
import { ownerTag } from 'hone-runtime/artifact/process-tag';
import { isArtifact, openArtifact } from 'hone-runtime/artifact/read';
import { verifyArtifact } from 'hone-runtime/artifact/verify';
import { type ArtifactContents, writeArtifact } from 'hone-runtime/artifact/write';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { weightsFileName } from 'hone/backends/c/build';
import { nativeTarget } from 'hone-runtime/target/parse';
import { sampleContents, withDirectory, withSample } from './sample-artifact.ts';

const code = (expectedCode: string) => (error: HoneError) => {
  assert.equal(error.code, expectedCode, error.message);
  assert.ok(error.cure, `${error.code} has no cure`);
  return true;
};

/** Contents that need no compiler. */
function plainContents(
  weights: Iterable<Uint8Array> = [new Uint8Array(3 << 20)],
): ArtifactContents {
  return {
    name: 'plain',
    inputs: [{ name: 'x', dtype: 'f32', shape: [2, 3], bytes: 24 }],
    outputs: [],
    source: { name: 'plain.onnx', bytes: 0, sha256: '0'.repeat(64) },
    compiler: { hone: '0.1.0', toolchain: 'none', options: { precision: 'fp32' } },
    libraries: [
      {
        target: 'x86-64-v3-linux-gnu',
        library: new Uint8Array(10),
        extension: '.so',
        weights: 'weights/w.bin',
        arenaBytes: 0,
      },
    ],
    weights: [{ path: 'weights/w.bin', pieces: weights }],
    header: '',
    sources: [{ name: 'k.c', text: 'int k;\n' }],
    graph: '',
    report: null,
    choices: {},
  };
}

test('the manifest lists every file, reads back, and two writes give the same bytes', async () => {
  await withDirectory(async (directory) => {
    const [one, two] = ['one.hone', 'two.hone'].map((name) => path.join(directory, name));
    assert.ok(one && two);
    writeArtifact(one, await sampleContents());
    writeArtifact(two, await sampleContents());
    const { manifest } = openArtifact(one);
    const listed = manifest.files.map((file) => file.path);
    const target = nativeTarget();
    for (const file of [
      `lib/${target.name}.so`,
      weightsFileName(target),
      'include/model.h',
      'src/hone_runtime.c',
      'src/kernels.c',
      'graph.ir',
      'report.json',
      'choices.json',
    ]) {
      assert.ok(listed.includes(file), file);
    }
    assert.ok(!listed.includes('evidence/times.json'));
    assert.ok(existsSync(path.join(one, 'evidence/times.json')));
    for (const file of [...listed, 'manifest.json']) {
      const [a, b] = [one, two].map((artifact) => readFileSync(path.join(artifact, file)));
      assert.ok(a && b && a.equals(b), file);
    }
    assert.deepEqual(parseManifest(printManifest(manifest), 'manifest'), manifest);
    assert.equal(verifyArtifact(openArtifact(one)).files, listed.length);
    assert.deepEqual(readdirSync(directory).sort(), ['one.hone', 'two.hone']);
  });
});

test('damage of any kind is a coded error', async () => {
  await withSample((sample, directory) => {
    const target = nativeTarget();
    const library = `lib/${target.name}.so`;
    const weights = weightsFileName(target);
    const damage = (name: string, change: (artifact: string) => void, expected: string): void => {
      const artifact = path.join(directory, 'damaged.hone');
      cpSync(sample, artifact, { recursive: true });
      change(artifact);
      assert.throws(() => load(artifact, { threads: 1, verify: 'full' }), code(expected), name);
      rmSync(artifact, { recursive: true });
    };
    const edit = (file: string, change: (bytes: Buffer) => void) => (artifact: string) => {
      const full = path.join(artifact, file);
      const bytes = readFileSync(full);
      change(bytes);
      writeFileSync(full, bytes);
    };
    const flip = (at: number) => (bytes: Buffer) => {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    };
    damage('library changed', edit(library, flip(5000)), 'HONE-ARTIFACT-014');
    damage('weights changed', edit(weights, flip(70)), 'HONE-ARTIFACT-014');
    damage('source changed', edit('src/kernels.c', flip(3)), 'HONE-ARTIFACT-014');
    damage('manifest changed', edit('manifest.json', flip(200)), 'HONE-ARTIFACT-003');
    const cut = (file: string) => (artifact: string) => truncateSync(path.join(artifact, file), 50);
    damage('library cut', cut(library), 'HONE-ARTIFACT-012');
    damage('weights cut', cut(weights), 'HONE-ARTIFACT-012');
    damage('manifest cut', cut('manifest.json'), 'HONE-ARTIFACT-003');
    damage(
      'weights longer',
      (a) => appendFileSync(path.join(a, weights), 'x'),
      'HONE-ARTIFACT-012',
    );
    damage('weights gone', (a) => rmSync(path.join(a, weights)), 'HONE-ARTIFACT-011');
    damage('manifest gone', (a) => rmSync(path.join(a, 'manifest.json')), 'HONE-ARTIFACT-010');
    const linkFile = (artifact: string): void => {
      renameSync(path.join(artifact, library), path.join(artifact, 'real.so'));
      symlinkSync('../real.so', path.join(artifact, library));
    };
    damage('library is a link', linkFile, 'HONE-ARTIFACT-013');
    const linkFolder = (artifact: string): void => {
      renameSync(path.join(artifact, 'weights'), path.join(artifact, 'elsewhere'));
      symlinkSync('elsewhere', path.join(artifact, 'weights'));
    };
    damage('folder is a link', linkFolder, 'HONE-ARTIFACT-013');
  });
});

test('weights are verified by size only unless asked', async () => {
  await withSample((sample) => {
    const file = path.join(sample, weightsFileName(nativeTarget()));
    const bytes = readFileSync(file);
    bytes[100] = 77;
    writeFileSync(file, bytes);
    load(sample, { threads: 1 }).close();
    assert.throws(() => load(sample, { verify: 'full' }), code('HONE-ARTIFACT-014'));
  });
});

test('a manifest whose digest is right but whose paths lead out is refused', async () => {
  await withDirectory((directory) => {
    const artifact = path.join(directory, 'a.hone');
    const manifest = writeArtifact(artifact, plainContents());
    for (const bad of ['../x', '/etc/passwd', 'a/../../b', 'lib\\x', '.hidden', 'a//b', '']) {
      assert.ok(!isPlainPath(bad), bad);
      const files = manifest.files.map((f) => (f.path === 'graph.ir' ? { ...f, path: bad } : f));
      writeFileSync(path.join(artifact, 'manifest.json'), printManifest({ ...manifest, files }));
      assert.throws(() => openArtifact(artifact), code('HONE-ARTIFACT-003'), bad);
    }
  });
});

test('what is no artifact is named', async () => {
  await withDirectory((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'x');
    mkdirSync(path.join(directory, 'empty'));
    for (const name of ['missing', 'empty', 'file']) {
      const place = path.join(directory, name);
      assert.equal(isArtifact(place), false);
      assert.throws(() => openArtifact(place), code('HONE-ARTIFACT-010'), name);
    }
  });
});

test('weights come in pieces of any size and get a digest per megabyte', async () => {
  await withDirectory((directory) => {
    const all = Uint8Array.from({ length: (5 << 19) + 17 }, (_, i) => i * 31 + (i >> 9));
    const whole = writeArtifact(path.join(directory, 'w.hone'), plainContents([all]));
    const pieces: Uint8Array[] = [];
    for (let at = 0, size = 1; at < all.length; at += size, size = (size * 7) % 900_001) {
      pieces.push(all.subarray(at, at + size));
    }
    const cut = writeArtifact(path.join(directory, 'c.hone'), plainContents(pieces));
    assert.deepEqual(cut, whole);
    const entry = whole.files.find((f) => f.path === 'weights/w.bin');
    assert.equal(entry?.chunks?.length, 3);
    verifyArtifact(openArtifact(path.join(directory, 'c.hone')));
  });
});

test('only artifacts and empty directories are replaced', async () => {
  await withDirectory((directory) => {
    const target = path.join(directory, 'out.hone');
    mkdirSync(target);
    writeArtifact(target, plainContents());
    writeArtifact(target, { ...plainContents(), name: 'second' });
    assert.equal(openArtifact(target).manifest.name, 'second');
    const own = path.join(directory, 'photos');
    mkdirSync(own);
    writeFileSync(path.join(own, 'me.jpg'), 'x');
    assert.throws(() => writeArtifact(own, plainContents()), code('HONE-ARTIFACT-001'));
    const file = path.join(own, 'me.jpg');
    assert.throws(() => writeArtifact(file, plainContents()), code('HONE-ARTIFACT-001'));
    const under = path.join(file, 'x.hone');
    assert.throws(() => writeArtifact(under, plainContents()), code('HONE-ARTIFACT-002'));
    assert.deepEqual(readdirSync(directory).sort(), ['out.hone', 'photos']);
  });
});

test('a failure while writing leaves the old artifact and nothing else', async () => {
  await withDirectory((directory) => {
    const target = path.join(directory, 'out.hone');
    writeArtifact(target, plainContents());
    function* broken(): Iterable<Uint8Array> {
      yield new Uint8Array(1000);
      throw new Error('the packer failed');
    }
    assert.throws(() => writeArtifact(target, plainContents(broken())), /packer failed/);
    verifyArtifact(openArtifact(target));
    assert.deepEqual(readdirSync(directory), ['out.hone']);
  });
});

test('a swap interrupted between its renames is recovered by the next reader', async () => {
  await withDirectory((directory) => {
    const target = path.join(directory, 'out.hone');
    writeArtifact(target, plainContents());
    const tagOfDead = ownerTag().replace(/-\d+-/, '-999999999-');
    renameSync(target, path.join(directory, `.out.hone.hone-old-${tagOfDead}`));
    verifyArtifact(openArtifact(target));
    assert.deepEqual(readdirSync(directory), ['out.hone']);
  });
});

test('a killed writer leaves the old artifact; the next one clears its leftovers', async () => {
  await withDirectory(async (directory) => {
    const target = path.join(directory, 'out.hone');
    const manifest = writeArtifact(target, plainContents());
    const program = `
      const { writeArtifact } = await import(${JSON.stringify(import.meta.resolve('hone-runtime/artifact/write'))});
      const contents = JSON.parse(process.env.CONTENTS);
      const pieces = { *[Symbol.iterator]() {
        yield new Uint8Array(1 << 20);
        process.stdout.write('half');
        for (;;) { yield new Uint8Array(16); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50); }
      } };
      writeArtifact(process.env.TARGET, { ...contents, libraries: [], weights: [{ path: 'weights/w.bin', pieces }] });`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, TARGET: target, CONTENTS: JSON.stringify(plainContents([])) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    writer.kill('SIGKILL');
    await new Promise((resolve) => writer.once('exit', resolve));
    assert.deepEqual(openArtifact(target).manifest, manifest);
    verifyArtifact(openArtifact(target));
    assert.equal(readdirSync(directory).length, 2);
    writeArtifact(target, { ...plainContents(), name: 'next' });
    assert.deepEqual(readdirSync(directory), ['out.hone']);
  });
});
