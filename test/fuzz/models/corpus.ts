/**
 * What the model fuzzer starts from: own models of every part of the format, every operator's test
 * cases, random graphs, and with HONE_TEST_DATA the small models of the ONNX suite. All in memory.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { exportOnnx, type OnnxModel, readOnnx } from 'hone/frontends/onnx/index';
import { completeAttrs } from 'hone/ops/builder';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { sampleModels } from '../../onnx/sample-models.ts';
import { dataPath, missingData } from '../../support/data.ts';
import { randomGraph } from '../random-graphs.ts';
import { type Field, parseFields } from '../wire-tree.ts';

export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
  readonly model: OnnxModel;
}

const SUITE = 'onnx-1.22.0/node';
const SUITE_BYTES = 16 * 1024;
const RANDOM_GRAPHS = 120;

/** External data of the seeds: there is one file. */
export const WEIGHTS = { 'weights.bin': memorySource(new Uint8Array(16), 'weights.bin') };

/** Makes a seed when it is asked for the first time. */
type Lazy = () => Seed | undefined;

export class Corpus {
  readonly #groups: readonly (readonly Lazy[])[];

  constructor() {
    const own = sampleModels().map(({ name, bytes }) => once(() => seedOf(name, bytes)));
    const cases = standardRegistry
      .all()
      .flatMap((def) =>
        (def.cases?.() ?? []).map((item, i) => once(() => operatorSeed(def, item, i))),
      );
    const graphs = Array.from({ length: RANDOM_GRAPHS }, (_, i) => once(() => graphSeed(i)));
    this.#groups = [own, cases, graphs, graphs, suite()].filter((group) => group.length > 0);
  }

  /** A seed; groups come equally often, however large they are. */
  pick(random: Random): Seed {
    for (;;) {
      const group = this.#groups[random.integer(this.#groups.length)] ?? [];
      const seed = group[random.integer(group.length)]?.();
      if (seed !== undefined) return seed;
    }
  }
}

function once(make: Lazy): Lazy {
  let made: { readonly seed: Seed | undefined } | undefined;
  return () => {
    made ??= { seed: make() };
    return made.seed;
  };
}

function suite(): readonly Lazy[] {
  if (missingData(SUITE) !== false) return [];
  const root = dataPath(SUITE);
  return readdirSync(root)
    .sort()
    .map((name) => ({ name, path: join(root, name, 'model.onnx') }))
    .filter(({ path }) => statSync(path).size <= SUITE_BYTES)
    .map(({ name, path }) => once(() => seedOf(name, new Uint8Array(readFileSync(path)))));
}

/** Undefined where the bytes are no model. */
function seedOf(name: string, bytes: Uint8Array): Seed | undefined {
  try {
    const model = readOnnx(memorySource(bytes), WEIGHTS);
    return { name, bytes, fields: parseFields(bytes) ?? [], model };
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

/** One node of an operator; inputs that are not floats are mostly constants, as in real models. */
function operatorSeed(def: OpDef, item: TestCase, number: number): Seed | undefined {
  const name = `${def.name} case ${number}`;
  const random = seededRandom(number);
  try {
    const b = opBuilder('case');
    const inputs = item.inputs.map((tensor, i) => {
      if (tensor === null) return null;
      const { dtype, shape } = tensor;
      const fixed = dtype === 'string' || random.integer(dtype.startsWith('f') ? 4 : 8) > 2;
      return fixed && i > 0 ? b.constant(tensor) : b.graph.input(`x${i}`, { dtype, shape });
    });
    const attrs = completeAttrs(def, item.attrs ?? {}, def.name);
    const options = { outputs: item.outputs ?? 1, domain: def.domain ?? '' };
    const outputs = b.ops(def.name, inputs, attrs, options);
    return seedOf(name, exportOnnx(b.graph.finish(outputs)));
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

function graphSeed(number: number): Seed | undefined {
  try {
    return seedOf(`random graph ${number}`, exportOnnx(randomGraph(number).graph));
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}
