/** Compilation, from a model file to an artifact folder. */
import path from 'node:path';
import { createHash } from 'node:crypto';
import type { ByteSource } from 'hone-runtime/base/io';
import { importOnnx, openOnnx } from '../frontends/onnx/index.ts';
import type { Graph } from '../graph/types.ts';
import { buildModel, type CompiledModel, type SourceModel } from './build-artifact.ts';
import type { CompileOptions } from './options.ts';
import { compileGraph } from './pipeline.ts';

export { type CompiledModel, type SourceModel, writeArtifact } from './build-artifact.ts';
export type { CompileOptions } from './options.ts';
export { type CompiledGraph, compileGraph } from './pipeline.ts';
export type { Report, StageReport } from './report.ts';
export { HONE_VERSION } from './version.ts';

const PIECE_BYTES = 1 << 24;

/**
 * Compiles an ONNX file. Errors are HoneErrors: HONE-ONNX-… for the file, HONE-SHAPE-… for open
 * dimensions, HONE-COMPILE-… for what has no compiled form, HONE-TOOL-… for the C compiler.
 */
export async function compileModel(
  file: string,
  options: CompileOptions = {},
): Promise<CompiledModel> {
  options.onProgress?.(`reading ${file}`);
  const model = openOnnx(file);
  try {
    const { graph, notes } = importOnnx(model, {
      ...(options.shapes === undefined ? {} : { shapes: options.shapes }),
      ...(options.dims === undefined ? {} : { dims: options.dims }),
      ...(options.batch === undefined ? {} : { batch: options.batch }),
      ...(options.registry === undefined ? {} : { registry: options.registry }),
    });
    const source = sourceOf(model.source, path.basename(file));
    return await buildModel(compileGraph(graph, options), source, notes, options);
  } finally {
    model.close();
  }
}

/** Compiles a graph built in memory. */
export async function compileBuiltGraph(
  graph: Graph,
  options: CompileOptions = {},
): Promise<CompiledModel> {
  const sha256 = createHash('sha256').update(graph.name).digest('hex');
  const source: SourceModel = { name: graph.name, bytes: 0, sha256 };
  return buildModel(compileGraph(graph, options), source, [], options);
}

function sourceOf(source: ByteSource, name: string): SourceModel {
  const hash = createHash('sha256');
  for (let offset = 0; offset < source.size; offset += PIECE_BYTES) {
    hash.update(source.read(offset, Math.min(PIECE_BYTES, source.size - offset)));
  }
  return { name, bytes: source.size, sha256: hash.digest('hex') };
}
