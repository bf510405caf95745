/**
 * Zip archives, stored or deflated, in memory. Names and sizes come from the archive's directory;
 * nothing is written anywhere, and a name is only a text.
 */
import { inflateRawSync } from 'node:zlib';
import { fail } from 'hone-runtime/base/diagnostics';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
/** A size field that says: look into the zip64 extension. */
const IN_EXTENSION = 0xffffffff;

export interface ZipEntry {
  readonly path: string;
  /** Unpacked. */
  readonly bytes: number;
  /** Unpacks it. */
  content(): Uint8Array;
}

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && view(bytes).getUint32(0, true) === LOCAL;
}

/** What an archive lists; errors (HONE-INPUT-019) name the file `name` and say the cure. */
export function zipEntries(bytes: Uint8Array, name: string, cure: string): ZipEntry[] {
  const bad: Refuse = (subject, problem) =>
    fail('HONE-INPUT-019', `${subject} ${problem}`, subject, cure);
  const data = view(bytes);
  const end = findEnd(data);
  if (end < 0) bad(name, 'is not a whole zip archive');
  const entries: ZipEntry[] = [];
  let at = data.getUint32(end + 16, true);
  for (let left = data.getUint16(end + 10, true); left > 0; left--) {
    if (at + ENTRY_BYTES > bytes.length || data.getUint32(at, true) !== ENTRY) {
      bad(name, 'has a directory that cannot be read');
    }
    const nameBytes = data.getUint16(at + 28, true);
    const place: Place = {
      method: data.getUint16(at + 10, true),
      packed: data.getUint32(at + 20, true),
      size: data.getUint32(at + 24, true),
      local: data.getUint32(at + 42, true),
    };
    const path = new TextDecoder().decode(
      bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes),
    );
    entries.push({
      path,
      bytes: place.size,
      content: () => unpack(bytes, place, `${name}: ${path}`, bad),
    });
    at += ENTRY_BYTES + nameBytes + data.getUint16(at + 30, true) + data.getUint16(at + 32, true);
  }
  return entries;
}

type Refuse = (subject: string, problem: string) => never;

interface Place {
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
}

function unpack(
  bytes: Uint8Array,
  { method, packed, size, local }: Place,
  name: string,
  bad: Refuse,
): Uint8Array {
  const data = view(bytes);
  if (packed === IN_EXTENSION || size === IN_EXTENSION) return bad(name, 'is too large');
  if (local + LOCAL_BYTES > bytes.length || data.getUint32(local, true) !== LOCAL) {
    return bad(name, 'is not where the directory says');
  }
  const skip = data.getUint16(local + 26, true) + data.getUint16(local + 28, true);
  const from = local + LOCAL_BYTES + skip;
  const content = bytes.subarray(from, from + packed);
  if (content.length < packed) return bad(name, 'is truncated');
  if (method === STORED) return content;
  if (method !== DEFLATED) return bad(name, `is packed by method ${method}`);
  try {
    // The directory's size bounds what a small file may become.
    return new Uint8Array(inflateRawSync(content, { maxOutputLength: Math.max(1, size) }));
  } catch {
    return bad(name, 'is damaged');
  }
}

/** Position of the end record; it is followed by a comment of any length. */
function findEnd(data: DataView): number {
  const last = data.byteLength - END_BYTES;
  for (let at = last; at >= Math.max(0, last - 0xffff); at--) {
    if (data.getUint32(at, true) === END) return at;
  }
  return -1;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
