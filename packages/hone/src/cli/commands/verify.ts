/** `hone verify`: every byte of an artifact against its digests. */
import { openArtifact, verifyArtifact } from 'hone-runtime/artifact/read';
import type { Invocation, Outcome } from '../command.ts';
import { requireArtifact } from '../model-path.ts';
import { formatBytes } from '../table.ts';

export async function run({ args }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  requireArtifact(path);
  const { files, bytes } = verifyArtifact(openArtifact(path));
  return {
    json: { artifact: path, valid: true, files, bytes },
    text: [`${path} is whole: ${files} files, ${formatBytes(bytes)} have their digests`],
  };
}
