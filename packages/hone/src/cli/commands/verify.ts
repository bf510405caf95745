/** `hone verify`: every byte of an artifact against its digests, a signature, or a rebuild. */
import { readPublicKey, shortId } from 'hone-runtime/artifact/keys';
import { openArtifact } from 'hone-runtime/artifact/read';
import { readUnchanged } from 'hone-runtime/artifact/read-unchanged';
import { checkUnlisted, verifyArtifact } from 'hone-runtime/artifact/verify';
import { rebuildArtifact } from '../../compile/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readOperators } from '../compile-request.ts';
import { requireArtifact, requireModel } from '../model-path.ts';
import { formatBytes } from '../table.ts';

export async function run({ args, options, progress }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  const model = options.text('rebuild');
  const custom = await readOperators(options);
  const given = options.list('key');
  requireArtifact(path);
  if (model !== undefined) requireModel(model);
  const trusted = given.length === 0 ? {} : { keys: given.map((key) => readPublicKey(key)) };
  const { artifact, files, bytes } = readUnchanged(path, () => {
    const opened = openArtifact(path, trusted);
    const verified = verifyArtifact(opened);
    checkUnlisted(opened);
    return { artifact: opened, ...verified };
  });
  const signer = given.length === 0 ? undefined : artifact.signedBy;
  const rebuilt =
    model === undefined
      ? null
      : await rebuildArtifact(artifact, model, { onProgress: progress }, custom);
  return {
    json: {
      artifact: path,
      valid: true,
      files,
      bytes,
      signed_by: signer ?? null,
      rebuilt: rebuilt !== null,
    },
    text: [
      `${path} is whole: ${files} files, ${formatBytes(bytes)} have their digests`,
      ...(signer === undefined ? [] : [`signed with key ${shortId(signer)}`]),
      ...(rebuilt === null
        ? []
        : [`compiled again from ${model}: all ${rebuilt.files} files are the same`]),
    ],
  };
}
