/** docs/widths.md runs as it stands. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { examplesOf, ROOT, runExamples } from '../support/doc-examples.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-widths-'));
symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
after(() => rmSync(folder, { recursive: true }));

test('docs/widths.md: a line is read at the narrowest width that holds it', () => {
  const printed = runExamples(examplesOf('docs/widths.md'), { cwd: folder });
  assert.deepEqual(printed.at(-1)?.trim().split('\n'), [
    '90 pixels: read at 160, 1 x 20 x 6625',
    '160 pixels: read at 160, 1 x 20 x 6625',
    '233 pixels: read at 320, 1 x 40 x 6625',
  ]);
});
