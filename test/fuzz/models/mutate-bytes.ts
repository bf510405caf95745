/**
 * Damages the bytes of a model: one to four changes, half of the time only one, so that many models
 * stay nearly valid. Three in four are changed field by field and stay well-formed on the wire.
 */
import type { Random } from 'hone-runtime/base/random';
import { type Field, mutateFields, writeFields } from '../wire-tree.ts';

export interface Damaged {
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
}

export function mutateBytes(seed: Damaged, donor: () => Damaged, random: Random): Uint8Array {
  const changes = 1 + (random.integer(2) === 0 ? 0 : random.integer(4));
  if (seed.fields.length > 0 && random.integer(4) > 0) {
    let { fields } = seed;
    for (let i = 0; i < changes; i++) fields = mutateFields(fields, donor().fields, random);
    return writeFields(fields);
  }
  let out: Uint8Array = seed.bytes.slice();
  for (let i = 0; i < changes; i++) out = change(out, donor, random);
  return out;
}

function change(bytes: Uint8Array, donor: () => Damaged, random: Random): Uint8Array {
  const at = random.integer(Math.max(1, bytes.length));
  const length = 1 + random.integer(16);
  switch (random.integer(9)) {
    case 0:
      return patched(bytes, at, [(bytes[at] ?? 0) ^ (1 << random.integer(8))]);
    case 1:
      return patched(bytes, at, [random.integer(256)]);
    case 2:
      return patched(bytes, at, [(bytes[at] ?? 0) + (random.integer(2) === 0 ? 1 : -1)]);
    case 3:
      return bytes.slice(0, at);
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 5:
      return joined(bytes.subarray(0, at), randomBytes(length, random), bytes.subarray(at));
    case 6:
      return patched(bytes, at, new Array<number>(length).fill(random.integer(2) * 255));
    case 7:
      return joined(bytes.subarray(0, at), bytes.subarray(at - length, at), bytes.subarray(at));
    default: {
      const other = donor().bytes;
      const from = random.integer(other.length);
      const part = other.subarray(from, from + 1 + random.integer(64));
      return joined(bytes.subarray(0, at), part, bytes.subarray(at + part.length));
    }
  }
}

function patched(bytes: Uint8Array, at: number, values: readonly number[]): Uint8Array {
  const out = bytes.slice();
  values.forEach((value, i) => {
    if (at + i < out.length) out[at + i] = value;
  });
  return out;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function randomBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => random.integer(256));
}
