/** `hone unpack`: what `hone pack` packed, into an artifact folder again. */
import { readPublicKey, shortId } from 'hone-runtime/artifact/keys';
import { folderOfArchive } from 'hone-runtime/artifact/read';
import { unpackArtifact } from 'hone-runtime/artifact/unpack';
import type { Invocation, Outcome } from '../command.ts';
import { formatBytes } from '../table.ts';

export async function run({ args, options }: Invocation): Promise<Outcome> {
  const archive = args[0] ?? '';
  const folder = args[1] ?? folderOfArchive(archive);
  const given = options.list('key');
  const trusted = given.length === 0 ? {} : { keys: given.map((key) => readPublicKey(key)) };
  const { manifest, signedBy } = await unpackArtifact(archive, folder, trusted);
  const signer = given.length === 0 ? undefined : signedBy;
  const { files } = manifest;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return {
    json: { archive, artifact: folder, files: files.length, bytes, signed_by: signer ?? null },
    text: [
      `unpacked ${files.length} files, ${formatBytes(bytes)}, into ${folder}; all have their digests`,
      ...(signer === undefined ? [] : [`signed with key ${shortId(signer)}`]),
    ],
  };
}
