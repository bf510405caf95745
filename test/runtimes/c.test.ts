/** The C interface: its document and examples, and the names that libraries define. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { at, type HoneError } from 'hone-runtime/base/diagnostics';
import { sha256 } from 'hone-runtime/base/digest';
import { nativeTarget } from 'hone-runtime/target/parse';
import { writeCompiler } from '../support/c-compiler.ts';
import { examplesOf, ROOT, runExamples } from '../support/doc-examples.ts';
import { SMALL } from './models.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-c-'));
after(() => rmSync(folder, { recursive: true }));

const machine = nativeTarget();
const otherMachine =
  machine.arch === 'x86-64' && machine.os === 'linux' && machine.level >= 2
    ? false
    : 'the examples are for x86-64-v2 and later, on Linux';

test('docs/runtime-c.md runs as it stands; both models answer as in Node', {
  skip: otherMachine,
}, () => {
  for (const name of ['node_modules', 'packages', 'docs']) {
    symlinkSync(path.join(ROOT, name), path.join(folder, name));
  }
  const bin = path.dirname(writeCompiler(path.join(folder, 'bin')));
  const printed = runExamples(examplesOf('docs/runtime-c.md'), {
    cwd: folder,
    env: { PATH: `${bin}:${process.env['PATH']}` },
  });
  const answer = (name: string, width: number): Float32Array => {
    const session = load(path.join(folder, name), { threads: 1 });
    const x = {
      dtype: 'f32',
      shape: [1, 3, 48, width],
      data: new Float32Array(3 * 48 * width),
    } as const;
    const { 'softmax_0.tmp_0': y } = session.runSync({ x });
    session.close();
    return y?.data as Float32Array;
  };
  const direction = readFileSync(path.join(folder, 'y.bin'));
  assert.deepEqual(new Uint8Array(direction), new Uint8Array(answer('direction.hone', 192).buffer));
  const [, , , two = '', select = ''] = printed;
  const lines = two.trim().split('\n');
  const [wide, narrow] = lines.slice(-2).map((line) =>
    line
      .split(/ +/)
      .slice(1)
      .map((text) => Math.fround(Number(text))),
  );
  assert.deepEqual(wide, [...answer('wide.hone', 192)]);
  assert.deepEqual(narrow, [...answer('narrow.hone', 96)]);
  const session = load(path.join(folder, 'many.hone'));
  assert.match(select, new RegExp(`\n${session.target} on \\d+ threads\n$`));
  session.close();
});

test('with a prefix nothing else is defined for other objects to see', async () => {
  const options = { static: true, prefix: 'tiny' } as const;
  const { build } = await compileModel(SMALL.file(folder), options);
  const names = archiveSymbols(build.archive ?? new Uint8Array());
  assert.ok(names.includes('tiny_open') && names.includes('tiny_compiled') && names.length > 30);
  assert.deepEqual(
    names.filter((name) => !name.startsWith('tiny_')),
    [],
  );
});

test('a prefix that is no C name, or our own, is refused before the work', async () => {
  for (const prefix of ['', '1x', 'a-b', 'hone', 'HONE_x', 'é', 'x'.repeat(33)]) {
    await assert.rejects(compileModel(SMALL.file(folder), { prefix }), (error: HoneError) => {
      assert.equal(error.code, 'HONE-COMPILE-042');
      return error.cure !== undefined;
    });
  }
});

const VERIFIER = `
#include <stdio.h>
#include "model.h"

int main(int count, char **arguments) {
  hone_options options = {sizeof options, 1, 0, count > 2 ? HONE_VERIFY : 0};
  hone_context *model;
  const int status = hone_open(arguments[1], &options, &model);
  printf("%d %s\\n", status, status ? hone_last_error(0) : "opened");
  if (!status) hone_close(model);
  return 0;
}
`;

test('HONE_VERIFY refuses weights of which a byte was changed', async () => {
  const artifact = path.join(folder, 'verified.hone');
  await writeArtifact(await compileModel(SMALL.file(folder)), artifact);
  const { weights = '', file } = at(openArtifact(artifact).manifest.libraries, 0);
  const source = path.join(folder, 'verifier.c');
  const program = path.join(folder, 'verifier');
  writeFileSync(source, VERIFIER);
  const include = `-I${path.join(artifact, 'include')}`;
  const compiler = writeCompiler(path.join(folder, 'verifier-bin'));
  const built = spawnSync(compiler, [include, source, path.join(artifact, file), '-o', program], {
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  const run = (...more: string[]): string =>
    spawnSync(program, [artifact, ...more], { encoding: 'utf8' }).stdout;
  assert.equal(run(), '0 opened\n');
  assert.equal(run('verify'), '0 opened\n');
  const place = path.join(artifact, weights);
  const bytes = readFileSync(place);
  for (const i of [0, bytes.length >> 1, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[i] = (changed[i] ?? 0) ^ 1;
    writeFileSync(place, changed);
    assert.equal(run(), '0 opened\n', 'only the size is checked unless asked');
    assert.match(run('verify'), /^2 HONE-RUN-015: .*\.bin does not hold the weights/);
  }
  writeFileSync(place, bytes);
  assert.equal(run('verify'), '0 opened\n');
});

const DIGESTS = `
#include <stdio.h>
#include <string.h>
#include "hone_program.h"

int main(int count, char **arguments) {
  static uint8_t data[300];
  memset(data, 'a', sizeof data);
  for (int i = 1; i < count; i++) {
    uint8_t digest[32];
    unsigned byte;
    for (int k = 0; k < 32; k++) {
      sscanf(arguments[i] + 2 * k, "%2x", &byte);
      digest[k] = (uint8_t)byte;
    }
    if (!hone_digest_is(data, (uint64_t)(i - 1), digest)) return i;
    digest[31] ^= 1;
    if (hone_digest_is(data, (uint64_t)(i - 1), digest)) return i;
  }
  return 0;
}
`;

test('the digest in C is SHA-256, for every length around a block', () => {
  const native = path.join(ROOT, 'packages/hone/native');
  const source = path.join(folder, 'digests.c');
  const program = path.join(folder, 'digests');
  writeFileSync(source, DIGESTS);
  const args = [`-I${native}`, source, path.join(native, 'hone_digest.c'), '-o', program];
  const built = spawnSync(writeCompiler(path.join(folder, 'digests-bin')), args, {
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  const digests = Array.from({ length: 260 }, (_, length) => sha256('a'.repeat(length)));
  assert.equal(spawnSync(program, digests).status, 0);
});

/** Names in the index of a static library: all that linking with it can define. */
function archiveSymbols(archive: Uint8Array): string[] {
  const bytes = Buffer.from(archive);
  assert.equal(bytes.toString('latin1', 0, 8), '!<arch>\n');
  // The first member is the index: a big-endian count, as many offsets, then the names.
  assert.equal(bytes.toString('latin1', 8, 24).trim(), '/');
  const size = Number(bytes.toString('latin1', 56, 66));
  const count = bytes.readUInt32BE(68);
  const names = bytes.toString('latin1', 72 + 4 * count, 68 + size).split('\0');
  return names.slice(0, count);
}
