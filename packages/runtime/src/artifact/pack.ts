/**
 * Packs an artifact into one file (.tar.gz): the manifest first, its signature, then the listed
 * files in order. What measurements left in evidence/ stays behind, so that equal artifacts give
 * equal archives. Every file is verified on its way.
 */
import { createWriteStream, existsSync, lstatSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { fail, invariant } from '../base/diagnostics.ts';
import { MANIFEST_FILE, SIGNATURE_FILE } from './manifest.ts';
import { type Artifact, isPacked, type OpenOptions, openArtifact, verifiedPieces } from './read.ts';
import { watchIdentity } from './read-unchanged.ts';
import { BLOCK_BYTES, paddingBytes, tarHeader } from './tar.ts';
import { writeWholeFile } from './whole-file.ts';
import { writeError } from './write.ts';

export interface Packed {
  readonly files: number;
  readonly bytes: number;
  readonly packedBytes: number;
}

/** Where gzip's header says which system packed it, and the number for "unknown". */
const GZIP_SYSTEM_AT = 9;
const GZIP_UNKNOWN = 255;
const LEVEL = 6;

/** Writes the archive whole or not at all; one that was there is replaced. */
export async function packArtifact(
  directory: string,
  archive: string,
  options: OpenOptions = {},
): Promise<Packed> {
  checkArchiveTarget(archive);
  const checkSame = watchIdentity(directory);
  const artifact = openArtifact(directory, options);
  try {
    await writeWholeFile(archive, async (file) => {
      await pipeline(
        Readable.from(tarOf(artifact), { objectMode: false }),
        createGzip({ level: LEVEL }),
        withoutSystem,
        createWriteStream(file, { flags: 'wx' }),
      );
      checkSame();
    });
  } catch (error) {
    throw writeError(error, archive);
  }
  const { files } = artifact.manifest;
  return {
    files: files.length,
    bytes: files.reduce((sum, entry) => sum + entry.bytes, 0),
    packedBytes: statSync(archive).size,
  };
}

function checkArchiveTarget(archive: string): void {
  if (!existsSync(archive)) return;
  if (lstatSync(archive).isFile() && (statSync(archive).size === 0 || isPacked(archive))) return;
  fail(
    'HONE-ARTIFACT-001',
    `${archive} is there and is no packed artifact, so it is not overwritten`,
    archive,
    'choose another name, or remove it yourself',
  );
}

function* tarOf(artifact: Artifact): Iterable<Uint8Array> {
  const { manifestBytes, signatureBytes } = artifact;
  yield* member(MANIFEST_FILE, manifestBytes.byteLength, [manifestBytes]);
  if (signatureBytes !== undefined) {
    yield* member(SIGNATURE_FILE, signatureBytes.byteLength, [signatureBytes]);
  }
  const files = [...artifact.manifest.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const entry of files) {
    yield* member(entry.path, entry.bytes, verifiedPieces(artifact, entry));
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

function* member(path: string, bytes: number, pieces: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const header = tarHeader(path, bytes);
  invariant(header !== undefined, `${path} is too long for an archive`);
  yield header;
  // A stream takes an empty piece for its end.
  for (const piece of pieces) if (piece.byteLength > 0) yield piece;
  const padding = paddingBytes(bytes);
  if (padding > 0) yield new Uint8Array(padding);
}

/** zlib writes the system it runs on into the header: the same archive on all of them is worth more. */
async function* withoutSystem(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let offset = 0;
  for await (const piece of pieces) {
    const at = GZIP_SYSTEM_AT - offset;
    if (at >= 0 && at < piece.byteLength) piece[at] = GZIP_UNKNOWN;
    offset += piece.byteLength;
    yield piece;
  }
}
