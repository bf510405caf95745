/**
 * Where agents are: `unix:PATH`, or `HOST:PORT` and `https://HOST:PORT` for TLS. There is no plain
 * TCP (ADR 7). A client may pin the certificate: `https://HOST:PORT/#sha256=FINGERPRINT`.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { plainFingerprint } from '../tls/self-signed.ts';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number };

export type AgentAddress =
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | {
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      readonly text: string;
      /** Of the certificate: 64 hexadecimal digits. */
      readonly fingerprint?: string;
    };

/** The system's limit for the path of a socket, on Linux; others have 104. */
const MAX_SOCKET_PATH_BYTES = 107;

/** `unix:PATH` or `HOST:PORT`; port 0 takes any free one. Throws HONE-AGENT-011. */
export function parseListenAddress(text: string): ListenAddress {
  const unix = unixPath(text);
  if (unix !== undefined) return { kind: 'unix', path: unix };
  const match = /^(?:https:\/\/)?(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})\/?$/i.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (match === null || !(port <= 65_535)) {
    return malformed(text, 'write unix:PATH, or HOST:PORT for TLS, e.g. 0.0.0.0:8741');
  }
  return { kind: 'tls', host: bare(match[1] ?? ''), port };
}

/** What --agent takes; throws HONE-AGENT-011. */
export function parseAgentAddress(text: string): AgentAddress {
  const cure = 'write unix:PATH, or https://HOST:PORT/#sha256=FINGERPRINT as the agent printed it';
  const unix = unixPath(text);
  if (unix !== undefined) return { kind: 'unix', path: unix, text };
  if (/^http:/i.test(text)) {
    malformed(text, 'agents speak TLS or a Unix socket, never plain HTTP: write https://HOST:PORT');
  }
  if (!/^https:\/\//i.test(text) || !URL.canParse(text)) return malformed(text, cure);
  const url = new URL(text);
  const beyond = url.pathname !== '/' || url.search !== '' || url.username !== '';
  if (beyond || url.port === '0') return malformed(text, cure);
  const pin = /^#sha-?256[=:]([0-9a-f:]+)$/i.exec(url.hash)?.[1];
  const fingerprint = pin === undefined ? undefined : plainFingerprint(pin);
  if (url.hash !== '' && !/^[0-9a-f]{64}$/.test(fingerprint ?? '')) {
    malformed(text, 'a fingerprint is #sha256= and 64 hexadecimal digits');
  }
  return {
    kind: 'tls',
    host: bare(url.hostname),
    port: url.port === '' ? 443 : Number(url.port),
    text: `https://${url.host}`,
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

function unixPath(text: string): string | undefined {
  const path = /^unix:(?:\/\/)?(.*)$/s.exec(text)?.[1];
  if (path === undefined) return undefined;
  if (path === '' || path.includes('\0')) malformed(text, 'write unix:PATH');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    malformed(
      text,
      `sockets have paths of at most ${MAX_SOCKET_PATH_BYTES} bytes: use a shorter one`,
    );
  }
  return path;
}

function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function malformed(text: string, cure: string): never {
  fail('HONE-AGENT-011', `${JSON.stringify(text)} is no address of an agent`, text, cure);
}
