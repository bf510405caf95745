/** The C compiler that tests of the C interface use, as a `cc` in a folder for PATH. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findToolchain } from 'hone/backends/c/toolchain';
import { cacheDirectory } from 'hone/backends/c/toolchain-cache';
import { nativeTarget, parseTarget } from 'hone-runtime/target/parse';

/** Writes `<folder>/cc`, a compiler of programs for a target, and returns its path. */
export function writeCompiler(folder: string, target: string = nativeTarget().name): string {
  const { kind, command, leading, env } = findToolchain();
  const { arch, os, abi } = parseTarget(target);
  const cpu = arch === 'arm64' ? 'aarch64' : 'x86_64';
  const triple = `${cpu}-${os}-${abi}${abi === 'gnu' ? '.2.17' : ''}`;
  const flags = kind === 'zig' ? [`--target=${triple}`] : [];
  const caches = {
    ZIG_GLOBAL_CACHE_DIR: path.join(cacheDirectory(), 'zig'),
    ZIG_LOCAL_CACHE_DIR: path.join(folder, 'zig'),
  };
  const exports = Object.entries({ ...caches, ...env }).map(
    ([name, value]) => `${name}='${value}'`,
  );
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'cc');
  const words = [command, ...leading, ...flags].map((word) => `'${word}'`).join(' ');
  writeFileSync(file, `#!/bin/sh\nexport ${exports.join(' ')}\nexec ${words} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}
