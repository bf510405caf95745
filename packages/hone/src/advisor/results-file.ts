/**
 * The local results file: measurements of models on machines, one JSON object a line, that later
 * advice uses in place of predictions. A line is appended in one piece or not at all, as far as
 * anyone who reads can tell: what is not whole, or was written by a newer version, is left out with
 * a note, and never changed.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseJson } from 'hone-runtime/artifact/json';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { type MeasuredResult, readMeasuredResult, RESULT_VERSION } from './measured-result.ts';

/** Set it to a path to keep measurements elsewhere. */
export const RESULTS_VARIABLE = 'HONE_RESULTS';

export interface StoredResults {
  readonly results: readonly MeasuredResult[];
  /** Lines that could not be used, with their code. */
  readonly problems: readonly string[];
}

/** Where measurements are kept: HONE_RESULTS, or hone/measurements.jsonl in the user's data folder. */
export function defaultResultsFile(env: NodeJS.ProcessEnv = process.env): string {
  const wanted = env[RESULTS_VARIABLE];
  if (wanted) return path.resolve(wanted);
  const data = env['XDG_DATA_HOME'];
  const base =
    data && path.isAbsolute(data)
      ? data
      : path.join(env['HOME'] || os.homedir(), '.local', 'share');
  return path.join(base, 'hone', 'measurements.jsonl');
}

/** All measurements in a file; none where there is no file. Throws HONE-ADVISE-040. */
export function readResults(file: string): StoredResults {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { results: [], problems: [] };
    return unusable(file, 'read', code);
  }
  const results: MeasuredResult[] = [];
  const problems: string[] = [];
  for (const [index, line] of content.split('\n').entries()) {
    if (line.trim() === '') continue;
    const name = `${file}:${index + 1}`;
    try {
      results.push(readMeasuredResult(parseJson(line, name)));
    } catch (error) {
      if (!(error instanceof HoneError)) throw error;
      problems.push(
        `${error.code === 'HONE-ADVISE-042' ? error.code : 'HONE-ADVISE-041'}: ${error.message}; left out`,
      );
    }
  }
  return { results, problems };
}

/**
 * Adds measurements to the end of a file, which is made where it is missing. Several processes may
 * do so at once. Throws HONE-ADVISE-040.
 */
export function appendResults(file: string, results: readonly MeasuredResult[]): void {
  if (results.length === 0) return;
  const lines = results.map(
    (result) => `${JSON.stringify({ version: RESULT_VERSION, ...result })}\n`,
  );
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    // The system moves to the end and writes in one step, so that writers cannot mix.
    const fd = openSync(file, 'a+', 0o644);
    try {
      const bytes = Buffer.from(`${endsInside(fd) ? '\n' : ''}${lines.join('')}`);
      const written = writeSync(fd, bytes);
      if (written < bytes.byteLength) unusable(file, 'written', 'ENOSPC');
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof HoneError) throw error;
    unusable(file, 'written', (error as NodeJS.ErrnoException).code);
  }
}

/** A writer that was cut off has left half a line: ours begins on a new one. */
function endsInside(fd: number): boolean {
  const { size } = fstatSync(fd);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, size - 1);
  return last.toString() !== '\n';
}

function unusable(file: string, what: string, code = 'unknown error'): never {
  const cure = `check the path, its space and its permissions, or give another file (--results, ${RESULTS_VARIABLE})`;
  fail('HONE-ADVISE-040', `the results file ${file} cannot be ${what}: ${code}`, file, cure);
}
