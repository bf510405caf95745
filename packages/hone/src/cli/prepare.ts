/** MODEL as an artifact that can be loaded: as it is, or compiled into the cache. */
import type { Invocation } from './command.ts';
import type { Uncalibrated } from './compile-request.ts';
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
  const { options } = invocation;
  if (detectModel(path) === 'artifact') {
    const batch = options.text('batch');
    if (batch !== undefined) refuse('batch', batch);
    for (const name of [
      'precision',
      'autocast',
      'calibrate',
      'calibrator',
      'carry',
      'max-drop',
      'metric',
      'memory',
    ]) {
      const value = options.text(name);
      if (value !== undefined) refuse(name, value);
    }
    for (const name of ['shape', 'bound', 'ops']) {
      const [value] = options.list(name);
      if (value !== undefined) refuse(name, value);
    }
    const target = options.text('target');
    return { folder: path, origin: 'given', ...(target === undefined ? {} : { target }) };
  }
  const [key] = options.list('key');
  if (key !== undefined) badValue('key', key, 'models are not signed: give an artifact');
  const { compileIntoCache } = await import('./compile-into-cache.ts');
  return compileIntoCache(path, invocation, uncalibrated);
}

function refuse(name: string, value: string): never {
  badValue(
    name,
    value,
    'an artifact is compiled already: leave the option out, or give the ONNX file',
  );
}
