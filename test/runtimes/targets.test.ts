/** Artifacts for several targets: what is in them, which library is taken, on this machine and others. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { rebuildArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import { nativeTarget, parseTarget, targetRunsOn } from 'hone-runtime/target/parse';
import { writeCompiler } from '../support/c-compiler.ts';
import { relativeError, runnableTargets } from '../support/compiled-graph.ts';
import { ROOT, shell } from '../support/doc-examples.ts';
import { hone } from '../support/hone-process.ts';
import { missingPython } from '../support/python.ts';
import { compileTo, inputsFor, SMALL } from './models.ts';
import { runInPython } from './run-in-python.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-targets-'));
after(() => rmSync(folder, { recursive: true }));

const runnable = runnableTargets();
const noX86 = runnable.length < 2 && 'needs a processor with two levels of x86-64';

/** One that no machine has yet, as far as known: AVX-512 FP16 without bfloat16 products. */
const NEVER = 'x86-64-v4+fp16+avxvnni-linux-gnu';
const OTHERS = [
  'arm64+dotprod-linux-gnu',
  'arm64+dotprod-linux-musl',
  'arm64-linux-musl',
  'x86-64-v3-linux-musl',
];

describe('x86-64 levels in one artifact', { skip: noX86 }, () => {
  const artifact = path.join(folder, 'small.hone');
  const targets = [...runnable].reverse();
  const [least = '', best = ''] = [targets[0], targets.at(-1)];

  test('each target has its library, its weights and its report; sources are shared', async () => {
    await compileTo(folder, SMALL, { target: [...targets, 'native', targets[0] ?? ''] });
    const { manifest } = openArtifact(artifact);
    const native = nativeTarget().name;
    const wanted = [...new Set([...targets, native])];
    assert.deepEqual(
      manifest.libraries.map((library) => library.target),
      wanted,
    );
    const files = manifest.files.map((file) => file.path);
    for (const target of wanted) {
      assert.ok(files.includes(`lib/${target}.so`));
      assert.ok(files.includes(`src/${target}/hone_program.c`));
    }
    assert.ok(files.includes('src/hone_runtime.c') && !files.includes('src/hone_program.c'));
    const weights = manifest.libraries.map((library) => library.weights);
    assert.equal(new Set(weights).size, files.filter((f) => f.startsWith('weights/')).length);
    const report = JSON.parse(readFileSync(path.join(artifact, 'report.json'), 'utf8')) as {
      target: string;
      others: { target: string; stages: object[] }[];
    };
    assert.deepEqual([report.target, ...report.others.map((other) => other.target)], wanted);
    assert.ok(report.others.every((other) => other.stages.length > 0));
  });

  test('the best that runs here is taken; another one when asked for', async () => {
    await compileTo(folder, SMALL, { target: targets });
    const session = load(artifact);
    assert.equal(session.target, best);
    session.close();
    const other = load(artifact, { target: least.replace('-linux-gnu', '') });
    assert.equal(other.target, least);
    other.close();
    assert.throws(
      () => load(artifact, { target: 'arm64' }),
      (error: HoneError) => error.code === 'HONE-RUN-009' && error.message.includes(best),
    );
  });

  test('a library for more than this processor is passed over', {
    skip: runsHere(NEVER),
  }, async () => {
    const mixed = path.join(folder, 'mixed');
    const own = await compileTo(folder, { ...SMALL, name: 'mixed' }, { target: [NEVER, least] });
    const session = load(own);
    assert.equal(session.target, least);
    session.close();
    const forced = () => load(own, { target: NEVER });
    assert.throws(forced, (error: HoneError) => error.code === 'HONE-RUN-003');
    const only = await compileTo(folder, { ...SMALL, name: 'only' }, { target: NEVER });
    assert.throws(
      () => load(only),
      (error: HoneError) => error.code === 'HONE-RUN-003',
    );
    if (missingPython) return;
    const answers = runInPython([
      { artifact: own },
      { artifact: own, target: NEVER },
      { artifact: only },
      { artifact, target: 'x86-64-v3' },
      { artifact },
    ]);
    assert.deepEqual(answers, [
      { target: least },
      { code: 'HONE-RUN-003' },
      { code: 'HONE-RUN-003' },
      { target: 'x86-64-v3-linux-gnu' },
      { target: best },
    ]);
    assert.ok(!existsSync(mixed));
  });

  test('the command line: --target takes a list, and chooses a library of an artifact', async () => {
    const out = path.join(folder, 'line.hone');
    const list = `${least},${best}`;
    const compiled = await hone([
      'compile',
      SMALL.file(folder),
      '--target',
      list,
      '-o',
      out,
      '--json',
    ]);
    assert.equal(compiled.code, 0, compiled.stderr);
    const { target, targets: rows } = JSON.parse(compiled.stdout);
    assert.equal(target, least);
    assert.deepEqual(
      rows.map((row: { target: string }) => row.target),
      [least, best],
    );
    for (const command of [['run', '--random'], ['profile', '--runs', '1'], ['explain']]) {
      const [name = '', ...options] = command;
      const chosen = await hone([name, out, ...options, '--target', least, '--json']);
      assert.equal(JSON.parse(chosen.stdout).target, least, name);
    }
    const run = await hone(['run', out, '--random', '--json']);
    assert.equal(JSON.parse(run.stdout).target, best);
    const wrong = await hone(['run', out, '--random', '--target', 'arm64', '--json']);
    assert.equal(JSON.parse(wrong.stdout).error.code, 'HONE-RUN-009');
    const bench = await hone(['bench', out, '--target', best, '--json']);
    assert.equal(JSON.parse(bench.stdout).error.code, 'HONE-CLI-006');
    const unknown = await hone([
      'compile',
      SMALL.file(folder),
      '--target',
      'x86-64-v3,486',
      '--json',
    ]);
    assert.equal(JSON.parse(unknown.stdout).error.code, 'HONE-TARGET-001');
  });

  test('a rebuild repeats targets, archives and prefixes', async () => {
    const options = { target: [least, best], static: true, prefix: 'again' };
    const own = await compileTo(folder, { ...SMALL, name: 'again' }, options);
    const { files } = await rebuildArtifact(openArtifact(own), SMALL.file(folder));
    assert.equal(files, openArtifact(own).manifest.files.length + 1);
  });
});

describe('targets of other machines', () => {
  let artifact = '';

  test('arm64 and musl are built, into one artifact', async () => {
    artifact = await compileTo(
      folder,
      { ...SMALL, name: 'others' },
      { target: OTHERS, static: true },
    );
    const { manifest } = openArtifact(artifact);
    assert.deepEqual(
      manifest.libraries.map((library) => library.target),
      OTHERS,
    );
    for (const { target, file, archive } of manifest.libraries) {
      const bytes = readFileSync(path.join(artifact, file));
      assert.equal(bytes.toString('latin1', 0, 4), '\x7fELF');
      assert.equal(bytes.readUInt16LE(18), target.startsWith('arm64') ? 183 : 62, target);
      const needs = /libc\.musl|libc\.so\.6|libc\.so/.exec(bytes.toString('latin1'))?.[0];
      assert.equal(needs, target.endsWith('gnu') ? 'libc.so.6' : 'libc.so', target);
      assert.ok(existsSync(path.join(artifact, archive ?? '')));
    }
    // Weights depend on the processor alone: arm64 with and without dot products has one packing.
    const [one, two] = manifest.libraries.map((library) => library.weights);
    assert.equal(one, two);
    if (OTHERS.every(runsHere)) return;
    assert.throws(
      () => load(artifact),
      (error: HoneError) => error.code === 'HONE-RUN-003',
    );
  });

  test('libraries for Windows and macOS are built, the same twice; nothing here runs them', async () => {
    const target = ['x86-64-v3-windows-gnu', 'arm64-macos'];
    const own = await compileTo(folder, { ...SMALL, name: 'foreign' }, { target });
    const [dll, dylib] = openArtifact(own).manifest.libraries.map(({ file }) =>
      readFileSync(path.join(own, file)),
    );
    assert.equal(dll?.toString('latin1', 0, 2), 'MZ');
    assert.ok(dll?.includes('hone_context_create'));
    assert.equal(dylib?.readUInt32LE(0), 0xfeedfacf);
    const { files } = await rebuildArtifact(openArtifact(own), SMALL.file(folder));
    assert.equal(files, openArtifact(own).manifest.files.length + 1);
    assert.throws(
      () => load(own),
      (error: HoneError) => error.code === 'HONE-RUN-003',
    );
  });

  for (const target of ['arm64-linux-musl', 'arm64+dotprod-linux-musl', 'x86-64-v3-linux-musl']) {
    test(`${target} answers as this machine does`, { skip: cannotRun(target) }, async () => {
      const source = path.join(ROOT, 'docs', 'examples', 'run_model.c');
      const cc = writeCompiler(path.join(folder, target), target);
      const program = path.join(folder, target, 'run_model');
      const library = path.join(artifact, 'lib', `${target}.a`);
      const include = path.join(artifact, 'include');
      const build = `'${cc}' -static -I '${include}' '${source}' '${library}' -o '${program}'`;
      // The first time the C library is compiled too.
      shell(build, folder, {}, 540_000);
      const here = load(await compileTo(folder, { ...SMALL, name: 'here' }), { threads: 1 });
      const inputs = inputsFor(here.manifest);
      const wanted = here.runSync(inputs)['y'] as Tensor;
      here.close();
      const file = path.join(folder, 'x.bin');
      writeFileSync(file, bytesOf(inputs['x'] as Tensor));
      const words = [...emulatorFor(target), program, artifact, file];
      // The folder has weights for each target: the library knows which are its own.
      const { status, stdout, stderr } = spawnSync(words[0] ?? '', words.slice(1), {
        timeout: 60_000,
      });
      assert.equal(status, 0, stderr.toString());
      const data = new Float32Array(new Uint8Array(stdout).buffer);
      assert.ok(relativeError({ ...wanted, data }, wanted) < 1e-5);
    });
  }
});

/** A reason to skip what must not run here. */
function runsHere(name: string): string | false {
  return targetRunsOn(parseTarget(name), nativeTarget()) && `${name} runs here`;
}

/** Where a static program of the target can run: here, or under qemu. */
function cannotRun(name: string): string | false {
  const target = parseTarget(name);
  const machine = nativeTarget();
  const foreign = target.arch !== machine.arch;
  if (foreign && emulatorFor(name).length === 0) return `needs qemu-user for ${target.arch}`;
  if (!foreign && target.level > machine.level) return `needs ${name}`;
  return process.env['HONE_TEST_MUSL'] === undefined && !foreign
    ? 'needs HONE_TEST_MUSL=1: the C library is compiled first, which takes minutes'
    : false;
}

function emulatorFor(name: string): string[] {
  const { arch } = parseTarget(name);
  if (arch === nativeTarget().arch) return [];
  const base = `qemu-${arch === 'arm64' ? 'aarch64' : 'x86_64'}`;
  return [base, `${base}-static`]
    .filter((command) => spawnSync(command, ['--version']).status === 0)
    .slice(0, 1);
}
