/** From a model file to a compiled model that is not yet written anywhere. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { MapKeys } from 'hone-runtime/artifact/program';
import type { ByteSource } from 'hone-runtime/base/io';
import { externalLocations, importOnnx, openOnnx } from '../frontends/onnx/index.ts';
import type { OnnxModel } from '../frontends/onnx/types.ts';
import { buildModel, type CompiledModel, type SourceModel } from './build-artifact.ts';
import type { CompileOptions } from './options.ts';
import { choosePrecision } from './choose-precision.ts';
import { type CompiledGraph, compileForTargets } from './pipeline.ts';
import { bodyNotes } from './precise-bodies.ts';

const PIECE_BYTES = 1 << 24;

/**
 * Compiles an ONNX file. Errors are HoneErrors: HONE-ONNX-… for the file, HONE-SHAPE-… for open
 * dimensions, HONE-COMPILE-… for what has no compiled form, HONE-TOOL-… for the C compiler.
 * `name` is what the artifact calls the file; its folder shows nowhere.
 */
export async function compileModel(
  file: string,
  options: CompileOptions = {},
  name: string = path.basename(file),
): Promise<CompiledModel> {
  options.onProgress?.(`reading ${file}`);
  const model = openOnnx(file);
  try {
    const { graph, notes, keys, bounds } = importOnnx(model, {
      ...(options.shapes === undefined ? {} : { shapes: options.shapes }),
      ...(options.dims === undefined ? {} : { dims: options.dims }),
      ...(options.least === undefined ? {} : { least: options.least }),
      ...(options.batch === undefined ? {} : { batch: options.batch }),
      ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
      ...(options.registry === undefined ? {} : { registry: options.registry }),
    });
    const source = sourceOf(model, name);
    const folder = path.dirname(file);
    const fileName = (full: string): string =>
      full === model.source.name ? name : path.relative(folder, full).split(path.sep).join('/');
    const chosen = await choosePrecision(graph, options);
    const compiled = compileForTargets(graph, chosen).map((variant) => withKeys(variant, keys));
    const ofBodies = compiled
      .slice(0, 1)
      .flatMap((one) => bodyNotes(one.graph, chosen.precision, chosen.plan));
    const all = [...notes, ...ofBodies];
    const built = await buildModel(compiled, source, all, chosen, fileName);
    return bounds.length === 0 ? built : { ...built, bounds };
  } finally {
    model.close();
  }
}

/** The signature with the keys of maps. */
function withKeys(compiled: CompiledGraph, keys: Readonly<Record<string, MapKeys>>): CompiledGraph {
  if (Object.keys(keys).length === 0) return compiled;
  const named = <T extends { readonly name: string }>(spec: T): T => {
    const own = Object.hasOwn(keys, spec.name) ? keys[spec.name] : undefined;
    return own === undefined ? spec : { ...spec, keys: own };
  };
  const { program } = compiled;
  const [inputs, outputs] = [program.inputs.map(named), program.outputs.map(named)];
  const around =
    program.host === undefined
      ? {}
      : {
          host: {
            ...program.host,
            inputs: program.host.inputs.map(named),
            outputs: program.host.outputs.map(named),
          },
        };
  return { ...compiled, program: { ...program, inputs, outputs, ...around } };
}

/** What a manifest says of a model file and the files beside it that it uses. */
export function describeSource(file: string, name: string = path.basename(file)): SourceModel {
  const model = openOnnx(file);
  try {
    return sourceOf(model, name);
  } finally {
    model.close();
  }
}

function sourceOf(model: OnnxModel, name: string): SourceModel {
  const external = externalLocations(model).map((location) => {
    const file = model.external.open(location, 'the model');
    return { name: location, ...digestOf(file) };
  });
  const own = { name, ...digestOf(model.source) };
  return external.length === 0 ? own : { ...own, external };
}

function digestOf(source: ByteSource): { readonly bytes: number; readonly sha256: string } {
  const hash = createHash('sha256');
  for (let offset = 0; offset < source.size; offset += PIECE_BYTES) {
    hash.update(source.read(offset, Math.min(PIECE_BYTES, source.size - offset)));
  }
  return { bytes: source.size, sha256: hash.digest('hex') };
}
