/**
 * Reads artifacts. `openArtifact` checks the signature (when keys are given), the manifest, and the
 * kind and size of every file; what `readVerified` and `verifiedPieces` give has its digest. Names
 * are plain and nothing may be a link, so an artifact cannot lead outside of itself.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
} from 'node:fs';
import path from 'node:path';
import { fail, invariant } from '../base/diagnostics.ts';
import { sha256 } from '../base/digest.ts';
import { type ByteSource, openFile } from '../base/io.ts';
import type { PublicKey } from './keys.ts';
import {
  CHUNK_BYTES,
  type FileEntry,
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseManifest,
  SIGNATURE_FILE,
} from './manifest.ts';
import {
  checkSignature,
  MAX_SIGNATURE_BYTES,
  parseSignature,
  type Signature,
} from './signature.ts';
import { recoverSwap } from './swap.ts';

export interface Artifact {
  /** The directory. */
  readonly path: string;
  readonly manifest: Manifest;
  /** manifest.json and manifest.sig as they are. */
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array | undefined;
  /** Id of the key that signed it; checked only when keys were given. */
  readonly signedBy: string | undefined;
}

export interface OpenOptions {
  /** One of these has to have signed it; without, signatures are not looked at. */
  readonly keys?: readonly PublicKey[];
}

const AGAIN = 'fetch or compile the artifact again';
const GZIP = [0x1f, 0x8b];

/** True when the path looks like an artifact: a directory with a manifest. */
export function isArtifact(directory: string): boolean {
  const file = path.join(directory, MANIFEST_FILE);
  return existsSync(file) && lstatSync(file).isFile();
}

/** True for a file that may be a packed artifact. */
export function isPacked(file: string): boolean {
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return false;
  try {
    const fd = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const start = Buffer.alloc(GZIP.length);
      return fstatSync(fd).isFile() && readSync(fd, start) === 2 && start.equals(Buffer.from(GZIP));
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}

/** What the folder of an archive is called, unless the user says otherwise. */
export function folderOfArchive(archive: string): string {
  const name = path.basename(archive).replace(/(\.hone)?\.(tar\.gz|tgz|gz)$/i, '');
  return `${name}.hone`;
}

/** Ends in HONE-ARTIFACT-030 for a packed artifact, which is not run or read as it is. */
export function refusePacked(file: string): void {
  if (!isPacked(file)) return;
  fail(
    'HONE-ARTIFACT-030',
    `${file} is packed; artifacts are used as folders`,
    file,
    `unpack it first: hone unpack ${file} ${folderOfArchive(file)}`,
  );
}

/** A writer may have died between its two renames; where this user may not mend it, let it be. */
function recover(directory: string): void {
  try {
    recoverSwap(directory);
  } catch {
    // The check that follows says that the artifact is not there.
  }
}

/** Opens an artifact without reading its large files; throws HONE-ARTIFACT-0xx. */
export function openArtifact(directory: string, options: OpenOptions = {}): Artifact {
  recover(directory);
  refusePacked(directory);
  if (!existsSync(directory)) {
    fail('HONE-ARTIFACT-010', `there is no artifact at ${directory}`, directory, 'check the path');
  }
  // A link to an artifact is the user's own; links inside it are refused.
  const file = path.join(directory, MANIFEST_FILE);
  const bytes = readSmall(directory, MANIFEST_FILE, MAX_MANIFEST_BYTES);
  if (bytes === undefined) {
    return fail(
      'HONE-ARTIFACT-010',
      `${directory} is no artifact: it has no ${MANIFEST_FILE}`,
      directory,
      'give the directory that `hone compile` wrote',
    );
  }
  const signatureBytes = readSmall(directory, SIGNATURE_FILE, MAX_SIGNATURE_BYTES);
  // Before anything of it is believed, or even parsed.
  const signedBy = signerOf(bytes, signatureBytes, directory, options);
  const manifest = parseManifest(new TextDecoder().decode(bytes), file);
  const folders = new Set<string>();
  for (const entry of manifest.files) {
    checkFolders(directory, entry, folders);
    checkFile(directory, entry);
  }
  return { path: directory, manifest, manifestBytes: bytes, signatureBytes, signedBy };
}

/** Id of the key that signed the manifest; without keys to check it, what the signature says. */
export function signerOf(
  manifest: Uint8Array,
  signature: Uint8Array | undefined,
  name: string,
  options: OpenOptions,
): string | undefined {
  const parse = (): Signature | undefined =>
    signature === undefined
      ? undefined
      : parseSignature(new TextDecoder().decode(signature), path.join(name, SIGNATURE_FILE));
  if (options.keys !== undefined) return checkSignature(manifest, parse(), options.keys, name);
  try {
    return parse()?.key;
  } catch {
    // Whoever relies on it gives a key, and is told.
    return undefined;
  }
}

/** An ordinary file up to a size; undefined when there is none of that name. */
function readSmall(directory: string, name: string, limit: number): Uint8Array | undefined {
  const file = path.join(directory, name);
  if (!existsSync(file)) return undefined;
  if (!lstatSync(file).isFile()) refuse(directory, name);
  const source = openFile(file);
  try {
    if (source.size <= limit) return source.read(0, source.size);
  } finally {
    source.close();
  }
  return fail('HONE-ARTIFACT-003', `${file} is too large for what it is`, file, AGAIN);
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
  checkSize(file, stat.size, entry);
}

function checkSize(file: string, size: number, entry: FileEntry): void {
  if (size === entry.bytes) return;
  fail(
    'HONE-ARTIFACT-012',
    `${file} has ${size} bytes, the manifest says ${entry.bytes}`,
    entry.path,
    AGAIN,
  );
}

function refuse(directory: string, inside: string): never {
  fail(
    'HONE-ARTIFACT-013',
    `${path.join(directory, inside)} is a link or no ordinary file, which artifacts may not contain`,
    inside,
    'do not use this artifact unless you trust where it comes from; compile it again',
  );
}

/** The entry of a file that the manifest lists. */
export function listedFile(artifact: Artifact, file: string): FileEntry {
  const entry = artifact.manifest.files.find((candidate) => candidate.path === file);
  invariant(entry !== undefined, `${file} is not listed`);
  return entry;
}

/** The bytes of a listed file, once they were found to have the listed digest. */
export function readVerified(artifact: Artifact, file: string): Uint8Array {
  const entry = listedFile(artifact, file);
  invariant(entry.chunks === undefined, `${file} is read in pieces`);
  const [bytes] = verifiedPieces(artifact, entry);
  return bytes ?? new Uint8Array(0);
}

/** The bytes of a file piece by piece, each after it was found to have its digest. */
export function* verifiedPieces(artifact: Artifact, entry: FileEntry): Iterable<Uint8Array> {
  const file = path.join(artifact.path, entry.path);
  const source = openFile(file);
  try {
    checkSize(file, source.size, entry);
    yield* verifiedSource(artifact, entry, source);
  } finally {
    source.close();
  }
}

/** As `verifiedPieces`, from a file that is open already. */
export function* verifiedSource(
  artifact: Artifact,
  entry: FileEntry,
  source: ByteSource,
): Iterable<Uint8Array> {
  if (entry.chunks === undefined) {
    const bytes = source.read(0, entry.bytes);
    if (sha256(bytes) !== entry.sha256) wrongDigest(artifact, entry.path);
    yield bytes;
    return;
  }
  let offset = 0;
  for (const expected of entry.chunks) {
    const bytes = source.read(offset, Math.min(CHUNK_BYTES, entry.bytes - offset));
    if (sha256(bytes) !== expected) wrongDigest(artifact, entry.path, offset);
    offset += bytes.byteLength;
    yield bytes;
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
