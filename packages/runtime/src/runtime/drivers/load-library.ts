/**
 * Loads a library from bytes in memory, so that what was verified is what runs: nothing can be
 * exchanged between the check and the load. On Linux the bytes go to an anonymous file; elsewhere
 * to a file in a directory of this process alone.
 */
import { closeSync, mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import koffi from 'koffi';
import { fail } from '../../base/diagnostics.ts';

export interface LoadedLibrary {
  /** A function of the library by its C declaration. */
  bind<F>(declaration: string): F;
  unload(): void;
}

type Handle = ReturnType<typeof koffi.load>;

/** Loads the library; `name` is how errors call it. */
export function loadLibrary(bytes: Uint8Array, name: string): LoadedLibrary {
  const { file, release } = place(bytes, name);
  let handle: Handle;
  try {
    handle = koffi.load(file);
  } catch (cause) {
    release();
    const problem = cause instanceof Error ? cause.message.replaceAll(file, name) : String(cause);
    fail(
      'HONE-RUN-001',
      `the system cannot load ${name}: ${problem}`,
      name,
      'compile the model for this system (`hone doctor` names its target)',
    );
  }
  const unpin = pin(file);
  return {
    bind: <F>(declaration: string): F => handle.func(declaration) as F,
    unload() {
      handle.unload();
      unpin();
      release();
    },
  };
}

const RTLD_NOW = 2;

/**
 * Keeps the code in memory when koffi unloads it at the end of the process: workers of a session that
 * nobody closed still run it then. Gives what undoes it.
 */
function pin(file: string): () => void {
  if (process.platform === 'win32') return () => {};
  try {
    const system = koffi.load(null);
    const open = system.func('uintptr_t dlopen(const char *file, int flags)');
    const close = system.func('int dlclose(uintptr_t handle)');
    const handle: number | bigint = open(file, RTLD_NOW);
    return () => {
      if (handle) close(handle);
    };
  } catch {
    return () => {};
  }
}

function place(bytes: Uint8Array, name: string): { file: string; release: () => void } {
  if (process.platform === 'linux') {
    const fd = anonymousFile();
    if (fd >= 0) {
      for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
      // The loader knows libraries by this path: the number must not be used again before unload.
      return { file: `/proc/self/fd/${fd}`, release: () => closeSync(fd) };
    }
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'hone-'));
  const release = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    const file = path.join(directory, path.basename(name));
    writeFileSync(file, bytes, { mode: 0o500 });
    return { file, release };
  } catch (error) {
    release();
    throw error;
  }
}

const MFD_CLOEXEC = 1;
let memfdCreate: ((name: string, flags: number) => number) | undefined;

/** Descriptor of a file without a name; -1 where the system has none. */
function anonymousFile(): number {
  try {
    memfdCreate ??= koffi.load(null).func('int memfd_create(const char *name, uint flags)');
    return memfdCreate('hone', MFD_CLOEXEC);
  } catch {
    return -1;
  }
}
