/**
 * Reads and verifies artifacts. `openArtifact` checks the manifest, and the kind and size of every
 * file; `readVerified` returns bytes that have their digest; `verifyArtifact` checks everything.
 * Names are plain and nothing may be a link, so an artifact cannot lead outside of itself.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fail, invariant } from '../base/diagnostics.ts';
import { sha256 } from '../base/digest.ts';
import { openFile } from '../base/io.ts';
import {
  CHUNK_BYTES,
  type FileEntry,
  MANIFEST_FILE,
  type Manifest,
  parseManifest,
} from './manifest.ts';
import { recoverSwap } from './swap.ts';

export interface Artifact {
  /** The directory. */
  readonly path: string;
  readonly manifest: Manifest;
}

const MAX_MANIFEST_BYTES = 256 << 20;
const AGAIN = 'fetch or compile the artifact again';

/** True when the path looks like an artifact: a directory with a manifest. */
export function isArtifact(directory: string): boolean {
  const file = path.join(directory, MANIFEST_FILE);
  return existsSync(file) && lstatSync(file).isFile();
}

/** A writer may have died between its two renames; where this user may not mend it, let it be. */
function recover(directory: string): void {
  try {
    recoverSwap(directory);
  } catch {
    // The check that follows says that the artifact is not there.
  }
}

/** Opens an artifact without reading its large files; throws HONE-ARTIFACT-00x. */
export function openArtifact(directory: string): Artifact {
  recover(directory);
  if (!existsSync(directory)) {
    fail('HONE-ARTIFACT-010', `there is no artifact at ${directory}`, directory, 'check the path');
  }
  // A link to an artifact is the user's own; links inside it are refused.
  const file = path.join(directory, MANIFEST_FILE);
  const manifestStat = existsSync(file) ? lstatSync(file) : undefined;
  if (manifestStat === undefined || !manifestStat.isFile()) {
    const cure = 'give the directory that `hone compile` wrote';
    fail(
      'HONE-ARTIFACT-010',
      `${directory} is no artifact: it has no ${MANIFEST_FILE}`,
      directory,
      cure,
    );
  }
  if (manifestStat.size > MAX_MANIFEST_BYTES) {
    fail('HONE-ARTIFACT-003', `${file} is too large for a manifest`, file, AGAIN);
  }
  const manifest = parseManifest(readFileSync(file, 'utf8'), file);
  const folders = new Set<string>();
  for (const entry of manifest.files) {
    checkFolders(directory, entry, folders);
    checkFile(directory, entry);
  }
  return { path: directory, manifest };
}

/** No folder on the way to a file may be a link. */
function checkFolders(directory: string, entry: FileEntry, seen: Set<string>): void {
  for (let cut = entry.path.indexOf('/'); cut >= 0; cut = entry.path.indexOf('/', cut + 1)) {
    const folder = entry.path.slice(0, cut);
    if (seen.has(folder)) continue;
    seen.add(folder);
    const stat = lstatSync(path.join(directory, folder), { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory()) refuse(directory, folder);
  }
}

function checkFile(directory: string, entry: FileEntry): void {
  const file = path.join(directory, entry.path);
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) fail('HONE-ARTIFACT-011', `${file} is missing`, entry.path, AGAIN);
  if (!stat.isFile()) refuse(directory, entry.path);
  if (stat.size !== entry.bytes) {
    fail(
      'HONE-ARTIFACT-012',
      `${file} has ${stat.size} bytes, the manifest says ${entry.bytes}`,
      entry.path,
      AGAIN,
    );
  }
}

function refuse(directory: string, inside: string): never {
  fail(
    'HONE-ARTIFACT-013',
    `${path.join(directory, inside)} is a link or no ordinary file, which artifacts may not contain`,
    inside,
    'do not use this artifact unless you trust where it comes from; compile it again',
  );
}

/** The bytes of a listed file, once they were found to have the listed digest. */
export function readVerified(artifact: Artifact, file: string): Uint8Array {
  const entry = artifact.manifest.files.find((candidate) => candidate.path === file);
  invariant(entry !== undefined && entry.chunks === undefined, `${file} is not listed`);
  const bytes = readFileSync(path.join(artifact.path, file));
  if (bytes.byteLength !== entry.bytes || sha256(bytes) !== entry.sha256) {
    wrongDigest(artifact, file);
  }
  return bytes;
}

/** Reads all listed files and compares every digest; throws HONE-ARTIFACT-014 at the first breach. */
export function verifyArtifact(artifact: Artifact): {
  readonly files: number;
  readonly bytes: number;
} {
  const { files } = artifact.manifest;
  for (const entry of files) {
    if (entry.chunks === undefined) readVerified(artifact, entry.path);
    else verifyChunks(artifact, entry, entry.chunks);
  }
  return { files: files.length, bytes: files.reduce((sum, entry) => sum + entry.bytes, 0) };
}

function verifyChunks(artifact: Artifact, entry: FileEntry, chunks: readonly string[]): void {
  const source = openFile(path.join(artifact.path, entry.path));
  try {
    chunks.forEach((expected, i) => {
      const offset = i * CHUNK_BYTES;
      const bytes = source.read(offset, Math.min(CHUNK_BYTES, entry.bytes - offset));
      if (sha256(bytes) !== expected) wrongDigest(artifact, entry.path, offset);
    });
  } finally {
    source.close();
  }
}

function wrongDigest(artifact: Artifact, file: string, offset?: number): never {
  const where = offset === undefined ? '' : ` in the megabyte at byte ${offset}`;
  fail(
    'HONE-ARTIFACT-014',
    `${path.join(artifact.path, file)} was changed${where}: its digest is not the manifest's`,
    file,
    AGAIN,
  );
}
