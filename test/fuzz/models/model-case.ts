/**
 * One case of the model fuzzer: a damaged model goes through reader, importer, passes, fusion and
 * kernels to C text. Whatever the model, the outcome must be well formed or a `HoneError` other than
 * an internal one; anything else is a fault. The same seed and number give the same case.
 */
import { type CompiledGraph, compileGraph, type CompileOptions } from 'hone/compile/index';
import { kernelUnits } from 'hone/compile/units';
import { importOnnx, type OnnxModel, readOnnx, signatureOf } from 'hone/frontends/onnx/index';
import { printGraph } from 'hone/graph/print';
import { verifyGraph } from 'hone/graph/verify';
import { verifyOps } from 'hone/ops/verify';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { Corpus, WEIGHTS } from './corpus.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { mutateModel } from './mutate-model.ts';

/** Damaged bytes, or a changed parsed model. */
export type Kind = 'bytes' | 'structure';

/** How far a model got: `imported` ones went into the passes and have no compiled form. */
export type Reached = 'refused' | 'imported' | 'compiled';

export interface Outcome {
  readonly kind: Kind;
  readonly reached: Reached;
  /** Code of the refusal. */
  readonly code?: string;
  /** What should not have come out, with its stack. */
  readonly fault?: string;
}

export interface ModelCase {
  readonly kind: Kind;
  /** Name of the model it was made of. */
  readonly name: string;
  readonly random: Random;
  /** Reads another model made of the same one; throws as the reader does. */
  readonly open: () => OnnxModel;
}

/** Of the structure, changes are drawn anew while the importer refuses: what is tested lies behind. */
const ATTEMPTS: Readonly<Record<Kind, number>> = { bytes: 1, structure: 3 };

const TARGETS = [
  'x86-64-v4-linux-gnu',
  'x86-64-v3-linux-gnu',
  'x86-64-linux-gnu',
  'arm64+dotprod-linux-gnu',
];
let corpus: Corpus | undefined;

/** Three in five cases are of the structure. */
export function modelCase(seed: number, number: number, only?: Kind): ModelCase {
  corpus ??= new Corpus();
  const pool = corpus;
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) + number);
  const start = pool.pick(random);
  const kind = only ?? (random.integer(5) < 3 ? 'structure' : 'bytes');
  const open = (): OnnxModel =>
    kind === 'structure'
      ? mutateModel(start.model, pool.pick(random).model, random)
      : readOnnx(memorySource(mutateBytes(start, () => pool.pick(random), random)), WEIGHTS);
  return { kind, name: start.name, random, open };
}

interface Tried extends Outcome {
  readonly compiled?: CompiledGraph;
}

/** Everything up to C text; a compiled graph besides where there is one. */
export function tryModel(item: ModelCase, options: CompileOptions = {}): Tried {
  let last = tryOnce(item, options);
  for (let i = 1; i < ATTEMPTS[item.kind]; i++) {
    if (last.reached !== 'refused' || last.fault !== undefined) break;
    last = tryOnce(item, options);
  }
  return last;
}

function tryOnce(item: ModelCase, options: CompileOptions): Tried {
  const { kind } = item;
  let reached: Reached = 'refused';
  try {
    const model = item.open();
    signatureOf(model);
    const { graph } = importOnnx(model);
    verifyGraph(graph);
    reached = 'imported';
    const target = TARGETS[item.random.integer(TARGETS.length)] ?? 'native';
    const compiled = compileGraph(graph, { target, ...options });
    verifyOps(compiled.graph);
    printGraph(compiled.graph);
    kernelUnits(compiled.kernels, compiled.routines, compiled.program.name);
    return { kind, reached: 'compiled', compiled };
  } catch (error) {
    if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) {
      return { kind, reached, code: error.code };
    }
    return { kind, reached, fault: error instanceof Error ? `${error.stack}` : String(error) };
  }
}
