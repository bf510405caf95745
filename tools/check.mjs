/**
 * `npm run check`: format, lint, types and the house rules, in seconds. Each part runs even when an
 * earlier one failed; exit 1 when any did.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const bin = (...path) => join(ROOT, 'node_modules', ...path);

const parts = [
  [
    'format and lint',
    bin('@biomejs', 'biome', 'bin', 'biome'),
    ['check', '--error-on-warnings', '.'],
  ],
  ['types', bin('typescript', 'bin', 'tsc'), ['-b']],
  ['house rules', undefined, ['--test', join('build', 'test', 'house', 'imports.test.js')]],
];

const failed = [];
for (const [name, script, args] of parts) {
  const begin = performance.now();
  const quiet = script === undefined;
  const result = spawnSync(process.execPath, script === undefined ? args : [script, ...args], {
    cwd: ROOT,
    stdio: quiet ? 'pipe' : 'inherit',
    encoding: 'utf8',
  });
  if (quiet && result.status !== 0) process.stdout.write(`${result.stdout}${result.stderr}`);
  if (result.status !== 0) failed.push(name);
  console.log(
    `${result.status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`,
  );
}
if (failed.length > 0) process.exitCode = 1;
