/** The engine to compare with: is it there, and what does it answer without optimisations. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import { type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import type { OutputFile } from './engine-protocol.ts';
import { type EngineProcess, openRequest, startEngine } from './engine-process.ts';
import type { SubjectFacts } from './subject.ts';

export const BASELINE_VERSION = '1.30.0';

/** Version of the installed onnxruntime-node; HONE-BENCH-002 with the line to install it. */
export function baselineVersion(from: string = import.meta.url): string {
  try {
    const read = createRequire(from);
    const { version } = read('onnxruntime-node/package.json') as { readonly version: unknown };
    return String(version);
  } catch {
    return fail(
      'HONE-BENCH-002',
      'onnxruntime-node, the baseline, is not installed',
      'onnxruntime-node',
      `npm install --ignore-scripts onnxruntime-node@${BASELINE_VERSION}`,
    );
  }
}

/** Outputs of the ONNX file by onnxruntime with all optimisations off, from a process that ends. */
export async function referenceOutputs(
  onnx: string,
  facts: SubjectFacts,
  threads: number,
): Promise<Record<string, Tensor>> {
  const engine = startEngine('onnxruntime', 1);
  try {
    const { inputs, dims } = facts;
    await engine.ask(
      openRequest({
        engine: 'onnxruntime',
        path: onnx,
        threads,
        lanes: 1,
        inputs,
        optimise: false,
        dims,
      }),
    );
    return await outputsOf(engine);
  } finally {
    engine.end();
  }
}

/** The outputs of an engine's first run. */
export async function outputsOf(engine: EngineProcess): Promise<Record<string, Tensor>> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bench-'));
  try {
    const files = await engine.ask({ kind: 'outputs', folder });
    return Object.fromEntries(files.map((file) => [file.name, readOutput(file)]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readOutput({ dtype, shape, file }: OutputFile): Tensor {
  return { dtype, shape, data: viewBytes(dtype, readFileSync(file)) };
}
