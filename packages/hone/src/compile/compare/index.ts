/**
 * Runs an artifact beside the model it was made of, on the same samples, and says layer by layer how
 * far they are apart. The artifact runs as it is: its own memory is read between its steps.
 *
 * Precision noise is told from a bug by a third run: the model with the artifact's precisions written
 * out in the graph, nothing fused. A layer that is much farther from the model than that emulation is
 * not explained by its precision.
 */
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { at, fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import { importOnnx, openOnnx } from '../../frontends/onnx/index.ts';
import type { Graph } from '../../graph/types.ts';
import { visibleOutputs } from '../../graph/extents.ts';
import { givenInputs } from '../../graph/ranges.ts';
import { valueById } from '../../graph/walk.ts';
import { type Answers, classesOf, compareAnswers } from '../answers.ts';
import { type Carried, findCarried, withCarried } from '../calibrate/carried.ts';
import type { SampleSpec } from '../calibrate/request.ts';
import { checkSample, type Samples } from '../calibrate/run.ts';
import { readChoices } from '../choices.ts';
import type { CustomOperators } from '../load-operators.ts';
import type { CompileOptions } from '../options.ts';
import { optimizeGraph, preciseGraph } from '../pipeline.ts';
import { readRecordedOptions } from '../recorded-options.ts';
import type { StageReport } from '../report.ts';
import { compileValues } from './graphs.ts';
import { ErrorSums, type LayerErrors } from './layer.ts';
import { isReal, partOf, realValues, storedName, watchStages } from './watch.ts';

export type Verdict = 'fine' | 'precision' | 'bug' | 'unknown';

export interface LayerComparison extends LayerErrors {
  readonly value: string;
  /** Label of the kernel that writes it. */
  readonly layer: string;
  readonly kernel: string;
  readonly dtype: string;
  readonly scaleStep: number | null;
  readonly zeroPoint: number | null;
  /** Share of elements at the ends of the 8-bit range; null for floats. */
  readonly saturated: number | null;
  /** Signal to noise of the emulation, dB; null: equal, or without an emulation. */
  readonly emulatedSnr: number | null;
  /** dB lost against the worst of what the layer reads. */
  readonly lost: number;
  /** All elements of all samples are the same: such a layer shows nothing. */
  readonly constant: boolean;
  readonly verdict: Verdict;
}

export interface OutputComparison {
  readonly name: string;
  readonly answers: Answers;
  readonly errors: LayerErrors;
}

export interface Comparison {
  readonly samples: number;
  readonly layers: readonly LayerComparison[];
  readonly outputs: readonly OutputComparison[];
  /** Layers at fault, the worst first. */
  readonly worst: readonly string[];
}

export interface CompareOptions extends Pick<CompileOptions, 'onProgress' | 'timeoutMs'> {
  readonly threads?: number;
  /** Users' operators that the artifact was compiled with. */
  readonly operators?: CustomOperators;
}

/** The stages of the report of the library that runs here. */
export type StagesOf = (target: string) => readonly StageReport[];

export async function compareModel(
  directory: string,
  modelFile: string,
  samples: (inputs: readonly SampleSpec[]) => Samples,
  stagesOf: StagesOf,
  options: CompareOptions = {},
): Promise<Comparison> {
  const artifact = openArtifact(directory);
  const recorded = readRecordedOptions(
    artifact.manifest.compiler.options,
    directory,
    options.operators ?? null,
  );
  const chosen = { ...recorded, ...readChoices(artifact) };
  const model = openOnnx(modelFile);
  try {
    const { graph: source } = importOnnx(model, chosen);
    checkSignature(source, artifact.manifest.inputs, directory, modelFile);
    return await withScratch((folder) =>
      compareGraphs(directory, source, chosen, folder, samples, stagesOf, options),
    );
  } finally {
    model.close();
  }
}

async function compareGraphs(
  directory: string,
  source: Graph,
  chosen: CompileOptions,
  folder: string,
  samples: (inputs: readonly SampleSpec[]) => Samples,
  stagesOf: StagesOf,
  { threads, onProgress, timeoutMs }: CompareOptions,
): Promise<Comparison> {
  const session = load(directory, threads === undefined ? {} : { threads });
  const stages = stagesOf(session.target);
  const names = new Set(
    stages.flatMap(({ writes }) => writes.filter(isReal).map(({ value }) => value)),
  );
  const compileOptions = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(chosen.registry === undefined ? {} : { registry: chosen.registry }),
  };
  const carried = findCarried(source, chosen.calibrated?.carried);
  const inputs = session.signature.inputs.map((spec): SampleSpec => {
    return carried.has(spec.name) ? { ...spec, optional: true } : spec;
  });
  const types = new Map(inputs.map((spec) => [spec.name, spec]));
  const outputs = visibleOutputs(source).map((id) => valueById(source, id).name);
  onProgress?.('compiling the model in fp32');
  const original = await compileValues(source, [...names, ...outputs], folder, compileOptions);
  const rest = [...names].filter((name) => !original.names.has(name));
  const inner = await compileValues(optimizeGraph(source, chosen), rest, folder, compileOptions);
  onProgress?.('compiling the emulation');
  const precise = preciseGraph(source, chosen);
  const kept = stages.flatMap(({ writes }) => writes.filter(isReal).map(storedName));
  const emulated = await compileValues(precise, new Set(kept), folder, {
    ...compileOptions,
    fuse: false,
  });
  const run = watchStages(session, stages);
  const layers = new Map<string, LayerSums>();
  const answers = outputs.map(() => ({
    wanted: [] as Float64Array[],
    got: [] as Float64Array[],
    sums: new ErrorSums(),
  }));
  let count = 0;
  try {
    let before: Readonly<Record<string, Tensor>> | undefined;
    for await (const given of samples(inputs)) {
      const sample = { ...given, inputs: withCarried(carried, given.inputs, types, before).inputs };
      checkSample(inputs, sample);
      const ours = run(sample.inputs);
      const wanted = new Map([
        ...inner.evaluate(sample.inputs),
        ...original.evaluate(sample.inputs),
      ]);
      before = statesOf(carried, types, wanted);
      const noisy = emulated.evaluate(sample.inputs);
      for (const { stage, output, values, saturated } of ours.written) {
        const reference = wanted.get(output.value);
        if (reference === undefined) continue;
        const key = `${stage.id}:${output.value}`;
        const sums = layers.get(key) ?? new LayerSums(stage, output.value);
        layers.set(key, sums);
        const emulation = noisy.get(storedName(output));
        sums.add(
          partOf(output, reference),
          values,
          saturated,
          emulation === undefined ? undefined : realValues(output, partOf(output, emulation)),
        );
      }
      outputs.forEach((name, i) => {
        const { wanted: a, got: b, sums } = at(answers, i);
        const values = toNumbers(ours.outputs[name] as Tensor);
        const reference = wanted.get(name) ?? values;
        a.push(reference);
        b.push(values);
        sums.add(reference, values);
      });
      count++;
      onProgress?.(`comparing: ${count} samples`);
    }
  } finally {
    session.close();
    for (const compiled of [original, inner, emulated]) compiled.close();
  }
  if (count === 0) {
    fail('HONE-CALIBRATE-001', 'there are no samples to compare on', '--inputs', 'give some');
  }
  const all = finishLayers([...layers.values()]);
  return {
    samples: count,
    layers: all,
    outputs: outputs.map((name, i) => {
      const { wanted, got, sums } = at(answers, i);
      const spec = session.signature.outputs.find((output) => output.name === name);
      const { shape = [], bounded = [] } = spec ?? {};
      // An axis whose extent depends on data has no classes.
      const fixed = shape.filter((_, axis) => !bounded.includes(axis));
      const compared = compareAnswers(wanted, got, classesOf(fixed));
      return { name, answers: compared, errors: sums.result() };
    }),
    worst: worstOf(all),
  };
}

class LayerSums {
  readonly stage: StageReport;
  readonly value: string;
  readonly errors = new ErrorSums();
  readonly #emulated = new ErrorSums();
  readonly #apart = new ErrorSums();
  #hasEmulation = false;
  #elements = 0;
  #saturated = 0;
  #first: number | undefined;
  #constant = true;

  constructor(stage: StageReport, value: string) {
    this.stage = stage;
    this.value = value;
  }

  add(
    wanted: Float64Array,
    got: Float64Array,
    saturated: number,
    emulated: Float64Array | undefined,
  ): void {
    this.errors.add(wanted, got);
    this.#elements += got.length;
    this.#saturated += saturated;
    this.#first ??= got[0];
    if (this.#constant) this.#constant = got.every((value) => value === this.#first);
    if (emulated === undefined) return;
    this.#hasEmulation = true;
    this.#emulated.add(wanted, emulated);
    this.#apart.add(emulated, got);
  }

  finish(lost: number): LayerComparison {
    const { stage, value } = this;
    const output = stage.writes.find((write) => write.value === value);
    const emulated = this.#emulated.result();
    return {
      value,
      layer: stage.label,
      kernel: stage.row,
      dtype: output?.dtype ?? 'f32',
      scaleStep: output?.scale ?? null,
      zeroPoint: output?.zeroPoint ?? null,
      ...this.errors.result(),
      saturated: output?.scale === undefined ? null : this.#saturated / this.#elements,
      emulatedSnr: this.#hasEmulation ? emulated.snr : null,
      lost,
      constant: this.#constant,
      verdict: this.#verdict(),
    };
  }

  /**
   * fp32 is exact to 60 dB in any order of summation. Beyond that, twice the amplitude of the
   * emulation's noise is what its roundings can explain, one way or another.
   */
  #verdict(): Verdict {
    const { noise, signal } = this.errors;
    if (noise <= signal * 1e-6) return 'fine';
    if (!this.#hasEmulation) return 'unknown';
    const explained = 4 * this.#emulated.noise;
    if (!(noise <= explained) && !(this.#apart.noise <= explained)) return 'bug';
    return noise > signal * POOR ? 'precision' : 'fine';
  }
}

/** Noise above this share of the signal (20 dB) is worth naming. */
const POOR = 0.01;

function finishLayers(all: readonly LayerSums[]): LayerComparison[] {
  const snr = new Map<string, number>();
  const clamp = (value: number | null): number => Math.min(value ?? 100, 100);
  const ownSnr = (sums: LayerSums): number => clamp(sums.errors.result().snr);
  // Of a value that several kernels write, the worst part counts for its readers.
  for (const sums of all) {
    snr.set(sums.value, Math.min(snr.get(sums.value) ?? 100, ownSnr(sums)));
  }
  return all.map((sums) => {
    const before = sums.stage.reads.map((name) => snr.get(name) ?? 100);
    const own = ownSnr(sums);
    return sums.finish(Math.max(0, Math.min(100, ...before) - own));
  });
}

const NAMED = 5;

/** Bugs in order of execution: the first spoils the others. Then what loses most by itself. */
function worstOf(layers: readonly LayerComparison[]): string[] {
  const bugs = layers.filter(({ verdict }) => verdict === 'bug');
  const poor = layers.filter(({ verdict }) => verdict === 'precision');
  return [...bugs, ...poor.sort((a, b) => b.lost - a.lost)]
    .slice(0, NAMED)
    .map(({ layer }) => layer);
}

function checkSignature(
  source: Graph,
  inputs: readonly SampleSpec[],
  directory: string,
  modelFile: string,
): void {
  const text = (specs: readonly SampleSpec[]): string =>
    specs.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.join('x')}`).join(', ');
  const own = text(
    givenInputs(source).map((id) => {
      const { name, type } = valueById(source, id);
      return { name, ...type };
    }),
  );
  if (own === text(inputs)) return;
  fail(
    'HONE-ARTIFACT-044',
    `${directory} takes ${text(inputs)}, but ${modelFile} takes ${own}`,
    modelFile,
    'give the model that the artifact was compiled from',
  );
}

/** What the model in fp32 leaves for the next sample. */
function statesOf(
  carried: Carried,
  types: ReadonlyMap<string, SampleSpec>,
  values: ReadonlyMap<string, Float64Array>,
): Readonly<Record<string, Tensor>> {
  const states = [...carried].flatMap(([input, output]) => {
    const { shape } = types.get(input) ?? {};
    const left = values.get(output);
    return shape === undefined || left === undefined
      ? []
      : [[output, fromNumbers('f32', shape, left)] as const];
  });
  return Object.fromEntries(states);
}
