/**
 * Writes the protobuf wire format: fields appended one by one, nested messages as finished bytes.
 *
 * Large payloads are kept as views until `finish`, so a model of n bytes costs n bytes once more.
 */
import { invariant } from 'hone-runtime/base/diagnostics';

const FIRST_CHUNK_BYTES = 128;
const LARGEST_CHUNK_BYTES = 16 * 1024;
/** Payloads above this are referenced, not copied, until the message is finished. */
const KEEP_BYTES = 4 * 1024;
const encoder = new TextEncoder();

/** Largest double below 2^63; what integers beyond it are written as. */
const LARGEST_INT = 2 ** 63 - 1024;

export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #chunk = new Uint8Array(FIRST_CHUNK_BYTES);
  #used = 0;
  #total = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#total;
  }

  /** An int32, int64, bool or enum field. */
  int(field: number, value: number | bigint): void {
    this.#tag(field, 0);
    this.#varint(typeof value === 'bigint' ? value : integerOf(value));
  }

  float(field: number, value: number): void {
    this.#tag(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#append(bytes);
  }

  string(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  /** A string, bytes or packed field. */
  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, 2);
    this.#varint(BigInt(value.byteLength));
    this.#append(value);
  }

  /** A nested message. */
  message(field: number, write: (writer: WireWriter) => void): void {
    const inner = new WireWriter();
    write(inner);
    this.#tag(field, 2);
    this.#varint(BigInt(inner.length));
    inner.#flush();
    for (const part of inner.#parts) this.#append(part);
  }

  /** A packed list of varints. */
  packedInts(field: number, values: Iterable<number | bigint>): void {
    const inner = new WireWriter();
    for (const value of values) {
      inner.#varint(typeof value === 'bigint' ? value : integerOf(value));
    }
    this.bytes(field, inner.finish());
  }

  packedFloats(field: number, values: readonly number[]): void {
    const data = Float32Array.from(values);
    this.bytes(field, new Uint8Array(data.buffer));
  }

  /** The message's bytes. */
  finish(): Uint8Array {
    this.#flush();
    const out = new Uint8Array(this.#total);
    let offset = 0;
    for (const part of this.#parts) {
      out.set(part, offset);
      offset += part.byteLength;
    }
    return out;
  }

  #tag(field: number, wire: 0 | 2 | 5): void {
    invariant(field > 0, 'field numbers are positive');
    this.#varint(BigInt(field * 8 + wire));
  }

  #varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    this.#reserve(10);
    while (rest > 0x7fn) {
      this.#put(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#put(Number(rest));
  }

  #put(byte: number): void {
    this.#chunk[this.#used++] = byte;
    this.#total++;
  }

  #append(bytes: Uint8Array): void {
    if (bytes.byteLength > KEEP_BYTES) {
      this.#flush();
      this.#parts.push(bytes);
    } else {
      this.#reserve(bytes.byteLength);
      this.#chunk.set(bytes, this.#used);
      this.#used += bytes.byteLength;
    }
    this.#total += bytes.byteLength;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#chunk.byteLength) return;
    this.#flush();
    if (bytes > this.#chunk.byteLength) this.#chunk = new Uint8Array(bytes);
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#parts.push(this.#chunk.subarray(0, this.#used));
    const next = Math.min(LARGEST_CHUNK_BYTES, this.#chunk.byteLength * 4);
    this.#chunk = new Uint8Array(next);
    this.#used = 0;
  }
}

/** Nearest int64; infinities and values out of range saturate. */
function integerOf(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  return BigInt(Math.trunc(Math.max(-(2 ** 63), Math.min(LARGEST_INT, value))));
}
