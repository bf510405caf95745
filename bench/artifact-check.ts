/**
 * What an artifact of a model is worth trusting for: its arena against the least possible, the
 * memory of `hone run`, the size of the library, and whether compiling again gives the same bytes.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { openArtifact } from 'hone-runtime/artifact/read';
import { makeInputs } from 'hone/bench/engine-inputs';
import { formatNpy } from 'hone/cli/input/npy';
import {
  type CompileOptions,
  compileModel,
  peakBytes,
  rebuildArtifact,
  writeArtifact,
} from 'hone/compile/index';
import { modelByName } from './models.ts';

const BIN = fileURLToPath(new URL('../../packages/hone/bin/hone.js', import.meta.url));
const PRELOAD = new URL('./print-peak.js', import.meta.url).href;

/** The bounds that hold for every network. */
export const MOST_ARENA = 1.05;
const MOST_PARAMETERS = 1.1;
const MOST_ELSE_BYTES = 70e6;

export interface ArtifactRow {
  readonly model: string;
  readonly target: string;
  readonly parameter_bytes: number;
  readonly weights_bytes: number;
  readonly arena_bytes: number;
  /** Largest live set. */
  readonly live_bytes: number;
  /** What `hone compile` prints: weights and arena. */
  readonly peak_bytes: number;
  /** VmHWM of `hone run` with .npy inputs; null where the system does not say. */
  readonly process_bytes: number | null;
  /** 1.1 × parameters + arena + 70 MB. */
  readonly process_limit_bytes: number;
  readonly library_bytes: number;
  /** Files that were the same when it was compiled again; null: they were not. */
  readonly same_files: number | null;
  /** What is not as it should be. */
  readonly problems: readonly string[];
}

/** `folder` is for the model, its artifact and its inputs. */
export async function checkArtifact(
  model: string,
  folder: string,
  options: CompileOptions,
): Promise<ArtifactRow> {
  const { onnx, shapes, values } = await modelByName(model, folder);
  const artifact = path.join(folder, 'model.hone');
  const compiled = await compileModel(onnx, {
    ...options,
    ...(shapes === undefined ? {} : { shapes }),
  });
  await writeArtifact(compiled, artifact);
  const { program, report, target, build } = compiled;
  const inputs = makeInputs(program.inputs.map((spec) => ({ ...spec, ...values?.[spec.name] })));
  const files = Object.entries(inputs).map(([name, tensor], i) => {
    const file = path.join(folder, `${i}.npy`);
    writeFileSync(file, formatNpy(tensor));
    return { name, file };
  });
  const used = memoryOfRun(artifact, files, folder);
  const same = await sameFiles(artifact, onnx);
  const limit = Math.round(
    report.parameterBytes * MOST_PARAMETERS + report.arenaBytes + MOST_ELSE_BYTES,
  );
  return {
    model,
    target: target.name,
    parameter_bytes: report.parameterBytes,
    weights_bytes: report.weightsBytes,
    arena_bytes: report.arenaBytes,
    live_bytes: report.liveBytes,
    peak_bytes: peakBytes(report),
    process_bytes: used,
    process_limit_bytes: limit,
    library_bytes: build.library.byteLength,
    same_files: typeof same === 'string' ? null : same,
    problems: [
      ...(report.arenaBytes > report.liveBytes * MOST_ARENA ? ['arena'] : []),
      ...(used !== null && used > limit ? ['memory'] : []),
      ...(typeof same === 'string' ? [same] : []),
    ],
  };
}

function memoryOfRun(
  artifact: string,
  inputs: readonly { readonly name: string; readonly file: string }[],
  folder: string,
): number | null {
  if (process.platform !== 'linux') return null;
  const peak = path.join(folder, 'peak');
  const given = inputs.flatMap(({ name, file }) => ['--input', `${name}=${file}`]);
  const args = ['--import', PRELOAD, BIN, 'run', artifact, ...given, '--json'];
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, HONE_PEAK_FILE: peak },
  });
  if (status !== 0) fail('HONE-BENCH-005', `hone run failed: ${stderr}`, artifact);
  return Number(readFileSync(peak, 'utf8'));
}

/** How many files are the same, or the first difference. */
async function sameFiles(artifact: string, onnx: string): Promise<number | string> {
  try {
    return (await rebuildArtifact(openArtifact(artifact), onnx)).files;
  } catch (error) {
    if (error instanceof HoneError && error.code === 'HONE-ARTIFACT-042') return error.message;
    throw error;
  }
}
