/** A model compiled into demo-out/, opened and run once, with the times of each step. */
import { relative } from 'node:path';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load, type Session } from 'hone-runtime';
import type { Tensor } from 'hone-runtime/base/tensor';

export interface Opened {
  readonly session: Session;
  readonly compileMs: number;
  readonly openMs: number;
  readonly firstMs: number;
  readonly kernels: number;
}

export async function compileAndOpen(
  model: string,
  folder: string,
  input: Readonly<Record<string, Tensor>>,
  options: CompileOptions = {},
): Promise<Opened> {
  const start = performance.now();
  const compiled = await compileModel(model, options);
  await writeArtifact(compiled, folder);
  const written = performance.now();
  const session = load(folder);
  const opened = performance.now();
  session.runSync(input);
  const first = performance.now();
  return {
    session,
    compileMs: written - start,
    openMs: opened - written,
    firstMs: first - opened,
    kernels: compiled.program.steps.length,
  };
}

/** How a path is shown: from where the user is. */
export function shown(path: string): string {
  return relative(process.cwd(), path);
}
