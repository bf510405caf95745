/**
 * External tensor data: files beside the model, opened once each when first needed.
 *
 * A location is a relative path below the model's folder; anything that could lead elsewhere
 * (absolute paths, "..", drive letters, backslashes) is refused.
 */
import { dirname, join } from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import { type ByteSource, openFile } from 'hone-runtime/base/io';
import type { ExternalFiles } from './types.ts';

/** External files of a model at a path. */
export function externalFilesBeside(modelPath: string): ExternalFiles {
  return cached((location, tensor) => {
    try {
      return openFile(join(dirname(modelPath), location));
    } catch (cause) {
      return fail(
        'HONE-ONNX-011',
        `tensor ${tensor} of ${modelPath} is stored in ${location}, which cannot be opened: ${(cause as Error).message}`,
        location,
        'put the external data file beside the model',
      );
    }
  });
}

/** External files given by the caller; for models that are not in a file. */
export function externalFilesFrom(
  sources: Readonly<Record<string, ByteSource>>,
  model: string,
): ExternalFiles {
  return cached((location, tensor) => {
    if (Object.hasOwn(sources, location)) return sources[location] as ByteSource;
    return fail(
      'HONE-ONNX-011',
      `tensor ${tensor} of ${model} is stored in ${location}, but the model was not read from a folder`,
      location,
      'open the model by its path',
    );
  });
}

function cached(open: (location: string, tensor: string) => ByteSource): ExternalFiles {
  const files = new Map<string, ByteSource>();
  return {
    open(location, tensor) {
      checkLocation(location, tensor);
      const file = files.get(location) ?? open(location, tensor);
      files.set(location, file);
      return file;
    },
    close() {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}

function checkLocation(location: string, tensor: string): void {
  const parts = location.split('/');
  const bad =
    location === '' ||
    location.startsWith('/') ||
    /[\\\0]/.test(location) ||
    /^[A-Za-z]:/.test(location) ||
    parts.includes('..');
  if (!bad) return;
  fail(
    'HONE-ONNX-011',
    `tensor ${tensor} names ${JSON.stringify(location)} as its file: only files below the model's folder are read`,
    tensor,
    'save the model again with its external data beside it',
  );
}
