/** Verifies whole artifacts: every listed file by its digests, and that there are no others. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fail } from '../base/diagnostics.ts';
import { EVIDENCE_FOLDER, MANIFEST_FILE, SIGNATURE_FILE } from './manifest.ts';
import { type Artifact, verifiedPieces } from './read.ts';

export interface Verified {
  readonly files: number;
  readonly bytes: number;
}

/** Reads all listed files and compares every digest; throws HONE-ARTIFACT-014 at the first breach. */
export function verifyArtifact(artifact: Artifact): Verified {
  const { files } = artifact.manifest;
  for (const entry of files) {
    for (const _ of verifiedPieces(artifact, entry)) {
      // Reading is what verifies.
    }
  }
  return { files: files.length, bytes: files.reduce((sum, entry) => sum + entry.bytes, 0) };
}

/** Throws HONE-ARTIFACT-015 for a file that no digest covers; evidence/ is for such. */
export function checkUnlisted(artifact: Artifact): void {
  const listed = new Set(artifact.manifest.files.map((entry) => entry.path));
  listed.add(MANIFEST_FILE).add(SIGNATURE_FILE);
  const visit = (folder: string): void => {
    for (const item of readdirSync(path.join(artifact.path, folder), { withFileTypes: true })) {
      const name = folder === '' ? item.name : `${folder}/${item.name}`;
      if (item.isDirectory()) {
        if (name !== EVIDENCE_FOLDER) visit(name);
      } else if (!listed.has(name)) {
        fail(
          'HONE-ARTIFACT-015',
          `${path.join(artifact.path, name)} is in the artifact, but not in its manifest`,
          name,
          'remove the file; notes and measurements may lie in evidence/',
        );
      }
    }
  };
  visit('');
}
