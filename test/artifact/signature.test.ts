/** Signed artifacts: who has the key is told of every change, before any code of the artifact runs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { load } from 'hone-runtime';
import { readPrivateKey, readPublicKey, writeKeyPair } from 'hone-runtime/artifact/keys';
import { type Manifest, parseManifest, printManifest } from 'hone-runtime/artifact/manifest';
import { openArtifact } from 'hone-runtime/artifact/read';
import { signManifest } from 'hone-runtime/artifact/signature';
import { writeArtifact } from 'hone-runtime/artifact/write';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { sha256 } from 'hone-runtime/base/digest';
import { nativeTarget } from 'hone-runtime/target/parse';
import { weightsFileName } from 'hone/backends/c/build';
import { COUNT, sampleContents } from '../runtime/sample-artifact.ts';
import { hone } from '../support/hone-process.ts';
import { writeSmallModel } from '../support/small-model.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-sign-'));
after(() => rmSync(folder, { recursive: true }));
const place = (name: string): string => path.join(folder, name);

const KEY = place('key');
const PUB = `${KEY}.pub`;
const OTHER = place('other');
writeKeyPair(KEY);
writeKeyPair(OTHER);

/** Code that runs as soon as the library is loaded, and what it leaves in this process. */
const MARK = 'HONE_TEST_CODE_RAN';
const CODE = `
#include <stdlib.h>
__attribute__((constructor)) static void mark(void) { setenv("${MARK}", "1", 1); }
`;
const LIBRARY = `lib/${nativeTarget().name}.so`;
const WEIGHTS = weightsFileName(nativeTarget());
const SIGNED = place('signed.hone');

before(async () => {
  const contents = await sampleContents({ code: CODE });
  writeArtifact(SIGNED, contents, { key: readPrivateKey(KEY) });
});

const coded = (code: string, words: RegExp) => (error: HoneError) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.ok(error.cure);
  return true;
};

/** A copy of the signed artifact after a change. */
function changed(change: (artifact: string) => void): string {
  const copy = place('changed.hone');
  rmSync(copy, { recursive: true, force: true });
  cpSync(SIGNED, copy, { recursive: true });
  change(copy);
  return copy;
}

const flip = (file: string, at: number) => (artifact: string) => {
  const bytes = readFileSync(path.join(artifact, file));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path.join(artifact, file), bytes);
};

/** A manifest that is right in itself: digests of changed files, and its own, are made anew. */
const forge = (edit: (manifest: Manifest) => Manifest) => (artifact: string) => {
  const file = path.join(artifact, 'manifest.json');
  const manifest = edit(parseManifest(readFileSync(file, 'utf8'), file));
  const files = manifest.files.map((entry) => {
    if (entry.chunks !== undefined) return entry;
    const bytes = readFileSync(path.join(artifact, entry.path));
    return { ...entry, bytes: bytes.byteLength, sha256: sha256(bytes) };
  });
  writeFileSync(file, printManifest({ ...manifest, files }));
};

test('a signed artifact runs with its key, given as file, text or one of several', () => {
  const unmarked = { ...process.env };
  assert.equal(unmarked[MARK], undefined);
  for (const key of [PUB, readFileSync(PUB, 'utf8'), [`${OTHER}.pub`, PUB]]) {
    const session = load(SIGNED, { key, threads: 1 });
    const a = { dtype: 'f32', shape: [COUNT], data: new Float32Array(COUNT).fill(2) } as const;
    const { z } = session.runSync({ a, b: a });
    assert.equal(z?.data[5], 4);
    session.close();
  }
  assert.equal(process.env[MARK], '1', 'the mark shows when code runs');
  assert.equal(openArtifact(SIGNED).signedBy, readPublicKey(PUB).id);
});

test('whatever was changed, no code runs', () => {
  const refuse = (artifact: string, code: string, words: RegExp, key = PUB): void => {
    delete process.env[MARK];
    assert.throws(() => load(artifact, { key, threads: 1 }), coded(code, words));
    assert.equal(process.env[MARK], undefined, `${code}: code ran`);
  };
  const unsigned = changed((artifact) => rmSync(path.join(artifact, 'manifest.sig')));
  refuse(unsigned, 'HONE-ARTIFACT-020', /is not signed/);
  refuse(SIGNED, 'HONE-ARTIFACT-021', /is signed with key/, `${OTHER}.pub`);
  refuse(changed(flip('manifest.json', 300)), 'HONE-ARTIFACT-022', /changed after it was signed/);
  refuse(changed(flip(LIBRARY, 4000)), 'HONE-ARTIFACT-014', /\.so was changed/);
  refuse(changed(flip(WEIGHTS, 1000)), 'HONE-ARTIFACT-014', /in the megabyte at byte 0/);

  // All digests are right, only the signature tells.
  const replaced = changed((artifact) => {
    flip(LIBRARY, 4000)(artifact);
    forge((manifest) => manifest)(artifact);
  });
  refuse(replaced, 'HONE-ARTIFACT-022', /changed after/);
  const renamed = changed(forge((manifest) => ({ ...manifest, name: 'other' })));
  refuse(renamed, 'HONE-ARTIFACT-022', /changed after/);
  // Signed anew by someone else, under the id of the trusted key.
  const pretended = changed((artifact) => {
    forge((manifest) => ({ ...manifest, name: 'other' }))(artifact);
    const manifest = readFileSync(path.join(artifact, 'manifest.json'));
    const signature = signManifest(manifest, readPrivateKey(OTHER));
    const id = readPrivateKey(OTHER).id;
    const claim = signature.replace(id, readPublicKey(PUB).id);
    writeFileSync(path.join(artifact, 'manifest.sig'), claim);
  });
  refuse(pretended, 'HONE-ARTIFACT-022', /changed after/);
});

test('a signature file of another form is refused', () => {
  const rewrite = (edit: (text: string) => string) => (artifact: string) => {
    const file = path.join(artifact, 'manifest.sig');
    writeFileSync(file, edit(readFileSync(file, 'utf8')));
  };
  const forms: readonly (readonly [(artifact: string) => void, string])[] = [
    [rewrite(() => ''), 'HONE-ARTIFACT-003'],
    [rewrite(() => '[]'), 'HONE-ARTIFACT-003'],
    [rewrite((text) => text.replace('ed25519', 'none')), 'HONE-ARTIFACT-003'],
    [
      rewrite((text) => text.replace(/"signature": "[^"]{4}/, '"signature": "')),
      'HONE-ARTIFACT-003',
    ],
    [rewrite((text) => text.replace('==', '')), 'HONE-ARTIFACT-003'],
    [rewrite((text) => text + ' '.repeat(1 << 20)), 'HONE-ARTIFACT-003'],
    [
      (artifact) => {
        rmSync(path.join(artifact, 'manifest.sig'));
        symlinkSync(path.join(SIGNED, 'manifest.sig'), path.join(artifact, 'manifest.sig'));
      },
      'HONE-ARTIFACT-013',
    ],
  ];
  for (const [change, code] of forms) {
    const artifact = changed(change);
    assert.throws(() => load(artifact, { key: PUB }), coded(code, /manifest\.sig/));
  }
  // Without a key nobody asked for a signature.
  load(changed(rewrite(() => '[]')), { threads: 1 }).close();
  for (const [change, code] of forms.slice(-2)) {
    assert.throws(() => load(changed(change), { threads: 1 }), coded(code, /manifest\.sig/));
  }
});

test('keys that cannot be used are refused with a cure', () => {
  const file = (name: string, text: string): string => {
    writeFileSync(place(name), text);
    return place(name);
  };
  const bad: readonly (readonly [string, RegExp])[] = [
    [place('missing'), /cannot be read: ENOENT/],
    [folder, /cannot be read: EISDIR/],
    [KEY, /is a private key/],
    [file('text', 'hello'), /is no public key in PEM form/],
    [file('cut', readFileSync(PUB, 'utf8').slice(0, 60)), /is no public key in PEM form/],
  ];
  for (const [key, words] of bad) {
    assert.throws(() => readPublicKey(key), coded('HONE-ARTIFACT-023', words));
    assert.throws(() => load(SIGNED, { key }), coded('HONE-ARTIFACT-023', words));
  }
  assert.throws(() => readPrivateKey(PUB), coded('HONE-ARTIFACT-023', /is a public key/));
  assert.throws(() => readPrivateKey(place('text')), coded('HONE-ARTIFACT-023', /no private key/));
});

test('hone keygen writes a private key for its owner only, and overwrites nothing', async () => {
  const made = await hone(['keygen', '-o', place('made'), '--json']);
  assert.equal(made.code, 0, made.stderr);
  assert.deepEqual(JSON.parse(made.stdout), {
    key: place('made'),
    public_key: place('made.pub'),
    key_id: readPublicKey(place('made.pub')).id,
    certificate: null,
    fingerprint: null,
  });
  assert.equal(statSync(place('made')).mode & 0o777, 0o600);
  assert.equal(readPrivateKey(place('made')).id, readPublicKey(place('made.pub')).id);
  const text = readFileSync(place('made'), 'utf8');
  const again = await hone(['keygen', '-o', place('made')]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^HONE-ARTIFACT-001: /);
  assert.equal(readFileSync(place('made'), 'utf8'), text);
  rmSync(place('made'));
  assert.match((await hone(['keygen', '-o', place('made')])).stderr, /made\.pub is there already/);
  assert.ok(!existsSync(place('made')));
  const lost = await hone(['keygen', '-o', place('no/such/folder')]);
  assert.match(lost.stderr, /^HONE-ARTIFACT-002: /);
});

test('compile --sign, verify --key, run --key', async () => {
  const model = place('small.onnx');
  writeSmallModel(model);
  const out = place('small.hone');
  const compiled = await hone(['compile', model, '-o', out, '--sign', KEY, '--json']);
  assert.equal(compiled.code, 0, compiled.stderr);
  const { id } = readPublicKey(PUB);
  assert.equal(JSON.parse(compiled.stdout).signed_by, id);
  const verified = await hone(['verify', out, '--key', PUB, '--json']);
  assert.equal(JSON.parse(verified.stdout).signed_by, id, verified.stderr);
  const inspected = await hone(['inspect', out, '--json']);
  assert.equal(JSON.parse(inspected.stdout).artifact.signed_by, id);
  assert.equal((await hone(['run', out, '--random', '--key', PUB])).code, 0);
  for (const command of [['verify'], ['run', '--random']]) {
    const wrong = await hone([...command, out, '--key', `${OTHER}.pub`]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^HONE-ARTIFACT-021: /);
  }
  const onModel = await hone(['run', model, '--random', '--key', PUB]);
  assert.match(onModel.stderr, /^HONE-CLI-006: .*\n.*models are not signed/);
  // Said before the compilation, not after it.
  const noKey = await hone(['compile', model, '-o', place('no.hone'), '--sign', place('nokey')]);
  assert.match(noKey.stderr, /^HONE-ARTIFACT-023: /);
  assert.ok(!existsSync(place('no.hone')));
});

const openssl = spawnSync('openssl', ['version'], { encoding: 'utf8' });
const noOpenssl = openssl.status === 0 ? false : 'openssl is not installed';

test('keys and signatures are those of openssl', { skip: noOpenssl }, () => {
  const run = (...args: string[]): Buffer => {
    const result = spawnSync('openssl', args);
    assert.equal(result.status, 0, String(result.stderr));
    return result.stdout;
  };
  run('genpkey', '-algorithm', 'ed25519', '-out', place('theirs'));
  run('pkey', '-in', place('theirs'), '-pubout', '-out', place('theirs.pub'));
  const der = run('pkey', '-pubin', '-in', place('theirs.pub'), '-outform', 'DER');
  const key = readPrivateKey(place('theirs'));
  assert.equal(key.id, sha256(der));
  const artifact = changed((copy) => {
    const manifest = readFileSync(path.join(copy, 'manifest.json'));
    writeFileSync(path.join(copy, 'manifest.sig'), signManifest(manifest, key));
  });
  load(artifact, { key: place('theirs.pub'), threads: 1 }).close();
  // openssl agrees that it is a signature of the file as it is.
  const { signature } = JSON.parse(readFileSync(path.join(artifact, 'manifest.sig'), 'utf8'));
  writeFileSync(place('raw.sig'), Buffer.from(signature, 'base64'));
  const manifest = path.join(artifact, 'manifest.json');
  const pub = ['-pubin', '-inkey', place('theirs.pub')];
  run('pkeyutl', '-verify', '-rawin', '-in', manifest, '-sigfile', place('raw.sig'), ...pub);

  run('genpkey', '-algorithm', 'rsa', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', place('rsa'));
  assert.throws(() => readPrivateKey(place('rsa')), coded('HONE-ARTIFACT-023', /for rsa/));
  run('pkey', '-in', place('theirs'), '-aes256', '-passout', 'pass:x', '-out', place('locked'));
  assert.throws(() => readPrivateKey(place('locked')), coded('HONE-ARTIFACT-023', /is encrypted/));
});
