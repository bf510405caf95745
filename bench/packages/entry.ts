/** Published packages that have ONNX files in them: what is written down about each. */
import type { InputValues } from 'hone/bench/engine-protocol';
import type { CompileOptions } from 'hone/compile/options';

export type PackageEntry = PypiPackage | NpmPackage;

interface PackageFacts {
  /** As the registry calls it. */
  readonly name: string;
  readonly version: string;
  readonly models: readonly PackageModel[];
}

export interface PypiPackage extends PackageFacts {
  readonly registry: 'pypi';
  /** A wheel, or a source archive (.tar.gz). */
  readonly file: string;
  /** Of the file, in hexadecimal digits. */
  readonly sha256: string;
}

export interface NpmPackage extends PackageFacts {
  readonly registry: 'npm';
  /** Of the tarball, as package-lock.json writes it: sha512- and base 64. */
  readonly integrity: string;
}

export interface PackageModel extends Pick<CompileOptions, 'shapes' | 'dims' | 'bounds'> {
  /** Inside the package's file. */
  readonly path: string;
  /** Files of the package that are the model one after the other; `path` is then no file, but a name. */
  readonly pieces?: readonly string[];
  /** Values of inputs, where random ones make no sense. */
  readonly values?: Readonly<Record<string, InputValues>>;
  /** A result other than "agrees" that is known. */
  readonly expected?: ExpectedMiss;
}

/** fails: Hone does not load or run it; no baseline: onnxruntime does not. */
export type Verdict = 'agrees' | 'differs' | 'fails' | 'no baseline' | 'not fetched';

export interface ExpectedMiss {
  readonly verdict: Exclude<Verdict, 'agrees' | 'not fetched'>;
  readonly why: string;
}

/** One model of the table, with the package it lies in. */
export interface PackagedModel {
  readonly owner: PackageEntry;
  readonly model: PackageModel;
  /** PACKAGE/NAME, which no other model has. */
  readonly id: string;
}

/** Models with their ids: the path without what all of the package's models share. */
export function packagedModels(entries: readonly PackageEntry[]): PackagedModel[] {
  return entries.flatMap((owner) => {
    const shared = sharedFolders(owner.models.map(({ path }) => path));
    return owner.models.map((model) => ({
      owner,
      model,
      id: `${owner.name}/${model.path.slice(shared).replace(/\.onnx$/, '')}`,
    }));
  });
}

/** Characters of the folders that all paths begin with. */
function sharedFolders(paths: readonly string[]): number {
  const [first = '', ...rest] = paths;
  let shared = 0;
  for (let at = first.indexOf('/'); at >= 0; at = first.indexOf('/', at + 1)) {
    if (!rest.every((path) => path.startsWith(first.slice(0, at + 1)))) break;
    shared = at + 1;
  }
  return shared;
}
