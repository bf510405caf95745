/**
 * Runs compilers: in their own process group, under a deadline, never left behind. Also the scratch
 * directories they work in. A signal or an exit of this process ends what is running and removes
 * the directories; those of a process that was killed are removed by the next one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isLeftByDead, ownerTag } from 'hone-runtime/artifact/process-tag';
import { HoneError } from 'hone-runtime/base/diagnostics';

export interface ToolResult {
  /** Exit status; undefined when it was ended by a signal or never started. */
  readonly status: number | undefined;
  readonly stderr: string;
  readonly outcome: 'done' | 'timeout' | 'killed' | 'no-start';
}

export interface ToolRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Ends the tool early. */
  readonly signal?: AbortSignal;
}

const SCRATCH_PREFIX = 'hone-build-';
const MAX_STDERR_CHARS = 64 * 1024;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const running = new Set<ChildProcess>();
const scratches = new Set<string>();

/** Runs a tool to its end; a failure is a result, not an exception. */
export function runTool(run: ToolRun): Promise<ToolResult> {
  return new Promise((resolve) => {
    if (run.timeoutMs <= 0 || run.signal?.aborted) {
      resolve({
        status: undefined,
        stderr: '',
        outcome: run.signal?.aborted ? 'killed' : 'timeout',
      });
      return;
    }
    const child = spawn(run.command, run.args, {
      cwd: run.cwd,
      env: run.env,
      stdio: ['ignore', 'ignore', 'pipe'],
      // Its own group, so that a compiler's helpers end with it.
      detached: process.platform !== 'win32',
    });
    let stderr = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup(child);
    }, run.timeoutMs);
    const abort = (): void => endGroup(child);
    run.signal?.addEventListener('abort', abort, { once: true });
    watch();
    running.add(child);
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      if (stderr.length < MAX_STDERR_CHARS) stderr += text;
    });
    const finish = (result: Omit<ToolResult, 'stderr'>): void => {
      clearTimeout(timer);
      run.signal?.removeEventListener('abort', abort);
      running.delete(child);
      unwatch();
      resolve({ ...result, stderr });
    };
    child.on('error', (error) => {
      stderr += error.message;
      finish({ status: undefined, outcome: 'no-start' });
    });
    child.on('close', (code) => {
      const outcome = timedOut ? 'timeout' : code === null ? 'killed' : 'done';
      finish({ status: code ?? undefined, outcome });
    });
  });
}

/**
 * Calls `work` with a fresh directory that is removed afterwards, whatever happens. Throws
 * HONE-TOOL-008 where the system does not let it be written.
 */
export async function withScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const parent = os.tmpdir();
  const directory = path.join(parent, `${SCRATCH_PREFIX}${ownerTag()}`);
  scratches.add(directory);
  watch();
  try {
    removeLeftovers(parent);
    mkdirSync(directory, { mode: 0o700 });
    return await work(directory);
  } catch (error) {
    throw scratchError(error, parent);
  } finally {
    scratches.delete(directory);
    unwatch();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the system says about writing there, with a code. */
export function scratchError(error: unknown, parent: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof HoneError || code === undefined || syscall === undefined) return error;
  return new HoneError({
    code: 'HONE-TOOL-008',
    message: `cannot work in the temporary folder ${parent}: ${code}`,
    subject: parent,
    cure: 'free some space there, or set TMPDIR to a folder you can write',
    cause: error,
  });
}

function removeLeftovers(parent: string): void {
  const uid = process.getuid?.();
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(SCRATCH_PREFIX)) continue;
    const leftover = path.join(parent, name);
    try {
      const own = uid === undefined || lstatSync(leftover).uid === uid;
      if (own && isLeftByDead(leftover, name.slice(SCRATCH_PREFIX.length))) {
        rmSync(leftover, { recursive: true, force: true });
      }
    } catch {
      // A compiler whose caller was killed may still be writing there; it is left for next time.
    }
  }
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

function cleanUp(): void {
  for (const child of running) endGroup(child);
  for (const directory of scratches) rmSync(directory, { recursive: true, force: true });
}

function onSignal(signal: NodeJS.Signals): void {
  cleanUp();
  for (const name of SIGNALS) process.removeListener(name, onSignal);
  watching = false;
  // Nobody else handles it: end as if there had been no handler.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

let watching = false;

function watch(): void {
  if (watching) return;
  watching = true;
  process.on('exit', cleanUp);
  for (const name of SIGNALS) process.on(name, onSignal);
}

function unwatch(): void {
  if (!watching || running.size > 0 || scratches.size > 0) return;
  watching = false;
  process.removeListener('exit', cleanUp);
  for (const name of SIGNALS) process.removeListener(name, onSignal);
}
