/**
 * Reads the protobuf wire format from a ByteSource in small windows; skipped payloads are never
 * read. Every fault is a coded error with the file and the byte offset.
 *
 * Use: `while (r.next(end)) switch (r.field) { case …: r.string(); …; default: r.skip(); }`.
 * Reads are confined to the message that `next` was last called for, nesting is limited, and the
 * number of fields read is limited, so damaged or hostile bytes cost bounded time and memory.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { ByteSource } from 'hone-runtime/base/io';
import type { Run } from './types.ts';

const SMALLEST_WINDOW = 4 * 1024;
const LARGEST_WINDOW = 256 * 1024;
const MAX_DEPTH = 100;
/** Fields read in one file; a model of a hundred thousand nodes has a few million. */
const MAX_FIELDS = 100_000_000;
const MAX_STRING_BYTES = 64 * 1024 * 1024;
const CURE = 'the file is truncated, damaged or not ONNX: fetch or export it again';
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const WIRE_NAMES = ['varint', '64-bit', 'length-delimited', 'group', 'group', '32-bit'];

export class WireReader {
  readonly source: ByteSource;
  /** Number of the current field. */
  field = 0;
  /** Its wire type. */
  wire = 0;
  /** The next byte to read. */
  position = 0;
  #tagOffset = 0;
  #end: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;
  #windowSize = SMALLEST_WINDOW;
  #depth = 0;
  #fields = 0;

  constructor(source: ByteSource) {
    this.source = source;
    this.#end = source.size;
  }

  /** Reads the next tag of the message that ends at `end`; false at its end. */
  next(end: number): boolean {
    this.#end = end;
    if (this.position >= end) return false;
    if (++this.#fields > MAX_FIELDS) {
      this.#fault('006', `has more than ${MAX_FIELDS} fields`, 'this is not a model Hone can take');
    }
    this.#tagOffset = this.position;
    const tag = this.#unsigned();
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.field === 0 || tag > 0xffffffff || this.wire > 5) {
      this.#fault('003', `has no valid field at byte ${this.#tagOffset}`);
    }
    if (this.wire === 3 || this.wire === 4) {
      this.#fault('003', `has a group at byte ${this.#tagOffset}, which ONNX does not use`);
    }
    return true;
  }

  /** Skips the current field. */
  skip(): void {
    if (this.wire === 0) this.#unsigned();
    else if (this.wire === 1) this.#advance(8);
    else if (this.wire === 5) this.#advance(4);
    else this.range();
  }

  /** A signed integer; beyond 2^53 the nearest double, never 2^63 itself. */
  int(): number {
    this.#expect(0);
    return this.#varint(true);
  }

  float(): number {
    this.#expect(5);
    const at = this.#fetch(4);
    const { buffer, byteOffset } = this.#window;
    return new DataView(buffer, byteOffset + at, 4).getFloat32(0, true);
  }

  string(): string {
    this.#expect(2);
    const length = this.#length();
    if (length > MAX_STRING_BYTES) {
      this.#fault('006', `has a string of ${length} bytes at byte ${this.#tagOffset}`);
    }
    const at = this.#fetch(length);
    return decoder.decode(this.#window.subarray(at, at + length));
  }

  /** Where the payload of a length-delimited field lies; it is not read. */
  range(): { readonly offset: number; readonly length: number } {
    this.#expect(2);
    const length = this.#length();
    const offset = this.position;
    this.position += length;
    return { offset, length };
  }

  /** A nested message, read by `read`, which must consume up to the end it is given. */
  nested<T>(read: (end: number) => T): T {
    this.#expect(2);
    const length = this.#length();
    if (++this.#depth > MAX_DEPTH) {
      this.#fault('005', `nests more than ${MAX_DEPTH} messages at byte ${this.#tagOffset}`);
    }
    const result = read(this.position + length);
    this.#depth--;
    return result;
  }

  /** Appends the integers of a repeated field, packed or not. */
  ints(into: number[]): void {
    if (this.wire === 0) {
      into.push(this.int());
      return;
    }
    this.nested((end) => {
      this.#end = end;
      while (this.position < end) into.push(this.#varint(true));
    });
  }

  /** Appends the floats of a repeated field, packed or not. */
  floats(into: number[]): void {
    if (this.wire === 5) {
      into.push(this.float());
      return;
    }
    this.nested((end) => {
      this.#end = end;
      this.wire = 5;
      while (this.position < end) into.push(this.float());
    });
  }

  /**
   * Records where the elements of a repeated field lie, without reading packed ones. Unpacked
   * neighbours become one run that still has its tags.
   */
  run(into: Run[], elementWire: 0 | 1 | 2 | 5): void {
    if (this.wire === 2 && elementWire !== 2) {
      into.push({ ...this.range(), packed: true });
      return;
    }
    this.#expect(elementWire);
    const offset = this.#tagOffset;
    this.skip();
    const last = into.at(-1);
    if (last !== undefined && !last.packed && last.offset + last.length === offset) {
      into[into.length - 1] = { ...last, length: this.position - last.offset };
    } else {
      into.push({ offset, length: this.position - offset, packed: false });
    }
  }

  #expect(wire: number): void {
    if (this.wire !== wire) {
      this.#fault(
        '003',
        `has a ${WIRE_NAMES[this.wire]} value in field ${this.field} at byte ${this.#tagOffset}, where ${WIRE_NAMES[wire]} is due`,
      );
    }
  }

  #length(): number {
    const length = this.#unsigned();
    if (length > this.#end - this.position) {
      this.#fault(
        '002',
        `is cut short: field ${this.field} at byte ${this.#tagOffset} wants ${length} bytes, but ${this.#end - this.position} are left`,
      );
    }
    return length;
  }

  #advance(bytes: number): void {
    if (bytes > this.#end - this.position) {
      this.#fault('002', `is cut short in the field at byte ${this.#tagOffset}`);
    }
    this.position += bytes;
  }

  #unsigned(): number {
    return this.#varint(false);
  }

  #varint(signed: boolean): number {
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let i = 0; ; i++) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (i < 4) low += bits * 2 ** (7 * i);
      else if (i < 8) middle += bits * 2 ** (7 * (i - 4));
      else high += bits * 2 ** (7 * (i - 8));
      if (byte < 0x80) break;
      if (i === 9) this.#fault('004', `has a number of more than 10 bytes before ${this.position}`);
    }
    if (high === 0) return middle * 2 ** 28 + low;
    high &= 0xff;
    if (!signed) return high * 2 ** 56 + middle * 2 ** 28 + low;
    if (high >= 0x80) high -= 0x100;
    return Math.min(high * 2 ** 56 + middle * 2 ** 28 + low, 2 ** 63 - 1024);
  }

  #byte(): number {
    const at = this.position - this.#windowStart;
    if (at >= 0 && at < this.#window.byteLength && this.position < this.#end) {
      this.position++;
      return this.#window[at] as number;
    }
    const fetched = this.#fetch(1);
    return this.#window[fetched] as number;
  }

  /** Makes the next `length` bytes part of the window and steps over them; their index in it. */
  #fetch(length: number): number {
    const start = this.position;
    this.#advance(length);
    const windowEnd = this.#windowStart + this.#window.byteLength;
    if (start < this.#windowStart || start + length > windowEnd) {
      // Sequential reading widens the window; after a jump it starts small again.
      const sequential = start >= this.#windowStart && start <= windowEnd;
      this.#windowSize = sequential
        ? Math.min(LARGEST_WINDOW, this.#windowSize * 2)
        : SMALLEST_WINDOW;
      const size = Math.min(Math.max(length, this.#windowSize), this.source.size - start);
      this.#window = this.source.read(start, size);
      this.#windowStart = start;
    }
    return start - this.#windowStart;
  }

  #fault(number: string, what: string, cure = CURE): never {
    const { name } = this.source;
    return fail(`HONE-ONNX-${number}`, `${name} ${what}`, name, cure);
  }
}
