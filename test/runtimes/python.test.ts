/** The Python runtime: what it answers, what it refuses, its document. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { type LoadOptions, load } from 'hone-runtime';
import { readPrivateKey, writeKeyPair } from 'hone-runtime/artifact/keys';
import { type Manifest, parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { openArtifact } from 'hone-runtime/artifact/read';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { examplesOf, ROOT, runExamples } from '../support/doc-examples.ts';
import { missingPython, PYTHON_RUNTIME, python } from '../support/python.ts';
import { compileTo, SMALL, TYPES } from './models.ts';
import { runInPython } from './run-in-python.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-python-'));
after(() => rmSync(folder, { recursive: true }));

describe('the Python runtime', { skip: missingPython }, () => {
  const small = path.join(folder, 'small.hone');

  before(async () => {
    await compileTo(folder, SMALL);
    await compileTo(folder, TYPES);
    writeFileSync(path.join(folder, 'signatures.json'), JSON.stringify(signatures()));
  });

  test('arrays, contexts, mistakes: check_python.py', () => {
    const script = path.join(ROOT, 'test', 'runtimes', 'check_python.py');
    const { status, stdout, stderr } = spawnSync(python ?? '', ['-W', 'error', script, folder], {
      encoding: 'utf8',
      timeout: 120_000,
      env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME, PYTHONDONTWRITEBYTECODE: '1' },
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /all checks passed/);
  });

  test('what is damaged is refused with the code that Node gives', () => {
    const manifest = parseManifest(readFileSync(path.join(small, 'manifest.json'), 'utf8'), 'm');
    const cases = damages(manifest).map(({ name, change }, i) => {
      const artifact = path.join(folder, `damaged-${i}.hone`);
      cpSync(small, artifact, { recursive: true });
      change(artifact);
      return { name, artifact };
    });
    cases.push({ name: 'nothing there', artifact: path.join(folder, 'nothing.hone') });
    cases.push({ name: 'the undamaged one', artifact: small });
    const requests = cases.map(({ artifact }) => ({ artifact, verify: 'full' as const }));
    const answers = runInPython(requests);
    cases.forEach(({ name, artifact }, i) => {
      assert.equal(answers[i]?.code, codeOfNode(artifact), name);
    });
    assert.deepEqual(Object.keys(answers.at(-1) ?? {}), ['target']);
  });

  test('weights are compared by size only, unless asked', () => {
    const artifact = path.join(folder, 'weights.hone');
    cpSync(small, artifact, { recursive: true });
    const [weights] = load(artifact, { threads: 1 }).manifest.libraries.map((l) => l.weights);
    edit(weights ?? '', (bytes) => bytes.fill(77, 0, 4))(artifact);
    const [plain, full] = runInPython([{ artifact }, { artifact, verify: 'full' }]);
    assert.deepEqual([plain?.code, full?.code], [undefined, 'HONE-ARTIFACT-014']);
  });

  test('with a key: signature and weights, with the codes that Node gives', async () => {
    const [key, other] = [path.join(folder, 'key'), path.join(folder, 'other')];
    for (const file of [key, other]) writeKeyPair(file);
    const pub = `${key}.pub`;
    const own = await compileModel(SMALL.file(folder));
    const signed = path.join(folder, 'signed.hone');
    await writeArtifact(own, signed, { key: readPrivateKey(key) });
    const rewrite = (change: (text: string) => string) => (artifact: string) => {
      const file = path.join(artifact, 'manifest.sig');
      writeFileSync(file, change(readFileSync(file, 'utf8')));
    };
    const [library] = openArtifact(signed).manifest.libraries;
    const flip = (file: string, at: number) =>
      edit(file, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 1;
      });
    const changes: readonly ((artifact: string) => void)[] = [
      (artifact) => rmSync(path.join(artifact, 'manifest.sig')),
      flip('manifest.json', 300),
      flip(library?.file ?? '', 4000),
      flip(library?.weights ?? '', 100),
      rewrite(() => ''),
      rewrite(() => '[]'),
      rewrite((text) => text.replace('ed25519', 'none')),
      rewrite((text) => text.replace('==', '')),
      rewrite((text) => text.replace(/"signature": "..../, '"signature": "AAAA')),
      rewrite((text) => text + ' '.repeat(1 << 20)),
      (artifact) => {
        rmSync(path.join(artifact, 'manifest.sig'));
        symlinkSync(path.join(signed, 'manifest.sig'), path.join(artifact, 'manifest.sig'));
      },
    ];
    const copies = changes.map((change, i) => {
      const artifact = path.join(folder, `signed-${i}.hone`);
      cpSync(signed, artifact, { recursive: true });
      change(artifact);
      return artifact;
    });
    const requests = [
      ...copies.map((artifact) => ({ artifact, key: pub })),
      ...[pub, readFileSync(pub, 'utf8'), [`${other}.pub`, pub]].map((k) => ({
        artifact: signed,
        key: k,
      })),
      ...[`${other}.pub`, key, path.join(folder, 'none'), folder, SMALL.file(folder)].map((k) => ({
        artifact: signed,
        key: k,
      })),
    ];
    const answers = runInPython(requests);
    const wanted = requests.map((request) => codeOfNode(request.artifact, { key: request.key }));
    assert.deepEqual(
      answers.map((answer) => answer.code),
      wanted,
    );
    assert.equal(wanted.filter((code) => code === undefined).length, 3);
    assert.ok(new Set(wanted).size >= 7, wanted.join());
  });

  test('a packed artifact is refused by name', () => {
    const artifact = path.join(folder, 'packed.hone.tar.gz');
    writeFileSync(artifact, gzipSync('x'));
    const [answer] = runInPython([{ artifact }]);
    assert.equal(answer?.code, 'HONE-ARTIFACT-030');
    assert.equal(codeOfNode(artifact), 'HONE-ARTIFACT-030');
  });

  test('an interrupted replacement is recovered', () => {
    const artifact = path.join(folder, 'swapped.hone');
    cpSync(small, path.join(folder, '.swapped.hone.hone-old'), { recursive: true });
    const [answer] = runInPython([{ artifact }]);
    assert.equal(answer?.code, undefined);
  });

  test('docs/runtime-python.md runs as it stands', () => {
    const cwd = path.join(folder, 'document');
    const bin = path.join(cwd, 'bin');
    mkdirSync(bin, { recursive: true });
    for (const name of ['node_modules', 'packages']) {
      symlinkSync(path.join(ROOT, name), path.join(cwd, name));
    }
    writeFileSync(path.join(bin, 'python3'), `#!/bin/sh\nexec '${python}' "$@"\n`);
    chmodSync(path.join(bin, 'python3'), 0o755);
    const printed = runExamples(examplesOf('docs/runtime-python.md'), {
      cwd,
      env: { PATH: `${bin}:${process.env['PATH']}` },
    });
    assert.ok(printed.length >= 5);
    assert.match(printed[1] ?? '', /TensorSpec\(name='x', dtype='f32'/);
    assert.match(printed.at(-1) ?? '', /^HONE-INPUT-004: /);
  });
});

/** Signatures of Node's own, and of these with one bit changed. */
function signatures(): readonly object[] {
  return Array.from({ length: 8 }, (_, i) => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
    const message = randomBytes(i * 17);
    const signature = sign(null, message, privateKey);
    const changed = (bytes: Buffer): Buffer => {
      const copy = Buffer.from(bytes);
      const at = i % Math.max(1, copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << (i % 8));
      return copy;
    };
    const all = [
      { key, message, signature, valid: true },
      { key, message, signature: changed(signature), valid: false },
      { key, message: Buffer.concat([message, Buffer.from([i])]), signature, valid: false },
      { key: changed(key), message, signature, valid: false },
      // A scalar of the group's order or more would make a second signature of the first.
      {
        key,
        message,
        signature: Buffer.concat([signature.subarray(0, 32), plusOrder(signature.subarray(32))]),
        valid: false,
      },
    ];
    return all.map((item) => ({
      key: item.key.toString('hex'),
      message: item.message.toString('hex'),
      signature: item.signature.toString('hex'),
      valid: item.valid,
    }));
  }).flat();
}

function plusOrder(scalar: Buffer): Buffer {
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  const value = BigInt(`0x${Buffer.from(scalar).reverse().toString('hex')}`) + order;
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
}

function codeOfNode(
  artifact: string,
  options: LoadOptions = { verify: 'full' },
): string | undefined {
  try {
    load(artifact, { threads: 1, ...options }).close();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof HoneError);
    return error.code;
  }
}

interface Damage {
  readonly name: string;
  readonly change: (artifact: string) => void;
}

const edit =
  (file: string, change: (bytes: Buffer) => void) =>
  (artifact: string): void => {
    const full = path.join(artifact, file);
    const bytes = readFileSync(full);
    change(bytes);
    writeFileSync(full, bytes);
  };

function damages(manifest: Manifest): readonly Damage[] {
  const [entry] = manifest.libraries;
  const library = entry?.file ?? '';
  const weights = entry?.weights ?? '';
  const flip =
    (at: number) =>
    (bytes: Buffer): void => {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    };
  const write = (text: string) => (artifact: string) =>
    writeFileSync(path.join(artifact, 'manifest.json'), text);
  const manifestWith = (changes: object) => write(printManifest({ ...manifest, ...changes }));
  const withPath = (bad: string) =>
    manifestWith({
      files: manifest.files.map((f) => (f.path === 'graph.ir' ? { ...f, path: bad } : f)),
    });
  const moved = (from: string) => (artifact: string) => {
    renameSync(path.join(artifact, from), path.join(artifact, 'elsewhere'));
    symlinkSync(path.resolve(artifact, 'elsewhere'), path.join(artifact, from));
  };
  const digest = (text: string) =>
    text.replace(/"digest": "[0-9a-f]+"/, `"digest": "${'0'.repeat(64)}"`);
  return [
    { name: 'library changed', change: edit(library, flip(5000)) },
    { name: 'weights changed', change: edit(weights, flip(70)) },
    { name: 'source changed', change: edit('src/hone_runtime.c', flip(3)) },
    { name: 'manifest changed', change: edit('manifest.json', flip(200)) },
    { name: 'manifest empty', change: write('') },
    { name: 'manifest is a list', change: write('[]') },
    { name: 'manifest nested deeply', change: write('['.repeat(200_000)) },
    { name: 'manifest of another format', change: write('{"format":"x"}') },
    { name: 'manifest with another digest', change: write(digest(printManifest(manifest))) },
    { name: 'manifest without files', change: manifestWith({ files: [] }) },
    { name: 'path leads out', change: withPath('../x') },
    { name: 'absolute path', change: withPath('/etc/passwd') },
    { name: 'path with a new line', change: withPath('graph.ir\n') },
    { name: 'lists its own manifest', change: withPath('manifest.json') },
    { name: 'lists its evidence', change: withPath('evidence/times.json') },
    { name: 'manifest is a link', change: moved('manifest.json') },
    { name: 'no library at all', change: manifestWith({ libraries: [] }) },
    {
      name: 'a library for another system',
      change: manifestWith({ libraries: [{ ...entry, target: 'arm64-macos' }] }),
    },
    { name: 'library cut', change: (a) => truncateSync(path.join(a, library), 50) },
    { name: 'weights cut', change: (a) => truncateSync(path.join(a, weights), 50) },
    { name: 'weights longer', change: (a) => appendFileSync(path.join(a, weights), 'x') },
    { name: 'weights gone', change: (a) => rmSync(path.join(a, weights)) },
    { name: 'manifest gone', change: (a) => rmSync(path.join(a, 'manifest.json')) },
    { name: 'library is a link', change: moved(library) },
    { name: 'folder is a link', change: moved('weights') },
  ];
}
