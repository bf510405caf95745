/**
 * A small compiled model for the tests of the runtime, written by hand: three steps over a vector,
 * with a barrier inside a kernel, a read of weights, and a check of data.
 *
 *     z = a + b;  y[i] = z[n - 1 - i] * weights[i]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildLibrary, publicHeader, weightsFileName } from 'hone/backends/c/build';
import { findToolchain } from 'hone/backends/c/toolchain';
import { libraryExtension } from 'hone/backends/c/toolchain-flags';
import { describeProgram } from 'hone-runtime/artifact/describe';
import type { PrivateKey } from 'hone-runtime/artifact/keys';
import type { Program, TensorSpec } from 'hone-runtime/artifact/program';
import { type ArtifactContents, writeArtifact } from 'hone-runtime/artifact/write';
import { sha256 } from 'hone-runtime/base/digest';
import { resolveTarget } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';

export const COUNT = 1000;

const KERNELS = `#include "hone_kernel.h"

static void share(const hone_worker *w, int64_t n, int64_t *lo, int64_t *hi) {
  *lo = n * w->id / w->count;
  *hi = n * (w->id + 1) / w->count;
}

void k_add(void *const *buf, const int64_t *dim, const hone_worker *w) {
  const float *a = buf[0], *b = buf[1];
  float *sum = buf[2], *z = buf[3];
  int64_t lo, hi;
  share(w, dim[0], &lo, &hi);
  for (int64_t i = lo; i < hi; i++) sum[i] = z[i] = a[i] + b[i];
}

/* Two phases: every worker needs what the others wrote before the barrier. */
void k_reverse(void *const *buf, const int64_t *dim, const hone_worker *w) {
  const float *sum = buf[0], *weights = buf[1];
  float *part = buf[2], *y = buf[3];
  int64_t lo, hi;
  share(w, dim[0], &lo, &hi);
  for (int64_t i = lo; i < hi; i++) part[i] = sum[i];
  hone_barrier(w);
  for (int64_t i = lo; i < hi; i++) y[i] = part[dim[0] - 1 - i] * weights[i];
}

/* Refuses negative numbers at b[0]. */
void k_check(void *const *buf, const int64_t *dim, const hone_worker *w) {
  const float *b = buf[0];
  if (w->id == w->count - 1 && b[0] < 0) hone_fault(w, HONE_FAULT_INDEX);
}
`;

const spec = (name: string): TensorSpec => ({
  name,
  dtype: 'f32',
  shape: [COUNT],
  bytes: COUNT * 4,
});

/** Steps are repeated so that a run has some hundred barriers. */
export function sampleProgram(repeats = 1): Program {
  const once: Program['steps'] = [
    {
      kind: 'kernel',
      kernel: 'k_add',
      buffers: [
        { space: 'input', index: 0 },
        { space: 'input', index: 1 },
        { space: 'arena', offset: 0 },
        { space: 'output', index: 1 },
      ],
      dims: [COUNT],
      label: 'add',
    },
    {
      kind: 'kernel',
      kernel: 'k_reverse',
      buffers: [
        { space: 'arena', offset: 0 },
        { space: 'weights', offset: 64 },
        { space: 'arena', offset: 4096 },
        { space: 'output', index: 0 },
      ],
      dims: [COUNT],
      label: 'reverse + scale "é"',
    },
    {
      kind: 'kernel',
      kernel: 'k_check',
      buffers: [{ space: 'input', index: 1 }],
      dims: [],
      label: 'check',
    },
  ];
  return {
    name: 'sample',
    inputs: [spec('a'), spec('b')],
    outputs: [spec('y'), spec('z')],
    steps: Array.from({ length: repeats }, () => once).flat(),
    arenaBytes: 8192,
    weightsBytes: 64 + COUNT * 4,
  };
}

export function sampleWeights(): Uint8Array {
  const values = new Float32Array(16 + COUNT);
  for (let i = 0; i < COUNT; i++) values[16 + i] = (i % 7) - 3;
  return new Uint8Array(values.buffer);
}

/** What y and z are for these inputs. */
export function expected(a: Float32Array, b: Float32Array): { y: Float32Array; z: Float32Array } {
  const z = a.map((value, i) => value + (b[i] ?? 0));
  const y = z.map((_, i) => (z[COUNT - 1 - i] ?? 0) * ((i % 7) - 3));
  return { y, z };
}

export interface SampleOptions {
  readonly target?: string;
  readonly repeats?: number;
  /** More C behind the kernels. */
  readonly code?: string;
  readonly key?: PrivateKey;
}

export async function sampleContents(options: SampleOptions = {}): Promise<ArtifactContents> {
  const program = sampleProgram(options.repeats);
  const target = resolveTarget(options.target ?? 'native');
  const toolchain = findToolchain();
  const { library, sources } = await buildLibrary({
    program,
    kernelSources: [{ name: 'kernels.c', text: KERNELS + (options.code ?? '') }],
    target,
    toolchain,
    describeJson: describeProgram(program, target.name),
    timeoutMs: 120_000,
  });
  return contentsOf(program, target, library, toolchain.id, sources);
}

function contentsOf(
  program: Program,
  target: Target,
  library: Uint8Array,
  toolchain: string,
  sources: ArtifactContents['sources'],
): ArtifactContents {
  return {
    name: program.name,
    inputs: program.inputs,
    outputs: program.outputs,
    source: { name: 'sample.onnx', bytes: 6, sha256: sha256('sample') },
    compiler: { hone: '0.1.0', toolchain, options: {} },
    libraries: [
      {
        target: target.name,
        library,
        extension: libraryExtension(target),
        weights: weightsFileName(target),
        arenaBytes: program.arenaBytes,
      },
    ],
    weights: [{ path: weightsFileName(target), pieces: [sampleWeights()] }],
    header: publicHeader(),
    sources,
    graph: 'graph sample() {}\n',
    report: { stages: [] },
    choices: {},
    evidence: [{ name: 'times.json', text: '{}\n' }],
  };
}

/** Calls `work` with a temporary directory. */
export async function withDirectory<T>(work: (directory: string) => Promise<T> | T): Promise<T> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'hone-test-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Calls `work` with the path of the sample as an artifact. */
export function withSample<T>(
  work: (artifact: string, directory: string) => Promise<T> | T,
  options: SampleOptions = {},
): Promise<T> {
  return withDirectory(async (directory) => {
    const artifact = path.join(directory, 'sample.hone');
    const write = options.key === undefined ? {} : { key: options.key };
    writeArtifact(artifact, await sampleContents(options), write);
    return work(artifact, directory);
  });
}
