/** `hone keygen`: a pair of keys to sign artifacts with, or key and certificate of a server. */
import { shortId, writeKeyPair } from 'hone-runtime/artifact/keys';
import { fail } from 'hone-runtime/base/diagnostics';
import { writeTlsIdentity } from '../../server/tls/identity-files.ts';
import type { Invocation, Outcome } from '../command.ts';

export async function run({ options }: Invocation): Promise<Outcome> {
  const file = options.text('output');
  if (file === undefined) {
    return fail('HONE-CLI-004', 'no name for the key', '-o', 'give one: hone keygen -o KEY');
  }
  const hosts = options.list('tls');
  if (hosts.length > 0) return makeCertificate(file, hosts);
  const { id, publicFile } = writeKeyPair(file);
  return {
    json: { key: file, public_key: publicFile, key_id: id, certificate: null, fingerprint: null },
    text: [
      `wrote ${file}, the private key: keep it to yourself, and sign with \`hone compile --sign ${file}\``,
      `wrote ${publicFile}, the public key: give it to those who run your artifacts, for --key`,
      `key ${shortId(id)}`,
    ],
  };
}

function makeCertificate(file: string, hosts: readonly string[]): Outcome {
  const { certificateFile, fingerprint } = writeTlsIdentity(file, hosts);
  return {
    json: { key: file, public_key: null, key_id: null, certificate: certificateFile, fingerprint },
    text: [
      `wrote ${file}, the private key: it stays on the server`,
      `wrote ${certificateFile}, the certificate for ${hosts.join(', ')}, valid for ten years`,
      `use both: hone agent --cert ${certificateFile} --cert-key ${file}`,
      `clients trust it by its fingerprint: https://${hosts[0]}:PORT/#sha256=${fingerprint}`,
    ],
  };
}
