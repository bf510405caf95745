/** What a path given as MODEL is, told by content: an artifact folder or an ONNX file. */
import { existsSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import { refusePacked } from 'hone-runtime/artifact/read';
import { openFile } from 'hone-runtime/base/io';

export type ModelKind = 'artifact' | 'model';

/** Throws a coded error for paths that are neither. */
export function detectModel(path: string): ModelKind {
  const stat = statOf(path);
  if (stat === undefined) {
    fail('HONE-IO-001', `${path} does not exist`, path, 'check the path of the model');
  }
  if (stat.isDirectory()) {
    if (existsSync(join(path, 'manifest.json'))) return 'artifact';
    fail(
      'HONE-CLI-007',
      `${path} is a folder, but not an artifact: it has no manifest.json`,
      path,
      'give an ONNX file, or a folder made by `hone compile`',
    );
  }
  refusePacked(path);
  if (stat.isFile() && stat.size === 0) {
    fail('HONE-CLI-007', `${path} is empty`, path, 'give an ONNX file; fetch or export it again');
  }
  const source = openFile(path);
  try {
    return looksLikeOnnx(source.read(0, Math.min(16, source.size))) ? 'model' : notAModel(path);
  } finally {
    source.close();
  }
}

/** Undefined also where a part of the path is a file, or may not be entered. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Only what `hone compile` takes. */
export function requireModel(path: string): void {
  if (detectModel(path) !== 'model') {
    fail(
      'HONE-CLI-008',
      `${path} is an artifact already`,
      path,
      'give the ONNX file it was made of',
    );
  }
}

/** Only what `hone compile` makes. */
export function requireArtifact(path: string): void {
  if (detectModel(path) !== 'artifact') {
    fail(
      'HONE-CLI-008',
      `${path} is no artifact`,
      path,
      `make one: hone compile ${path} -o OUT.hone`,
    );
  }
}

/** A ModelProto begins with one of its own fields: a tag with a field number it has. */
function looksLikeOnnx(bytes: Uint8Array): boolean {
  const tag = bytes[0] ?? 0;
  const wire = tag & 7;
  const field = tag >> 3;
  const varintFields = [1, 5];
  return varintFields.includes(field) ? wire === 0 : wire === 2 && field >= 2 && field <= 25;
}

function notAModel(path: string): never {
  fail(
    'HONE-CLI-007',
    `${path} is neither an ONNX model nor an artifact`,
    path,
    'give an ONNX file, or a folder made by `hone compile`',
  );
}
