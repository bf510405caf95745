/** Compiled graph → C → library → artifact folder, for one target or several. */
import type { PlannedBound } from 'hone-runtime/artifact/bounds';
import { describeProgram } from 'hone-runtime/artifact/describe';
import type { Json, JsonObject } from 'hone-runtime/artifact/json';
import type { SourceModel } from 'hone-runtime/artifact/manifest';
import type { ArtifactContents, WriteOptions } from 'hone-runtime/artifact/write';
import { writeArtifact as writeFolder } from 'hone-runtime/artifact/write';
import { at } from 'hone-runtime/base/diagnostics';
import { sha256Hasher } from 'hone-runtime/base/digest';
import {
  type BuildResult,
  buildLibrary,
  publicHeader,
  type SourceText,
  weightsFileName,
} from '../backends/c/build.ts';
import { findToolchain, type Toolchain } from '../backends/c/toolchain.ts';
import { libraryExtension } from '../backends/c/toolchain-flags.ts';
import { printGraph } from '../graph/print.ts';
import type { CalibrationRecord } from './calibrate/request.ts';
import { choicesJson } from './choices.ts';
import type { CompileOptions } from './options.ts';
import type { SearchRecord } from './precision-search/types.ts';
import type { PrecisionPlan } from '../passes/precision-plan.ts';
import type { CompiledGraph } from './pipeline.ts';
import { recordOptions } from './recorded-options.ts';
import type { ArtifactReport, TargetReport } from './report.ts';
import { kernelUnits } from './units.ts';
import { HONE_VERSION } from './version.ts';
import type { WeightBlob } from './weights.ts';

export type { SourceModel } from 'hone-runtime/artifact/manifest';

/** A model compiled to the machine code of one target. */
export interface CompiledVariant extends CompiledGraph {
  readonly build: BuildResult;
  /** Path of its weights in the artifact; absent when it has none. */
  readonly weightsFile?: string;
}

/** A model compiled to machine code, not yet written anywhere. What it is itself is its first variant. */
export interface CompiledModel extends CompiledVariant {
  /** One for each target, in the order asked for. */
  readonly variants: readonly CompiledVariant[];
  readonly source: SourceModel;
  readonly toolchain: Toolchain;
  /** What the importer and the compiler want the user to know. */
  readonly notes: readonly string[];
  /** What values and sizes that depend on data were bounded to, by the user or for want of a bound. */
  readonly bounds?: readonly PlannedBound[];
  /** As the manifest records them. */
  readonly options: JsonObject;
  /** What int8 was calibrated with. */
  readonly calibrated?: CalibrationRecord;
  /** What a search of precisions came to, and why. */
  readonly searched?: SearchRecord;
  readonly plan?: PrecisionPlan;
  readonly reasons?: ReadonlyMap<string, string>;
  /** Decisions that measurements or samples made, as choices.json keeps them. */
  readonly choices: JsonObject;
  /** Names of the C functions begin with it. */
  readonly prefix?: string;
  /** The graph as text, for people; files in it have no folders of this machine. */
  readonly graphText: string;
}

const TIMEOUT_MS = 300_000;

/**
 * Builds the libraries of a graph that was compiled for each of its targets. `fileName`: how a file
 * of constants is called.
 */
export async function buildModel(
  compiled: readonly CompiledGraph[],
  source: SourceModel,
  notes: readonly string[],
  options: CompileOptions,
  fileName?: (name: string) => string,
): Promise<CompiledModel> {
  const toolchain = findToolchain();
  const { prefix } = options;
  const files = weightsFiles(compiled);
  const variants: CompiledVariant[] = [];
  for (const [i, variant] of compiled.entries()) {
    variants.push(await buildVariant(variant, files[i], compiled.length > 1, toolchain, options));
  }
  const first = at(variants, 0);
  return {
    ...first,
    variants,
    source,
    toolchain,
    notes,
    options: recordOptions(
      options,
      compiled.map(({ target }) => target),
    ),
    choices: choicesJson(options),
    ...(options.calibrated === undefined ? {} : { calibrated: options.calibrated }),
    ...(options.searched === undefined ? {} : { searched: options.searched }),
    ...(options.plan === undefined ? {} : { plan: options.plan }),
    ...(options.reasons === undefined ? {} : { reasons: options.reasons }),
    ...(prefix === undefined ? {} : { prefix }),
    graphText: printGraph(first.graph, fileName === undefined ? {} : { fileName }),
  };
}

async function buildVariant(
  compiled: CompiledGraph,
  weights: WeightsPlace | undefined,
  isOneOfSeveral: boolean,
  toolchain: Toolchain,
  options: CompileOptions,
): Promise<CompiledVariant> {
  const { program, target } = compiled;
  const say = options.onProgress ?? ((): void => {});
  const what = isOneOfSeveral ? ` for ${target.name}` : '';
  const build = await buildLibrary({
    program,
    kernelSources: kernelUnits(compiled.kernels, compiled.routines, program.name),
    target,
    toolchain,
    describeJson: describeProgram(program, target.name),
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    ...(weights === undefined ? {} : { weightsFile: weights.file, weightsDigest: weights.digest }),
    ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    ...(options.static === undefined ? {} : { archive: options.static }),
    ...(options.objectCache === undefined ? {} : { objectCache: options.objectCache }),
    onProgress: (done, total) => say(`compiled ${done} of ${total} C files${what}`),
  });
  return { ...compiled, build, ...(weights === undefined ? {} : { weightsFile: weights.file }) };
}

interface WeightsPlace {
  readonly file: string;
  readonly digest: string;
}

/** Where each variant's weights go: those with the same bytes share a file. */
function weightsFiles(compiled: readonly CompiledGraph[]): readonly (WeightsPlace | undefined)[] {
  const files = new Map<string, string>();
  return compiled.map(({ weights, target }) => {
    if (weights.bytes === 0) return undefined;
    const digest = digestOf(weights);
    const same = files.get(digest);
    if (same !== undefined) return { file: same, digest };
    const usual = weightsFileName(target);
    const isTaken = [...files.values()].includes(usual);
    const file = isTaken ? `weights/${target.name}.bin` : usual;
    files.set(digest, file);
    return { file, digest };
  });
}

/** Writes the artifact folder, whole or not at all; an artifact that was there is replaced. */
export async function writeArtifact(
  model: CompiledModel,
  directory: string,
  options: WriteOptions = {},
): Promise<void> {
  const { program, variants, source, toolchain } = model;
  const weights = new Map(variants.map(({ weightsFile, weights }) => [weightsFile, weights]));
  const contents: ArtifactContents = {
    name: program.name,
    inputs: program.inputs,
    outputs: program.outputs,
    ...(program.host === undefined ? {} : { host: program.host }),
    ...(model.bounds === undefined ? {} : { bounds: model.bounds }),
    source,
    compiler: {
      hone: HONE_VERSION,
      toolchain: toolchain.id,
      options: model.options,
    },
    libraries: variants.map(({ target, build, weightsFile, program: own }) => ({
      target: target.name,
      library: build.library,
      extension: libraryExtension(target),
      ...(weightsFile === undefined ? {} : { weights: weightsFile }),
      ...(build.archive === undefined ? {} : { archive: build.archive }),
      arenaBytes: own.arenaBytes,
    })),
    weights: [...weights].flatMap(([path, blob]) =>
      path === undefined ? [] : [{ path, pieces: weightPieces(blob) }],
    ),
    header: publicHeader(model.prefix),
    sources: sourcesOf(variants),
    graph: model.graphText,
    report: JSON.parse(JSON.stringify(reportOf(variants))) as Json,
    choices: model.choices,
  };
  writeFolder(directory, contents, options);
}

function reportOf(variants: readonly CompiledVariant[]): ArtifactReport {
  const all = variants.map(
    ({ target, report }): TargetReport => ({ target: target.name, ...report }),
  );
  const [first, ...others] = [at(all, 0), ...all.slice(1)];
  return others.length === 0 ? first : { ...first, others };
}

/** Sources of all targets: what they share once, the others in a folder of the target. */
function sourcesOf(variants: readonly CompiledVariant[]): readonly SourceText[] {
  const [first, ...others] = variants.map(({ build }) => build.sources);
  if (others.length === 0) return first ?? [];
  const texts = others.map((sources) => new Map(sources.map(({ name, text }) => [name, text])));
  const shared = (first ?? []).filter(({ name, text }) =>
    texts.every((other) => other.get(name) === text),
  );
  const names = new Set(shared.map(({ name }) => name));
  const own = variants.flatMap(({ target, build }) =>
    build.sources
      .filter(({ name }) => !names.has(name))
      .map(({ name, text }) => ({ name: `${target.name}/${name}`, text })),
  );
  return [...shared, ...own];
}

function digestOf(blob: WeightBlob): string {
  const hasher = sha256Hasher();
  for (const piece of weightPieces(blob)) hasher.update(piece);
  return hasher.digest();
}

/** The blob in order, gaps as zeros. */
function* weightPieces({ parts, bytes }: WeightBlob): Iterable<Uint8Array> {
  let end = 0;
  for (const { offset, bytes: length, data } of parts) {
    if (offset > end) yield new Uint8Array(offset - end);
    yield data();
    end = offset + length;
  }
  if (bytes > end) yield new Uint8Array(bytes - end);
}
