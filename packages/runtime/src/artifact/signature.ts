/**
 * manifest.sig, beside manifest.json: the signature of the manifest's bytes as they are, and which
 * key made it. The manifest has the digests of all other files, so it stands for them; it stays
 * the same signed or not, so that artifacts of different signers can be compared.
 */
import { fail } from '../base/diagnostics.ts';
import { broken, count, digestText, member, parseJson, text } from './json.ts';
import { type PrivateKey, type PublicKey, shortId } from './keys.ts';

/** More is no signature. */
export const MAX_SIGNATURE_BYTES = 4096;

const FORMAT = 'hone-signature';
const VERSION = 1;
const ALGORITHM = 'ed25519';
const SIGNATURE_BYTES = 64;

export interface Signature {
  /** Id of the key. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** The text of manifest.sig. */
export function signManifest(manifest: Uint8Array, key: PrivateKey): string {
  const signature = Buffer.from(key.sign(manifest)).toString('base64');
  const body = { format: FORMAT, version: VERSION, algorithm: ALGORITHM, key: key.id, signature };
  return `${JSON.stringify(body, undefined, 1)}\n`;
}

/** Reads manifest.sig; throws HONE-ARTIFACT-003. */
export function parseSignature(content: string, name: string): Signature {
  const root = parseJson(content, name);
  if (text(member(root, 'format')) !== FORMAT) broken(name, 'is not the signature of an artifact');
  const version = count(member(root, 'version'));
  const algorithm = text(member(root, 'algorithm'));
  if (version !== VERSION || algorithm !== ALGORITHM) {
    broken(name, `has version ${version} for ${algorithm}, this runtime reads ${VERSION}`);
  }
  const encoded = text(member(root, 'signature'));
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.byteLength !== SIGNATURE_BYTES || bytes.toString('base64') !== encoded) {
    broken(name, `has no signature of ${SIGNATURE_BYTES} bytes`);
  }
  return { key: digestText(member(root, 'key')), bytes };
}

/**
 * Passes when one of the trusted keys signed these bytes, and returns its id. Throws
 * HONE-ARTIFACT-020 without a signature, -021 for another key, -022 for other bytes.
 */
export function checkSignature(
  manifest: Uint8Array,
  signature: Signature | undefined,
  trusted: readonly PublicKey[],
  name: string,
): string {
  if (signature === undefined) {
    return fail(
      'HONE-ARTIFACT-020',
      `${name} is not signed, and a key was given`,
      name,
      'get the signed artifact from who made it, or sign your own with `hone compile --sign KEY`',
    );
  }
  const key = trusted.find(({ id }) => id === signature.key);
  if (key === undefined) {
    return fail(
      'HONE-ARTIFACT-021',
      `${name} is signed with key ${shortId(signature.key)}, which is not ${trusted.map(({ id }) => shortId(id)).join(' or ') || 'trusted'}`,
      name,
      'give the public key of who made the artifact, or do not use it',
    );
  }
  if (key.verify(manifest, signature.bytes)) return key.id;
  return fail(
    'HONE-ARTIFACT-022',
    `${name} was changed after it was signed: the signature is not for this manifest`,
    name,
    'do not use it; get the artifact again from who made it',
  );
}
