/**
 * The client's way to an agent. The other side is known before a byte of ours, the token above all,
 * goes there: by a pinned certificate, by a CA, or by the socket's place in the file system.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { plainFingerprint } from '../tls/self-signed.ts';
import type { AgentAddress } from './address.ts';

const CONNECT_MS = 10_000;

/** Certificates (PEM) of the authorities that agents' certificates may come from. */
export type Authorities = string | undefined;

/** Throws HONE-AGENT-008 where nobody is there, -009 where it is not the one meant. */
export function connectTo(address: AgentAddress, authorities: Authorities): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      address.kind === 'unix' ? connectPlain({ path: address.path }) : tls(address, authorities);
    const refuse = (error: HoneError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => refuse(unreachable(address, `no answer within ${CONNECT_MS / 1000} s`)),
      CONNECT_MS,
    );
    socket.once('error', (error) => refuse(connectError(address, error)));
    socket.once('close', () => refuse(unreachable(address, 'it hung up')));
    socket.once(address.kind === 'unix' ? 'connect' : 'secureConnect', () => {
      const wrong = address.kind === 'tls' ? wrongPin(address, socket as TLSSocket) : undefined;
      if (wrong !== undefined) {
        refuse(wrong);
        return;
      }
      clearTimeout(timer);
      socket.removeAllListeners('error').removeAllListeners('close');
      // Whoever uses the socket next has not subscribed yet.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

type TlsAddress = Extract<AgentAddress, { kind: 'tls' }>;

function tls({ host, port, fingerprint }: TlsAddress, authorities: Authorities): TLSSocket {
  return connectTls({
    host,
    port,
    minVersion: 'TLSv1.3',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(authorities === undefined ? {} : { ca: authorities }),
    // A pinned certificate is compared as a whole, whoever issued it.
    rejectUnauthorized: fingerprint === undefined,
  });
}

function wrongPin(address: TlsAddress, socket: TLSSocket): HoneError | undefined {
  if (address.fingerprint === undefined) return undefined;
  const found = plainFingerprint(socket.getPeerCertificate().fingerprint256 ?? '');
  if (found === address.fingerprint) return undefined;
  return new HoneError({
    code: 'HONE-AGENT-009',
    message: `${address.text} shows the certificate sha256=${found}, not the one given`,
    subject: address.text,
    cure: 'compare with what the agent printed when it began; nothing was sent to this one',
  });
}

const TLS_CODES =
  /^(DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME|INVALID|PATH_|ERR_OSSL)/;

function connectError(address: AgentAddress, error: NodeJS.ErrnoException): HoneError {
  const { code = '' } = error;
  if (!TLS_CODES.test(code)) return unreachable(address, code || error.message, CURES[code]);
  const spoken = /SSL_WRONG_VERSION|PROTO|ALERT/.test(code);
  return new HoneError({
    code: 'HONE-AGENT-009',
    message: `${address.text}: ${spoken ? 'no TLS 1.3 is spoken there' : 'its certificate is not trusted'} (${code})`,
    subject: address.text,
    cure: spoken
      ? 'check the port'
      : 'pin it, --agent https://HOST:PORT/#sha256=FINGERPRINT as the agent printed it, or give its certificate or authority with --agent-ca',
    cause: error,
  });
}

const CURES: Readonly<Record<string, string>> = {
  ENOENT: 'check the path of the socket; start the agent: `hone agent`',
  EACCES: "the socket belongs to another user: run as the agent's user",
  ENOTFOUND: 'check the name of the host',
};

export function unreachable(address: AgentAddress, why: string, cure?: string): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-008',
    message: `the agent at ${address.text} cannot be reached: ${why}`,
    subject: address.text,
    cure: cure ?? 'check that it runs (`hone agent`), and that a firewall lets the port through',
  });
}

/** A connection that was there is lost. */
export function lost(address: AgentAddress, why: string): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-008',
    message: `the agent at ${address.text} was lost: ${why}`,
    subject: address.text,
    cure: 'look at what it wrote last; start it again and repeat the command',
  });
}
