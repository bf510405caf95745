/**
 * Collects constants into one blob: packed forms made by kernels, other constants as they are.
 * Equal requests share one place. Offsets are 64-byte aligned with 64 bytes behind each, so that a
 * whole vector may be read at the end.
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
  readonly parts: readonly { readonly offset: number; readonly data: Uint8Array }[];
}

export class WeightCollector {
  readonly #offsets = new Map<string, number>();
  readonly #parts: { offset: number; data: Uint8Array }[] = [];
  #end = 0;

  /** Offset of a constant in the kernel's packing, adding it when it is new. */
  packed(buffer: Buffer, item: Extract<KernelBuffer, { kind: 'packed' }>): number {
    return this.#place(`${buffer.id}:${item.packing}`, () => {
      const data = item.pack();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    });
  }

  /** Offset of a constant in row-major order. */
  plain(buffer: Buffer): number {
    const { constant, name, dtype, shape } = buffer;
    invariant(constant !== undefined, `${name} is not a constant`);
    return this.#place(`${buffer.id}:plain`, () =>
      bytesOf(constantTensor({ id: 0, name, type: { dtype, shape }, constant })),
    );
  }

  finish(): WeightBlob {
    return { bytes: this.#end, parts: this.#parts };
  }

  #place(key: string, make: () => Uint8Array): number {
    const have = this.#offsets.get(key);
    if (have !== undefined) return have;
    const data = make();
    const offset = this.#end;
    this.#offsets.set(key, offset);
    this.#parts.push({ offset, data });
    this.#end += Math.ceil(data.byteLength / ALIGN_BYTES) * ALIGN_BYTES + ALIGN_BYTES;
    return offset;
  }
}

/** The blob as one array (for tests and small models). */
export function joinWeights(blob: WeightBlob): Uint8Array {
  const out = new Uint8Array(blob.bytes);
  for (let i = 0; i < blob.parts.length; i++) {
    const { offset, data } = at(blob.parts, i);
    out.set(data, offset);
  }
  return out;
}
