/**
 * Protobuf bytes as a tree of fields, changed and written back: mutations that stay well-formed on
 * the wire and so reach what lies behind the reader.
 */
import type { Random } from 'hone-runtime/base/random';

export interface Field {
  readonly field: number;
  readonly wire: number;
  /** The value of a varint. */
  readonly number: bigint;
  /** The payload of any other field without children. */
  readonly bytes: Uint8Array;
  /** Present where the payload reads as a message of its own. */
  readonly children?: readonly Field[];
}

const EMPTY = new Uint8Array(0);
const NUMBERS = [0n, 1n, 2n, 3n, 7n, 9n, 16n, 127n, 128n, 4096n, 1n << 31n, 1n << 40n, -1n, -2n];

/** Undefined where the bytes are no message. */
export function parseFields(bytes: Uint8Array, depth = 0): readonly Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; at < bytes.length && shift < 70n; shift += 7n) {
      const byte = bytes[at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined || tag < 8n || tag > 0xffffn) return undefined;
    const field = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (wire === 0) {
      const number = varint();
      if (number === undefined) return undefined;
      fields.push({ field, wire, number, bytes: EMPTY });
      continue;
    }
    const length = wire === 2 ? varint() : wire === 5 ? 4n : wire === 1 ? 8n : undefined;
    if (length === undefined || length > BigInt(bytes.length - at)) return undefined;
    const payload = bytes.subarray(at, at + Number(length));
    at += Number(length);
    const children =
      wire === 2 && depth < 12 && payload.length > 1 ? parseFields(payload, depth + 1) : undefined;
    fields.push({ field, wire, number: 0n, bytes: payload, ...(children && { children }) });
  }
  return fields;
}

export function writeFields(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { field, wire, number, bytes, children } of fields) {
    parts.push(varintBytes(BigInt(field * 8 + wire)));
    if (wire === 0) parts.push(varintBytes(number));
    else {
      const payload = children === undefined ? bytes : writeFields(children);
      if (wire === 2) parts.push(varintBytes(BigInt(payload.length)));
      parts.push(payload);
    }
  }
  return new Uint8Array(Buffer.concat(parts));
}

function varintBytes(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}

/** Changes one field somewhere in the tree; `donors` are fields of other models. */
export function mutateFields(
  fields: readonly Field[],
  donors: readonly Field[],
  random: Random,
): readonly Field[] {
  if (fields.length === 0) return fields;
  const at = random.integer(fields.length);
  const target = fields[at] as Field;
  if (target.children !== undefined && random.integer(8) > 0) {
    const inside = donors.find((donor) => donor.field === target.field)?.children ?? donors;
    const children = mutateFields(target.children, inside, random);
    return fields.with(at, { ...target, children });
  }
  switch (random.integer(6)) {
    case 0:
      return fields.toSpliced(at, 1);
    case 1:
      return fields.toSpliced(at, 0, target);
    case 2: {
      const other = random.integer(fields.length);
      return fields.with(at, fields[other] as Field).with(other, target);
    }
    case 3: {
      const same = donors.filter((donor) => donor.field === target.field);
      const donor = same[random.integer(Math.max(1, same.length))];
      return donor === undefined ? fields : fields.with(at, donor);
    }
    default:
      return fields.with(at, changedLeaf(target, fields, random));
  }
}

function changedLeaf(target: Field, siblings: readonly Field[], random: Random): Field {
  if (target.wire === 0) {
    const number = NUMBERS[random.integer(NUMBERS.length)] as bigint;
    return { ...target, number: random.integer(2) === 0 ? number : target.number + 1n };
  }
  const donor = siblings[random.integer(siblings.length)] as Field;
  const bytes = random.integer(2) === 0 ? donor.bytes : target.bytes.slice();
  if (bytes === target.bytes || bytes.length === 0 || random.integer(3) === 0) {
    return { field: target.field, wire: 2, number: 0n, bytes };
  }
  const changed = bytes.slice();
  const at = random.integer(changed.length);
  changed[at] = random.integer(256);
  const wire = target.wire === 2 || changed.length !== target.bytes.length ? 2 : target.wire;
  return { field: target.field, wire, number: 0n, bytes: changed };
}
