/**
 * SHA-256 digests, as lower-case hexadecimal text.
 */
import { createHash } from 'node:crypto';

/** Digest of bytes, or of the UTF-8 form of a text. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

export interface Hasher {
  update(bytes: Uint8Array): void;
  digest(): string;
}

/** A digest of bytes that come in pieces. */
export function sha256Hasher(): Hasher {
  const hash = createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}
