/**
 * The Python that tests of its runtime use: the one that HONE_PYTHON names, the one that .ci/run made
 * under build/python, or python3; the first that has numpy.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './doc-examples.ts';

const CANDIDATES = [
  process.env['HONE_PYTHON'] ?? '',
  path.join(ROOT, 'build', 'python', 'bin', 'python3'),
  'python3',
];

/** The folder of hone_runtime.py. */
export const PYTHON_RUNTIME = path.join(ROOT, 'packages', 'runtime', 'python');

function hasNumpy(python: string): boolean {
  if (python === '' || (path.isAbsolute(python) && !existsSync(python))) return false;
  return spawnSync(python, ['-c', 'import numpy'], { timeout: 60_000 }).status === 0;
}

/** The program to start; undefined where there is none with numpy. */
export const python = CANDIDATES.find(hasNumpy);

/** false where Python is there; else the reason to skip. */
export const missingPython: string | false =
  python === undefined ? 'needs python3 with numpy (HONE_PYTHON names another python)' : false;
