/** Weights of few bits and their scales in the order in which the block-wise row reads them. */
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/**
 * Bytes [n][rowBytes] → [n/width][rowBytes][width]: each vector load takes the same byte of
 * neighbouring columns. Columns past the last are zero.
 */
export function packBytes(weights: Tensor, n: number, width: number): Uint8Array {
  const source = weights.data as Uint8Array;
  const rowBytes = source.length / n;
  const groups = Math.ceil(n / width);
  const out = new Uint8Array(groups * rowBytes * width);
  for (let c = 0; c < n; c++) {
    const base = Math.floor(c / width) * rowBytes * width + (c % width);
    const from = c * rowBytes;
    for (let i = 0; i < rowBytes; i++) out[base + i * width] = source[from + i] as number;
  }
  return out;
}

/** One number for each block of each column, [n][blocks] → [n/width][blocks][width]. */
export function packBlocks(
  values: ArrayLike<number>,
  n: number,
  blocks: number,
  width: number,
): Float32Array {
  const groups = Math.ceil(n / width);
  const out = new Float32Array(groups * blocks * width);
  for (let c = 0; c < n; c++) {
    const base = Math.floor(c / width) * blocks * width + (c % width);
    for (let i = 0; i < blocks; i++) out[base + i * width] = values[c * blocks + i] as number;
  }
  return out;
}

/** Zero points as numbers, [n][blocks]; u8 ones are packed as the weights are, row by row. */
export function zeroPoints(zeros: Tensor, n: number, blocks: number, bits: number): Float64Array {
  const stored = toNumbers(zeros);
  if (zeros.dtype !== 'u8') return stored;
  const rowBytes = stored.length / n;
  const per = 8 / bits;
  const out = new Float64Array(n * blocks);
  for (let c = 0; c < n; c++) {
    for (let i = 0; i < blocks; i++) {
      const byte = stored[c * rowBytes + Math.floor(i / per)] as number;
      out[c * blocks + i] = (byte >> (bits * (i % per))) & (2 ** bits - 1);
    }
  }
  return out;
}
