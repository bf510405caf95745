/** MODEL as an artifact that can be loaded: as it is, or compiled into the cache. */
import { compileModel, writeArtifact } from '../compile/index.ts';
import type { Invocation } from './command.ts';
import { readCompileRequest, toCompileOptions, type Uncalibrated } from './compile-request.ts';
import { cacheEntry, trimModelCache } from './model-cache.ts';
import { detectModel } from './model-path.ts';
import { badValue } from './option-reader.ts';

export interface Prepared {
  readonly folder: string;
  /** given: the user named an artifact. */
  readonly origin: 'given' | 'cache' | 'compiled';
  /** Which library of an artifact was asked for. */
  readonly target?: string;
}

export async function prepareArtifact(
  path: string,
  invocation: Invocation,
  uncalibrated: Uncalibrated = 'refused',
): Promise<Prepared> {
  const { options, progress, log } = invocation;
  if (detectModel(path) === 'artifact') {
    const batch = options.text('batch');
    if (batch !== undefined) refuse('batch', batch);
    for (const name of ['precision', 'calibrate', 'calibrator']) {
      const value = options.text(name);
      if (value !== undefined) refuse(name, value);
    }
    const [shape] = options.list('shape');
    if (shape !== undefined) refuse('shape', shape);
    const target = options.text('target');
    return { folder: path, origin: 'given', ...(target === undefined ? {} : { target }) };
  }
  const [key] = options.list('key');
  if (key !== undefined) badValue('key', key, 'models are not signed: give an artifact');
  const request = readCompileRequest(path, options, uncalibrated);
  const entry = cacheEntry(path, request);
  if (entry.present) return { folder: entry.folder, origin: 'cache' };
  const begin = performance.now();
  const model = await compileModel(path, toCompileOptions(request, progress));
  await writeArtifact(model, entry.folder);
  trimModelCache(entry.folder);
  for (const note of model.notes) log(`note: ${note}`);
  log(`compiled ${path} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  return { folder: entry.folder, origin: 'compiled' };
}

function refuse(name: string, value: string): never {
  badValue(
    name,
    value,
    'an artifact is compiled already: leave the option out, or give the ONNX file',
  );
}
