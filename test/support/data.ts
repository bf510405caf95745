/**
 * Where tests find real models and data that the repository does not carry: the folder named by
 * HONE_TEST_DATA. A test that needs it says so:
 *
 *   test('…', { skip: missingData('models/mnist/mnist.onnx') }, () => { … dataPath('models/…') … })
 *
 * The runner lists every skip with its reason, and fails on these when HONE_TEST_DATA is set.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = process.env['HONE_TEST_DATA'] ?? '';

/** Path of a file under HONE_TEST_DATA. */
export function dataPath(file: string): string {
  return join(FOLDER, file);
}

/** false when the file is there; else the reason to skip. */
export function missingData(file: string): string | false {
  if (FOLDER === '') return `needs HONE_TEST_DATA (${file})`;
  return existsSync(dataPath(file)) ? false : `needs ${file} under HONE_TEST_DATA`;
}
