/** Every command line in the README runs as it stands, in a shell. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap((block) => (block[1] as string).split('\n'))
  .filter((line) => line !== '');

// The examples write files: they get a folder of their own, with the installed packages.
const folder = mkdtempSync(join(tmpdir(), 'hone-readme-'));
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
after(() => rmSync(folder, { recursive: true }));

test('the README has examples', () => {
  assert.ok(commands.length >= 5);
  for (const line of commands) assert.match(line, /^npx hone /);
});

for (const line of commands) {
  test(line, () => {
    const { status, stdout, stderr } = spawnSync('bash', ['-c', line], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 180_000,
      env: { ...process.env, HONE_CACHE_DIR: join(folder, 'cache') },
    });
    assert.equal(status, 0, stderr);
    assert.notEqual(stdout, '');
  });
}
