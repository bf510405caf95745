/**
 * Typed reading of the values commander collected; a value that does not fit is a coded error that
 * names the option.
 */
import { fail } from 'hone-runtime/base/diagnostics';

export interface OptionReader {
  flag(name: string): boolean;
  text(name: string): string | undefined;
  /** Values of an option that may be repeated, in order. */
  list(name: string): readonly string[];
  integer(name: string, min: number, max?: number): number | undefined;
  /** Comma-separated integers. */
  integers(name: string, min: number): readonly number[] | undefined;
  /** Milliseconds, from `500ms`, `5s`, `2m` or plain seconds. */
  duration(name: string): number | undefined;
  /** Bytes, from `256MiB`, `2GiB`, `1.5GB` or plain bytes. */
  bytes(name: string): number | undefined;
  /** NAME=VALUE pairs of a repeated option. */
  pairs(name: string): readonly { readonly key: string; readonly value: string }[];
}

/** `name` is the long flag without dashes, e.g. `top` for `--top`. */
export function optionReader(values: Readonly<Record<string, unknown>>): OptionReader {
  const read = (name: string): unknown =>
    values[name.replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase())];
  const text = (name: string): string | undefined => {
    const value = read(name);
    return typeof value === 'string' ? value : undefined;
  };
  const list = (name: string): readonly string[] => {
    const value = read(name);
    return Array.isArray(value) ? value.map(String) : [];
  };
  return {
    flag: (name) => read(name) === true,
    text,
    list,
    integer(name, min, max = Number.MAX_SAFE_INTEGER) {
      const value = text(name);
      return value === undefined ? undefined : parseInteger(name, value, min, max);
    },
    integers(name, min) {
      return text(name)
        ?.split(',')
        .map((part) => parseInteger(name, part.trim(), min, Number.MAX_SAFE_INTEGER));
    },
    duration(name) {
      const value = text(name);
      return value === undefined ? undefined : parseDuration(name, value);
    },
    bytes(name) {
      const value = text(name);
      return value === undefined ? undefined : parseByteCount(name, value);
    },
    pairs: (name) =>
      list(name).map((item) => {
        const split = item.indexOf('=');
        if (split <= 0 || split === item.length - 1) {
          badValue(name, item, `write --${name} NAME=VALUE`);
        }
        return { key: item.slice(0, split), value: item.slice(split + 1) };
      }),
  };
}

/** Ends the command over an option's value. */
export function badValue(name: string, value: string, cure: string): never {
  fail('HONE-CLI-006', `--${name} does not take the value "${value}"`, `--${name}`, cure);
}

function parseInteger(name: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || number < min || number > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`;
    badValue(name, value, `give a whole number ${range}`);
  }
  return number;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, '': 1000 };

function parseDuration(name: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|)$/.exec(value);
  const unit = UNIT_MS[match?.[2] ?? '?'];
  if (match === null || unit === undefined || Number(match[1]) <= 0) {
    badValue(name, value, 'give a duration like 500ms, 5s or 2m');
  }
  return Number(match[1]) * unit;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function parseByteCount(name: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kKMGT]?i?B?)$/.exec(value);
  const unit = UNIT_BYTES[match?.[2] ?? '?'];
  const bytes = unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * unit);
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
    badValue(name, value, 'give a size like 256MiB, 2GiB or 1500MB');
  }
  return bytes;
}

/** A shape written `1x3x224x224`; undefined when it is not one. */
export function parseShape(text: string): number[] | undefined {
  if (!/^\d+(x\d+)*$/.test(text)) return undefined;
  return text.split('x').map(Number);
}
