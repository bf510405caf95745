/**
 * Ed25519 keys: private ones (PKCS #8, PEM) sign artifacts, public ones (SPKI, PEM) are trusted by
 * those who load them. What openssl writes is read as well. A key is known by its id, the SHA-256
 * digest of its public half in DER form, which openssl gives too.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fail, HoneError } from '../base/diagnostics.ts';
import { sha256 } from '../base/digest.ts';

export interface PublicKey {
  readonly id: string;
  /** True when the private half of this key made the signature of these bytes. */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean;
}

export interface PrivateKey {
  readonly id: string;
  sign(bytes: Uint8Array): Uint8Array;
}

/** Reads a public key from a PEM file, or from the text of one. */
export function readPublicKey(fileOrText: string): PublicKey {
  const { pem, name } = pemOf(fileOrText, 'public');
  if (pem.includes('PRIVATE KEY-----')) {
    unusable(
      name,
      'is a private key, which only its owner should have',
      'give the public key, KEY.pub; `openssl pkey -in KEY -pubout` makes it',
    );
  }
  const key = ed25519(() => createPublicKey(pem), name, 'public');
  return { id: idOf(key), verify: (bytes, signature) => verify(null, bytes, key, signature) };
}

/** Reads a private key from a PEM file, or from the text of one. */
export function readPrivateKey(fileOrText: string): PrivateKey {
  const { pem, name } = pemOf(fileOrText, 'private');
  if (pem.includes('-----BEGIN ENCRYPTED')) {
    unusable(
      name,
      'is encrypted',
      'give a key without a passphrase: `openssl pkey -in KEY -out PLAIN` makes one',
    );
  }
  if (pem.includes('-----BEGIN PUBLIC KEY-----')) {
    unusable(name, 'is a public key, which cannot sign', 'give the private key it belongs to');
  }
  const key = ed25519(() => createPrivateKey(pem), name, 'private');
  return {
    id: idOf(createPublicKey(key)),
    sign: (bytes) => sign(null, bytes, key),
  };
}

/**
 * Makes a pair of keys: the private one at `file`, for its owner's eyes only, the public one at
 * `file`.pub. Files that are there are never overwritten.
 */
export function writeKeyPair(file: string): { readonly id: string; readonly publicFile: string } {
  const publicFile = `${file}.pub`;
  for (const name of [file, publicFile]) {
    if (!existsSync(name)) continue;
    const cure = 'choose another name; a lost private key cannot be made again';
    fail('HONE-ARTIFACT-001', `${name} is there already, and is not overwritten`, name, cure);
  }
  const pair = generateKeyPairSync('ed25519');
  const written: string[] = [];
  const write = (name: string, pem: string | Buffer, mode: number): void => {
    const fd = openSync(name, 'wx', mode);
    written.push(name);
    try {
      writeFileSync(fd, pem);
    } finally {
      closeSync(fd);
    }
  };
  try {
    write(file, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
    write(publicFile, pair.publicKey.export({ type: 'spki', format: 'pem' }), 0o644);
  } catch (error) {
    for (const name of written) rmSync(name, { force: true });
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const cure = 'check the folder, its space and its permissions';
    fail('HONE-ARTIFACT-002', `cannot write ${file}: ${code}`, file, cure);
  }
  return { id: idOf(pair.publicKey), publicFile };
}

/** How keys are called in messages. */
export function shortId(id: string): string {
  return id.slice(0, 16);
}

function pemOf(fileOrText: string, what: string): { readonly pem: string; readonly name: string } {
  if (fileOrText.includes('-----BEGIN')) return { pem: fileOrText, name: `the ${what} key` };
  try {
    return { pem: readFileSync(fileOrText, 'utf8'), name: fileOrText };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return unusable(fileOrText, `cannot be read: ${code}`, 'check the path of the key');
  }
}

function ed25519(read: () => KeyObject, name: string, what: string): KeyObject {
  const cure = '`hone keygen -o KEY` makes a pair; so does `openssl genpkey -algorithm ed25519`';
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    if (cause instanceof HoneError) throw cause;
    return unusable(name, `is no ${what} key in PEM form`, cure);
  }
  const kind = key.asymmetricKeyType ?? 'unknown';
  if (kind !== 'ed25519') unusable(name, `is a key for ${kind}, not for Ed25519`, cure);
  return key;
}

function unusable(name: string, problem: string, cure: string): never {
  fail('HONE-ARTIFACT-023', `${name} ${problem}`, name, cure);
}

function idOf(publicKey: KeyObject): string {
  return sha256(publicKey.export({ type: 'spki', format: 'der' }));
}
