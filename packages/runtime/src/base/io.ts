/**
 * The only file access below `cli`, `runtime` and `backends`: random-access reading of bytes.
 *
 * Reads are split into chunks below 1 GiB because one `readSync` call cannot pass 2^31-1 bytes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fail } from './diagnostics.ts';

export interface ByteSource {
  /** How errors name it: a path or "<memory>". */
  readonly name: string;
  readonly size: number;
  /** The bytes [offset, offset + length); throws HONE-IO-002 when they are not all there. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

const CHUNK_BYTES = 1 << 30;

/**
 * Opens a regular file for reading. A read after `close` opens it for a moment again, and throws
 * HONE-IO-004 when it is not the same any more: constants of a model are read when they are written.
 */
export function openFile(path: string): ByteSource {
  const { source, state } = openOnce(path);
  let isOpen = true;
  return {
    name: path,
    size: source.size,
    read(offset, length) {
      if (isOpen) return source.read(offset, length);
      const again = openOnce(path);
      try {
        if (again.state === state) return again.source.read(offset, length);
      } finally {
        again.source.close();
      }
      return fail('HONE-IO-004', `${path} was changed while it was in use`, path, 'start again');
    },
    close() {
      if (isOpen) source.close();
      isOpen = false;
    },
  };
}

/** `state` differs when the file was written or replaced. */
function openOnce(path: string): { readonly source: ByteSource; readonly state: string } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    fail('HONE-IO-001', `cannot open ${path}: ${code}`, path, 'check the path and its permissions');
  }
  try {
    const { dev, ino, size, mtimeMs } = fstatSync(fd);
    return { source: descriptorSource(fd, path), state: [dev, ino, size, mtimeMs].join() };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The file of a descriptor, which the source closes. */
export function descriptorSource(fd: number, path: string): ByteSource {
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    fail('HONE-IO-001', `${path} is not a file`, path, 'give the path of a file');
  }
  const size = stat.size;
  return {
    name: path,
    size,
    read(offset, length) {
      checkRange(path, size, offset, length);
      const out = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const count = readSync(fd, out, done, Math.min(CHUNK_BYTES, length - done), offset + done);
        if (count === 0) checkRange(path, offset + done, offset, length);
        done += count;
      }
      return out;
    },
    close: () => closeSync(fd),
  };
}

/** Bytes in memory as a source; reads are views, not copies. */
export function memorySource(bytes: Uint8Array, name = '<memory>'): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read(offset, length) {
      checkRange(name, bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    close: () => {},
  };
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size) {
    fail(
      'HONE-IO-002',
      `${name} ends at byte ${size}, but bytes ${offset} to ${offset + length} are needed`,
      name,
      'the file is truncated or damaged: fetch or export it again',
    );
  }
}
