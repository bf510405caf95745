/**
 * The C ABI (hone.h) of a compiled library, for JavaScript: contexts as opaque values, tensors as
 * views of typed arrays that C reads and writes in place.
 */
import koffi from 'koffi';
import { type ErrorCode, fail, HoneError } from '../../base/diagnostics.ts';
import { type DType, dtypeCode } from '../../base/dtype.ts';
import { loadLibrary } from './load-library.ts';

/** A pointer to a hone_context. */
export type ContextPointer = bigint;

export interface ContextOptions {
  /** Workers, the calling thread included; default: the physical cores this process may use. */
  readonly threads?: number;
  /** Contexts of a model with the same number (> 0) share workers; default: own ones. */
  readonly group?: number;
  /** Fills the working memory with 0xFF before each run. */
  readonly poison?: boolean;
  /** The caller runs the steps on texts around the compiled part; without it such models are refused. */
  readonly isCompiledPart?: boolean;
}

/** Elements of a tensor that C sees; `bytes` is a view of memory that stays where it is. */
export interface NativeTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Actual shapes of the outputs: smaller than asked for where they depend on data. */
export type Shapes = readonly (readonly number[])[];

export interface CLibrary {
  describe(): string;
  open(path: string, options: ContextOptions): ContextPointer;
  createContext(from: ContextPointer, options: ContextOptions): ContextPointer;
  destroy(context: ContextPointer): void;
  threads(context: ContextPointer): number;
  run(
    context: ContextPointer,
    inputs: readonly NativeTensor[],
    outputs: readonly NativeTensor[],
  ): Shapes;
  runAsync(
    context: ContextPointer,
    inputs: readonly NativeTensor[],
    outputs: readonly NativeTensor[],
  ): Promise<Shapes>;
  stepCount(): number;
  /** From now on nanoseconds are added to `ns`, which the caller keeps alive; undefined ends it. */
  profile(context: ContextPointer, ns: BigUint64Array | undefined): void;
  /** From now on how often steps run is added to `counts`, kept alive as above; undefined ends it. */
  count(context: ContextPointer, counts: BigUint64Array | undefined): void;
  /** From now on runs copy working memory, see hone.h; the caller keeps the arrays alive. */
  watch(context: ContextPointer, watches: readonly NativeWatch[]): void;
  unload(): void;
}

/** Working memory to copy after a step. */
export interface NativeWatch {
  readonly step: number;
  readonly offset: number;
  readonly to: Uint8Array;
}

const ABI_VERSION = 1;
const TENSOR_BYTES = 104;
const FLAG_POISON = 1;
const FLAG_COMPILED_PART = 2;
const MAX_THREADS = 256;

/** Stack that kernels may use in the thread that calls them. */
const STACK_BYTES = 4 << 20;

// koffi runs functions on stacks of its own, 128 KiB for asynchronous calls unless told otherwise,
// and accepts that only before the first library is loaded.
try {
  koffi.config({ async_stack_size: STACK_BYTES, sync_stack_size: STACK_BYTES });
} catch {
  // checkStacks reports it when a library is opened.
}

function checkStacks(): void {
  const { async_stack_size = 0, sync_stack_size = 0 } = koffi.config();
  if (Math.min(async_stack_size, sync_stack_size) >= STACK_BYTES / 4) return;
  fail(
    'HONE-RUN-006',
    'koffi was set up by another module with stacks too small for kernels',
    'koffi',
    'import hone-runtime before other users of koffi',
  );
}

/** Arrays that C works on: it has addresses only, which do not keep them alive. */
const inUse = new Set<unknown>();

type Run = (
  context: ContextPointer,
  inputs: Uint8Array,
  inputCount: number,
  outputs: Uint8Array,
  outputCount: number,
) => number;

interface AsyncRun extends Run {
  readonly async: (...args: [...Parameters<Run>, (error: unknown, status: number) => void]) => void;
}

/** Binds a library; `name` is how errors call it. */
export function openCLibrary(bytes: Uint8Array, name: string): CLibrary {
  checkStacks();
  const library = loadLibrary(bytes, name);
  const version = library.bind<() => number>('uint32_t hone_abi_version(void)')();
  if (version !== ABI_VERSION) {
    library.unload();
    fail(
      'HONE-RUN-007',
      `${name} has ABI version ${version}, this runtime needs ${ABI_VERSION}`,
      name,
      'compile the model with the version of hone that belongs to this hone-runtime',
    );
  }
  const lastError = library.bind<(context: ContextPointer) => string>(
    'const char *hone_last_error(uintptr_t context)',
  );
  const check = (status: number, context: ContextPointer): void => {
    if (status !== 0) throw errorFromText(lastError(context), name);
  };
  const open = library.bind<(path: string, options: Uint8Array, out: BigUint64Array) => number>(
    'int hone_open(const char *path, void *options, void *out)',
  );
  const create = library.bind<
    (from: ContextPointer, options: Uint8Array, out: BigUint64Array) => number
  >('int hone_context_create(uintptr_t from, void *options, void *out)');
  const run = library.bind<AsyncRun>(
    'int hone_run(uintptr_t context, void *inputs, uint32_t n, void *outputs, uint32_t m)',
  );
  const profile = library.bind<(context: ContextPointer, ns: BigUint64Array | null) => void>(
    'void hone_profile(uintptr_t context, void *ns)',
  );
  // C keeps addresses of these tables, which do not keep them alive.
  const watched = new Map<ContextPointer, Uint8Array>();
  return {
    describe: library.bind('const char *hone_describe(void)'),
    open(path, options) {
      const out = new BigUint64Array(1);
      check(open(path, packOptions(options), out), 0n);
      return out[0] as bigint;
    },
    createContext(from, options) {
      const out = new BigUint64Array(1);
      check(create(from, packOptions(options), out), from);
      return out[0] as bigint;
    },
    destroy: library.bind('void hone_context_destroy(uintptr_t context)'),
    threads: library.bind('uint32_t hone_thread_count(uintptr_t context)'),
    run(context, inputs, outputs) {
      const packed = [packTensors(inputs), packTensors(outputs)] as const;
      const held = [packed, inputs, outputs];
      inUse.add(held);
      try {
        check(run(context, packed[0], inputs.length, packed[1], outputs.length), context);
        return shapesOf(packed[1], outputs);
      } finally {
        inUse.delete(held);
      }
    },
    runAsync: (context, inputs, outputs) =>
      new Promise((resolve, reject) => {
        const packed = [packTensors(inputs), packTensors(outputs)] as const;
        const held = [packed, inputs, outputs];
        inUse.add(held);
        run.async(context, packed[0], inputs.length, packed[1], outputs.length, (error, status) => {
          inUse.delete(held);
          try {
            if (error) throw error;
            check(status, context);
            resolve(shapesOf(packed[1], outputs));
          } catch (failure) {
            reject(failure);
          }
        });
      }),
    stepCount: library.bind('uint32_t hone_step_count(void)'),
    profile: (context, ns) => profile(context, ns ?? null),
    count(context, counts) {
      let bound: (context: ContextPointer, counts: BigUint64Array | null) => void;
      try {
        bound = library.bind('void hone_count_steps(uintptr_t context, void *counts)');
      } catch {
        // Libraries of before know no loops: each step runs once a run.
        return;
      }
      bound(context, counts ?? null);
    },
    watch(context, watches) {
      let bound: (context: ContextPointer, watches: Uint8Array | null, count: number) => number;
      try {
        bound = library.bind('int hone_watch_steps(uintptr_t context, void *watches, uint32_t n)');
      } catch {
        return fail(
          'HONE-RUN-012',
          `${name} was compiled by a version of hone whose libraries do not show their steps`,
          name,
          'compile the model again',
        );
      }
      if (watches.length === 0) {
        check(bound(context, null, 0), context);
        watched.delete(context);
        return undefined;
      }
      const packed = packWatches(watches);
      watched.set(context, packed);
      return check(bound(context, packed, watches.length), context);
    },
    unload: () => library.unload(),
  };
}

/** hone_options: size, threads, group, flags. */
function packOptions(options: ContextOptions): Uint8Array {
  const threads = options.threads ?? 0;
  if (!Number.isInteger(threads) || threads < 0 || threads > MAX_THREADS) {
    const cure = `give 1 to ${MAX_THREADS}, or nothing for the physical cores`;
    fail('HONE-RUN-008', `${threads} is no number of threads`, 'threads', cure);
  }
  const flags =
    (options.poison ? FLAG_POISON : 0) | (options.isCompiledPart ? FLAG_COMPILED_PART : 0);
  const words = Uint32Array.of(16, threads, options.group ?? 0, flags);
  return new Uint8Array(words.buffer);
}

/** An array of hone_tensor. */
function packTensors(tensors: readonly NativeTensor[]): Uint8Array {
  const packed = new Uint8Array(Math.max(1, tensors.length) * TENSOR_BYTES);
  const view = new DataView(packed.buffer);
  tensors.forEach(({ dtype, shape, bytes }, i) => {
    const base = i * TENSOR_BYTES;
    view.setInt32(base, dtypeCode(dtype), true);
    view.setInt32(base + 4, shape.length, true);
    shape.forEach((extent, axis) => {
      view.setBigInt64(base + 8 + 8 * axis, BigInt(extent), true);
    });
    // An empty array has no address, but nothing of it is read or written either.
    const address = bytes.byteLength === 0 ? BigInt(koffi.address(packed)) : koffi.address(bytes);
    view.setBigUint64(base + 72, BigInt(address), true);
    view.setBigUint64(base + 80, BigInt(bytes.byteLength), true);
    view.setBigUint64(base + 88, BigInt(bytes.byteLength), true);
  });
  return packed;
}

/** What a run left in the shapes of an array of hone_tensor. */
function shapesOf(packed: Uint8Array, tensors: readonly NativeTensor[]): Shapes {
  const view = new DataView(packed.buffer);
  return tensors.map(({ shape }, i) =>
    shape.map((_, axis) => Number(view.getBigInt64(i * TENSOR_BYTES + 8 + 8 * axis, true))),
  );
}

const WATCH_BYTES = 32;

/** An array of hone_watch. */
function packWatches(watches: readonly NativeWatch[]): Uint8Array {
  const packed = new Uint8Array(watches.length * WATCH_BYTES);
  const view = new DataView(packed.buffer);
  watches.forEach(({ step, offset, to }, i) => {
    const base = i * WATCH_BYTES;
    view.setBigUint64(base, BigInt(offset), true);
    view.setBigUint64(base + 8, BigInt(to.byteLength), true);
    view.setBigUint64(base + 16, BigInt(koffi.address(to)), true);
    view.setUint32(base + 24, step, true);
  });
  return packed;
}

const CURES: Readonly<Record<string, string>> = {
  'HONE-INPUT-020': 'give shapes that agree',
  'HONE-RUN-002': 'fetch or compile the artifact again',
  'HONE-RUN-003': 'compile the model for this processor (--target native)',
  'HONE-RUN-004': 'free some memory, or compile with a smaller --batch or --shape',
  'HONE-RUN-005': 'ask for fewer threads, or raise the limit of processes',
  'HONE-RUN-010': 'check the values of the inputs',
  'HONE-RUN-014': 'check the values that the condition of the loop depends on',
};

/** The library's "HONE-…: text" as an error. */
function errorFromText(message: string, subject: string): HoneError {
  const match = /^(HONE-[A-Z]+-\d+): (.*)$/s.exec(message);
  const code = (match?.[1] ?? 'HONE-INTERNAL-002') as ErrorCode;
  const cure = CURES[code];
  return new HoneError({
    code,
    message: match?.[2] ?? message,
    subject,
    ...(cure === undefined ? {} : { cure }),
  });
}
