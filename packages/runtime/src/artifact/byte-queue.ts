/** Takes exact numbers of bytes from a stream of pieces, without keeping more than one of them. */

export interface ByteQueue {
  /** Exactly so many bytes; fewer only where the stream ends. */
  take(count: number): Promise<Uint8Array>;
  /** The same in pieces as they come. */
  pieces(count: number): AsyncIterable<Uint8Array>;
  /** Ends the stream. */
  close(): Promise<void>;
}

export function byteQueue(source: AsyncIterable<Uint8Array>): ByteQueue {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  async function* pieces(count: number): AsyncIterable<Uint8Array> {
    for (let left = count; left > 0; ) {
      if (rest.byteLength === 0) {
        const next = await iterator.next();
        if (next.done === true) return;
        rest = next.value;
      }
      const piece = rest.subarray(0, left);
      rest = rest.subarray(piece.byteLength);
      left -= piece.byteLength;
      if (piece.byteLength > 0) yield piece;
    }
  }
  return {
    pieces,
    async take(count) {
      const parts: Uint8Array[] = [];
      for await (const piece of pieces(count)) parts.push(piece);
      return Buffer.concat(parts);
    },
    async close() {
      await iterator.return?.();
    },
  };
}
