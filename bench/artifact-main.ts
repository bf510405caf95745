/**
 * `npm run bench:artifact -- NAME…`: memory, library size and reproducibility of the bench's models.
 * A table, or with --json one object; --save writes it to bench/results. Exit 1 where a bound is broken.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from 'hone-runtime/base/diagnostics';
import { asHoneError, errorText } from 'hone/cli/errors';
import { formatTable } from 'hone/cli/table';
import { type ArtifactRow, checkArtifact } from './artifact-check.ts';
import { expandNames } from './models.ts';

const USAGE = 'npm run bench:artifact -- NAME… [--target T] [--memory BYTES] [--json] [--save]';
const FILE = path.join('bench', 'results', 'artifacts.json');

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      target: { type: 'string' },
      memory: { type: 'string' },
      json: { type: 'boolean' },
      save: { type: 'boolean' },
    },
  });
  if (positionals.length === 0) fail('HONE-BENCH-009', 'NAME is needed', undefined, USAGE);
  const options = {
    ...(values.target === undefined ? {} : { target: values.target }),
    ...(values.memory === undefined ? {} : { memoryBytes: Number(values.memory) }),
  };
  const rows: ArtifactRow[] = [];
  for (const name of expandNames(positionals)) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bench-'));
    try {
      process.stderr.write(`${name}\n`);
      rows.push(await checkArtifact(name, folder, options));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const text = `${JSON.stringify({ models: rows }, undefined, 1)}\n`;
  process.stdout.write(values.json === true ? text : table(rows));
  if (values.save === true) {
    mkdirSync(path.dirname(FILE), { recursive: true });
    writeFileSync(FILE, text);
  }
  if (rows.some((row) => row.problems.length > 0)) process.exitCode = 1;
} catch (thrown) {
  const error = asHoneError(thrown);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}

function table(rows: readonly ArtifactRow[]): string {
  const mb = (bytes: number | null): string => (bytes === null ? '-' : (bytes / 1e6).toFixed(1));
  const lines = formatTable(
    [
      ...[
        'model',
        'parameters',
        'weights',
        'arena',
        'arena/live',
        'process',
        'limit',
        'library kB',
      ],
      ...['rebuilt', 'problems'],
    ],
    rows.map((row) => [
      row.model,
      mb(row.parameter_bytes),
      mb(row.weights_bytes),
      mb(row.arena_bytes),
      (row.arena_bytes / Math.max(1, row.live_bytes)).toFixed(3),
      mb(row.process_bytes),
      mb(row.process_limit_bytes),
      (row.library_bytes / 1e3).toFixed(0),
      row.same_files === null ? 'no' : `${row.same_files} files`,
      row.problems.join('; '),
    ]),
    ['left', ...new Array<'right'>(7).fill('right')],
  );
  return `${lines.join('\n')}\nsizes in MB (10^6 bytes) where not said otherwise\n`;
}
