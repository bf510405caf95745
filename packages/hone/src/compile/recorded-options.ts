/**
 * The options that shape an artifact, as its manifest records them: complete, sorted, with the
 * target resolved. `readRecordedOptions` makes options of them again, for a rebuild; what it does
 * not know it refuses, because a rebuild without it would prove nothing.
 */
import {
  broken,
  count,
  type Field,
  type Json,
  type JsonObject,
  list,
  member,
  members,
  text,
  whole,
} from 'hone-runtime/artifact/json';
import { fail } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import type { ContractOptions } from '../kernels/index.ts';
import type { BoundOption } from '../frontends/onnx/bounded/bounds.ts';
import { standardRegistry } from '../ops/registry.ts';
import { AUTOCAST_POLICIES } from '../passes/autocast.ts';
import { readCalibrationRecord } from './calibrate/request.ts';
import { readSearchRecord } from './precision-search/types.ts';
import {
  type CustomOperators,
  type OperatorsRecord,
  readOperatorsRecord,
} from './load-operators.ts';
import { type CompileOptions, PRECISIONS } from './options.ts';

/** Value of `operators` where they came with the call and not from files: those are not recorded. */
const OWN_OPERATORS = 'own';

/** Options that do not shape the artifact, and operators. */
type Unrecorded =
  | 'timeoutMs'
  | 'maxFallback'
  | 'objectCache'
  | 'onProgress'
  | 'registry'
  | 'calibration'
  | 'plan'
  | 'search'
  | 'reasons'
  | 'biases'
  | 'channels';

/** For the manifest. */
export function recordOptions(options: CompileOptions, targets: readonly Target[]): JsonObject {
  const { shapes, dims, batch, fuse, contract, workPerWorkerNs, registry, prefix } = options;
  const own = registry !== undefined && registry !== standardRegistry;
  const all: Readonly<Record<Exclude<keyof CompileOptions, Unrecorded>, unknown>> = {
    shapes,
    dims,
    least: options.least,
    batch,
    bounds: options.bounds,
    fuse,
    contract,
    workPerWorkerNs,
    target: targets.map(({ name }) => name),
    static: options.static,
    prefix,
    precision: options.precision,
    memoryBytes: options.memoryBytes,
    autocast: options.autocast,
    operators: options.operators,
    calibrated: options.calibrated,
    searched: options.searched,
  };
  const unknown = own && options.operators === undefined;
  const text = JSON.stringify(unknown ? { ...all, operators: OWN_OPERATORS } : all);
  return sorted(JSON.parse(text) as Json) as JsonObject;
}

/**
 * The options again; throws HONE-ARTIFACT-041 for what this version cannot repeat. `given`: the users'
 * operators that there are, which must be those recorded; without it their names alone are read.
 */
export function readRecordedOptions(
  recorded: JsonObject,
  subject: string,
  given?: GivenOperators,
): CompileOptions {
  const options: Writable<CompileOptions> = {};
  for (const { name, field } of members({ value: recorded, path: `${subject}: options` })) {
    if (name === 'shapes') options.shapes = record(field, (shape) => list(shape).map(count));
    else if (name === 'dims') options.dims = record(field, count);
    else if (name === 'least') options.least = record(field, count);
    else if (name === 'batch') options.batch = count(field);
    else if (name === 'bounds') options.bounds = record(field, readBound);
    else if (name === 'fuse') options.fuse = flag(field);
    else if (name === 'contract') options.contract = readContract(field, subject);
    else if (name === 'workPerWorkerNs') options.workPerWorkerNs = count(field);
    else if (name === 'target') options.target = list(field).map(text);
    else if (name === 'static') options.static = flag(field);
    else if (name === 'prefix') options.prefix = text(field);
    else if (name === 'memoryBytes') options.memoryBytes = count(field);
    else if (name === 'precision') options.precision = oneOf(field, PRECISIONS);
    else if (name === 'autocast') options.autocast = oneOf(field, AUTOCAST_POLICIES);
    else if (name === 'operators') options.operators = readOperators(field, subject, given);
    else if (name === 'calibrated') options.calibrated = readCalibrationRecord(field);
    else if (name === 'searched') options.searched = readSearchRecord(field);
    else unknown(subject, name);
  }
  if (given === undefined) return options;
  checkOperators(options.operators ?? [], given?.operators ?? [], subject);
  return given === null ? options : { ...options, registry: given.registry };
}

/** Operators of `--ops`; null where there are none. */
export type GivenOperators = CustomOperators | null;

function readOperators(
  field: Field,
  subject: string,
  given: GivenOperators | undefined,
): readonly OperatorsRecord[] {
  if (field.value !== OWN_OPERATORS) return readOperatorsRecord(field);
  if (given === undefined) return [];
  return fail(
    'HONE-ARTIFACT-041',
    `${subject} was compiled with operators of a program, which cannot be repeated from its manifest`,
    'operators',
    'compile it again from the program that has the operators',
  );
}

function checkOperators(
  recorded: readonly OperatorsRecord[],
  given: readonly OperatorsRecord[],
  subject: string,
): void {
  const digests = (all: readonly OperatorsRecord[]): string =>
    all.map(({ sha256 }) => sha256).join();
  if (digests(recorded) === digests(given)) return;
  const names = recorded.map(({ file, sha256 }) => `${file} (SHA-256 ${sha256})`).join(', ');
  fail(
    'HONE-ARTIFACT-041',
    recorded.length === 0
      ? `${subject} was compiled without operators of yours`
      : `${subject} was compiled with operators of ${names}${given.length === 0 ? '' : ', and others are given'}`,
    'operators',
    recorded.length === 0 ? 'leave --ops out' : 'give these files, in this order, with --ops',
  );
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function readContract(field: Field, subject: string): ContractOptions {
  const options: Writable<ContractOptions> = {};
  for (const { name, field: value } of members(field)) {
    if (name === 'naive') options.naive = flag(value);
    else if (name === 'direct') options.direct = flag(value);
    else if (name === 'choice') options.choice = count(value);
    else unknown(subject, `contract.${name}`);
  }
  return options;
}

function unknown(subject: string, option: string): never {
  fail(
    'HONE-ARTIFACT-041',
    `${subject} was compiled with ${option}, which cannot be repeated from its manifest`,
    option,
    'use the version of hone that compiled it',
  );
}

function record<T>(field: Field, read: (field: Field) => T): Readonly<Record<string, T>> {
  // Names come from a file: "__proto__" must be a name like any other.
  return Object.fromEntries(members(field).map(({ name, field: value }) => [name, read(value)]));
}

function readBound(field: Field): BoundOption {
  if (Array.isArray(field.value)) return list(field).map(whole);
  if (typeof field.value === 'number') return whole(field);
  return { min: whole(member(field, 'min')), max: whole(member(field, 'max')) };
}

function oneOf<T extends string>(field: Field, words: readonly T[]): T {
  const word = text(field);
  const found = words.find((item) => item === word);
  return found ?? broken(field.path, `"${word}" is none of ${words.join(', ')}`);
}

function flag(field: Field): boolean {
  return field.value === true;
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => sorted(item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, item]) => [name, sorted(item as Json)]));
}
