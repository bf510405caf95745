/**
 * Loads an artifact and runs it. A session is a context itself; further contexts share its weights
 * and run at the same time. Inputs and outputs are not copied: C works on the arrays given.
 *
 * An output whose size depends on data is a view of the begin of an array for the bound of its size.
 *
 * A context runs one request at a time; asynchronous requests queue up in order. An input that is
 * changed, or an output buffer that is read, before its run is over gives undefined contents.
 */
import type { Manifest } from '../artifact/manifest.ts';
import { parseDescription, type StepName } from '../artifact/describe.ts';
import type { TensorSpec } from '../artifact/program.ts';
import { type PublicKey, readPublicKey } from '../artifact/keys.ts';
import { openArtifact, readVerified } from '../artifact/read.ts';
import { readUnchanged } from '../artifact/read-unchanged.ts';
import { verifyArtifact } from '../artifact/verify.ts';
import { fail } from '../base/diagnostics.ts';
import path from 'node:path';
import type { Tensor } from '../base/tensor.ts';
import { chooseLibrary } from './choose-library.ts';
import {
  type CLibrary,
  type ContextOptions,
  type ContextPointer,
  openCLibrary,
} from './drivers/c.ts';
import { withHost } from './host-context.ts';
import { actualOutputs, bindInputs, bindOutputs, type Tensors } from './tensors.ts';
import { openWeights } from './weights-file.ts';

export interface LoadOptions extends ContextOptions {
  /** "full" reads all files, weights included, and compares their digests first. */
  readonly verify?: 'default' | 'full';
  /** Canonical name of the library to use; default: the best for this machine. */
  readonly target?: string;
  /**
   * A public key, or several, each the path of a PEM file or its text. The artifact has to be signed
   * with one of them, and its weights are verified before they are used.
   */
  readonly key?: string | readonly string[];
}

export interface RunOptions {
  /** Arrays for outputs to be written to, as long as their bounds; the others are allocated. */
  readonly outputs?: Tensors;
}

export interface Signature {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface StepTime extends StepName {
  /** Mean over the runs, measured by worker 0 from the end of the step before. */
  readonly ns: number;
  /** How often it ran in a run, on average: steps of loops and branches do not run once. */
  readonly times: number;
}

export interface Profile {
  readonly runs: number;
  readonly steps: readonly StepTime[];
  /** Sum of the steps. */
  readonly totalNs: number;
}

export interface Context {
  readonly signature: Signature;
  /** Workers, the calling thread included. */
  readonly threads: number;
  run(inputs: Tensors, options?: RunOptions): Promise<Record<string, Tensor>>;
  runSync(inputs: Tensors, options?: RunOptions): Record<string, Tensor>;
  /** Time per step, over `runs` runs (default 10) after `warmup` (default 2). */
  profile(inputs: Tensors, options?: ProfileOptions): Profile;
  /**
   * One run that copies working memory on the way: each array is filled with the bytes at `offset`
   * after its step. report.json says which value lies where.
   */
  runWatched(inputs: Tensors, watches: readonly Watch[]): Record<string, Tensor>;
  /** Frees the context once its runs are over; a second call does nothing. */
  close(): void;
}

/** Working memory to copy after a step of the program. */
export interface Watch {
  readonly step: number;
  /** Bytes from the begin of the working memory. */
  readonly offset: number;
  /** Takes as many bytes as it has. */
  readonly to: Uint8Array;
}

export interface ProfileOptions {
  readonly runs?: number;
  readonly warmup?: number;
}

export interface Session extends Context {
  readonly manifest: Manifest;
  /** Canonical name of the target of the library in use. */
  readonly target: string;
  /** Another context for the same weights, with own workers and working memory. */
  createContext(options?: ContextOptions): Context;
}

/**
 * Opens the artifact at a directory; verifies manifest and library before any code of it runs, with
 * a key also signature and weights. An artifact that is being replaced gives the old one or the new.
 */
export function load(directory: string, options: LoadOptions = {}): Session {
  const keys =
    options.key === undefined ? undefined : [options.key].flat().map((key) => readPublicKey(key));
  return readUnchanged(
    directory,
    () => open(directory, options, keys),
    (session) => session.close(),
  );
}

function open(
  directory: string,
  options: LoadOptions,
  keys: readonly PublicKey[] | undefined,
): Session {
  const artifact = openArtifact(directory, keys === undefined ? {} : { keys });
  const { manifest } = artifact;
  if (options.verify === 'full') verifyArtifact(artifact);
  const entry = chooseLibrary(manifest, options.target);
  const bytes = readVerified(artifact, entry.file);
  const weights = openWeights(artifact, entry, keys !== undefined);
  try {
    const library = openCLibrary(bytes, path.join(directory, entry.file));
    return openSession(manifest, entry.target, library, weights.path, options);
  } finally {
    weights.close();
  }
}

function openSession(
  manifest: Manifest,
  target: string,
  library: CLibrary,
  weights: string,
  options: LoadOptions,
): Session {
  const { name, inputs, outputs } = manifest;
  const signature: Signature = { name, inputs, outputs };
  const compiledPart = { isCompiledPart: manifest.host !== undefined };
  const nativeOptions = { ...options, ...compiledPart };
  // The library is unloaded with its last context, in whatever order they end.
  let users = 0;
  const addContext = (create: () => ContextPointer): Context => {
    let pointer: ContextPointer;
    try {
      pointer = create();
    } catch (error) {
      if (users === 0) library.unload();
      throw error;
    }
    users++;
    const native = makeContext(library, pointer, signature, () => {
      users--;
      if (users === 0) library.unload();
    });
    return manifest.host === undefined ? native : withHost(native, manifest.host);
  };
  let first: ContextPointer = 0n;
  const main = addContext(() => {
    first = library.open(weights, nativeOptions);
    return first;
  });
  let closed = false;
  return {
    ...main,
    manifest,
    target,
    createContext(contextOptions = {}) {
      if (closed) closedError(name);
      return addContext(() => library.createContext(first, { ...contextOptions, ...compiledPart }));
    },
    close() {
      closed = true;
      main.close();
    },
  };
}

function makeContext(
  library: CLibrary,
  pointer: ContextPointer,
  signature: Signature,
  onEnd: () => void,
): Context {
  let pending = 0;
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  const end = (): void => {
    library.destroy(pointer);
    onEnd();
  };
  const checkOpen = (): void => {
    if (closed) closedError(signature.name);
  };
  const bind = (inputs: Tensors, options: RunOptions) => {
    checkOpen();
    const bound = bindOutputs(signature.outputs, options.outputs);
    return { inputs: bindInputs(signature.inputs, inputs), ...bound };
  };
  const runSync: Context['runSync'] = (inputs, options = {}) => {
    const bound = bind(inputs, options);
    return actualOutputs(bound, signature, library.run(pointer, bound.inputs, bound.native));
  };
  return {
    signature,
    threads: library.threads(pointer),
    runSync,
    async run(inputs, options = {}) {
      const bound = bind(inputs, options);
      pending++;
      try {
        // One after the other, without holding a thread of the process while waiting.
        const turn = last.then(() => library.runAsync(pointer, bound.inputs, bound.native));
        last = turn.catch(() => {});
        return actualOutputs(bound, signature, await turn);
      } finally {
        pending--;
        if (closed && pending === 0) end();
      }
    },
    profile(inputs, options = {}) {
      const runs = options.runs ?? 10;
      for (let i = 0; i < (options.warmup ?? 2); i++) runSync(inputs);
      const names = parseDescription(library.describe(), signature.name).steps;
      const ns = new BigUint64Array(Math.max(1, library.stepCount()));
      const counts = new BigUint64Array(ns.length);
      checkOpen();
      library.profile(pointer, ns);
      library.count(pointer, counts);
      try {
        for (let i = 0; i < runs; i++) runSync(inputs);
      } finally {
        library.profile(pointer, undefined);
        library.count(pointer, undefined);
      }
      const isCounted = counts.some((count) => count > 0n);
      const steps = names.map((step, i) => ({
        ...step,
        ns: Number(ns[i] ?? 0n) / runs,
        times: isCounted ? Number(counts[i]) / runs : 1,
      }));
      return { runs, steps, totalNs: steps.reduce((sum, step) => sum + step.ns, 0) };
    },
    runWatched(inputs, watches) {
      checkOpen();
      library.watch(pointer, watches);
      try {
        return runSync(inputs);
      } finally {
        library.watch(pointer, []);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      if (pending === 0) end();
    },
  };
}

function closedError(name: string): never {
  fail('HONE-RUN-011', `the model ${name} was closed`, name, 'load it again, or close it later');
}
