/**
 * Writes an artifact directory, whole or not at all. Everything but evidence/ is a function of the
 * contents given: no clock, host or path gets in.
 */
import { accessSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { HoneError, invariant } from '../base/diagnostics.ts';
import { sha256 } from '../base/digest.ts';
import { fileWriter } from './file-writer.ts';
import type { Json } from './json.ts';
import type { PrivateKey } from './keys.ts';
import {
  EVIDENCE_FOLDER,
  type FileEntry,
  type LibraryEntry,
  MANIFEST_FILE,
  type Manifest,
  printManifest,
  SIGNATURE_FILE,
} from './manifest.ts';
import { isPlainPath } from './plain-path.ts';
import { signManifest } from './signature.ts';
import { checkReplaceable, replaceDirectory } from './swap.ts';

export interface LibraryContents {
  /** Canonical target name. */
  readonly target: string;
  readonly library: Uint8Array;
  /** ".so" and the like. */
  readonly extension: string;
  /** Path of its weights among `weights`. */
  readonly weights?: string;
  /** The same code as a static library. */
  readonly archive?: Uint8Array;
  readonly arenaBytes: number;
}

export interface WeightsContents {
  /** e.g. "weights/x86-64-v4.bin" */
  readonly path: string;
  /** The bytes, in pieces of any size. */
  readonly pieces: Iterable<Uint8Array>;
}

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

export interface ArtifactContents {
  readonly name: string;
  readonly inputs: Manifest['inputs'];
  readonly outputs: Manifest['outputs'];
  readonly host?: Manifest['host'];
  readonly bounds?: Manifest['bounds'];
  readonly source: Manifest['source'];
  readonly compiler: Manifest['compiler'];
  readonly libraries: readonly LibraryContents[];
  readonly weights: readonly WeightsContents[];
  /** Text of include/model.h. */
  readonly header: string;
  /** Go to src/; names may have a folder. */
  readonly sources: readonly NamedText[];
  /** graph.ir */
  readonly graph: string;
  /** report.json and choices.json */
  readonly report: Json;
  readonly choices: Json;
  /** Measurements: go to evidence/, outside of the digests. */
  readonly evidence?: readonly NamedText[];
}

export interface WriteOptions {
  /** Signs the manifest. */
  readonly key?: PrivateKey;
}

/** Writes the artifact and returns its manifest; an artifact that was there is replaced. */
export function writeArtifact(
  target: string,
  contents: ArtifactContents,
  options: WriteOptions = {},
): Manifest {
  let manifest: Manifest | undefined;
  try {
    replaceDirectory(target, (directory) => {
      manifest = fillDirectory(directory, contents, options);
    });
  } catch (error) {
    throw writeError(error, target);
  }
  invariant(manifest !== undefined, 'the artifact was written without a manifest');
  return manifest;
}

/**
 * Throws what writing to the target would throw, where that can be known before: something else is
 * there, or its folder cannot be written.
 */
export function checkTarget(target: string): void {
  const place = path.resolve(target);
  checkReplaceable(place);
  let folder = path.dirname(place);
  while (!existsSync(folder)) folder = path.dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw writeError(error, target);
  }
}

/** What the system says about a target that cannot be written, as HONE-ARTIFACT-002. */
export function writeError(error: unknown, target: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof HoneError || code === undefined) return error;
  return new HoneError({
    code: 'HONE-ARTIFACT-002',
    message: `cannot write ${target}: ${code}`,
    subject: target,
    cure: 'check the space and the permissions there',
    cause: error,
  });
}

function fillDirectory(
  directory: string,
  contents: ArtifactContents,
  options: WriteOptions,
): Manifest {
  const files: FileEntry[] = [];
  const place = (file: string): string => {
    invariant(isPlainPath(file), `"${file}" is no plain path`);
    const full = path.join(directory, file);
    mkdirSync(path.dirname(full), { recursive: true });
    return full;
  };
  const add = (file: string, data: Uint8Array | string): void => {
    writeFileSync(place(file), data);
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
    files.push({ path: file, bytes, sha256: sha256(data) });
  };
  const libraries = contents.libraries.map((library): LibraryEntry => {
    const file = `lib/${library.target}${library.extension}`;
    add(file, library.library);
    const weights = library.weights === undefined ? {} : { weights: library.weights };
    const archive = `lib/${library.target}.a`;
    if (library.archive !== undefined) add(archive, library.archive);
    return {
      target: library.target,
      file,
      ...weights,
      ...(library.archive === undefined ? {} : { archive }),
      arenaBytes: library.arenaBytes,
    };
  });
  for (const weights of contents.weights) {
    files.push(writeWeights(place(weights.path), weights));
  }
  add('include/model.h', contents.header);
  for (const { name, text } of contents.sources) add(`src/${name}`, text);
  add('graph.ir', contents.graph);
  add('report.json', printJson(contents.report));
  add('choices.json', printJson(contents.choices));
  for (const { name, text } of contents.evidence ?? []) {
    writeFileSync(place(`${EVIDENCE_FOLDER}/${name}`), text);
  }
  const { name, inputs, outputs, host, bounds, source, compiler } = contents;
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const manifest: Manifest = {
    name,
    inputs,
    outputs,
    ...(host === undefined ? {} : { host }),
    ...(bounds === undefined ? {} : { bounds }),
    source,
    compiler,
    libraries,
    files,
  };
  const text = printManifest(manifest);
  // Without a manifest it is no artifact, so the manifest comes last.
  if (options.key !== undefined) {
    const signature = signManifest(Buffer.from(text), options.key);
    writeFileSync(path.join(directory, SIGNATURE_FILE), signature);
  }
  writeFileSync(path.join(directory, MANIFEST_FILE), text);
  return manifest;
}

/** Streams weights to their file, with a digest for each chunk. */
function writeWeights(file: string, weights: WeightsContents): FileEntry {
  const writer = fileWriter(file, true);
  try {
    for (const piece of weights.pieces) writer.write(piece);
    return { path: weights.path, ...writer.finish() };
  } finally {
    writer.close();
  }
}

function printJson(value: Json): string {
  return `${JSON.stringify(value, undefined, 1)}\n`;
}
