/** `hone verify`: every byte of an artifact against its digests, or against a rebuild. */
import { openArtifact, verifyArtifact } from 'hone-runtime/artifact/read';
import { rebuildArtifact } from '../../compile/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { requireArtifact, requireModel } from '../model-path.ts';
import { formatBytes } from '../table.ts';

export async function run({ args, options, progress }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  const model = options.text('rebuild');
  requireArtifact(path);
  if (model !== undefined) requireModel(model);
  const artifact = openArtifact(path);
  const { files, bytes } = verifyArtifact(artifact);
  const rebuilt =
    model === undefined ? null : await rebuildArtifact(artifact, model, { onProgress: progress });
  return {
    json: { artifact: path, valid: true, files, bytes, rebuilt: rebuilt !== null },
    text: [
      `${path} is whole: ${files} files, ${formatBytes(bytes)} have their digests`,
      ...(rebuilt === null
        ? []
        : [`compiled again from ${model}: all ${rebuilt.files} files are the same`]),
    ],
  };
}
