/**
 * Compiles loop functions and calls them directly, without a program around them: the C compiler
 * of the product with the flags of kernels, and a small shim for the worker's record.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { emitUnit } from 'hone/backends/c/emit';
import { findToolchain } from 'hone/backends/c/toolchain';
import { cacheDirectory } from 'hone/backends/c/toolchain-cache';
import { compileFlags } from 'hone/backends/c/toolchain-flags';
import { runTool } from 'hone/backends/c/toolchain-run';
import type { LoopFn } from 'hone/loop/types';
import type { TypedArray } from 'hone-runtime/base/dtype';
import { cpuPart, nativeTarget, resolveTarget, targetRunsOn } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';
import koffi from 'koffi';

const NATIVE = fileURLToPath(new URL('../../../packages/hone/native/', import.meta.url));
const MAX_BUFFERS = 8;

export interface CompiledKernels {
  /** Calls a kernel once per worker, one after the other; true when a checked index was outside. */
  run(
    fn: LoopFn,
    buffers: Readonly<Record<string, TypedArray>>,
    dims?: Readonly<Record<string, number>>,
    workers?: number,
  ): boolean;
  close(): void;
}

/** Targets of x86-64 levels that this machine can run, best first. */
export function runnableTargets(): readonly Target[] {
  const machine = nativeTarget();
  const levels = ['x86-64-v3', 'x86-64'].map((cpu) => resolveTarget(`${cpu}-linux-gnu`));
  return [machine, ...levels].filter((target) => targetRunsOn(target, machine));
}

/** Compiles C text to a library (or to assembly text), with the headers of kernels. */
export async function compileC(
  text: string,
  target: Target,
  output: 'library' | 'assembly' = 'library',
): Promise<{ path: string; close: () => void }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hone-test-'));
  const toolchain = findToolchain();
  const source = path.join(directory, 'unit.c');
  const library = path.join(directory, output === 'library' ? 'unit.so' : 'unit.s');
  const cache = path.join(cacheDirectory(), 'zig');
  writeFileSync(source, text);
  const args = [
    ...toolchain.leading,
    ...testFlags(compileFlags(toolchain, target, 'kernel')),
    `-I${NATIVE}`,
    '-Wno-parentheses',
    output === 'library' ? '-shared' : '-S',
    source,
    '-o',
    library,
  ];
  const result = await runTool({
    command: toolchain.command,
    args,
    cwd: directory,
    timeoutMs: 120_000,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      ZIG_GLOBAL_CACHE_DIR: cache,
      ZIG_LOCAL_CACHE_DIR: path.join(directory, 'zig'),
      ...toolchain.env,
    },
  });
  const close = (): void => rmSync(directory, { recursive: true, force: true });
  if (result.status !== 0) {
    close();
    const lines = result.stderr.split('\n');
    const first = lines.findIndex((line) => /error/.test(line));
    const complaint = lines.slice(first, first + 4).join('\n');
    throw new Error(`the compiler refuses the unit for ${cpuPart(target)}:\n${complaint}`);
  }
  return { path: library, close };
}

/** All symbols visible; with HONE_TEST_UBSAN=1 undefined behaviour ends the process. */
function testFlags(flags: readonly string[]): string[] {
  const visible = flags.filter((flag) => !flag.startsWith('-fvisibility'));
  if (process.env['HONE_TEST_UBSAN'] !== '1') return visible;
  const traps = ['-fsanitize=undefined,float-cast-overflow', '-fsanitize-trap=all'];
  return [...visible.filter((flag) => flag !== '-fno-sanitize=all'), ...traps];
}

/** Compiles loop functions for a target of this machine. */
export async function compileKernels(
  fns: readonly LoopFn[],
  target: Target,
): Promise<CompiledKernels> {
  const shims = fns.map(({ name }) => {
    const slots = Array.from({ length: MAX_BUFFERS }, (_, i) => `void *b${i}`).join(', ');
    const list = Array.from({ length: MAX_BUFFERS }, (_, i) => `b${i}`).join(', ');
    return [
      `int call_${name}(${slots}, const int64_t *dim, int id, int count) {`,
      `  void *buf[] = {${list}};`,
      '  int fault = 0;',
      '  const hone_worker worker = {.id = id, .count = count, .fault = &fault};',
      `  ${name}(buf, dim, &worker);`,
      '  return fault;',
      '}',
    ].join('\n');
  });
  const barrier = 'void hone_barrier(const hone_worker *w) { (void)w; }';
  const unit = await compileC([emitUnit(fns, 'test'), barrier, ...shims].join('\n'), target);
  const library = koffi.load(unit.path);
  const slots = Array.from({ length: MAX_BUFFERS }, () => 'void *').join(', ');
  const calls = new Map(
    fns.map(({ name }) => [
      name,
      library.func(`int call_${name}(${slots}, const int64_t *dim, int id, int count)`),
    ]),
  );
  return {
    run(fn, buffers, dims = {}, workers = 1) {
      const list = fn.buffers.map((param) => buffers[param.name] ?? null);
      while (list.length < MAX_BUFFERS) list.push(null);
      const dim = BigInt64Array.from(fn.dims, (name) => BigInt(dims[name] ?? 0));
      let fault = false;
      for (let id = 0; id < workers; id++) {
        const call = calls.get(fn.name);
        if (call === undefined) throw new Error(`${fn.name} was not compiled`);
        const result = call(...list, dim.length === 0 ? new BigInt64Array(1) : dim, id, workers);
        if (result !== 0) fault = true;
      }
      return fault;
    },
    close() {
      library.unload();
      unit.close();
    },
  };
}
