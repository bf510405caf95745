/**
 * NumPy's .npz files: zip archives of .npy files, stored or deflated. Names and sizes come from the
 * archive's directory; nothing is written anywhere.
 */
import { inflateRawSync } from 'node:zlib';
import { fail } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { isNpy, parseNpy } from './npy.ts';

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
const CURE = 'write it with numpy.savez(file, name=array); above 4 GiB use several .npy files';

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && view(bytes).getUint32(0, true) === LOCAL;
}

/** The arrays of an archive by name, without ".npy"; `name` is the file, for errors. */
export function parseNpz(bytes: Uint8Array, name: string): ReadonlyMap<string, Tensor> {
  const arrays = new Map<string, Tensor>();
  const data = view(bytes);
  const end = findEnd(data);
  if (end < 0) bad(name, 'is not a whole zip archive');
  let at = data.getUint32(end + 16, true);
  for (let left = data.getUint16(end + 10, true); left > 0; left--) {
    if (at + ENTRY_BYTES > bytes.length || data.getUint32(at, true) !== ENTRY) {
      bad(name, 'has a directory that cannot be read');
    }
    const nameBytes = data.getUint16(at + 28, true);
    const entry = {
      method: data.getUint16(at + 10, true),
      packed: data.getUint32(at + 20, true),
      size: data.getUint32(at + 24, true),
      local: data.getUint32(at + 42, true),
    };
    const title = new TextDecoder().decode(
      bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes),
    );
    at += ENTRY_BYTES + nameBytes + data.getUint16(at + 30, true) + data.getUint16(at + 32, true);
    const content = unpack(bytes, entry, `${name}: ${title}`);
    if (!isNpy(content)) bad(`${name}: ${title}`, 'is not an array');
    arrays.set(title.replace(/\.npy$/, ''), parseNpy(content, `${name}: ${title}`));
  }
  return arrays;
}

interface Entry {
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
}

function unpack(bytes: Uint8Array, { method, packed, size, local }: Entry, name: string) {
  const data = view(bytes);
  if (packed === IN_EXTENSION || size === IN_EXTENSION) bad(name, 'is too large');
  if (local + LOCAL_BYTES > bytes.length || data.getUint32(local, true) !== LOCAL) {
    bad(name, 'is not where the directory says');
  }
  const skip = data.getUint16(local + 26, true) + data.getUint16(local + 28, true);
  const from = local + LOCAL_BYTES + skip;
  const content = bytes.subarray(from, from + packed);
  if (content.length < packed) bad(name, 'is truncated');
  if (method === STORED) return content;
  if (method !== DEFLATED) bad(name, `is packed by method ${method}`);
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

function bad(name: string, problem: string): never {
  fail('HONE-INPUT-019', `${name} ${problem}`, name, CURE);
}
