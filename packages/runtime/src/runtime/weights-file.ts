/**
 * The weights of a library as a path to map. Where they have to be verified first, file and path
 * are one and the same: another file put in its place meanwhile is not the one that is mapped.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import path from 'node:path';
import type { LibraryEntry } from '../artifact/manifest.ts';
import { type Artifact, listedFile, verifiedSource } from '../artifact/read.ts';
import { fail } from '../base/diagnostics.ts';
import { descriptorSource } from '../base/io.ts';

export interface WeightsFile {
  /** Good until `close`. */
  readonly path: string;
  close(): void;
}

/** With `verify` every chunk is read and compared with its digest. */
export function openWeights(
  artifact: Artifact,
  library: LibraryEntry,
  verify: boolean,
): WeightsFile {
  const nothing = (): void => {};
  if (library.weights === undefined) return { path: artifact.path, close: nothing };
  const file = path.join(artifact.path, library.weights);
  if (!verify) return { path: file, close: nothing };
  const fd = openForReading(file);
  try {
    const source = descriptorSource(fd, file);
    for (const _ of verifiedSource(artifact, listedFile(artifact, library.weights), source)) {
      // Reading is what verifies.
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const descriptor = `/proc/self/fd/${fd}`;
  return { path: existsSync(descriptor) ? descriptor : file, close: () => closeSync(fd) };
}

function openForReading(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    return fail('HONE-IO-001', `cannot open ${file}: ${code}`, file, 'check its permissions');
  }
}
