/** Packing and unpacking: the same bytes each time, and nothing that an archive could do harm with. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { load } from 'hone-runtime';
import { readPrivateKey, readPublicKey, writeKeyPair } from 'hone-runtime/artifact/keys';
import { packArtifact } from 'hone-runtime/artifact/pack';
import { isPacked, openArtifact } from 'hone-runtime/artifact/read';
import { BLOCK_BYTES, paddingBytes, parseTarHeader, tarHeader } from 'hone-runtime/artifact/tar';
import { unpackArtifact } from 'hone-runtime/artifact/unpack';
import { checkUnlisted, verifyArtifact } from 'hone-runtime/artifact/verify';
import { writeArtifact } from 'hone-runtime/artifact/write';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { hone } from '../support/hone-process.ts';
import { formatTarGz, TAR_END, type TarMember } from '../support/tar.ts';
import { plainContents, WEIGHTS_FILE, writePlainArtifact } from './plain-artifact.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-pack-'));
after(() => rmSync(folder, { recursive: true }));
const place = (name: string): string => path.join(folder, name);

const ARTIFACT = place('plain.hone');
const ARCHIVE = place('plain.hone.tar.gz');
writePlainArtifact(ARTIFACT);
await packArtifact(ARTIFACT, ARCHIVE);
const MANIFEST = readFileSync(path.join(ARTIFACT, 'manifest.json'));
const FILES = openArtifact(ARTIFACT).manifest.files.map((file) => file.path);

const coded = (code: string, words: RegExp) => (error: HoneError) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.ok(error.cure);
  return true;
};

/** An archive of these members, as somebody else might write it. */
function archiveOf(members: readonly TarMember[], end?: Uint8Array): string {
  const file = place('hostile.tar.gz');
  writeFileSync(file, formatTarGz(members, end));
  return file;
}

const manifest: TarMember = { path: 'manifest.json', content: MANIFEST };
const listed: readonly TarMember[] = FILES.map((name) => ({
  path: name,
  content: readFileSync(path.join(ARTIFACT, name)),
}));
const first = listed[0] as TarMember;

/** Unpacks, expects this error, and that nothing is left of it. */
async function refused(archive: string, code: string, words: RegExp): Promise<void> {
  const work = place('work');
  mkdirSync(work);
  await assert.rejects(unpackArtifact(archive, path.join(work, 'out.hone')), coded(code, words));
  assert.deepEqual(readdirSync(work), []);
  rmSync(work, { recursive: true });
}

test('an artifact comes out as it went in, without evidence', async () => {
  const out = place('out.hone');
  const { manifest: unpacked } = await unpackArtifact(ARCHIVE, out);
  assert.deepEqual(unpacked, openArtifact(ARTIFACT).manifest);
  const artifact = openArtifact(out);
  verifyArtifact(artifact);
  checkUnlisted(artifact);
  assert.ok(readFileSync(path.join(out, 'manifest.json')).equals(MANIFEST));
  assert.ok(existsSync(path.join(ARTIFACT, 'evidence', 'times.json')));
  assert.ok(!existsSync(path.join(out, 'evidence')));
});

test('equal artifacts give equal archives, whoever packs them when', async () => {
  const copy = place('copy.hone');
  cpSync(ARTIFACT, copy, { recursive: true });
  writeFileSync(path.join(copy, 'evidence', 'more.json'), '{}');
  for (const name of FILES) {
    utimesSync(path.join(copy, name), 1, 1);
    chmodSync(path.join(copy, name), 0o700);
  }
  await packArtifact(copy, place('copy.tar.gz'));
  assert.ok(readFileSync(place('copy.tar.gz')).equals(readFileSync(ARCHIVE)));

  const tar = gunzipSync(readFileSync(ARCHIVE));
  const seen: string[] = [];
  for (let at = 0; at < tar.byteLength - TAR_END.byteLength; ) {
    const block = tar.subarray(at, at + BLOCK_BYTES);
    const header = parseTarHeader(block);
    assert.ok(typeof header === 'object', String(header));
    seen.push(header.path);
    const octal = (from: number, length: number): number =>
      Number.parseInt(block.toString('latin1', from, from + length), 8);
    assert.deepEqual(
      [octal(100, 7), octal(108, 7), octal(116, 7), octal(136, 11)],
      [0o644, 0, 0, 0],
    );
    assert.ok(
      block.subarray(265, 329).every((byte) => byte === 0),
      'no names of owners',
    );
    at += BLOCK_BYTES + header.bytes + paddingBytes(header.bytes);
  }
  assert.deepEqual(seen, ['manifest.json', ...FILES]);
  assert.deepEqual(FILES, [...FILES].sort());
});

test('tar reads it', {
  skip: spawnSync('tar', ['--version']).error !== undefined && 'no tar',
}, () => {
  const out = place('by-tar');
  mkdirSync(out);
  const { status, stderr } = spawnSync('tar', ['-xzf', ARCHIVE, '-C', out], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  verifyArtifact(openArtifact(out));
});

test('headers hold long paths and large sizes', () => {
  const long = `${'folder/'.repeat(3)}${'n'.repeat(95)}`;
  for (const [name, bytes] of [
    ['a', 0],
    [long, 8 ** 11 - 1],
    [long, 8 ** 11],
    ['b', Number.MAX_SAFE_INTEGER],
  ] as const) {
    const header = tarHeader(name, bytes);
    assert.ok(header);
    assert.deepEqual(parseTarHeader(header), { path: name, bytes, kind: 'file', letter: '0' });
  }
  assert.equal(tarHeader('n'.repeat(101), 1), undefined);
});

test('what another program packed is unpacked when it is the same', async () => {
  const out = place('same.hone');
  const fill = new Uint8Array(20 * BLOCK_BYTES);
  await unpackArtifact(archiveOf([manifest, ...[...listed].reverse()], fill), out);
  verifyArtifact(openArtifact(out));
});

const TYPES: readonly (readonly [string, RegExp])[] = [
  ['1', /hard link/],
  ['2', /symbolic link/],
  ['3', /character device/],
  ['4', /block device/],
  ['5', /folder/],
  ['6', /pipe/],
  ['x', /entry of type "x"/],
  ['g', /entry of type "g"/],
  ['L', /entry of type "L"/],
  ['S', /entry of type "S"/],
];

for (const [type, words] of TYPES) {
  test(`an archive with entries of type ${type} is refused`, async () => {
    const edit = (header: Buffer): void => {
      header.write(type, 156);
      header.write('/etc/passwd', 157);
    };
    const member = { ...first, content: new Uint8Array(0), edit };
    await refused(archiveOf([manifest, member]), 'HONE-ARTIFACT-032', words);
    await refused(archiveOf([{ ...member, path: 'manifest.json' }]), 'HONE-ARTIFACT-032', words);
  });
}

test('an archive whose paths lead out is refused', async () => {
  for (const bad of [
    '/etc/x',
    '../x',
    'lib/../../x',
    'lib/../x',
    './x',
    '.hidden',
    'a\\b',
    'a//b',
    '',
  ]) {
    const archive = archiveOf([manifest, { path: bad, content: new Uint8Array(3) }]);
    await refused(archive, 'HONE-ARTIFACT-032', /is no plain path inside/);
  }
  const prefixed = (header: Buffer): void => void header.write('../..', 345);
  const archive = archiveOf([manifest, { ...first, edit: prefixed }]);
  await refused(archive, 'HONE-ARTIFACT-032', /"\.\.\/\.\.\/choices\.json" in it is no plain path/);
});

test('an archive with other files than the manifest lists is refused', async () => {
  const extra = { path: 'lib/evil.so', content: new Uint8Array(10) };
  await refused(
    archiveOf([manifest, ...listed, extra]),
    'HONE-ARTIFACT-032',
    /"lib\/evil\.so" in it is not in the manifest/,
  );
  const evidence = { path: 'evidence/times.json', content: new Uint8Array(10) };
  await refused(archiveOf([manifest, evidence]), 'HONE-ARTIFACT-032', /not in the manifest/);
  await refused(archiveOf([manifest, first, first]), 'HONE-ARTIFACT-032', /comes twice/);
  await refused(archiveOf([manifest, manifest]), 'HONE-ARTIFACT-032', /comes twice/);
  const longer = { ...first, content: new Uint8Array(1 << 20) };
  await refused(archiveOf([manifest, longer]), 'HONE-ARTIFACT-032', /the manifest says 3/);
  const huge = (header: Buffer): void => {
    header.fill(0, 124, 136);
    header[124] = 0x80;
    header.writeBigUInt64BE(1n << 50n, 128);
  };
  await refused(
    archiveOf([{ ...manifest, edit: huge }]),
    'HONE-ARTIFACT-032',
    /"manifest\.json" in it is too large/,
  );
  await refused(archiveOf([first, manifest]), 'HONE-ARTIFACT-031', /does not begin with manifest/);
  await refused(archiveOf([manifest, ...listed.slice(1)]), 'HONE-ARTIFACT-031', /lacks choices/);
});

test('changed contents are refused', async () => {
  const flipped = listed.map((member) => {
    if (member.path !== WEIGHTS_FILE) return member;
    const content = Buffer.from(member.content);
    content[(1 << 20) + 5] = 99;
    return { ...member, content };
  });
  await refused(
    archiveOf([manifest, ...flipped]),
    'HONE-ARTIFACT-014',
    /weights\/w\.bin in .* was changed in the megabyte at byte 1048576/,
  );
  const source = listed.map((member) =>
    member.path === 'src/k.c'
      ? { ...member, content: Buffer.from(member.content).fill(65) }
      : member,
  );
  await refused(
    archiveOf([manifest, ...source]),
    'HONE-ARTIFACT-014',
    /src\/k\.c in .* was changed/,
  );
  const edited = Buffer.from(MANIFEST.toString().replace('"plain"', '"plane"'));
  await refused(
    archiveOf([{ ...manifest, content: edited }, ...listed]),
    'HONE-ARTIFACT-003',
    /does not have the digest it states/,
  );
});

test('an archive that is cut off, damaged or goes on is refused', async () => {
  const whole = readFileSync(ARCHIVE);
  const cut = place('cut.tar.gz');
  for (const share of [0.001, 0.2, 0.5, 0.9, 0.9999]) {
    writeFileSync(cut, whole.subarray(0, Math.max(3, Math.floor(whole.byteLength * share))));
    await refused(cut, 'HONE-ARTIFACT-031', /cut off or damaged/);
  }
  const flipped = Buffer.from(whole);
  // gzip's own checksum.
  const at = whole.byteLength - 6;
  flipped[at] = (flipped[at] ?? 0) ^ 0x55;
  writeFileSync(cut, flipped);
  await refused(cut, 'HONE-ARTIFACT-031', /cut off or damaged/);

  const tar = gunzipSync(whole);
  for (const bytes of [100, 512, 700, MANIFEST.byteLength, tar.byteLength - 3000]) {
    writeFileSync(cut, gzipSync(tar.subarray(0, bytes)));
    await refused(cut, 'HONE-ARTIFACT-031', /ends (too early|within)|begin with/);
  }
  writeFileSync(cut, gzipSync(tar.subarray(0, tar.byteLength - BLOCK_BYTES)));
  await refused(cut, 'HONE-ARTIFACT-031', /lacks it/);
  writeFileSync(cut, gzipSync(Buffer.concat([tar, Buffer.from('more')])));
  await refused(cut, 'HONE-ARTIFACT-031', /goes on behind its end/);
  writeFileSync(cut, gzipSync(Buffer.concat([tar, Buffer.alloc(2 << 20)])));
  await refused(cut, 'HONE-ARTIFACT-031', /goes on behind its end/);
  const noise = Buffer.from(tar);
  noise[20] = 65;
  writeFileSync(cut, gzipSync(noise));
  await refused(cut, 'HONE-ARTIFACT-031', /another checksum/);
  writeFileSync(cut, 'no archive');
  await refused(cut, 'HONE-ARTIFACT-031', /is no packed artifact/);
  await refused(place('missing.tar.gz'), 'HONE-IO-001', /does not exist/);
});

test('an artifact that was there stays when unpacking fails, and is replaced when it does not', async () => {
  const out = place('target.hone');
  writePlainArtifact(out, 'before', 1);
  const bad = archiveOf([manifest, ...listed.slice(0, -1)]);
  await assert.rejects(unpackArtifact(bad, out), coded('HONE-ARTIFACT-031', /lacks/));
  assert.equal(verifyArtifact(openArtifact(out)).files, FILES.length);
  assert.equal(openArtifact(out).manifest.name, 'before');
  await unpackArtifact(ARCHIVE, out);
  assert.equal(openArtifact(out).manifest.name, 'plain');
  const own = place('photos');
  mkdirSync(own);
  writeFileSync(path.join(own, 'me.jpg'), 'x');
  await assert.rejects(unpackArtifact(ARCHIVE, own), coded('HONE-ARTIFACT-001', /not an artifact/));
});

test('signatures are packed, and checked before anything is written', async () => {
  writeKeyPair(place('key'));
  writeKeyPair(place('other'));
  const signed = place('signed.hone');
  writeArtifact(signed, plainContents(), { key: readPrivateKey(place('key')) });
  await packArtifact(signed, place('signed.tar.gz'));
  const out = place('signed-out.hone');
  const keys = [readPublicKey(place('key.pub'))];
  const { signedBy } = await unpackArtifact(place('signed.tar.gz'), out, { keys });
  assert.equal(signedBy, keys[0]?.id);
  assert.equal(openArtifact(out, { keys }).signedBy, signedBy);
  const others = { keys: [readPublicKey(place('other.pub'))] };
  await assert.rejects(
    unpackArtifact(place('signed.tar.gz'), place('no.hone'), others),
    coded('HONE-ARTIFACT-021', /is signed with key/),
  );
  await assert.rejects(
    unpackArtifact(ARCHIVE, place('no.hone'), { keys }),
    coded('HONE-ARTIFACT-020', /is not signed/),
  );
  assert.ok(!existsSync(place('no.hone')));
});

test('a damaged artifact is not packed, and nothing that is no archive is overwritten', async () => {
  const damaged = place('damaged.hone');
  cpSync(ARTIFACT, damaged, { recursive: true });
  const file = path.join(damaged, WEIGHTS_FILE);
  const bytes = readFileSync(file);
  bytes[(2 << 20) + 1] = 0;
  writeFileSync(file, bytes);
  const archive = place('damaged.tar.gz');
  await assert.rejects(packArtifact(damaged, archive), coded('HONE-ARTIFACT-014', /was changed/));
  assert.ok(!existsSync(archive));
  writeFileSync(place('notes.txt'), 'mine');
  await assert.rejects(
    packArtifact(ARTIFACT, place('notes.txt')),
    coded('HONE-ARTIFACT-001', /is no packed artifact/),
  );
  await packArtifact(ARTIFACT, ARCHIVE);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('.')),
    [],
  );
});

test('hone pack, hone unpack; a packed artifact is not run', async () => {
  const work = place('cli');
  mkdirSync(work);
  cpSync(ARTIFACT, path.join(work, 'm.hone'), { recursive: true });
  const packed = await hone(['pack', 'm.hone', '--json'], {}, work);
  assert.equal(packed.code, 0, packed.stderr);
  const { archive, files, packed_bytes } = JSON.parse(packed.stdout);
  assert.deepEqual([archive, files], ['m.hone.tar.gz', FILES.length]);
  assert.equal(packed_bytes, statSync(path.join(work, archive)).size);
  rmSync(path.join(work, 'm.hone'), { recursive: true });
  for (const command of ['run', 'verify', 'inspect']) {
    const { code, stderr } = await hone([command, 'm.hone.tar.gz'], {}, work);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^HONE-ARTIFACT-030: .*\n {2}cure: .*hone unpack m\.hone\.tar\.gz m\.hone\n/,
    );
  }
  const unpacked = await hone(['unpack', 'm.hone.tar.gz', '--json'], {}, work);
  assert.equal(unpacked.code, 0, unpacked.stderr);
  assert.equal(JSON.parse(unpacked.stdout).artifact, 'm.hone');
  assert.equal((await hone(['verify', 'm.hone'], {}, work)).code, 0);
  assert.ok(isPacked(path.join(work, archive)));
  assert.throws(() => load(path.join(work, archive)), coded('HONE-ARTIFACT-030', /is packed/));
});
