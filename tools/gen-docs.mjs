/** `npm run docs`: builds, then writes the documents that are made from the source. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
spawnSync(process.execPath, [tsc, '-b'], { cwd: ROOT, stdio: 'inherit' });

const { renderCliDocs, renderOperatorDocs } = await import('hone/cli/docs');
const { renderAdvisorDocs } = await import('hone/cli/advisor-docs');
const { loadModel } = await import('hone/advisor/data-files');
const { COMMANDS } = await import('hone/cli/contract');
const { standardRegistry } = await import('hone/ops/registry');

const documents = {
  'docs/advisor.md': renderAdvisorDocs(loadModel()),
  'docs/cli.md': renderCliDocs(COMMANDS),
  'docs/operators.md': renderOperatorDocs(standardRegistry.all()),
};
for (const [path, text] of Object.entries(documents)) {
  writeFileSync(join(ROOT, path), text);
  console.log(`wrote ${path}`);
}
