/**
 * Proves that an artifact is what its model, options and toolchain give: compiles it again from
 * what its manifest records, without objects of earlier compilations, and compares the bytes.
 */
import path from 'node:path';
import type { Manifest } from 'hone-runtime/artifact/manifest';
import { type Artifact, openArtifact } from 'hone-runtime/artifact/read';
import { checkUnlisted, verifyArtifact } from 'hone-runtime/artifact/verify';
import { fail } from 'hone-runtime/base/diagnostics';
import { findToolchain } from '../backends/c/toolchain.ts';
import { withScratch } from '../backends/c/toolchain-run.ts';
import { writeArtifact } from './build-artifact.ts';
import { readChoices } from './choices.ts';
import { compareArtifacts } from './compare-artifacts.ts';
import { compileModel, describeSource } from './compile-model.ts';
import type { CustomOperators } from './load-operators.ts';
import type { CompileOptions } from './options.ts';
import { readRecordedOptions } from './recorded-options.ts';
import { HONE_VERSION } from './version.ts';

export interface Rebuilt {
  /** Files that are the same, manifest included. */
  readonly files: number;
}

/**
 * Throws HONE-ARTIFACT-040 when the model is another one, -041 when this machine cannot repeat the
 * compilation, -042 with the first difference.
 */
export async function rebuildArtifact(
  artifact: Artifact,
  modelFile: string,
  options: Pick<CompileOptions, 'timeoutMs' | 'onProgress'> = {},
  operators?: CustomOperators,
): Promise<Rebuilt> {
  const { manifest } = artifact;
  checkCompiler(artifact);
  const recorded = readRecordedOptions(manifest.compiler.options, artifact.path, operators ?? null);
  verifyArtifact(artifact);
  checkUnlisted(artifact);
  checkModel(artifact, describeSource(modelFile), modelFile);
  const choices = readChoices(artifact);
  const all = { ...recorded, ...choices, ...options, objectCache: false };
  const model = await compileModel(modelFile, all, manifest.source.name);
  return withScratch(async (directory) => {
    const again = path.join(directory, 'again.hone');
    await writeArtifact(model, again);
    const differences = compareArtifacts(artifact, openArtifact(again));
    const [first, ...others] = differences;
    if (first === undefined) return { files: manifest.files.length + 1 };
    const more = others.length === 0 ? '' : `; so do ${others.map(({ file }) => file).join(', ')}`;
    return fail(
      'HONE-ARTIFACT-042',
      `${artifact.path} is not what its model gives: ${first.file} ${first.how}${more}`,
      first.file,
      'do not trust the artifact before the difference is explained; compile the model yourself',
    );
  });
}

function checkCompiler(artifact: Artifact): void {
  const { hone, toolchain } = artifact.manifest.compiler;
  const have = findToolchain().id;
  if (hone === HONE_VERSION && toolchain === have) return;
  fail(
    'HONE-ARTIFACT-041',
    `${artifact.path} was compiled by hone ${hone} with ${toolchain}; this is hone ${HONE_VERSION} with ${have}`,
    artifact.path,
    'use the version of hone and the compiler that made the artifact',
  );
}

function checkModel(artifact: Artifact, model: Manifest['source'], file: string): void {
  const { source } = artifact.manifest;
  const digests = ({ sha256, external = [] }: Manifest['source']): string =>
    [sha256, ...external.map((part) => `${part.name} ${part.sha256}`)].join('\n');
  if (digests(source) === digests(model)) return;
  const other = source.sha256 === model.sha256 ? 'has other external data than' : 'is not';
  fail(
    'HONE-ARTIFACT-040',
    `${file} ${other} the model ${artifact.path} was compiled from (${source.name}, SHA-256 ${source.sha256})`,
    file,
    'give that model',
  );
}
