/**
 * Kernels as C text in, a library out: writes the sources beside the C runtime in a fresh
 * directory, compiles the units in parallel, links them. The bytes are a function of the request:
 * neither the directory nor the time nor the host shows in them. Units compiled before come from
 * the cache.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { kernelsOf, type Program } from 'hone-runtime/artifact/program';
import { fail, invariant } from 'hone-runtime/base/diagnostics';
import { cpuPart } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';
import { usableCpus } from 'hone-runtime/target/cpu-quota';
import { programTable } from './program-table.ts';
import { archiverOf, type Toolchain } from './toolchain.ts';
import { cacheDirectory, type ObjectCache, objectCache } from './toolchain-cache.ts';
import { compileFlags, libraryExtension, linkFlags, type UnitKind } from './toolchain-flags.ts';
import { runTool, type ToolResult, withScratch } from './toolchain-run.ts';
import {
  checkPrefix,
  EXPORTS_UNIT,
  exportsUnit,
  NAMES_HEADER,
  namesHeader,
  prefixedHeader,
} from './symbol-prefix.ts';

export interface SourceText {
  readonly name: string;
  readonly text: string;
}

export interface BuildRequest {
  readonly program: Program;
  /** Complete C files; their functions that steps name are not static. */
  readonly kernelSources: readonly SourceText[];
  readonly target: Target;
  readonly toolchain: Toolchain;
  /** What the library's hone_describe returns. */
  readonly describeJson: string;
  /** For the whole build. */
  readonly timeoutMs: number;
  /** Path of the weights inside the artifact; default `weightsFileName(target)`. */
  readonly weightsFile?: string;
  /** SHA-256 of the weights, in hexadecimal, for programs that verify them. */
  readonly weightsDigest?: string;
  /** Names of functions are NAME_open, …, so that several models fit into one program. */
  readonly prefix?: string;
  /** true: an archive for static linking is made besides. */
  readonly archive?: boolean;
  /** Compilers that run at once; default 2. */
  readonly jobs?: number;
  /** false: units compiled before are compiled again. Default true. */
  readonly objectCache?: boolean;
  /** Sanitizers by their names in clang, e.g. "undefined": the library ends its process on a find. */
  readonly sanitize?: string;
  /** true: kernels are not optimised, for libraries that are run once. */
  readonly quick?: boolean;
  /** Told after each compiled unit. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface BuildResult {
  readonly library: Uint8Array;
  /** The object files as a static library, where it was asked for. */
  readonly archive?: Uint8Array;
  /** Everything that was compiled, headers included, sorted by name. */
  readonly sources: readonly SourceText[];
}

const NATIVE = new URL('../../../native/', import.meta.url);
const UNIT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*\.c$/;
const PROGRAM_UNIT = 'hone_program.c';

/** Where an artifact keeps the weights of a target: libraries with the same packing share a file. */
export function weightsFileName(target: Target): string {
  return `weights/${cpuPart(target)}.bin`;
}

/** hone.h, the C interface that artifacts carry as include/model.h. */
export function publicHeader(prefix?: string): string {
  const header = readFileSync(new URL('hone.h', NATIVE), 'utf8');
  return prefix === undefined ? header : prefixedHeader(header, prefix);
}

/** Builds the library; throws HONE-TOOL-0xx with the compiler's first complaint. */
export async function buildLibrary(request: BuildRequest): Promise<BuildResult> {
  const deadline = performance.now() + request.timeoutMs;
  const sources = allSources(request);
  const cacheRoot = cacheDirectory();
  const cache = objectCache(cacheRoot);
  return withScratch(async (directory) => {
    for (const { name, text } of sources) writeFileSync(path.join(directory, name), text);
    const job: Job = {
      request,
      directory,
      deadline,
      env: toolEnvironment(request, cacheRoot, directory),
    };
    const objects = await compileUnits(job, sources, cache);
    const library = await link(job, objects);
    const archive = request.archive === true ? { archive: await archiveOf(job, objects) } : {};
    if (request.quick !== true) cache.trim();
    return { library, ...archive, sources };
  });
}

interface Job {
  readonly request: BuildRequest;
  readonly directory: string;
  readonly deadline: number;
  readonly env: Readonly<Record<string, string>>;
}

function allSources(request: BuildRequest): readonly SourceText[] {
  const { program, target, describeJson, kernelSources } = request;
  const weightsFile = request.weightsFile ?? weightsFileName(target);
  const { weightsDigest } = request;
  const table = programTable({
    program,
    target,
    describeJson,
    weightsFile,
    ...(weightsDigest === undefined ? {} : { weightsDigest }),
  });
  const native = readdirSync(NATIVE)
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => ({ name, text: readFileSync(new URL(name, NATIVE), 'utf8') }));
  const own = [...native, { name: PROGRAM_UNIT, text: table }, ...kernelSources];
  const all =
    request.prefix === undefined ? own : [...own, ...renaming(request.prefix, own, program)];
  const names = new Set<string>();
  for (const { name } of all) {
    invariant(
      name.endsWith('.h') || UNIT_NAME.test(name),
      `"${name}" is no plain name of a C file`,
    );
    invariant(!names.has(name), `two sources are named ${name}`);
    names.add(name);
  }
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function renaming(
  prefix: string,
  sources: readonly SourceText[],
  program: Program,
): readonly SourceText[] {
  checkPrefix(prefix);
  const kernels = kernelsOf(program);
  const texts = sources.map((source) => source.text);
  return [
    { name: NAMES_HEADER, text: namesHeader(prefix, texts, kernels) },
    { name: EXPORTS_UNIT, text: exportsUnit(publicHeader(), prefix) },
  ];
}

/** Nothing of the caller's environment reaches the compiler but where programs are. */
function toolEnvironment(
  request: BuildRequest,
  cacheRoot: string,
  directory: string,
): Readonly<Record<string, string>> {
  return {
    PATH: process.env['PATH'] ?? '',
    LC_ALL: 'C',
    TMPDIR: directory,
    HOME: directory,
    ZIG_GLOBAL_CACHE_DIR: path.join(cacheRoot, 'zig'),
    // Per build: zig would keep another copy of every object here.
    ZIG_LOCAL_CACHE_DIR: path.join(directory, 'zig'),
    ...request.toolchain.env,
  };
}

async function compileUnits(
  job: Job,
  sources: readonly SourceText[],
  cache: ObjectCache,
): Promise<readonly string[]> {
  const { request, directory } = job;
  const kernels = new Set(request.kernelSources.map((source) => source.name));
  const units = sources.filter((source) => source.name.endsWith('.c'));
  const headers = digest(sources.filter((s) => s.name.endsWith('.h')).map((s) => s.name + s.text));
  const stop = new AbortController();
  let done = 0;
  const compile = async (unit: SourceText): Promise<void> => {
    const kind: UnitKind = kernels.has(unit.name) ? 'kernel' : 'runtime';
    const renamed = request.prefix !== undefined && unit.name !== EXPORTS_UNIT;
    const flags = [
      ...compileFlags(request.toolchain, request.target, kind, request.sanitize),
      ...(request.quick === true && kind === 'kernel' ? ['-O0'] : []),
      ...(renamed ? ['-include', NAMES_HEADER] : []),
    ];
    const key = digest([request.toolchain.id, flags.join(' '), headers, unit.name, unit.text]);
    const object = path.join(directory, objectName(unit));
    const isKept = request.quick !== true || (kind === 'runtime' && unit.name !== PROGRAM_UNIT);
    const cached = isKept && request.objectCache !== false ? cache.get(key) : undefined;
    if (cached !== undefined) {
      writeFileSync(object, cached);
    } else {
      const args = [...flags, '-I.', '-c', unit.name, '-o', objectName(unit)];
      const result = await start(job, args, stop.signal);
      if (result.outcome !== 'done' || result.status !== 0) {
        // The other lanes' compilers are ended by this one's failure, which is the one to report.
        if (stop.signal.aborted) return;
        stop.abort();
        failedTool(job, result, `compile ${unit.name}`);
      }
      const bytes = readOutput(job, object, `compile ${unit.name}`);
      if (isKept) cache.put(key, bytes);
    }
    request.onProgress?.(++done, units.length);
  };
  // Long units first, so that no compiler is left with the longest at the end.
  const queue = [...units].sort((a, b) => b.text.length - a.text.length);
  const lane = async (): Promise<void> => {
    for (
      let unit = queue.shift();
      unit !== undefined && !stop.signal.aborted;
      unit = queue.shift()
    ) {
      await compile(unit);
    }
  };
  const jobs = Math.max(1, request.jobs ?? Math.min(2, usableCpus()));
  const lanes = await Promise.allSettled(Array.from({ length: jobs }, lane));
  const failure = lanes.find((result) => result.status === 'rejected');
  if (failure?.status === 'rejected') throw failure.reason;
  return units.map(objectName);
}

async function link(job: Job, objects: readonly string[]): Promise<Uint8Array> {
  const { toolchain, target, sanitize } = job.request;
  const output = `library${libraryExtension(target)}`;
  const args = [...linkFlags(toolchain, target, sanitize), '-o', output, ...objects];
  const result = await start(job, args);
  if (result.outcome !== 'done' || result.status !== 0) failedTool(job, result, 'link the library');
  const library = readOutput(job, path.join(job.directory, output), 'link the library');
  return target.os === 'windows' ? withoutTime(library) : library;
}

/** The linker puts the time into the header of a Windows file, which nothing needs. */
function withoutTime(library: Uint8Array): Uint8Array {
  const out = library.slice();
  const view = new DataView(out.buffer);
  const header = view.getUint32(0x3c, true);
  invariant(view.getUint32(header, true) === 0x4550, 'the library is no Windows file');
  view.setUint32(header + 8, 0, true);
  return out;
}

/** The units as a static library; without owners and times, so that the bytes are the same anywhere. */
async function archiveOf(job: Job, objects: readonly string[]): Promise<Uint8Array> {
  const output = 'library.a';
  const exported = objectName({ name: EXPORTS_UNIT });
  const members = objects.filter((object) => object !== exported);
  const args = ['rcsD', output, ...members];
  const result = await start(job, args, undefined, archiverOf(job.request.toolchain));
  const what = 'make the archive';
  if (result.outcome !== 'done' || result.status !== 0) failedTool(job, result, what);
  return readOutput(job, path.join(job.directory, output), what);
}

/** A compiler that says it succeeded may still have written nothing. */
function readOutput(job: Job, file: string, what: string): Uint8Array {
  if (existsSync(file)) return readFileSync(file);
  return failedTool(job, { status: 0, stderr: 'it wrote no output', outcome: 'done' }, what);
}

/** What starts a tool. */
type Tool = Pick<Toolchain, 'command' | 'leading'>;

function start(
  job: Job,
  args: readonly string[],
  signal?: AbortSignal,
  { command, leading }: Tool = job.request.toolchain,
): Promise<ToolResult> {
  return runTool({
    command,
    args: [...leading, ...args],
    cwd: job.directory,
    env: job.env,
    timeoutMs: job.deadline - performance.now(),
    ...(signal === undefined ? {} : { signal }),
  });
}

function failedTool(job: Job, result: ToolResult, what: string): never {
  const { toolchain, timeoutMs } = job.request;
  const name = toolchain.id;
  const unset = 'unset HONE_CC to use the bundled compiler';
  if (/No space left|NoSpaceLeft|quota exceeded|FileTooBig/i.test(result.stderr)) {
    fail(
      'HONE-TOOL-008',
      `${name} found no space while it had to ${what}`,
      name,
      'free some space in the temporary folder (TMPDIR) and in the cache (HONE_CACHE_DIR)',
    );
  }
  if (result.outcome === 'timeout') {
    const cure = toolchain.source === 'HONE_CC' ? unset : 'give the build more time';
    fail('HONE-TOOL-004', `${name} did not ${what} within ${timeoutMs} ms`, name, cure);
  }
  if (result.outcome === 'no-start') {
    const cure = toolchain.source === 'HONE_CC' ? unset : 'run `npm install` again';
    fail('HONE-TOOL-001', `${name} cannot be started: ${result.stderr.trim()}`, name, cure);
  }
  if (result.outcome === 'killed') {
    const cure = 'free some memory and try again';
    fail('HONE-TOOL-007', `${name} was killed while it had to ${what}`, name, cure);
  }
  const cure = toolchain.source === 'HONE_CC' ? unset : 'please report this as a bug';
  fail('HONE-TOOL-003', `${name} could not ${what}:\n${firstErrors(result.stderr)}`, name, cure);
}

/** The first lines that say what is wrong. */
function firstErrors(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /error|undefined|unknown|unrecognized|cannot/i.test(line));
  return (errors.length > 0 ? errors : lines).slice(0, 5).join('\n');
}

function objectName(unit: Pick<SourceText, 'name'>): string {
  return `${unit.name.slice(0, -2)}.o`;
}

function digest(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}
