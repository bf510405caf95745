/**
 * The file of a package, in the cache. It comes under a name of its own and gets its place only when
 * its digest is the one written down; a file in the cache is checked again before it is used.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ownerTag } from 'hone-runtime/artifact/process-tag';
import { removeAtExit } from 'hone-runtime/artifact/temporary';
import { fail } from 'hone-runtime/base/diagnostics';
import { fetchFile } from './download.ts';
import type { PackageEntry } from './entry.ts';
import { locate, type Registries } from './registries.ts';

export interface PackageFileSettings {
  /** Of the cache. */
  readonly folder: string;
  readonly registries: Registries;
  readonly progress: (message: string) => void;
}

/** Path of the file. Throws HONE-BENCH-012 (not to be had) and -013 (another digest). */
export async function packageFile(
  entry: PackageEntry,
  { folder, registries, progress }: PackageFileSettings,
): Promise<string> {
  const expected = pinnedDigest(entry);
  const file = path.join(folder, cacheName(entry));
  if (existsSync(file)) {
    if (await hasDigest(file, expected)) return file;
    rmSync(file, { force: true });
  }
  mkdirSync(folder, { recursive: true });
  progress(`${entry.name} ${entry.version}: fetching`);
  const url = await locate(entry, registries);
  const temporary = `${file}.${ownerTag()}.tmp`;
  const keep = removeAtExit(temporary);
  try {
    const digest = await fetchFile(url, temporary, expected.algorithm);
    if (!digest.equals(expected.digest)) {
      fail(
        'HONE-BENCH-013',
        `${url} has the ${expected.algorithm} ${digest.toString('hex')}, not ${expected.digest.toString('hex')}`,
        url,
        'it was damaged on its way, or is another file: fetch it again, or from the public registry',
      );
    }
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
    keep();
  }
  return file;
}

interface PinnedDigest {
  readonly algorithm: 'sha256' | 'sha512';
  readonly digest: Buffer;
}

export function pinnedDigest(entry: PackageEntry): PinnedDigest {
  return entry.registry === 'pypi'
    ? { algorithm: 'sha256', digest: Buffer.from(entry.sha256, 'hex') }
    : {
        algorithm: 'sha512',
        digest: Buffer.from(entry.integrity.replace(/^sha512-/, ''), 'base64'),
      };
}

/** A plain name, which says what it is and differs wherever the content does. */
function cacheName(entry: PackageEntry): string {
  const plain = `${entry.registry}-${entry.name}-${entry.version}`.replace(
    /[^A-Za-z0-9_.-]+/g,
    '_',
  );
  return `${plain}-${pinnedDigest(entry).digest.toString('hex').slice(0, 16)}`;
}

async function hasDigest(file: string, { algorithm, digest }: PinnedDigest): Promise<boolean> {
  const hash = createHash(algorithm);
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return hash.digest().equals(digest);
}
