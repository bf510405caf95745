/** The documents made from the source are current. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadModel } from 'hone/advisor/data-files';
import { renderAdvisorDocs } from 'hone/cli/advisor-docs';
import { COMMANDS } from 'hone/cli/contract';
import { renderCliDocs, renderOperatorDocs } from 'hone/cli/docs';
import { standardRegistry } from 'hone/ops/registry';

const read = (path: string): string =>
  readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

test('docs/cli.md is what the contract says', () => {
  assert.ok(read('docs/cli.md') === renderCliDocs(COMMANDS), 'run `npm run docs` and commit');
});

test('docs/operators.md is what the registry says', () => {
  const current = renderOperatorDocs(standardRegistry.all());
  assert.ok(read('docs/operators.md') === current, 'run `npm run docs` and commit');
});

test('docs/advisor.md is what the fitted model says', () => {
  assert.ok(
    read('docs/advisor.md') === renderAdvisorDocs(loadModel()),
    'run `npm run docs` and commit',
  );
});
