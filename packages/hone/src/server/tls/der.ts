/** Writes the few forms of DER (ITU-T X.690) that a certificate is made of. */

export type Der = Uint8Array;

const tagged = (tag: number, content: Uint8Array): Der =>
  Buffer.concat([Buffer.of(tag), lengthOf(content.byteLength), content]);

function lengthOf(bytes: number): Uint8Array {
  if (bytes < 0x80) return Buffer.of(bytes);
  const digits: number[] = [];
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Buffer.of(0x80 | digits.length, ...digits);
}

export const sequence = (...items: readonly Der[]): Der => tagged(0x30, Buffer.concat(items));

export const set = (...items: readonly Der[]): Der => tagged(0x31, Buffer.concat(items));

export const boolean = (value: boolean): Der => tagged(0x01, Buffer.of(value ? 0xff : 0));

export const octets = (content: Uint8Array): Der => tagged(0x04, content);

/** A string of bits, of which the last `unused` of the last byte do not count. */
export const bits = (content: Uint8Array, unused = 0): Der =>
  tagged(0x03, Buffer.concat([Buffer.of(unused), content]));

export const utf8 = (text: string): Der => tagged(0x0c, Buffer.from(text));

/** A non-negative integer, most significant byte first. */
export function integer(bytes: Uint8Array): Der {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first < 0 ? Buffer.of(0) : bytes.subarray(first);
  const negative = ((short[0] ?? 0) & 0x80) !== 0;
  return tagged(0x02, negative ? Buffer.concat([Buffer.of(0), short]) : short);
}

/** An object identifier in dots, e.g. "2.5.4.3". */
export function identifier(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const content = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc % 128];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) {
      digits.unshift(0x80 | (more % 128));
    }
    return digits;
  });
  return tagged(0x06, Buffer.from(content));
}

/** A moment, to the second; years from 2050 on take the longer form. */
export function time(date: Date): Der {
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(text.slice(2)))
    : tagged(0x18, Buffer.from(text));
}

/** Context-specific tag `number`; explicit ones wrap whole items. */
export const context = (number: number, content: Uint8Array, constructed: boolean): Der =>
  tagged((constructed ? 0xa0 : 0x80) | number, content);
