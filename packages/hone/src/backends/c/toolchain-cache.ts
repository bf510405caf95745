/**
 * The compiler cache: object files by the digest of all that went into them, and the compiler's own
 * files. It lies under HONE_CACHE_DIR (default ~/.cache/hone), is bounded, and may be deleted at any
 * time. Concurrent builds may share it: entries appear whole, by rename.
 */
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import type { Environment } from './toolchain.ts';

const DEFAULT_CAP_BYTES = 512 * 1024 * 1024;

export interface ObjectCache {
  /** Copies the entry's bytes out, and marks it as used. */
  get(key: string): Uint8Array | undefined;
  /** Keeps bytes; failing to is no error. */
  put(key: string, bytes: Uint8Array): void;
  /** Drops the entries used longest ago until the cap is kept. */
  trim(): void;
}

/**
 * The directory for caches, existing and writable. A HONE_CACHE_DIR that cannot be written is an
 * error; without one an unwritable home falls back to the system's temporary directory.
 */
export function cacheDirectory(env: Environment = process.env): string {
  const wanted = env['HONE_CACHE_DIR'];
  if (wanted) {
    if (isWritable(wanted)) return path.resolve(wanted);
    const cure = 'create it, or set HONE_CACHE_DIR to a directory you can write';
    fail('HONE-TOOL-006', `cannot write the cache directory ${wanted}`, 'HONE_CACHE_DIR', cure);
  }
  const base = env['XDG_CACHE_HOME'] || path.join(env['HOME'] || os.homedir(), '.cache');
  const home = path.join(base, 'hone');
  if (path.isAbsolute(home) && isWritable(home)) return home;
  const user = process.getuid?.() ?? 'user';
  const fallback = path.join(os.tmpdir(), `hone-cache-${user}`);
  if (isWritable(fallback) && isOwn(fallback)) return fallback;
  fail(
    'HONE-TOOL-006',
    `neither ${home} nor ${fallback} can be used as cache`,
    'HONE_CACHE_DIR',
    'set HONE_CACHE_DIR to a directory you can write',
  );
}

function isWritable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK | constants.X_OK);
    return statSync(directory).isDirectory();
  } catch {
    return false;
  }
}

/** A shared temporary directory could hold a cache that another user prepared. */
function isOwn(directory: string): boolean {
  const uid = process.getuid?.();
  const stat = statSync(directory);
  return uid === undefined || (stat.uid === uid && (stat.mode & 0o022) === 0);
}

/** The object files under a cache directory. */
export function objectCache(directory: string, capBytes = DEFAULT_CAP_BYTES): ObjectCache {
  const folder = path.join(directory, 'objects');
  const fileOf = (key: string): string => path.join(folder, `${key}.o`);
  return {
    get(key) {
      try {
        const bytes = readFileSync(fileOf(key));
        const now = new Date();
        utimesSync(fileOf(key), now, now);
        return bytes.byteLength > 0 ? bytes : undefined;
      } catch {
        return undefined;
      }
    },
    put(key, bytes) {
      const temporary = `${fileOf(key)}.${process.pid}.tmp`;
      try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(temporary, bytes);
        renameSync(temporary, fileOf(key));
      } catch {
        rmSync(temporary, { force: true });
      }
    },
    trim: () => trimFolder(folder, capBytes),
  };
}

function trimFolder(folder: string, capBytes: number): void {
  const entries: { file: string; bytes: number; used: number }[] = [];
  let total = 0;
  try {
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      entries.push({ file, bytes: stat.size, used: stat.mtimeMs });
      total += stat.size;
    }
  } catch {
    return;
  }
  entries.sort((a, b) => a.used - b.used);
  for (const { file, bytes } of entries) {
    if (total <= capBytes) return;
    rmSync(file, { force: true });
    total -= bytes;
  }
}
