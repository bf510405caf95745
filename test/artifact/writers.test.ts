/** Writers that meet, and writers that are killed: whoever looks finds one artifact, whole. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  watch,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ownerTag } from 'hone-runtime/artifact/process-tag';
import { openArtifact } from 'hone-runtime/artifact/read';
import { readUnchanged } from 'hone-runtime/artifact/read-unchanged';
import { checkUnlisted, verifyArtifact } from 'hone-runtime/artifact/verify';
import { seededRandom } from 'hone-runtime/base/random';
import { hone } from '../support/hone-process.ts';
import { writeSmallModel } from '../support/small-model.ts';
import { writePlainArtifact } from './plain-artifact.ts';
import { STORED_OPTIONS, writeStoredModel } from './stored-model.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-writers-'));
after(() => rmSync(folder, { recursive: true }));

const BIN = fileURLToPath(new URL('../../../packages/hone/bin/hone.js', import.meta.url));
const WRITER = fileURLToPath(new URL('./write-plain-main.js', import.meta.url));

function workFolder(name: string): { readonly work: string; readonly target: string } {
  const work = path.join(folder, name);
  mkdirSync(work);
  return { work, target: path.join(work, 'out.hone') };
}

/** Name of the artifact, every byte of which was checked. */
function wholeName(target: string): string {
  return readUnchanged(target, () => {
    const artifact = openArtifact(target);
    verifyArtifact(artifact);
    checkUnlisted(artifact);
    return artifact.manifest.name;
  });
}

/** When it has ended and all that it printed was read. */
function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('close', resolve));
}

test('two writers and a reader at one target: the reader always finds a whole artifact', async () => {
  const { work, target } = workFolder('race');
  writePlainArtifact(target, 'first');
  const lines: string[] = [];
  const writers = ['a', 'b'].map((name, i) => {
    const args = [WRITER, target, '40', `${name}1:${i}:90000`, `${name}2:${i + 5}:70000`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().trim().split('\n')));
    return exitOf(child);
  });
  let running = true;
  const done = Promise.all(writers).then(() => {
    running = false;
  });
  const seen = new Map<string, number>();
  while (running) {
    const name = wholeName(target);
    seen.set(name, (seen.get(name) ?? 0) + 1);
    await setImmediate();
  }
  await done;
  assert.deepEqual(
    lines.filter((line) => line !== 'ok'),
    [],
  );
  assert.equal(lines.length, 160);
  assert.ok(seen.size >= 3, `saw ${JSON.stringify([...seen])}`);
  assert.match(wholeName(target), /^[ab]2$/);
  assert.deepEqual(readdirSync(work), ['out.hone']);
});

test('two compilations into one target: one of them is there, whole', async () => {
  const { work, target } = workFolder('compilations');
  const stored = path.join(work, 'stored.onnx');
  const small = path.join(work, 'small.onnx');
  writeStoredModel(stored);
  writeSmallModel(small);
  const results = await Promise.all([
    hone(['compile', stored, '-o', target, ...STORED_OPTIONS]),
    hone(['compile', small, '-o', target]),
  ]);
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  assert.match(wholeName(target), /^(raw|small)$/);
  assert.deepEqual(readdirSync(work).sort(), ['data', 'out.hone', 'small.onnx', 'stored.onnx']);
});

test('an old artifact between two renames of a killed writer is put back, once', () => {
  const { work, target } = workFolder('between');
  writePlainArtifact(target, 'old');
  const dead = ownerTag().replace(/-\d+-/, '-999999999-');
  const names = ['old', 'trash', 'new'].map((kind) =>
    path.join(work, `.out.hone.hone-${kind}-${dead}`),
  );
  renameSync(target, names[0] ?? '');
  for (const name of names.slice(1)) mkdirSync(name);
  assert.equal(wholeName(target), 'old');
  writePlainArtifact(target, 'next');
  assert.deepEqual(readdirSync(work), ['out.hone']);
  // An old one that a killed writer did not come to remove goes with the next writer.
  writePlainArtifact(names[0] ?? '', 'older');
  assert.equal(wholeName(target), 'next');
  writePlainArtifact(target, 'last');
  assert.equal(wholeName(target), 'last');
  assert.deepEqual(readdirSync(work), ['out.hone']);
});

const SEED = Date.now() % 1_000_000;
const random = seededRandom(SEED);

test(`a writer killed at 12 random moments of its work (seed ${SEED})`, async () => {
  const { work, target } = workFolder('killed-writer');
  writePlainArtifact(target, 'before');
  for (let kill = 0; kill < 12; kill++) {
    const args = [WRITER, target, '100000', 'a:1:3000000', 'b:2:60000'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = exitOf(child);
    // From the first artifact on: it writes one after the other, and is hit anywhere within.
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.stdout?.resume();
    await sleep(random.next() * 60);
    child.kill('SIGKILL');
    await ended;
    assert.match(wholeName(target), /^(a|b)$/, `kill ${kill}`);
  }
  writePlainArtifact(target, 'after');
  assert.equal(wholeName(target), 'after');
  assert.deepEqual(readdirSync(work), ['out.hone']);
});

/** A compilation in a process of its own, with a temporary folder of its own. */
function compile(model: string, target: string, tmp: string): ChildProcess {
  return spawn(process.execPath, [BIN, 'compile', model, '-o', target], {
    env: { ...process.env, TMPDIR: tmp },
    stdio: 'ignore',
  });
}

/** More of them with HONE_TEST_KILLS. */
const KILLS = Number(process.env['HONE_TEST_KILLS'] ?? 8);

test(`a compilation killed at ${KILLS} random moments (seed ${SEED})`, async () => {
  const { work, target } = workFolder('killed-compilation');
  const tmp = path.join(folder, 'killed-tmp');
  mkdirSync(tmp);
  const model = path.join(folder, 'small.onnx');
  writeSmallModel(model);
  const begin = performance.now();
  assert.equal(await exitOf(compile(model, target, tmp)), 0);
  const duration = performance.now() - begin;
  writePlainArtifact(target, 'before');
  for (let kill = 0; kill < KILLS; kill++) {
    const child = compile(model, target, tmp);
    const ended = exitOf(child);
    if (kill % 2 === 0) {
      await Promise.race([ended, sleep(random.next() * duration)]);
    } else {
      // At the end, when it writes.
      const watcher = watch(work);
      const moved = new Promise((resolve) => watcher.once('change', resolve));
      await Promise.race([ended, moved.then(() => sleep(random.next() * 8))]);
      watcher.close();
    }
    child.kill('SIGKILL');
    await ended;
    assert.match(wholeName(target), /^(before|small)$/, `kill ${kill}`);
  }
  // Compilers whose caller was killed end by themselves; then nothing is left of either.
  for (let round = 0; round < 20; round++) {
    assert.equal(await exitOf(compile(model, target, tmp)), 0);
    if (readdirSync(tmp).length === 0) break;
    await sleep(500);
  }
  assert.deepEqual(readdirSync(tmp), []);
  assert.equal(wholeName(target), 'small');
  assert.deepEqual(readdirSync(work), ['out.hone']);
  assert.ok(existsSync(model));
});
