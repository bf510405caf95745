/**
 * Unpacks what `packArtifact` packed, whole or not at all. The manifest comes first, so that every
 * other file is known before it is written: its name, its size, its digest. What is not listed, is
 * no ordinary file or would lie outside is refused.
 */
import { createReadStream, existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fail } from '../base/diagnostics.ts';
import { type ByteQueue, byteQueue } from './byte-queue.ts';
import { fileWriter } from './file-writer.ts';
import {
  CHUNK_BYTES,
  type FileEntry,
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseManifest,
  SIGNATURE_FILE,
} from './manifest.ts';
import { isPlainPath } from './plain-path.ts';
import { isPacked, type OpenOptions, signerOf } from './read.ts';
import { MAX_SIGNATURE_BYTES } from './signature.ts';
import { beginSwap } from './swap.ts';
import { BLOCK_BYTES, isEndBlock, paddingBytes, parseTarHeader, type TarHeader } from './tar.ts';
import { checkTarget, writeError } from './write.ts';

export interface UnpackOptions extends OpenOptions {
  /** The files of the artifact may have so many bytes together. */
  readonly maxBytes?: number;
  /** Of the manifest, which is read before its signature is checked. */
  readonly maxManifestBytes?: number;
}

export interface Unpacked {
  readonly manifest: Manifest;
  readonly signedBy: string | undefined;
}

const AGAIN = 'fetch the archive again, or pack the artifact again with `hone pack`';
/** Zeros that may follow the end: tar programs fill up whole records. */
const MAX_FILL_BYTES = 1 << 20;

/** Throws HONE-ARTIFACT-031 for a damaged archive, -032 for what it must not contain. */
export async function unpackArtifact(
  archive: string,
  target: string,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  if (!existsSync(archive)) {
    fail('HONE-IO-001', `${archive} does not exist`, archive, 'check the path of the archive');
  }
  if (!isPacked(archive)) {
    fail(
      'HONE-ARTIFACT-031',
      `${archive} is no packed artifact`,
      archive,
      'give the file that `hone pack` wrote',
    );
  }
  checkTarget(target);
  const stream = pipeline(createReadStream(archive), createGunzip(), () => {});
  const queue = byteQueue(stream);
  try {
    const swap = beginSwap(target);
    try {
      const unpacked = await fill(swap.directory, { archive, target, queue }, options);
      swap.commit();
      return unpacked;
    } catch (error) {
      swap.abort();
      throw error;
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code.startsWith('Z_')) damaged(archive, `is cut off or damaged (${code})`);
    throw writeError(error, target);
  } finally {
    await queue.close();
  }
}

interface Source {
  readonly archive: string;
  readonly target: string;
  readonly queue: ByteQueue;
}

async function fill(directory: string, source: Source, options: UnpackOptions): Promise<Unpacked> {
  const { archive } = source;
  const first = await nextHeader(source);
  if (first?.path !== MANIFEST_FILE) {
    damaged(archive, `does not begin with ${MANIFEST_FILE}, so it was not packed by hone`);
  }
  const manifestBytes = await small(
    source,
    first,
    Math.min(MAX_MANIFEST_BYTES, options.maxManifestBytes ?? MAX_MANIFEST_BYTES),
  );
  let header = await nextHeader(source);
  let signature: Uint8Array | undefined;
  if (header?.path === SIGNATURE_FILE) {
    signature = await small(source, header, MAX_SIGNATURE_BYTES);
    header = await nextHeader(source);
  }
  const signedBy = signerOf(manifestBytes, signature, archive, options);
  const manifest = parseManifest(new TextDecoder().decode(manifestBytes), MANIFEST_FILE);
  checkSpace(directory, source, manifest, options);
  const missing = new Map(manifest.files.map((entry) => [entry.path, entry]));
  for (; header !== undefined; header = await nextHeader(source)) {
    const entry = missing.get(header.path);
    if (entry === undefined) {
      const twice = [...manifest.files.map((file) => file.path), MANIFEST_FILE, SIGNATURE_FILE];
      refused(
        archive,
        header.path,
        twice.includes(header.path) ? 'comes twice' : 'is not in the manifest',
      );
    }
    if (header.bytes !== entry.bytes) {
      refused(archive, header.path, `has ${header.bytes} bytes, the manifest says ${entry.bytes}`);
    }
    missing.delete(header.path);
    await writeEntry(directory, entry, source);
  }
  const [lost] = missing.keys();
  if (lost !== undefined) damaged(archive, `lacks ${lost}, which its manifest lists`);
  await checkEnd(source);
  if (signature !== undefined) writeFileSync(path.join(directory, SIGNATURE_FILE), signature);
  writeFileSync(path.join(directory, MANIFEST_FILE), manifestBytes);
  return { manifest, signedBy };
}

/** The next header, once it is known to be of an ordinary file inside; undefined at the end. */
async function nextHeader({ archive, queue }: Source): Promise<TarHeader | undefined> {
  const block = await queue.take(BLOCK_BYTES);
  if (block.byteLength < BLOCK_BYTES) damaged(archive, 'ends too early');
  if (isEndBlock(block)) return undefined;
  const header = parseTarHeader(block);
  if (typeof header === 'string') return damaged(archive, `is no archive of hone: ${header}`);
  if (header.kind !== 'file') refused(archive, header.path, `is a ${header.kind}`);
  if (!isPlainPath(header.path)) refused(archive, header.path, 'is no plain path inside');
  return header;
}

async function small(source: Source, header: TarHeader, limit: number): Promise<Uint8Array> {
  const { archive, queue } = source;
  if (header.bytes > limit) refused(archive, header.path, 'is too large for what it is');
  const bytes = await queue.take(header.bytes);
  if (bytes.byteLength < header.bytes) damaged(archive, `ends within ${header.path}`);
  await queue.take(paddingBytes(header.bytes));
  return bytes;
}

async function writeEntry(directory: string, entry: FileEntry, source: Source): Promise<void> {
  const { archive, queue } = source;
  const file = path.join(directory, entry.path);
  mkdirSync(path.dirname(file), { recursive: true });
  const writer = fileWriter(file, entry.chunks !== undefined);
  try {
    let checked = 0;
    for await (const piece of queue.pieces(entry.bytes)) {
      writer.write(piece);
      for (; checked < writer.chunks.length; checked++) {
        if (writer.chunks[checked] !== entry.chunks?.[checked]) {
          changed(archive, entry.path, ` in the megabyte at byte ${checked * CHUNK_BYTES}`);
        }
      }
    }
    const { bytes, sha256 } = writer.finish();
    if (bytes < entry.bytes) damaged(archive, `ends within ${entry.path}`);
    if (sha256 !== entry.sha256) changed(archive, entry.path, '');
  } finally {
    writer.close();
  }
  await queue.take(paddingBytes(entry.bytes));
}

/** A second block of zeros, then at most more of them; also reads gzip's own checksum. */
async function checkEnd({ archive, queue }: Source): Promise<void> {
  const fill = await queue.take(MAX_FILL_BYTES + 1);
  const proper = fill.byteLength >= BLOCK_BYTES && fill.byteLength <= MAX_FILL_BYTES;
  if (!proper || !isEndBlock(fill)) damaged(archive, 'goes on behind its end, or lacks it');
}

function checkSpace(
  directory: string,
  { archive, target }: Source,
  manifest: Manifest,
  { maxBytes = Number.POSITIVE_INFINITY }: UnpackOptions,
): void {
  const needed = manifest.files.reduce((sum, entry) => sum + entry.bytes, 0);
  if (needed > maxBytes) {
    fail(
      'HONE-ARTIFACT-033',
      `${archive} unpacks to ${needed} bytes, and ${maxBytes} is the limit`,
      archive,
      'raise the limit, or use a smaller model',
    );
  }
  const { bavail, bsize, blocks } = statfsSync(directory, { bigint: true });
  const free = bavail * bsize;
  // Some file systems do not say how large they are.
  if (blocks === 0n || BigInt(needed) <= free) return;
  fail(
    'HONE-ARTIFACT-002',
    `cannot write ${target}: the artifact has ${needed} bytes, and there is room for ${free}`,
    target,
    'free some space, or unpack it elsewhere',
  );
}

function changed(archive: string, file: string, where: string): never {
  fail(
    'HONE-ARTIFACT-014',
    `${file} in ${archive} was changed${where}: its digest is not the manifest's`,
    file,
    AGAIN,
  );
}

function damaged(archive: string, problem: string): never {
  fail('HONE-ARTIFACT-031', `${archive} ${problem}`, archive, AGAIN);
}

function refused(archive: string, file: string, problem: string): never {
  fail(
    'HONE-ARTIFACT-032',
    `${archive} is not unpacked: ${JSON.stringify(file)} in it ${problem}`,
    file,
    'do not trust where it comes from; get the artifact from who made it',
  );
}
