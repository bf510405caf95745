/** Runs artifacts in Python, through run_artifact.py. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ROOT } from '../support/doc-examples.ts';
import { PYTHON_RUNTIME, python } from '../support/python.ts';

export interface PythonRequest {
  readonly artifact: string;
  /** Files with the raw elements of the inputs, in the model's order. */
  readonly inputs?: readonly string[];
  readonly target?: string;
  readonly threads?: number;
  readonly verify?: 'full';
  readonly key?: string | readonly string[];
}

export interface PythonAnswer {
  readonly target?: string;
  /** Bytes of the outputs, as hexadecimal text. */
  readonly outputs?: readonly string[];
  /** Of the error, in place of the others. */
  readonly code?: string;
}

export function runInPython(requests: readonly PythonRequest[]): readonly PythonAnswer[] {
  const script = path.join(ROOT, 'test', 'runtimes', 'run_artifact.py');
  const args = ['-W', 'error', script, ...requests.map((request) => JSON.stringify(request))];
  const { status, stdout, stderr } = spawnSync(python ?? 'python3', args, {
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, PYTHONPATH: PYTHON_RUNTIME, PYTHONDONTWRITEBYTECODE: '1' },
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as PythonAnswer);
}
