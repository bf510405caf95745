/**
 * Writes a file piece by piece with the digests that the manifest has of it: one for the whole, or
 * for weights one per CHUNK_BYTES.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type Hasher, sha256, sha256Hasher } from '../base/digest.ts';
import { CHUNK_BYTES, type FileEntry } from './manifest.ts';

export interface FileWriter {
  write(piece: Uint8Array): void;
  /** Digests of the chunks that are complete so far; empty without chunks. */
  readonly chunks: readonly string[];
  /** Closes the file; what the manifest says of it. */
  finish(): Omit<FileEntry, 'path'>;
  /** Closes the file without a result; does nothing after `finish`. */
  close(): void;
}

/** Creates the file, or empties it. */
export function fileWriter(file: string, chunked: boolean): FileWriter {
  const fd = openSync(file, 'w');
  const chunks: string[] = [];
  const limit = chunked ? CHUNK_BYTES : Number.MAX_SAFE_INTEGER;
  let isOpen = true;
  let bytes = 0;
  let hasher: Hasher = sha256Hasher();
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  return {
    chunks,
    close,
    write(piece) {
      for (let at = 0; at < piece.byteLength; ) {
        const part = piece.subarray(at, at + limit - (bytes % limit));
        hasher.update(part);
        for (let done = 0; done < part.byteLength; ) done += writeSync(fd, part, done);
        at += part.byteLength;
        bytes += part.byteLength;
        if (bytes % limit !== 0) continue;
        chunks.push(hasher.digest());
        hasher = sha256Hasher();
      }
    },
    finish() {
      close();
      if (!chunked) return { bytes, sha256: hasher.digest() };
      if (bytes % limit !== 0) chunks.push(hasher.digest());
      return { bytes, sha256: sha256(chunks.join('')), chunks };
    },
  };
}
