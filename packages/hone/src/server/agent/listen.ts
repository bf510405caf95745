/**
 * Opens the door of an agent: TLS 1.3, or a Unix socket that only its owner can connect to. Slow and
 * silent clients are cut off.
 */
import { chmodSync, existsSync, lstatSync, rmSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import { removeAtExit } from 'hone-runtime/artifact/temporary';
import { fail } from 'hone-runtime/base/diagnostics';
import type { TlsIdentity } from '../tls/self-signed.ts';
import type { ListenAddress } from './address.ts';

export interface Door {
  /** As a client writes it, without a fingerprint. */
  readonly url: string;
  close(): Promise<void>;
}

const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  /** Of a whole request, the upload included. */
  requestTimeout: 15 * 60_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
/** Without a byte in either direction; enough to unpack and verify a large upload. */
const SILENCE_MS = 120_000;
const HANDSHAKE_MS = 10_000;
const MOST_CONNECTIONS = 64;

/** Throws HONE-AGENT-012 where the address cannot be used, -014 for a certificate that is none. */
export async function openDoor(
  address: ListenAddress,
  identity: TlsIdentity | undefined,
  handler: RequestListener,
): Promise<Door> {
  const server = makeServer(address, identity, handler);
  server.maxConnections = MOST_CONNECTIONS;
  server.timeout = SILENCE_MS;
  // Whether an upload is wanted is known before it is sent.
  server.on('checkContinue', handler);
  // Broken requests and handshakes end their own connection only.
  server.on('clientError', (_error, socket) => socket.destroy());
  if (address.kind === 'unix') await listenUnix(server, address.path);
  else
    await listen(
      server,
      { host: address.host, port: address.port },
      `${address.host}:${address.port}`,
    );
  const forget = address.kind === 'unix' ? removeAtExit(address.path) : (): void => {};
  return {
    url: address.kind === 'unix' ? `unix:${address.path}` : httpsUrl(address.host, server),
    close: () =>
      new Promise((resolve) => {
        forget();
        server.close(() => resolve());
        server.closeAllConnections();
        if (address.kind === 'unix') rmSync(address.path, { force: true });
      }),
  };
}

function makeServer(
  address: ListenAddress,
  identity: TlsIdentity | undefined,
  handler: RequestListener,
): Server {
  if (address.kind === 'unix') return createHttpServer(LIMITS, handler);
  try {
    return createHttpsServer(
      {
        ...LIMITS,
        cert: identity?.certificate,
        key: identity?.privateKey,
        minVersion: 'TLSv1.3',
        handshakeTimeout: HANDSHAKE_MS,
      },
      handler,
    );
  } catch (error) {
    return fail(
      'HONE-AGENT-014',
      `certificate and key cannot be used: ${(error as Error).message}`,
      '--cert',
      'give a certificate and its own private key, both in PEM form; `hone keygen --tls HOST` makes a pair',
    );
  }
}

async function listenUnix(server: Server, path: string): Promise<void> {
  if (!existsSync(dirname(path))) {
    cannotListen(path, 'its folder is not there', 'make the folder of the socket first');
  }
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined) {
    if (!stat.isSocket() || (await answers(path))) {
      const what = stat.isSocket() ? 'another process listens there' : 'it is there and no socket';
      cannotListen(path, what, 'choose another path');
    }
    // A process that was killed left it.
    rmSync(path, { force: true });
  }
  // The socket must not be open to others even for a moment.
  const mask = process.umask(0o177);
  try {
    await listen(server, { path }, path);
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}

function listen(
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  name: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      try {
        cannotListen(
          name,
          error.code ?? error.message,
          CURES[error.code ?? ''] ?? 'choose another',
        );
      } catch (coded) {
        reject(coded);
      }
    };
    server.once('error', failed);
    server.listen(where, () => {
      server.removeListener('error', failed);
      resolve();
    });
  });
}

const CURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: choose another port',
  EACCES: 'choose a port above 1023, or a folder you may write to',
  EADDRNOTAVAIL: 'give an address of this machine, or 0.0.0.0 for all',
  ENOTFOUND: 'give an address of this machine, or 0.0.0.0 for all',
};

function cannotListen(name: string, problem: string, cure: string): never {
  fail('HONE-AGENT-012', `the agent cannot listen at ${name}: ${problem}`, name, cure);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (value: boolean) => (): void => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', settle(true));
    socket.once('error', settle(false));
  });
}

function httpsUrl(host: string, server: Server): string {
  const { port } = server.address() as AddressInfo;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
