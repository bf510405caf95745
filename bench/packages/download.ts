/** Gets pages and files over HTTP. Every failure names the address, without what logs in to it. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';

/** No byte for so long: the connection is dead. */
const STALL_MS = 60_000;
const MOST_PAGE_BYTES = 64 * 2 ** 20;
const MOST_FILE_BYTES = 2 * 2 ** 30;
const CURE =
  'check the network; a mirror goes into PIP_INDEX_URL or npm_config_registry; what was fetched before is kept';

export interface Page {
  readonly text: string;
  /** Where it came from in the end. */
  readonly url: string;
}

/** A page as text. Throws HONE-BENCH-012. */
export async function fetchText(url: string, accept: string): Promise<Page> {
  const parts: Uint8Array[] = [];
  const from = await stream(url, accept, MOST_PAGE_BYTES, (part) => void parts.push(part));
  return { text: Buffer.concat(parts).toString('utf8'), url: from };
}

/** Writes a file that nobody else knows yet, and gives its digest. Nothing is left of a failure. */
export async function fetchFile(
  url: string,
  file: string,
  algorithm: 'sha256' | 'sha512',
): Promise<Buffer> {
  const hash = createHash(algorithm);
  try {
    const handle = await open(file, 'wx');
    try {
      await stream(url, '*/*', MOST_FILE_BYTES, async (part) => {
        hash.update(part);
        await handle.writeFile(part);
      });
    } finally {
      await handle.close();
    }
    return hash.digest();
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
}

/** Gives the address after redirections. */
async function stream(
  address: string,
  accept: string,
  mostBytes: number,
  take: (part: Uint8Array) => void | Promise<void>,
): Promise<string> {
  const { url, authorization } = withoutLogin(address);
  const abort = new AbortController();
  const alive = setTimeout(() => abort.abort(), STALL_MS);
  try {
    const response = await fetch(url, {
      signal: abort.signal,
      headers: { accept, 'accept-encoding': 'identity', ...authorization },
    }).catch((error: unknown) => unreachable(url, error, abort.signal));
    if (!response.ok) {
      await response.body?.cancel();
      refused(url, response.status, response.statusText);
    }
    let bytes = 0;
    for await (const part of watched(response.body, url, abort.signal)) {
      alive.refresh();
      bytes += part.byteLength;
      if (bytes > mostBytes) {
        abort.abort();
        fail('HONE-BENCH-012', `${url} has more than ${mostBytes} bytes`, url, CURE);
      }
      await take(part);
    }
    return withoutLogin(response.url || url).url;
  } finally {
    clearTimeout(alive);
  }
}

/** The same parts; a connection that breaks is a coded error, what the taker throws is not touched. */
async function* watched(
  parts: AsyncIterable<Uint8Array> | null,
  url: string,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (parts === null) return;
  const iterator = parts[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await iterator.next().catch((error: unknown) => unreachable(url, error, signal));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.().catch(() => undefined);
  }
}

/** `fetch` takes no names and passwords in addresses, and no message may show them. */
function withoutLogin(address: string): {
  readonly url: string;
  readonly authorization: Readonly<Record<string, string>>;
} {
  if (!URL.canParse(address)) return { url: address, authorization: {} };
  const url = new URL(address);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url: url.href, authorization: {} };
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(login).toString('base64')}`;
  return { url: url.href, authorization: { authorization } };
}

function unreachable(url: string, error: unknown, signal: AbortSignal): never {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { code, message } = (cause ?? {}) as NodeJS.ErrnoException;
  const silent = `no answer for ${STALL_MS / 1000} s`;
  const why = signal.aborted ? silent : (code ?? message ?? String(error));
  return fail('HONE-BENCH-012', `cannot fetch ${url}: ${why}`, url, CURE);
}

function refused(url: string, status: number, text: string): never {
  const gone = 'it is not there any more: state another version of it in bench/packages';
  const cure = status === 404 || status === 410 ? `${gone}, or another mirror` : CURE;
  return fail('HONE-BENCH-012', `cannot fetch ${url}: HTTP ${status} ${text}`.trim(), url, cure);
}
