/** `hone keygen`: a pair of keys to sign artifacts with. */
import { shortId, writeKeyPair } from 'hone-runtime/artifact/keys';
import { fail } from 'hone-runtime/base/diagnostics';
import type { Invocation, Outcome } from '../command.ts';

export async function run({ options }: Invocation): Promise<Outcome> {
  const file = options.text('output');
  if (file === undefined) {
    return fail('HONE-CLI-004', 'no name for the key', '-o', 'give one: hone keygen -o KEY');
  }
  const { id, publicFile } = writeKeyPair(file);
  return {
    json: { key: file, public_key: publicFile, key_id: id },
    text: [
      `wrote ${file}, the private key: keep it to yourself, and sign with \`hone compile --sign ${file}\``,
      `wrote ${publicFile}, the public key: give it to those who run your artifacts, for --key`,
      `key ${shortId(id)}`,
    ],
  };
}
