/**
 * Compiles a model into the cache. Apart from `prepare.ts` so that running an artifact loads nothing
 * of the compiler: it would take more memory than most models.
 */
import { compileModel, writeArtifact } from '../compile/index.ts';
import type { Invocation } from './command.ts';
import {
  readCompileRequest,
  readOperators,
  toCompileOptions,
  type Uncalibrated,
} from './compile-request.ts';
import { cacheEntry, trimModelCache } from './model-cache.ts';
import type { Prepared } from './prepare.ts';

/** The cached artifact of a model, compiled first where it is not there. */
export async function compileIntoCache(
  path: string,
  { options, progress, log }: Invocation,
  uncalibrated: Uncalibrated,
): Promise<Prepared> {
  const custom = await readOperators(options);
  const request = {
    ...readCompileRequest(path, options, uncalibrated),
    ...(custom === undefined ? {} : { operators: custom.operators }),
  };
  const entry = cacheEntry(path, request);
  if (entry.present) return { folder: entry.folder, origin: 'cache' };
  const begin = performance.now();
  const model = await compileModel(path, { ...toCompileOptions(request, progress), ...custom });
  await writeArtifact(model, entry.folder);
  trimModelCache(entry.folder);
  for (const note of model.notes) log(`note: ${note}`);
  log(`compiled ${path} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  return { folder: entry.folder, origin: 'compiled' };
}
