/** The C interface: its document and examples, and the names that libraries define. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { compileModel } from 'hone/compile/index';
import { load } from 'hone-runtime';
import type { HoneError } from 'hone-runtime/base/diagnostics';
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
