/**
 * Collects constants into one blob: packed forms made by kernels, other constants as they are.
 * Equal requests share one place. Offsets are 64-byte aligned with 64 bytes behind each, so that a
 * whole vector may be read at the end. Beyond some memory the bytes are not kept but made again when
 * they are written, so that a model of any size takes the memory of its largest constant.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { bytesOf } from 'hone-runtime/base/tensor';
import { constantTensor } from '../graph/walk.ts';
import type { KernelBuffer } from '../kernels/index.ts';
import type { Buffer } from '../stages/types.ts';
import { ALIGN_BYTES } from './memory-plan.ts';

export interface WeightBlob {
  readonly bytes: number;
  /** Parts in order of offset; gaps are zero. */
  readonly parts: readonly WeightPart[];
}

export interface WeightPart {
  readonly offset: number;
  readonly bytes: number;
  /** The bytes; made anew by each call where there are too many to keep. */
  readonly data: () => Uint8Array;
}

/** Bytes that are kept. */
const KEEP_BYTES = 512 * 1024 * 1024;

export class WeightCollector {
  readonly #offsets = new Map<string, number>();
  /** Numbers of constants by what they are, for graphs inside of others have the same ones. */
  readonly #constants = new Map<object, Map<number, number>>();
  readonly #parts: WeightPart[] = [];
  #end = 0;
  #next = 0;
  #left = KEEP_BYTES;

  /** Offset of a constant in the kernel's packing, adding it when it is new. */
  packed(buffer: Buffer, item: Extract<KernelBuffer, { kind: 'packed' }>): number {
    return this.#place(`${this.#keyOf(buffer)}:${item.packing}`, () => {
      const data = item.pack();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    });
  }

  /** Offset of a constant in row-major order. */
  plain(buffer: Buffer): number {
    const { constant, name, dtype, shape } = buffer;
    invariant(constant !== undefined, `${name} is not a constant`);
    return this.#place(`${this.#keyOf(buffer)}:plain`, () =>
      bytesOf(constantTensor({ id: 0, name, type: { dtype, shape }, constant })),
    );
  }

  finish(): WeightBlob {
    return { bytes: this.#end, parts: this.#parts };
  }

  /** Equal for buffers that hold the same constant in the same shape. */
  #keyOf({ constant, name, dtype, shape }: Buffer): string {
    invariant(constant !== undefined, `${name} is not a constant`);
    const [source, offset] =
      constant.kind === 'inline' ? [constant.tensor, 0] : [constant.source, constant.offset];
    const places = this.#constants.get(source) ?? new Map<number, number>();
    this.#constants.set(source, places);
    const number = places.get(offset) ?? this.#next++;
    places.set(offset, number);
    return `${number} ${dtype}[${shape.join()}]`;
  }

  #place(key: string, make: () => Uint8Array): number {
    const have = this.#offsets.get(key);
    if (have !== undefined) return have;
    const made = make();
    const bytes = made.byteLength;
    const offset = this.#end;
    this.#offsets.set(key, offset);
    const isKept = bytes <= this.#left;
    if (isKept) this.#left -= bytes;
    this.#parts.push({ offset, bytes, data: isKept ? () => made : make });
    this.#end += Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES + ALIGN_BYTES;
    return offset;
  }
}

/** The blob as one array (for tests and small models). */
export function joinWeights(blob: WeightBlob): Uint8Array {
  const out = new Uint8Array(blob.bytes);
  for (let i = 0; i < blob.parts.length; i++) {
    const { offset, data } = at(blob.parts, i);
    out.set(data(), offset);
  }
  return out;
}
