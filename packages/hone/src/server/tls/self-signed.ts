/**
 * Self-signed certificates for TLS, made without any other program: an ECDSA P-256 key and an X.509
 * certificate (RFC 5280) for the names given. Clients trust it by its fingerprint, or as their CA.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { fail } from 'hone-runtime/base/diagnostics';
import {
  bits,
  boolean,
  context,
  type Der,
  identifier,
  integer,
  octets,
  sequence,
  set,
  time,
  utf8,
} from './der.ts';

export interface TlsIdentity {
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
}

const ECDSA_SHA256 = sequence(identifier('1.2.840.10045.4.3.2'));
const COMMON_NAME = '2.5.4.3';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** digitalSignature and keyCertSign: it answers for itself. */
const SIGNS_AND_CERTIFIES = 0x84;
const DAY_MS = 24 * 60 * 60 * 1000;
const VALID_DAYS = 3650;
/** A host name as certificates state them. */
const HOST =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** A new key and certificate for host names and addresses, valid for ten years from `now`. */
export function makeTlsIdentity(names: readonly string[], now: Date = new Date()): TlsIdentity {
  for (const name of names) checkName(name);
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(set(sequence(identifier(COMMON_NAME), utf8(names[0] ?? 'localhost'))));
  const body = sequence(
    context(0, integer(Buffer.of(2)), true),
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    ECDSA_SHA256,
    name,
    // A client's clock may be behind.
    sequence(time(new Date(now.getTime() - DAY_MS)), time(later(now))),
    name,
    spki,
    context(3, sequence(...extensions(names, spki)), true),
  );
  const signature = sign('sha256', body, pair.privateKey);
  return {
    certificate: pem('CERTIFICATE', sequence(body, ECDSA_SHA256, bits(signature))),
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** SHA-256 of a certificate in PEM form, as lower-case hexadecimal text. */
export function fingerprintOf(certificate: string): string {
  return plainFingerprint(new X509Certificate(certificate).fingerprint256);
}

/** A fingerprint as openssl prints it, or as we do, in one form. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

function later(now: Date): Date {
  return new Date(now.getTime() + VALID_DAYS * DAY_MS);
}

function extensions(names: readonly string[], spki: Uint8Array): Der[] {
  const extension = (id: string, critical: boolean, value: Der): Der =>
    sequence(identifier(id), ...(critical ? [boolean(true)] : []), octets(value));
  const keyId = createHash('sha256').update(spki).digest().subarray(0, 20);
  return [
    extension('2.5.29.14', false, octets(keyId)),
    extension('2.5.29.35', false, sequence(context(0, keyId, false))),
    extension('2.5.29.15', true, bits(Buffer.of(SIGNS_AND_CERTIFIES), 2)),
    extension('2.5.29.17', false, sequence(...names.map(alternativeName))),
    // Its own authority, so that clients can be given it as their CA.
    extension('2.5.29.19', true, sequence(boolean(true))),
    extension('2.5.29.37', false, sequence(identifier(SERVER_AUTH))),
  ];
}

function alternativeName(name: string): Der {
  const version = isIP(name);
  if (version === 0) return context(2, Buffer.from(name, 'latin1'), false);
  return context(7, version === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6(name), false);
}

function ipv6(text: string): Uint8Array {
  // The address parser of URLs writes one form: no embedded IPv4, at most one "::".
  const written = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail] = written.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const [left, right] = [words(head), words(tail ?? '')];
  const middle = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Buffer.from([...left, ...middle, ...right].flatMap((word) => [word >> 8, word & 0xff]));
}

function checkName(name: string): void {
  if (isIP(name) !== 0 || HOST.test(name)) return;
  fail(
    'HONE-AGENT-014',
    `${JSON.stringify(name)} is neither a host name nor an address`,
    name,
    'give the name that clients connect to, e.g. gpu1.example.com or 10.0.0.7',
  );
}

function pem(label: string, der: Der): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
