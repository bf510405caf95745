/**
 * Compiled models by the digest of everything that decides them, so that running an ONNX file twice
 * compiles once. Lies under the cache folder, holds a bounded number of bytes (those used longest
 * ago go first), and may be deleted at any time.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFile } from 'hone-runtime/base/io';
import { cacheDirectory } from '../backends/c/toolchain-cache.ts';
import { findToolchain } from '../backends/c/toolchain.ts';
import { targetsOf } from '../compile/pipeline.ts';
import { externalLocations, openOnnx } from '../frontends/onnx/index.ts';
import type { CompileRequest } from './compile-request.ts';
import { folderBytes } from './folder-size.ts';

const CAP_BYTES = 4 * 2 ** 30;
const READ_BYTES = 64 * 2 ** 20;

export interface CacheEntry {
  readonly folder: string;
  readonly present: boolean;
}

/** The place of a model compiled with these options, marked as used when it is there. */
export function cacheEntry(path: string, request: CompileRequest): CacheEntry {
  const folder = join(cacheDirectory(), 'models', `${cacheKey(path, request)}.hone`);
  const present = existsSync(join(folder, 'manifest.json'));
  if (present) {
    const now = new Date();
    utimesSync(folder, now, now);
  }
  return { folder, present };
}

/** Drops the entries used longest ago until the cap is kept; `keep` stays in any case. */
export function trimModelCache(keep: string, capBytes = CAP_BYTES): void {
  const parent = dirname(keep);
  if (!existsSync(parent)) return;
  const entries = readdirSync(parent)
    .map((name) => join(parent, name))
    .map((folder) => ({
      folder,
      bytes: folderBytes(folder),
      used: statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0,
    }))
    .sort((a, b) => a.used - b.used);
  let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  for (const { folder, bytes } of entries) {
    if (total <= capBytes) return;
    if (folder === keep) continue;
    rmSync(folder, { recursive: true, force: true });
    total -= bytes;
  }
}

function cacheKey(path: string, request: CompileRequest): string {
  const hash = createHash('sha256');
  hashFile(hash, path);
  for (const location of externalFiles(path)) {
    hash.update(`\0${location}\0`);
    hashFile(hash, join(dirname(path), location));
  }
  hash.update(
    JSON.stringify({
      ...request,
      target: targetsOf(request).map(({ name }) => name),
      toolchain: findToolchain().id,
      compiler: compilerStamp(),
    }),
  );
  return hash.digest('hex').slice(0, 40);
}

function externalFiles(path: string): readonly string[] {
  const model = openOnnx(path);
  try {
    return externalLocations(model);
  } finally {
    model.close();
  }
}

function hashFile(hash: ReturnType<typeof createHash>, path: string): void {
  const source = openFile(path);
  try {
    for (let at = 0; at < source.size; at += READ_BYTES) {
      hash.update(source.read(at, Math.min(READ_BYTES, source.size - at)));
    }
  } finally {
    source.close();
  }
}

/** Changes whenever Hone's own compiled code does. */
function compilerStamp(): string {
  const hash = createHash('sha256');
  const own = fileURLToPath(new URL('..', import.meta.url));
  const native = fileURLToPath(new URL('../../native', import.meta.url));
  for (const folder of [own, native]) {
    if (!existsSync(folder)) continue;
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(js|c|h)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    for (const file of files) {
      const stat = statSync(file, { throwIfNoEntry: false });
      hash.update(`${file.slice(folder.length)} ${stat?.size} ${stat?.mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}
