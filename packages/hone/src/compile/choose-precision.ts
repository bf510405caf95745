/**
 * Decides the precision of a compilation where that needs more than the graph: int8 runs samples
 * first. What comes out is a plan that needs no samples any more.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { bytesOf, toNumbers } from 'hone-runtime/base/tensor';
import type { Target } from 'hone-runtime/target/types';
import type { Graph } from '../graph/types.ts';
import { constantTensor, valueById } from '../graph/walk.ts';
import { standardRegistry } from '../ops/registry.ts';
import { type PrecisionPlan, withBodyPlans } from '../passes/precision-plan.ts';
import { channelExponents, peek } from './calibrate/channel-ranges.ts';
import { evenChannels } from '../passes/even-channels.ts';
import { bodyPlan, bodyScopes, observedOf } from './calibrate/body-plans.ts';
import { type Carried, findCarried } from './calibrate/carried.ts';
import { biasCorrections, correctable } from './calibrate/bias.ts';
import { holdOut, holdOutLast } from './calibrate/hold-out.ts';
import { int8Plan, int8Scope } from './calibrate/int8-plan.ts';
import { type CalibrationRecord, DEFAULT_LEAST_SNR, type SampleSpec } from './calibrate/request.ts';
import { calibrate, checkSample, type CompleteSample, type Sample } from './calibrate/run.ts';
import type { CompileOptions } from './options.ts';
import { optimizeGraph, targetsOf } from './pipeline.ts';
import { uncalibrated } from './precision.ts';
import { NOISE_SAMPLES, widenNoisy } from './precision-search/bounded.ts';
import { type CarriedPlan, SEQUENCE_SAMPLES, widenCarried } from './precision-search/carried.ts';
import { searchPrecision } from './precision-search/index.ts';
import { DEFAULT_SEARCH } from './precision-search/types.ts';

/** Options with the plan for int8 and auto; others as they are. */
export async function choosePrecision(
  source: Graph,
  options: CompileOptions,
): Promise<CompileOptions> {
  const { calibration, precision } = options;
  if ((precision !== 'int8' && precision !== 'auto') || options.plan !== undefined) return options;
  if (source.ranges !== undefined) {
    fail(
      'HONE-CALIBRATE-014',
      `precision ${precision} is calibrated at fixed sizes only, and sizes of inputs vary from run to run`,
      source.name,
      'give fixed sizes with --shape, or compile it with --precision fp32, bf16 or fp16',
    );
  }
  if (calibration === undefined) return uncalibrated();
  const plain = optimizeGraph(source, options);
  const registry = options.registry ?? standardRegistry;
  const { samples, calibrator = 'entropy', origin = 'samples' } = calibration;
  const carried = findCarried(plain, calibration.carried);
  const given = typeof samples === 'function' ? samples(inputsOf(plain, carried)) : samples;
  const apart: Sample[] = [];
  const isSearched = precision === 'auto';
  const chosen = isSearched && carried.size === 0 ? holdOut(given, apart, HELD_SAMPLES) : given;
  // Random values say nothing of channels, and those of a sequence come with its state.
  const isEvened = origin === 'samples' && carried.size === 0;
  const { contractions } = int8Scope(plain, registry);
  checkWeights(plain, contractions);
  const { first, all: used } = isEvened
    ? await peek(chosen, NOISE_SAMPLES)
    : { first: [], all: chosen };
  const channels = await channelExponents(plain, registry, contractions, first);
  const evened = channels.size === 0 ? options : { ...options, channels };
  const graph = evenChannels(plain, channels);
  const scope = int8Scope(graph, registry);
  // What a search or the answers of a sequence decide is decided for the graph around bodies.
  const scopes = precision === 'int8' && carried.size === 0 ? bodyScopes(graph, registry) : [];
  if (scope.contractions.length === 0 && scopes.length === 0) {
    fail(
      'HONE-CALIBRATE-008',
      'the model has no convolution or matrix product with constant weights: nothing becomes int8',
      graph.name,
      'compile it with --precision fp32',
    );
  }
  for (const part of [{ graph, scope }, ...scopes]) {
    checkWeights(part.graph, part.scope.contractions);
  }
  const { leastSnr: asked = DEFAULT_LEAST_SNR, equalize } = calibration;
  // Random values say nothing of the noise that real ones meet.
  const leastSnr = precision === 'int8' && origin === 'samples' ? asked : 0;
  const observed = observedOf(scope);
  const { timeoutMs, onProgress } = options;
  const corrected =
    precision === 'int8' && calibration.correctBias === true
      ? correctable(graph, scope.contractions)
      : [];
  const few = carried.size > 0 ? SEQUENCE_SAMPLES : NOISE_SAMPLES;
  const judged = new KeptSamples(precision === 'auto' ? Number.POSITIVE_INFINITY : few);
  const found = await calibrate(graph, observed, used, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(calibration.threads === undefined ? {} : { threads: calibration.threads }),
    registry,
    channels: corrected.map(({ channels }) => channels),
    bodies: scopes.map(({ prefix, scope: inner }) => ({ prefix, values: observedOf(inner) })),
    carried,
    ...(precision === 'auto' || leastSnr > 0
      ? { onSample: (sample: CompleteSample) => judged.add(sample) }
      : {}),
  });
  const targets = targetsOf(options);
  const bits = weightBits(targets);
  const full = int8Plan(graph, scope, found.histograms, calibrator, bits);
  const bodies = scopes.map((body) => {
    const seen = found.bodies.get(body.prefix) ?? new Map();
    return bodyPlan(body, seen, calibrator, bits, registry);
  });
  const hasBf16 = targets.every(({ features }) => features.includes('bf16'));
  const bound = { graph, registry, scope, full, samples: judged.samples, leastSnr };
  const { plan, answers, ...why }: Partial<CarriedPlan> & { readonly plan: PrecisionPlan } =
    leastSnr === 0
      ? { plan: withBodyPlans(full, bodies) }
      : carried.size > 0
        ? await widenCarried({ ...bound, carried, options })
        : await widenNoisy({ ...bound, hasBf16, bodies });
  const calibrated: CalibrationRecord = {
    calibrator,
    origin,
    samples: found.samples,
    sha256: found.digest,
    ...(equalize === true ? { equalize } : {}),
    ...(leastSnr > 0 ? { leastSnr } : {}),
    ...(carried.size > 0 ? { carried: Object.fromEntries(carried) } : {}),
    ...(answers === undefined ? {} : { answers }),
  };
  if (corrected.length > 0) {
    const biases = biasCorrections(graph, corrected, plan, found.means);
    const record = { ...calibrated, correctBias: true } as const;
    return { ...evened, plan, ...why, biases, calibrated: record };
  }
  if (precision === 'int8') return { ...evened, plan, ...why, calibrated };
  const settings = options.search ?? DEFAULT_SEARCH;
  const parts =
    carried.size > 0
      ? holdOutLast(judged.samples)
      : { judged: judged.samples, held: completeSamples(graph, apart) };
  const search = {
    ...bound,
    samples: parts.judged,
    held: parts.held,
    carried,
    settings,
    hasBf16,
    options,
  };
  const { plan: mixed, record, reasons, notes } = await searchPrecision(search);
  for (const note of notes) onProgress?.(note);
  return { ...evened, plan: mixed, calibrated, searched: record, reasons };
}

function completeSamples(graph: Graph, samples: readonly Sample[]): readonly CompleteSample[] {
  const signature = inputsOf(graph, new Map());
  return samples.map((sample) => {
    checkSample(signature, sample);
    return { ...sample, continues: false };
  });
}

/** Weights that are NaN or infinite have no 8-bit form. */
function checkWeights(graph: Graph, contractions: readonly string[]): void {
  const names = new Set(contractions);
  for (const { name, inputs } of graph.nodes) {
    const [, id] = inputs;
    const weights = id === null || id === undefined ? undefined : graph.values[id];
    if (!names.has(name) || weights?.constant === undefined) continue;
    if (toNumbers(constantTensor(weights)).every(Number.isFinite)) continue;
    fail(
      'HONE-CALIBRATE-010',
      `node ${name}: its weights ${weights.name} hold NaN or infinity`,
      name,
      'export the model again; a training that diverged leaves such weights',
    );
  }
}

/** Samples held out, at most. */
const HELD_SAMPLES = 256;

/** Samples that a search looks at again: the first ones, as far as memory for them goes. */
const KEPT_BYTES = 512 * 2 ** 20;

class KeptSamples {
  readonly samples: CompleteSample[] = [];
  readonly #most: number;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(sample: CompleteSample): void {
    for (const tensor of Object.values(sample.inputs)) this.#bytes += bytesOf(tensor).byteLength;
    const fits = this.#bytes <= KEPT_BYTES && this.samples.length < this.#most;
    if (fits || this.samples.length === 0) this.samples.push(sample);
  }
}

/**
 * Without VNNI, AVX2 adds pairs of 8-bit products in 16 bits: 7-bit weights cannot overflow them.
 * All targets of an artifact answer alike, so one such target decides.
 */
export function weightBits(targets: readonly Target[]): 8 | 7 {
  const narrow = ({ arch, level, features }: Target): boolean =>
    arch === 'x86-64' && level >= 3 && !features.some((name) => name.includes('vnni'));
  return targets.some(narrow) ? 7 : 8;
}

function inputsOf(graph: Graph, carried: Carried): readonly SampleSpec[] {
  return graph.inputs.map((id) => {
    const { name, type } = valueById(graph, id);
    return { name, ...type, ...(carried.has(name) ? { optional: true } : {}) };
  });
}
