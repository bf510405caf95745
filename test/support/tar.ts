/** Writes .tar.gz archives as anybody might, hostile ones too. */
import { gzipSync } from 'node:zlib';
import { BLOCK_BYTES, paddingBytes, tarHeader } from 'hone-runtime/artifact/tar';

export interface TarMember {
  readonly path: string;
  readonly content: Uint8Array;
  /** Changes the header, whose checksum is made right again. */
  readonly edit?: (header: Buffer) => void;
}

export const TAR_END = new Uint8Array(2 * BLOCK_BYTES);

export function formatTarGz(members: readonly TarMember[], end: Uint8Array = TAR_END): Buffer {
  return gzipSync(Buffer.concat([...members.flatMap(blocksOf), end]));
}

/** Writes the letter that says what an entry is. */
export function typed(letter: string): (header: Buffer) => void {
  return (header) => void header.write(letter, 156);
}

function blocksOf({ path, content, edit }: TarMember): Uint8Array[] {
  const header = Buffer.from(tarHeader(path, content.byteLength) as Uint8Array);
  edit?.(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, content, new Uint8Array(paddingBytes(content.byteLength))];
}
