/**
 * A real browser for tests of pages: Debian's chromium over the DevTools protocol through a pipe,
 * so that no port is opened and no other package is needed. Where there is none, tests say so.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const NAMES = [process.env['HONE_CHROMIUM'], 'chromium', 'chromium-browser', 'google-chrome'];
const ANSWER_MS = 30_000;

/** The first browser that runs here. */
function findBrowser(): string | undefined {
  return NAMES.find(
    (name) => name && spawnSync(name, ['--version'], { timeout: 20_000 }).status === 0,
  );
}

const BROWSER = findBrowser();

/** false when there is a browser; else the reason to skip. */
export const missingBrowser: string | false =
  BROWSER === undefined ? 'needs chromium (apt-get install chromium)' : false;

type Params = Readonly<Record<string, unknown>>;

export interface Tab {
  /** Opens a file; resolves when it is loaded. */
  open(file: string): Promise<void>;
  /** The value of an expression in the page; a promise is waited for. */
  evaluate<T>(expression: string): Promise<T>;
  command<T = unknown>(method: string, params?: Params): Promise<T>;
  /** Presses a key, as a user would. */
  press(key: string, code?: number): Promise<void>;
  /** PNG of the page as it is shown, or whole. */
  screenshot(whole?: boolean): Promise<Buffer>;
  /** Messages of the console, and errors of scripts. */
  readonly problems: readonly string[];
  /** Addresses that the page asked for, its own left out. */
  readonly requests: readonly string[];
}

export interface Browser {
  newTab(): Promise<Tab>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Params;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export function openBrowser(): Browser {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-browser-'));
  const child = spawn(
    BROWSER ?? '',
    [
      '--headless=new',
      '--remote-debugging-pipe',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--hide-scrollbars',
      '--no-first-run',
      `--user-data-dir=${folder}`,
    ],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: folder },
    },
  );
  const wire = openWire(child);
  return {
    async newTab() {
      const { targetId } = await wire.send<{ targetId: string }>('Target.createTarget', {
        url: 'about:blank',
      });
      const { sessionId } = await wire.send<{ sessionId: string }>('Target.attachToTarget', {
        targetId,
        flatten: true,
      });
      return openTab(wire, sessionId);
    },
    async close() {
      // Its helpers write to the folder until they are gone.
      const gone = new Promise((resolve) => child.once('close', resolve));
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await wire.send('Browser.close').catch(() => child.kill('SIGKILL'));
      await gone;
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

interface Wire {
  send<T>(method: string, params?: Params, sessionId?: string): Promise<T>;
  listen(sessionId: string, hear: (method: string, params: Params) => void): void;
}

function openWire(child: ChildProcess): Wire {
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, (message: Message) => void>();
  const listeners = new Map<string, (method: string, params: Params) => void>();
  let rest = '';
  let last = 0;
  output.setEncoding('utf8');
  output.on('data', (text: string) => {
    const pieces = (rest + text).split('\0');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) {
      const message = JSON.parse(piece) as Message;
      if (message.id !== undefined) waiting.get(message.id)?.(message);
      else listeners.get(message.sessionId ?? '')?.(message.method ?? '', message.params ?? {});
    }
  });
  input.on('error', () => {});
  return {
    send<T>(method: string, params: Params = {}, sessionId?: string): Promise<T> {
      const id = ++last;
      return new Promise<T>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), ANSWER_MS);
        waiting.set(id, ({ error, result }) => {
          clearTimeout(timer);
          waiting.delete(id);
          if (error) reject(new Error(`${method}: ${error.message}`));
          else resolve(result as T);
        });
        input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      });
    },
    listen: (sessionId, hear) => void listeners.set(sessionId, hear),
  };
}

async function openTab(wire: Wire, sessionId: string): Promise<Tab> {
  const problems: string[] = [];
  const requests: string[] = [];
  let loaded = (): void => {};
  wire.listen(sessionId, (method, params) => {
    if (method === 'Page.loadEventFired') loaded();
    if (
      method === 'Runtime.exceptionThrown' ||
      method === 'Log.entryAdded' ||
      method === 'Runtime.consoleAPICalled'
    ) {
      problems.push(JSON.stringify(params));
    }
    if (method === 'Network.requestWillBeSent') {
      const { url } = params['request'] as { url: string };
      if (!url.startsWith('file:')) requests.push(url);
    }
  });
  const command = <T>(method: string, params: Params = {}): Promise<T> =>
    wire.send<T>(method, params, sessionId);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await command(`${domain}.enable`);
  return {
    problems,
    requests,
    command,
    async open(file) {
      const done = new Promise<void>((resolve) => {
        loaded = resolve;
      });
      await command('Page.navigate', { url: pathToFileURL(file).href });
      await done;
    },
    async evaluate<T>(expression: string): Promise<T> {
      const { result, exceptionDetails } = await command<{
        result: { value: T };
        exceptionDetails?: { exception?: { description?: string } };
      }>('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? expression);
      return result.value;
    },
    async press(key, code = 0) {
      const event = { key, code: key, windowsVirtualKeyCode: code };
      await command('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
      await command('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    },
    async screenshot(whole = false) {
      const { data } = await command<{ data: string }>('Page.captureScreenshot', {
        captureBeyondViewport: whole,
      });
      return Buffer.from(data, 'base64');
    },
  };
}
