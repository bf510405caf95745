/**
 * Builds the small C program that measures the machine (native/bench/machine_meter.c) for this
 * processor, with the compiler that builds models. Kept in the cache by the digest of all that
 * went into it.
 */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import { nativeTarget } from 'hone-runtime/target/parse';
import { findToolchain } from '../backends/c/toolchain.ts';
import { cacheDirectory } from '../backends/c/toolchain-cache.ts';
import { compileFlags } from '../backends/c/toolchain-flags.ts';
import { runTool, withScratch } from '../backends/c/toolchain-run.ts';

const SOURCE = new URL('../../native/bench/machine_meter.c', import.meta.url);
const SOURCE_NAME = 'machine_meter.c';
const PROGRAM_NAME = 'machine_meter';
const TIMEOUT_MS = 120_000;

/** Path of the program; throws HONE-TOOL-… without a compiler, HONE-BENCH-010 when it fails. */
export async function buildMeterProgram(): Promise<string> {
  const toolchain = findToolchain();
  const target = nativeTarget();
  const source = readFileSync(SOURCE);
  const flags = compileFlags(toolchain, target, 'kernel');
  const hash = createHash('sha256').update(source);
  hash.update(JSON.stringify([toolchain.id, target.name, flags]));
  const cache = cacheDirectory();
  const folder = path.join(cache, 'bench');
  const program = path.join(folder, hash.digest('hex').slice(0, 40));
  if (existsSync(program)) return program;
  await withScratch(async (directory) => {
    copyFileSync(SOURCE, path.join(directory, SOURCE_NAME));
    const result = await runTool({
      command: toolchain.command,
      args: [...toolchain.leading, ...flags, SOURCE_NAME, '-o', PROGRAM_NAME, '-lpthread'],
      cwd: directory,
      env: {
        PATH: process.env['PATH'] ?? '',
        LC_ALL: 'C',
        TMPDIR: directory,
        HOME: directory,
        ZIG_GLOBAL_CACHE_DIR: path.join(cache, 'zig'),
        ZIG_LOCAL_CACHE_DIR: path.join(directory, 'zig'),
        ...toolchain.env,
      },
      timeoutMs: TIMEOUT_MS,
    });
    const built = path.join(directory, PROGRAM_NAME);
    if (result.outcome !== 'done' || result.status !== 0 || !existsSync(built)) {
      const line = result.stderr.split('\n').find((text) => text.includes('error')) ?? '';
      fail(
        'HONE-BENCH-010',
        `${toolchain.id} could not build the program that measures the machine (${result.outcome}) ${line}`.trim(),
        toolchain.id,
        'see `hone doctor`; unset HONE_CC to use the bundled compiler',
      );
    }
    mkdirSync(folder, { recursive: true });
    // Whole or not at all, also where the scratch folder is on another file system.
    const temporary = `${program}.${process.pid}.tmp`;
    copyFileSync(built, temporary);
    chmodSync(temporary, 0o700);
    renameSync(temporary, program);
  });
  return program;
}
