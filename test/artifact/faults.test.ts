/** What can go wrong with an artifact, its folder and its disk: a coded error, and nothing half-written. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from 'hone/backends/c/toolchain-cache';
import { load } from 'hone-runtime';
import { type Manifest, printManifest } from 'hone-runtime/artifact/manifest';
import { packArtifact } from 'hone-runtime/artifact/pack';
import { openArtifact } from 'hone-runtime/artifact/read';
import { checkUnlisted, verifyArtifact } from 'hone-runtime/artifact/verify';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { hone } from '../support/hone-process.ts';
import { writeSmallModel } from '../support/small-model.ts';
import { WEIGHTS_FILE, writePlainArtifact } from './plain-artifact.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-faults-'));
after(() => rmSync(folder, { recursive: true }));
const place = (name: string): string => path.join(folder, name);
chmodSync(folder, 0o755);

const BIN = fileURLToPath(new URL('../../../packages/hone/bin/hone.js', import.meta.url));
const WRITER = fileURLToPath(new URL('./write-plain-main.js', import.meta.url));
const ARTIFACT = place('plain.hone');
writePlainArtifact(ARTIFACT);
const MODEL = place('small.onnx');
writeSmallModel(MODEL);

const coded = (code: string, words: RegExp) => (error: HoneError) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.ok(error.cure);
  return true;
};

/** A copy after a change. */
function changed(change: (artifact: string) => void): string {
  const copy = place('changed.hone');
  rmSync(copy, { recursive: true, force: true });
  cpSync(ARTIFACT, copy, { recursive: true });
  change(copy);
  return copy;
}

test('a truncated file of any kind is named', () => {
  const { manifest } = openArtifact(ARTIFACT);
  for (const { path: file, bytes } of manifest.files.filter((entry) => entry.bytes > 0)) {
    const artifact = changed((copy) => truncateSync(path.join(copy, file), bytes - 1));
    const words = new RegExp(
      `${path.basename(file).replaceAll('+', '\\+')} has ${bytes - 1} bytes`,
    );
    assert.throws(() => load(artifact), coded('HONE-ARTIFACT-012', words));
  }
  const { size } = { size: readFileSync(path.join(ARTIFACT, 'manifest.json')).byteLength };
  for (const length of [0, 1, 100, size >> 1, size - 3]) {
    const artifact = changed((copy) => truncateSync(path.join(copy, 'manifest.json'), length));
    assert.throws(() => load(artifact), coded('HONE-ARTIFACT-003', /manifest\.json/));
  }
});

test('one changed byte anywhere is found by a full verification', async () => {
  const { manifest } = openArtifact(ARTIFACT);
  for (const { path: file, bytes } of manifest.files.filter((entry) => entry.bytes > 0)) {
    for (const at of file === WEIGHTS_FILE ? [0, 1 << 20, bytes - 1] : [bytes >> 1]) {
      const artifact = changed((copy) => {
        const content = readFileSync(path.join(copy, file));
        content[at] = (content[at] ?? 0) ^ 0x10;
        writeFileSync(path.join(copy, file), content);
      });
      const refused = coded('HONE-ARTIFACT-014', /was changed/);
      assert.throws(() => verifyArtifact(openArtifact(artifact)), refused);
      assert.throws(() => load(artifact, { verify: 'full' }), refused);
    }
  }
  const { code, stderr } = await hone(['verify', place('changed.hone')]);
  assert.equal(code, 1);
  assert.match(stderr, /^HONE-ARTIFACT-014: .*w\.bin was changed in the megabyte at byte 2097152/);
});

test('a manifest may not list what leads out, itself, or its signature', () => {
  const { manifest } = openArtifact(ARTIFACT);
  const withPath = (bad: string): Manifest => ({
    ...manifest,
    files: manifest.files.map((entry) =>
      entry.path === 'graph.ir' ? { ...entry, path: bad } : entry,
    ),
  });
  for (const bad of [
    '../../etc/passwd',
    'lib/../../x',
    'manifest.json',
    'manifest.sig',
    'evidence/x',
  ]) {
    const artifact = changed((copy) => {
      writeFileSync(path.join(copy, 'manifest.json'), printManifest(withPath(bad)));
    });
    assert.throws(() => load(artifact), coded('HONE-ARTIFACT-003', /plain path|may not list/));
  }
});

test('a file that nobody listed is found', () => {
  const artifact = changed((copy) => writeFileSync(path.join(copy, 'lib', 'more.so'), 'x'));
  assert.throws(
    () => checkUnlisted(openArtifact(artifact)),
    coded('HONE-ARTIFACT-015', /more\.so is in the artifact, but not in its manifest/),
  );
  checkUnlisted(
    openArtifact(changed((copy) => writeFileSync(path.join(copy, 'evidence', 'x'), ''))),
  );
});

interface Written {
  readonly lines: readonly string[];
  readonly status: number | null;
}

/** Versions written by another process, started by a shell that sets limits first. */
function writeUnder(shell: string, target: string, ...versions: string[]): Written {
  const args = [process.execPath, WRITER, target, '1', ...versions];
  const { stdout, status, stderr } = spawnSync('bash', ['-c', shell, 'bash', ...args], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return { lines: stdout.trim().split('\n'), status };
}

test('a file size limit while writing leaves the artifact that was there', () => {
  const work = place('limit');
  const target = path.join(work, 'out.hone');
  mkdirSync(work);
  // 1 MiB a file: the weights of the second and third do not fit.
  const shell = 'ulimit -f 1024; exec "$@"';
  const { lines } = writeUnder(shell, target, 'one:1:5000', 'two:2:3000000', 'three:3:1100000');
  assert.deepEqual(lines, ['ok', 'HONE-ARTIFACT-002', 'HONE-ARTIFACT-002']);
  assert.equal(openArtifact(target).manifest.name, 'one');
  verifyArtifact(openArtifact(target));
  assert.deepEqual(readdirSync(work), ['out.hone']);
});

/** Mounts a small disk that only the command sees. */
const SMALL_DISK = 'mount -t tmpfs -o size="$SIZE" tmpfs "$DISK" && ';
const canMount = spawnSync('unshare', ['-m', 'sh', '-c', `${SMALL_DISK} true`], {
  env: { ...process.env, SIZE: '1m', DISK: folder },
});
const noDisk = canMount.status === 0 ? false : 'a small disk needs the right to mount one';

function onSmallDisk(size: string, command: string, env: Record<string, string> = {}): string {
  const disk = place('disk');
  mkdirSync(disk, { recursive: true });
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'bash', '-c', SMALL_DISK + command], {
    encoding: 'utf8',
    env: { ...process.env, SIZE: size, DISK: disk, NODE: process.execPath, BIN, ...env },
  });
  return `${stdout}${stderr}`;
}

test('a full disk while writing leaves the artifact that was there', { skip: noDisk }, () => {
  const text = onSmallDisk(
    '1m',
    `"$NODE" "$WRITER" "$DISK/out.hone" 1 one:1:200000 two:2:3000000 three:3:100000 four:4:900000;
     ls -A "$DISK"; "$NODE" "$BIN" inspect "$DISK/out.hone" | head -1;
     "$NODE" "$BIN" verify "$DISK/out.hone"`,
    { WRITER },
  );
  const lines = text.split('\n');
  assert.deepEqual(
    lines.slice(0, 5),
    ['ok', 'HONE-ARTIFACT-002', 'ok', 'HONE-ARTIFACT-002', 'out.hone'],
    text,
  );
  assert.match(lines[5] ?? '', /artifact of "three\.onnx"/);
  assert.match(lines[6] ?? '', /is whole/);
});

test('a full disk while compiling is a coded error', { skip: noDisk }, () => {
  const cache = { HONE_CACHE_DIR: cacheDirectory() };
  const target = onSmallDisk(
    '64k',
    `"$NODE" "$BIN" compile "${MODEL}" -o "$DISK/out.hone"; echo $?; ls -A "$DISK"`,
    cache,
  );
  assert.match(
    target,
    /^1\nHONE-ARTIFACT-002: cannot write .*out\.hone: ENOSPC\n {2}cure: /,
    target,
  );
  const scratch = onSmallDisk(
    '64k',
    `TMPDIR="$DISK" "$NODE" "$BIN" compile "${MODEL}" -o "${place('never.hone')}"; echo $?; ls -A "$DISK"`,
    cache,
  );
  assert.match(scratch, /^1\nHONE-TOOL-008: .*\n {2}cure: .*TMPDIR/, scratch);
  assert.ok(!readdirSync(folder).includes('never.hone'));
});

test('an archive that does not fit is refused before it is unpacked', {
  skip: noDisk,
}, async () => {
  const archive = place('big.tar.gz');
  await packArtifact(ARTIFACT, archive);
  const text = onSmallDisk(
    '1m',
    `"$NODE" "$BIN" unpack "${archive}" "$DISK/out.hone"; echo $?; ls -A "$DISK"`,
  );
  assert.match(text, /^1\nHONE-ARTIFACT-002: .*there is room for \d+\n/, text);
});

// The administrator may write everywhere: nobody writes for him.
const isRoot = process.getuid?.() === 0;
const nobody = isRoot ? { uid: 65_534, gid: 65_534 } : {};
const canStart = spawnSync(process.execPath, [BIN, '--version'], nobody).status === 0;

test('a read-only folder is a coded error, before the work', {
  skip: !canStart && 'needs a user without rights',
}, () => {
  const work = place('read-only');
  const target = path.join(work, 'out.hone');
  const tmp = place('writable');
  for (const name of [work, tmp]) mkdirSync(name);
  writePlainArtifact(target, 'before');
  chmodSync(tmp, 0o777);
  chmodSync(work, 0o555);
  const env = { ...process.env, TMPDIR: tmp, HONE_CACHE_DIR: path.join(tmp, 'cache'), HOME: tmp };
  const run = (...args: string[]): string => {
    const { stdout, stderr, status } = spawnSync(process.execPath, args, {
      ...nobody,
      env,
      encoding: 'utf8',
    });
    return `${status} ${stdout}${stderr}`;
  };
  try {
    assert.match(run(WRITER, target, '1', 'after:1'), /HONE-ARTIFACT-002/);
    for (const name of ['out.hone', 'new.hone', 'deeper/new.hone']) {
      const text = run(BIN, 'compile', MODEL, '-o', path.join(work, name));
      assert.match(text, /^1 HONE-ARTIFACT-002: cannot write .*: EACCES\n {2}cure: /);
    }
    assert.match(run(BIN, 'keygen', '-o', path.join(work, 'key')), /^1 HONE-ARTIFACT-002: /);
    assert.match(run(BIN, 'pack', target), /^1 HONE-ARTIFACT-002: /);
    // Reading needs no rights to write.
    assert.match(run(BIN, 'verify', target), /^0 .*is whole/);
    assert.equal(openArtifact(target).manifest.name, 'before');
    assert.deepEqual(readdirSync(work), ['out.hone']);
  } finally {
    chmodSync(work, 0o755);
  }
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} while compiling ends the compiler and leaves nothing`, async () => {
    const work = place(signal);
    const tmp = path.join(work, 'tmp');
    mkdirSync(tmp, { recursive: true });
    // A compiler that never ends.
    const compiler = path.join(work, 'cc');
    const script = `#!/bin/sh\n[ "$1" = --version ] && echo clang version 1 && exit\nsleep 600\n`;
    writeFileSync(compiler, script, { mode: 0o755 });
    const args = [BIN, 'compile', MODEL, '-o', path.join(work, 'out.hone')];
    const child = spawn(process.execPath, args, {
      env: {
        ...process.env,
        TMPDIR: tmp,
        HONE_CC: compiler,
        HONE_CACHE_DIR: path.join(work, 'cache'),
      },
      stdio: 'ignore',
    });
    const ended = new Promise<readonly [number | null, string | null]>((resolve) => {
      child.on('exit', (code, by) => resolve([code, by]));
    });
    while (readdirSync(tmp).length === 0 && child.exitCode === null) await sleep(20);
    await sleep(200);
    child.kill(signal);
    const [code, by] = await ended;
    assert.deepEqual([code, by], signal === 'SIGINT' ? [130, null] : [null, 'SIGTERM']);
    assert.deepEqual(readdirSync(tmp), []);
    assert.deepEqual(readdirSync(work).sort(), ['cache', 'cc', 'tmp']);
  });
}
