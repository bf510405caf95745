/**
 * Reads JSON of a known form: each accessor names the field in its error, so that a damaged or
 * foreign manifest ends in one coded error and never in a crash.
 */
import { fail } from '../base/diagnostics.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A value with the path that leads to it. */
export interface Field {
  readonly value: unknown;
  readonly path: string;
}

export function parseJson(text: string, name: string): Field {
  try {
    return { value: JSON.parse(text) as unknown, path: name };
  } catch {
    return broken(name, 'is no JSON');
  }
}

export function broken(path: string, problem: string): never {
  return fail(
    'HONE-ARTIFACT-003',
    `${path} ${problem}`,
    path,
    'the artifact is damaged or of another version: compile it again',
  );
}

/** A member of an object. */
export function member(field: Field, key: string): Field {
  const { value, path } = field;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    broken(path, 'is no object');
  }
  if (!Object.hasOwn(value, key)) broken(path, `lacks "${key}"`);
  return { value: (value as Record<string, unknown>)[key], path: `${path}: ${key}` };
}

export function hasMember(field: Field, key: string): boolean {
  const { value } = field;
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

export function text(field: Field): string {
  if (typeof field.value !== 'string') broken(field.path, 'is no text');
  return field.value as string;
}

/** A non-negative integer that a double holds exactly. */
export function count(field: Field): number {
  const { value } = field;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    broken(field.path, 'is no count');
  }
  return value as number;
}

/** An integer that a double holds exactly. */
export function whole({ value, path }: Field): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) broken(path, 'is no whole number');
  return value;
}

export function list(field: Field): readonly Field[] {
  if (!Array.isArray(field.value)) broken(field.path, 'is no list');
  return (field.value as unknown[]).map((value, i) => ({ value, path: `${field.path}[${i}]` }));
}

/** A digest: 64 hexadecimal digits. */
export function digestText(field: Field): string {
  const value = text(field);
  if (!/^[0-9a-f]{64}$/.test(value)) broken(field.path, 'is no SHA-256 digest');
  return value;
}

export function object(field: Field): JsonObject {
  const { value } = field;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    broken(field.path, 'is no object');
  }
  return value as JsonObject;
}

/** Members of an object, each as a field of its own. */
export function members(field: Field): { readonly name: string; readonly field: Field }[] {
  return Object.entries(object(field)).map(([name, value]) => ({
    name,
    field: { value, path: `${field.path}: ${name}` },
  }));
}
