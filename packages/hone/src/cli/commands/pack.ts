/** `hone pack`: an artifact folder into one file. */
import { packArtifact } from 'hone-runtime/artifact/pack';
import type { Invocation, Outcome } from '../command.ts';
import { requireArtifact } from '../model-path.ts';
import { formatBytes } from '../table.ts';

export async function run({ args }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  requireArtifact(path);
  const archive = args[1] ?? `${path.replace(/\/+$/, '')}.tar.gz`;
  const { files, bytes, packedBytes } = await packArtifact(path, archive);
  return {
    json: { artifact: path, archive, files, bytes, packed_bytes: packedBytes },
    text: [
      `packed ${files} files, ${formatBytes(bytes)}, into ${archive}, ${formatBytes(packedBytes)}`,
    ],
  };
}
