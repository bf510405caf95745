/**
 * The headers of tar archives (POSIX ustar), as far as artifacts need them: ordinary files only,
 * and nothing that tells who packed them, where or when. Sizes from 8 GiB on are written in base
 * 256, as GNU tar does.
 */

export const BLOCK_BYTES = 512;

export interface TarHeader {
  readonly path: string;
  readonly bytes: number;
  /** What kind of thing it is, in words; "file" is the only one that artifacts have. */
  readonly kind: string;
  /** The format's letter for it. */
  readonly letter: string;
}

const NAME = { at: 0, length: 100 };
const SIZE = { at: 124, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;
const MAGIC_AT = 257;
const PREFIX = { at: 345, length: 155 };
const LARGEST_OCTAL = 8 ** 11 - 1;

/** Types of entries by their letter. */
const KINDS: Readonly<Record<string, string>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hard link',
  '2': 'symbolic link',
  '3': 'character device',
  '4': 'block device',
  '5': 'folder',
  '6': 'pipe',
};

/** The header of a file; undefined for a path that the format has no room for. */
export function tarHeader(path: string, bytes: number): Uint8Array | undefined {
  const block = Buffer.alloc(BLOCK_BYTES);
  const split = splitPath(path);
  if (split === undefined) return undefined;
  block.write(split.name, NAME.at);
  block.write(split.prefix, PREFIX.at);
  for (const [at, value] of [
    [100, '0000644'],
    [108, '0000000'],
    [116, '0000000'],
    [136, '00000000000'],
    [329, '0000000'],
    [337, '0000000'],
  ] as const) {
    block.write(value, at);
  }
  if (bytes <= LARGEST_OCTAL) {
    block.write(bytes.toString(8).padStart(SIZE.length - 1, '0'), SIZE.at);
  } else {
    block[SIZE.at] = 0x80;
    block.writeBigUInt64BE(BigInt(bytes), SIZE.at + SIZE.length - 8);
  }
  block.write('0', TYPE_AT);
  block.write('ustar\u000000', MAGIC_AT);
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM.at);
  return block;
}

/** Zeros that fill the last block of a file. */
export function paddingBytes(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** True for the block of zeros that ends an archive (and comes twice). */
export function isEndBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Reads a header; a text says why the block is none. */
export function parseTarHeader(bytes: Uint8Array): TarHeader | string {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK_BYTES);
  const stated = octal(block, CHECKSUM.at, CHECKSUM.length);
  if (stated !== checksum(block)) return 'a header has another checksum than it states';
  if (block.toString('latin1', MAGIC_AT, MAGIC_AT + 5) !== 'ustar') return 'it is no ustar archive';
  const size = sizeOf(block);
  if (size === undefined) return 'a header states no size';
  const name = textOf(block, NAME.at, NAME.length);
  const prefix = textOf(block, PREFIX.at, PREFIX.length);
  const letter = String.fromCharCode(block[TYPE_AT] ?? 0);
  return {
    path: prefix === '' ? name : `${prefix}/${name}`,
    bytes: size,
    kind: KINDS[letter] ?? `entry of type ${JSON.stringify(letter)}`,
    letter,
  };
}

function splitPath(path: string): { readonly name: string; readonly prefix: string } | undefined {
  if (path.length <= NAME.length) return { name: path, prefix: '' };
  for (let cut = path.indexOf('/'); cut >= 0; cut = path.indexOf('/', cut + 1)) {
    const [prefix, name] = [path.slice(0, cut), path.slice(cut + 1)];
    if (prefix.length <= PREFIX.length && name.length <= NAME.length) return { name, prefix };
  }
  return undefined;
}

/** Sum of the bytes, those of the checksum itself as spaces. */
function checksum(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const own = i >= CHECKSUM.at && i < CHECKSUM.at + CHECKSUM.length;
    sum += own ? 0x20 : (block[i] ?? 0);
  }
  return sum;
}

function sizeOf(block: Buffer): number | undefined {
  if ((block[SIZE.at] ?? 0) < 0x80) return octal(block, SIZE.at, SIZE.length);
  const high = block.subarray(SIZE.at + 1, SIZE.at + SIZE.length - 8);
  const value = block.readBigUInt64BE(SIZE.at + SIZE.length - 8);
  const fits = high.every((byte) => byte === 0) && value <= BigInt(Number.MAX_SAFE_INTEGER);
  return fits && block[SIZE.at] === 0x80 ? Number(value) : undefined;
}

function octal(block: Buffer, at: number, length: number): number | undefined {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(block.toString('latin1', at, at + length))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

function textOf(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}
