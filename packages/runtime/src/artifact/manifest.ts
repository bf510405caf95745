/**
 * manifest.json: what an artifact contains and needs. It has the size and digest of every other
 * file but those of evidence/, and its own digest over all the rest of itself.
 */
import { sha256 } from '../base/digest.ts';
import { isDType } from '../base/dtype.ts';
import { parseBounds, type PlannedBound } from './bounds.ts';
import {
  broken,
  count,
  digestText,
  type Field,
  hasMember,
  type JsonObject,
  list,
  member,
  object,
  parseJson,
  text,
} from './json.ts';
import type { HostProgram } from '../host/program.ts';
import { hostToJson, parseHost } from './host-json.ts';
import { parseKeys } from './map-keys.ts';
import { isPlainPath } from './plain-path.ts';
import type { TensorSpec } from './program.ts';

export const FORMAT = 'hone-artifact';
export const FORMAT_VERSION = 1;
export const MANIFEST_FILE = 'manifest.json';
/** The signature of manifest.json, if there is one. */
export const SIGNATURE_FILE = 'manifest.sig';
export const EVIDENCE_FOLDER = 'evidence';

/** A larger one is refused before it is read. */
export const MAX_MANIFEST_BYTES = 256 << 20;

/** Weights are verified in pieces of this size. */
export const CHUNK_BYTES = 1 << 20;

export interface LibraryEntry {
  /** Canonical target name. */
  readonly target: string;
  /** Path of the library. */
  readonly file: string;
  /** Path of the weights it maps; absent when it has none. */
  readonly weights?: string;
  /** Path of the same code as a static library, where it was asked for. */
  readonly archive?: string;
  readonly arenaBytes: number;
}

export interface FileEntry {
  readonly path: string;
  readonly bytes: number;
  /** Digest of the file; for weights the digest of the digests of its chunks, as text. */
  readonly sha256: string;
  /** Weights only: digests of the pieces of CHUNK_BYTES. */
  readonly chunks?: readonly string[];
}

/** A file that was compiled; its name is without a folder. */
export interface SourceFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface SourceModel extends SourceFile {
  /** Files beside the model that hold tensors of it, by their relative paths, sorted. */
  readonly external?: readonly SourceFile[];
}

export interface Manifest {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Steps of the Node runtime; then inputs and outputs are those of the compiled part between them. */
  readonly host?: HostProgram;
  /** Bounds of values and sizes that depend on data, where they were asked for or assumed. */
  readonly bounds?: readonly PlannedBound[];
  /** The model that was compiled. */
  readonly source: SourceModel;
  readonly compiler: {
    readonly hone: string;
    readonly toolchain: string;
    readonly options: JsonObject;
  };
  readonly libraries: readonly LibraryEntry[];
  readonly files: readonly FileEntry[];
}

/** The text of manifest.json. */
export function printManifest(manifest: Manifest): string {
  const body = {
    format: FORMAT,
    version: FORMAT_VERSION,
    name: manifest.name,
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    ...(manifest.host === undefined ? {} : { host: hostToJson(manifest.host) }),
    ...(manifest.bounds === undefined ? {} : { bounds: manifest.bounds }),
    source: manifest.source,
    compiler: manifest.compiler,
    libraries: manifest.libraries,
    files: manifest.files,
  };
  return `${JSON.stringify({ ...body, digest: bodyDigest(body) }, undefined, 1)}\n`;
}

/** Reads manifest.json; throws HONE-ARTIFACT-003 (form) or -004 (version, digest). */
export function parseManifest(content: string, name: string): Manifest {
  const root = parseJson(content, name);
  if (text(member(root, 'format')) !== FORMAT) broken(name, 'is not the manifest of an artifact');
  const version = count(member(root, 'version'));
  if (version !== FORMAT_VERSION) {
    broken(name, `has format version ${version}, this runtime reads ${FORMAT_VERSION}`);
  }
  const { digest, ...body } = object(root);
  if (digest !== bodyDigest(body)) broken(name, 'does not have the digest it states');
  const compiler = member(root, 'compiler');
  const manifest: Manifest = {
    name: text(member(root, 'name')),
    inputs: list(member(root, 'inputs')).map(tensorSpec),
    outputs: list(member(root, 'outputs')).map(tensorSpec),
    ...(hasMember(root, 'host') ? { host: parseHost(member(root, 'host')) } : {}),
    ...parseBounds(root),
    source: sourceModel(member(root, 'source')),
    compiler: {
      hone: text(member(compiler, 'hone')),
      toolchain: text(member(compiler, 'toolchain')),
      options: object(member(compiler, 'options')),
    },
    libraries: list(member(root, 'libraries')).map(libraryEntry),
    files: list(member(root, 'files')).map(fileEntry),
  };
  checkReferences(manifest, name);
  return manifest;
}

function bodyDigest(body: object): string {
  return sha256(JSON.stringify(body));
}

function tensorSpec(field: Field): TensorSpec {
  const dtype = text(member(field, 'dtype'));
  if (!isDType(dtype)) return broken(field.path, `has the unknown dtype "${dtype}"`);
  return {
    name: text(member(field, 'name')),
    dtype,
    shape: list(member(field, 'shape')).map(count),
    bytes: count(member(field, 'bytes')),
    ...parseKeys(field),
    ...(hasMember(field, 'bounded') ? { bounded: list(member(field, 'bounded')).map(count) } : {}),
    ...(hasMember(field, 'least') ? { least: list(member(field, 'least')).map(count) } : {}),
  };
}

function sourceModel(field: Field): SourceModel {
  const model = sourceFile(field);
  if (!hasMember(field, 'external')) return model;
  return { ...model, external: list(member(field, 'external')).map(sourceFile) };
}

function sourceFile(field: Field): SourceFile {
  return {
    name: text(member(field, 'name')),
    bytes: count(member(field, 'bytes')),
    sha256: digestText(member(field, 'sha256')),
  };
}

function libraryEntry(field: Field): LibraryEntry {
  return {
    target: text(member(field, 'target')),
    file: plainPath(member(field, 'file')),
    ...(hasMember(field, 'weights') ? { weights: plainPath(member(field, 'weights')) } : {}),
    ...(hasMember(field, 'archive') ? { archive: plainPath(member(field, 'archive')) } : {}),
    arenaBytes: count(member(field, 'arenaBytes')),
  };
}

function fileEntry(field: Field): FileEntry {
  const bytes = count(member(field, 'bytes'));
  const entry = {
    path: plainPath(member(field, 'path')),
    bytes,
    sha256: digestText(member(field, 'sha256')),
  };
  if (!hasMember(field, 'chunks')) return entry;
  const chunks = list(member(field, 'chunks')).map(digestText);
  if (chunks.length !== Math.ceil(bytes / CHUNK_BYTES)) {
    broken(field.path, `has ${chunks.length} chunks for ${bytes} bytes`);
  }
  if (sha256(chunks.join('')) !== entry.sha256) broken(field.path, 'has other chunks than stated');
  return { ...entry, chunks };
}

function plainPath(field: Field): string {
  const path = text(field);
  if (!isPlainPath(path)) broken(field.path, `is no plain path: ${JSON.stringify(path)}`);
  return path;
}

function checkReferences(manifest: Manifest, name: string): void {
  const paths = new Set(manifest.files.map((file) => file.path));
  if (paths.size !== manifest.files.length) broken(name, 'lists a file twice');
  for (const path of paths) {
    const own = path === MANIFEST_FILE || path === SIGNATURE_FILE;
    if (own || path.startsWith(`${EVIDENCE_FOLDER}/`)) broken(name, `may not list ${path}`);
  }
  for (const { file, weights, archive } of manifest.libraries) {
    for (const path of [file, weights, archive]) {
      if (path !== undefined && !paths.has(path)) {
        broken(name, `does not list ${path}, which a library needs`);
      }
    }
  }
}
