import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { type BuildRequest, buildLibrary } from 'hone/backends/c/build';
import { cString, programTable } from 'hone/backends/c/program-table';
import { describeToolchain, findToolchain, type Toolchain } from 'hone/backends/c/toolchain';
import { cacheDirectory, objectCache } from 'hone/backends/c/toolchain-cache';
import { compileFlags, linkFlags } from 'hone/backends/c/toolchain-flags';
import { describeProgram, parseDescription } from 'hone-runtime/artifact/describe';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { nativeTarget, parseTarget } from 'hone-runtime/target/parse';
import { sampleProgram, withDirectory } from './sample-artifact.ts';

const code = (expectedCode: string) => (error: HoneError) => {
  assert.equal(error.code, expectedCode, error.message);
  assert.ok(error.cure, `${error.code} has no cure`);
  return true;
};

const KERNELS = ['k_add', 'k_reverse', 'k_check']
  .map((name) => `void ${name}(void *const *b, const int64_t *d, const hone_worker *w) {}\n`)
  .join('');

function request(changes: Partial<BuildRequest> = {}): BuildRequest {
  return {
    program: sampleProgram(),
    kernelSources: [{ name: 'k.c', text: `#include "hone_kernel.h"\n${KERNELS}` }],
    target: nativeTarget(),
    toolchain: findToolchain({}),
    describeJson: '{}',
    timeoutMs: 120_000,
    ...changes,
  };
}

/** A compiler that is a shell script. */
function scriptCompiler(directory: string, script: string): Toolchain {
  const file = path.join(directory, 'cc');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return {
    kind: 'gcc',
    command: file,
    leading: [],
    id: `script ${script}`,
    source: 'HONE_CC',
    env: {},
  };
}

test('the bundled compiler is found without any environment', () => {
  const toolchain = findToolchain({});
  assert.equal(toolchain.kind, 'zig');
  assert.match(toolchain.id, /^zig \d+\.\d+\.\d+$/);
  assert.equal(describeToolchain({}).found, true);
});

test('a HONE_CC that is missing, fails or is no compiler is named', async () => {
  await withDirectory((directory) => {
    const wrong = { HONE_CC: '/nonexistent/cc' };
    assert.throws(() => findToolchain(wrong), code('HONE-TOOL-002'));
    const report = describeToolchain(wrong);
    assert.equal(report.found, false);
    assert.match(report.problem ?? '', /nonexistent/);
    const failing = scriptCompiler(directory, 'exit 3').command;
    assert.throws(() => findToolchain({ HONE_CC: failing }), code('HONE-TOOL-002'));
    const other = scriptCompiler(directory, 'echo something else').command;
    assert.throws(() => findToolchain({ HONE_CC: other }), code('HONE-TOOL-002'));
  });
});

test('the same request gives the same bytes, from the cache or without', async () => {
  const { library } = await buildLibrary(request());
  assert.ok(Buffer.from(library).equals((await buildLibrary(request())).library));
  // Another text in a comment: compiled anew, in another directory, to the same object code.
  const [kernel] = request().kernelSources;
  assert.ok(kernel);
  const text = `${kernel.text}/* ${process.pid} ${process.hrtime.bigint()} */\n`;
  const again = await buildLibrary(request({ kernelSources: [{ ...kernel, text }] }));
  assert.ok(Buffer.from(library).equals(again.library));
  assert.ok(!Buffer.from(library).includes('hone-build-'));
});

test('a broken kernel gives the compiler’s first errors; nothing is left behind', async () => {
  await withDirectory(async (directory) => {
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = directory;
    try {
      await refuseBrokenKernels();
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    assert.deepEqual(readdirSync(directory), []);
  });
});

async function refuseBrokenKernels(): Promise<void> {
  const broken = [{ name: 'broken.c', text: '#include "hone_kernel.h"\nvoid k( { nonsense }\n' }];
  await assert.rejects(buildLibrary(request({ kernelSources: broken })), (error: HoneError) => {
    assert.match(error.message, /broken\.c:2/);
    return code('HONE-TOOL-003')(error);
  });
  const missing = [{ name: 'k.c', text: '#include "hone_kernel.h"\n' }];
  await assert.rejects(buildLibrary(request({ kernelSources: missing })), code('HONE-TOOL-003'));
}

test('a compiler that hangs is ended at the timeout, with its helpers', async () => {
  await withDirectory(async (directory) => {
    const pidFile = path.join(directory, 'pid');
    const toolchain = scriptCompiler(directory, `sleep 600 & echo $! > ${pidFile}; wait`);
    await assert.rejects(
      buildLibrary(request({ toolchain, timeoutMs: 500, jobs: 1 })),
      code('HONE-TOOL-004'),
    );
    const helper = Number(readFileSync(pidFile, 'utf8'));
    const alive = (): boolean => {
      const state = spawnSync('ps', ['-o', 'stat=', '-p', String(helper)], { encoding: 'utf8' });
      return state.status === 0 && !state.stdout.startsWith('Z');
    };
    for (let i = 0; i < 50 && alive(); i++) await new Promise((wait) => setTimeout(wait, 20));
    assert.equal(alive(), false);
  });
});

test('a compiler that cannot start, dies or writes nothing is reported', async () => {
  await withDirectory(async (directory) => {
    const gone = { ...scriptCompiler(directory, ''), command: path.join(directory, 'gone') };
    await assert.rejects(buildLibrary(request({ toolchain: gone })), code('HONE-TOOL-001'));
    const dying = scriptCompiler(directory, 'kill -9 $$');
    await assert.rejects(buildLibrary(request({ toolchain: dying })), code('HONE-TOOL-007'));
    const idle = scriptCompiler(directory, 'exit 0');
    await assert.rejects(buildLibrary(request({ toolchain: idle })), code('HONE-TOOL-003'));
  });
});

test('gcc or clang of the system builds too, where there is one', async (t) => {
  const name = ['clang', 'gcc'].find((cc) => spawnSync(cc, ['--version']).status === 0);
  if (name === undefined || nativeTarget().arch !== 'x86-64') {
    t.skip('no clang or gcc here');
    return;
  }
  const toolchain = findToolchain({ HONE_CC: name });
  const { library } = await buildLibrary(request({ toolchain, target: parseTarget('x86-64-v3') }));
  assert.ok(library.byteLength > 1000);
  assert.throws(() => compileFlags({ ...toolchain, kind: 'gcc' }, parseTarget('arm64'), 'kernel'));
});

test('kernels get the target, the runtime gets the baseline', () => {
  const zig = findToolchain({});
  const target = parseTarget('x86-64-v4+vnni+bf16');
  assert.ok(compileFlags(zig, target, 'kernel').includes('-mcpu=x86_64_v4+avx512vnni+avx512bf16'));
  assert.ok(compileFlags(zig, target, 'runtime').includes('-mcpu=x86_64'));
  assert.ok(linkFlags(zig, target).includes('--target=x86_64-linux-gnu.2.17'));
  assert.throws(() => linkFlags(zig, parseTarget('wasm32+simd128')), code('HONE-TOOL-005'));
  assert.ok(linkFlags(zig, parseTarget('x86-64-windows')).includes('--target=x86_64-windows-gnu'));
});

test('program tables: any text is a C string, wrong programs are refused', () => {
  assert.equal(cString('a"b\\?é\n9'), '"a\\042b\\134\\077\\303\\251\\0129"');
  const program = sampleProgram();
  const target = parseTarget('x86-64-v3');
  const table = (changes: Partial<typeof program>): string =>
    programTable({
      program: { ...program, ...changes },
      target,
      describeJson: '{}',
      weightsFile: 'weights/w.bin',
    });
  assert.match(table({}), /HONE_CPU_X86_V2 \| HONE_CPU_X86_V3/);
  const [input] = program.inputs;
  assert.ok(input);
  const deep = [{ ...input, shape: new Array<number>(9).fill(1) }];
  assert.throws(() => table({ inputs: deep }), code('HONE-COMPILE-041'));
  assert.throws(() => table({ arenaBytes: 100 }), code('HONE-INTERNAL-001'));
  const steps = [{ kind: 'kernel', kernel: 'a; b', buffers: [], dims: [], label: '' }] as const;
  assert.throws(() => table({ steps }), code('HONE-INTERNAL-001'));
  const description = parseDescription(describeProgram(program, target.name), 'sample');
  assert.equal(description.steps[1]?.label, 'reverse + scale "é"');
});

test('the object cache keeps its cap, dropping what was used longest ago', async () => {
  await withDirectory((directory) => {
    const cache = objectCache(directory, 2500);
    for (const [i, key] of ['a', 'b', 'c'].entries()) {
      cache.put(key, new Uint8Array(1000).fill(i + 1));
      const time = new Date(2020, 0, i + 1);
      utimesSync(path.join(directory, 'objects', `${key}.o`), time, time);
    }
    assert.equal(cache.get('a')?.[0], 1);
    cache.trim();
    assert.equal(cache.get('b'), undefined);
    assert.equal(cache.get('a')?.byteLength, 1000);
    assert.equal(cache.get('c')?.byteLength, 1000);
  });
});

test('the cache falls back to a private temporary directory; a wrong HONE_CACHE_DIR is an error', async () => {
  await withDirectory((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    assert.equal(
      cacheDirectory({ HONE_CACHE_DIR: path.join(directory, 'c') }),
      path.join(directory, 'c'),
    );
    assert.throws(
      () => cacheDirectory({ HONE_CACHE_DIR: path.join(file, 'c') }),
      code('HONE-TOOL-006'),
    );
    mkdirSync(path.join(directory, 'home'));
    const home = cacheDirectory({ HOME: path.join(directory, 'home') });
    assert.equal(home, path.join(directory, 'home', '.cache', 'hone'));
    const fallback = cacheDirectory({ HOME: path.join(file, 'nowhere') });
    assert.ok(fallback.startsWith(os.tmpdir()));
    assert.equal(statSync(fallback).mode & 0o077, 0);
  });
});
