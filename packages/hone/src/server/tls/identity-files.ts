/** Key and certificate of a TLS server on disk: PEM, as any other program reads and writes them. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';
import { fingerprintOf, makeTlsIdentity, type TlsIdentity } from './self-signed.ts';

/** Reads a certificate (with its chain) and its key; throws HONE-AGENT-014. */
export function readTlsIdentity(certificateFile: string, keyFile: string): TlsIdentity {
  const certificate = read(certificateFile);
  const privateKey = read(keyFile);
  const cure = '`hone keygen --tls HOST -o KEY` makes a pair';
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificate);
  } catch {
    return unusable(certificateFile, 'is no certificate in PEM form', cure);
  }
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return unusable(keyFile, 'is no private key in PEM form without a passphrase', cure);
  }
  if (!matches) unusable(keyFile, `is not the key of ${certificateFile}`, 'give the right pair');
  if (Date.parse(leaf.validTo) < Date.now()) {
    unusable(certificateFile, `was valid until ${leaf.validTo}`, `make a new one: ${cure}`);
  }
  return { certificate, privateKey };
}

/** Makes a key, at `file`, and a self-signed certificate, at `file`.crt; never overwrites. */
export function writeTlsIdentity(
  file: string,
  hosts: readonly string[],
): { readonly certificateFile: string; readonly fingerprint: string } {
  const certificateFile = `${file}.crt`;
  for (const name of [file, certificateFile]) {
    if (!existsSync(name)) continue;
    unusable(name, 'is there already, and is not overwritten', 'choose another name');
  }
  const { certificate, privateKey } = makeTlsIdentity(hosts);
  const written: string[] = [];
  try {
    for (const [name, pem, mode] of [
      [file, privateKey, 0o600],
      [certificateFile, certificate, 0o644],
    ] as const) {
      const fd = openSync(name, 'wx', mode);
      written.push(name);
      try {
        writeFileSync(fd, pem);
      } finally {
        closeSync(fd);
      }
    }
  } catch (error) {
    for (const name of written) rmSync(name, { force: true });
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    unusable(file, `cannot be written: ${code}`, 'check the folder, its space and its permissions');
  }
  return { certificateFile, fingerprint: fingerprintOf(certificate) };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return unusable(file, `cannot be read: ${code}`, 'check the path and its permissions');
  }
}

function unusable(file: string, problem: string, cure: string): never {
  fail('HONE-AGENT-014', `${file} ${problem}`, file, cure);
}
