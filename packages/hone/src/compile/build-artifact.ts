/** Compiled graph → C → library → artifact folder. */
import { describeProgram } from 'hone-runtime/artifact/describe';
import type { Json, JsonObject } from 'hone-runtime/artifact/json';
import type { SourceModel } from 'hone-runtime/artifact/manifest';
import type { ArtifactContents, WriteOptions } from 'hone-runtime/artifact/write';
import { writeArtifact as writeFolder } from 'hone-runtime/artifact/write';
import {
  type BuildResult,
  buildLibrary,
  publicHeader,
  weightsFileName,
} from '../backends/c/build.ts';
import { findToolchain, type Toolchain } from '../backends/c/toolchain.ts';
import { libraryExtension } from '../backends/c/toolchain-flags.ts';
import { printGraph } from '../graph/print.ts';
import type { CompileOptions } from './options.ts';
import type { CompiledGraph } from './pipeline.ts';
import { recordOptions } from './recorded-options.ts';
import { kernelUnits } from './units.ts';
import { HONE_VERSION } from './version.ts';

export type { SourceModel } from 'hone-runtime/artifact/manifest';

/** A model compiled to machine code, not yet written anywhere. */
export interface CompiledModel extends CompiledGraph {
  readonly source: SourceModel;
  readonly build: BuildResult;
  readonly toolchain: Toolchain;
  /** What the importer and the compiler want the user to know. */
  readonly notes: readonly string[];
  /** As the manifest records them. */
  readonly options: JsonObject;
  /** The graph as text, for people; files in it have no folders of this machine. */
  readonly graphText: string;
}

const TIMEOUT_MS = 300_000;

/** Builds the library of a compiled graph. `fileName`: how a file of constants is called. */
export async function buildModel(
  compiled: CompiledGraph,
  source: SourceModel,
  notes: readonly string[],
  options: CompileOptions,
  fileName?: (name: string) => string,
): Promise<CompiledModel> {
  const toolchain = findToolchain();
  const { program, target } = compiled;
  const say = options.onProgress ?? ((): void => {});
  const build = await buildLibrary({
    program,
    kernelSources: kernelUnits(compiled.kernels, compiled.routines, program.name),
    target,
    toolchain,
    describeJson: describeProgram(program, target.name),
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    ...(options.objectCache === undefined ? {} : { objectCache: options.objectCache }),
    onProgress: (done, total) => say(`compiled ${done} of ${total} C files`),
  });
  return {
    ...compiled,
    source,
    build,
    toolchain,
    notes,
    options: recordOptions(options, target),
    graphText: printGraph(compiled.graph, fileName === undefined ? {} : { fileName }),
  };
}

/** Writes the artifact folder, whole or not at all; an artifact that was there is replaced. */
export async function writeArtifact(
  model: CompiledModel,
  directory: string,
  options: WriteOptions = {},
): Promise<void> {
  const { program, target, build, source, toolchain } = model;
  const weights = weightsFileName(target);
  const contents: ArtifactContents = {
    name: program.name,
    inputs: program.inputs,
    outputs: program.outputs,
    source,
    compiler: {
      hone: HONE_VERSION,
      toolchain: toolchain.id,
      options: model.options,
    },
    libraries: [
      {
        target: target.name,
        library: build.library,
        extension: libraryExtension(target),
        ...(program.weightsBytes === 0 ? {} : { weights }),
        arenaBytes: program.arenaBytes,
      },
    ],
    weights: program.weightsBytes === 0 ? [] : [{ path: weights, pieces: weightPieces(model) }],
    header: publicHeader(),
    sources: build.sources,
    graph: model.graphText,
    report: JSON.parse(JSON.stringify(model.report)) as Json,
    choices: {},
  };
  writeFolder(directory, contents, options);
}

/** The blob in order, gaps as zeros. */
function* weightPieces(model: CompiledModel): Iterable<Uint8Array> {
  const { parts, bytes } = model.weights;
  let end = 0;
  for (const { offset, data } of parts) {
    if (offset > end) yield new Uint8Array(offset - end);
    yield data;
    end = offset + data.byteLength;
  }
  if (bytes > end) yield new Uint8Array(bytes - end);
}
